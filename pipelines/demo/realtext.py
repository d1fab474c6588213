"""Real word problems brought into the backbone's own style, as pretraining documents.

GSM8K and the SVAMP-style rows of the `mwp` folder are real text: other people's sentences, names and
numbers. A row becomes the own style by a rule (`own_style`): each stated calculation is said first, its
result is then used in the sentence, and the answer comes last. Rows that the rule cannot bring over
exactly are left out. Only rows of half 0 (`world.half_of`) are ever read here.
"""

from __future__ import annotations

import ast
import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from recast.pipelines.demo.world import half_of

ANNOTATION = re.compile(
    r"(?P<left>[-+*/x×()\d.,$%\s]*?)=?\s*(?P<cur>\$?)<<(?P<work>[^<>=]+)=(?P<result>[^<>]+)>>(?P<said>[\d.,/]*)"
)
NUMBER = re.compile(r"\d+(?:\.\d+)?")
OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}


@dataclass(frozen=True, slots=True)
class RealRow:
    """A real question, its demonstration as published, and the same in the own style."""

    question: str
    demonstration: str
    own: str
    answer: str


def value_of(node: ast.expr, names: dict[str, Fraction]) -> Fraction:
    """Exact value of an arithmetic expression over numbers and known names. Raises ValueError otherwise."""
    if (
        isinstance(node, ast.Constant)
        and isinstance(node.value, int | float)
        and not isinstance(node.value, bool)
    ):
        return Fraction(str(node.value))
    if isinstance(node, ast.Name) and node.id in names:
        return names[node.id]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -value_of(node.operand, names)
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        left, right = value_of(node.left, names), value_of(node.right, names)
        match node.op:
            case ast.Add():
                return left + right
            case ast.Sub():
                return left - right
            case ast.Mult():
                return left * right
            case _ if right != 0:
                return left / right
    raise ValueError("not plain arithmetic")


def shown(value: Fraction) -> str:
    """Plain decimal text of an exact value. Raises ValueError where it does not end within 4 places."""
    if value.denominator == 1:
        return str(value.numerator)
    text = f"{float(value):.4f}".rstrip("0")
    if Fraction(text) != value:
        raise ValueError("not a short decimal")
    return text


def spaced(work: str) -> str:
    return re.sub(r"\s*([-+*/])\s*", r" \1 ", work.replace("x", "*").replace("×", "*").strip()).strip()


def own_line(line: str) -> str:
    """`Sold 48/2 = <<48/2=24>>24 clips.` becomes `48 / 2 = 24. Sold 24 clips.`"""
    said: list[str] = []

    def replace(match: re.Match[str]) -> str:
        work, result = match["work"].replace(",", ""), match["result"].replace(",", "")
        if value_of(ast.parse(work.replace("x", "*"), mode="eval").body, {}) != Fraction(result):
            raise ValueError("the annotation is not exact")
        said.append(f"{spaced(work)} = {shown(Fraction(result))}.")
        gap = " " if match["left"][:1].isspace() else ""
        return f"{gap}{match['cur']}{match['said'] or result}"

    rest = ANNOTATION.sub(replace, line).strip()
    if re.search(r"[=<>]", rest):
        raise ValueError("a calculation without annotation")
    return " ".join([*said, rest if rest.endswith((".", "!", "?")) else f"{rest}."])


def own_gsm8k(demonstration: str) -> tuple[str, str]:
    """Own-style text and answer of a GSM8K solution. Raises ValueError, SyntaxError where the rule fails."""
    body, answer = demonstration.rsplit("####", 1)
    answer = answer.strip().replace(",", "")
    lines = [own_line(line) for line in body.strip().splitlines() if line.strip()]
    return " ".join([*lines, f"The answer is {answer}."]), answer


def own_program(source: str) -> tuple[str, str]:
    """Own-style text and answer of a straight-line `solution()` program."""
    function = ast.parse(source).body[0]
    if not isinstance(function, ast.FunctionDef):
        raise ValueError("not a function")
    names: dict[str, Fraction] = {}
    lines: list[str] = []
    for statement in function.body:
        match statement:
            case ast.Expr(value=ast.Constant()):
                continue
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                names[name] = value_of(value, names)
                words = name.replace("_", " ")
                if isinstance(value, ast.BinOp):
                    work = NAME.sub(lambda m: shown(names[m[0]]), ast.unparse(value))
                    lines.append(f"The {words} is {work} = {shown(names[name])}.")
                elif isinstance(value, ast.Constant):
                    lines.append(f"The {words} is {shown(names[name])}.")
            case ast.Return(value=ast.expr() as value):
                answer = shown(value_of(value, names))
                return " ".join([*lines, f"The answer is {answer}."]), answer
            case _:
                raise ValueError("not straight-line arithmetic")
    raise ValueError("returns nothing")


NAME = re.compile(r"[A-Za-z_]\w*")


def own_words(text: str) -> tuple[str, str]:
    """Own-style text and answer of a solution in words that ends in `the answer is <N>.`"""
    match = re.search(r"Therefore, the answer is <([\d.,]+)>\.?\s*$", text)
    if match is None:
        raise ValueError("no marked answer")
    body = [line.strip() for line in text[: match.start()].splitlines() if line.strip()]
    body = [line if line.endswith((".", ":", "!")) else f"{line}." for line in body]
    answer = match[1].rstrip(".").replace(",", "")
    return " ".join([*body, f"The answer is {answer}."]), answer


def real_rows(folder: Path) -> Iterator[RealRow]:
    """Rows of half 0 of GSM8K train and the two mwp files under `folder` that the rules bring over."""
    sources = (
        ("gsm8k/train.jsonl", "answer", own_gsm8k),
        ("mwp/svamp_nl.jsonl", "answer_cot", own_words),
        ("mwp/svamp_python_sdp.jsonl", "answer_cot", own_program),
    )
    for name, column, own in sources:
        for line in (folder / name).read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if half_of(row["question"]) != 0:
                continue
            try:
                text, answer = own(row[column])
            except (ValueError, SyntaxError, KeyError):
                continue  # the rule is for plain arithmetic; the other rows only lack a pretraining document
            if len(text) <= 900 and len(row[column]) <= 900:
                yield RealRow(row["question"].strip(), row[column].strip(), text, answer)


WORD = re.compile(r"[A-Za-z]{4,}")


def swapped(row: RealRow, rng: random.Random, words: list[str], share: float = 0.3) -> RealRow:
    """The row with a share of its words replaced, the same everywhere, so that copying beats remembering."""
    keep = {"answer", "Therefore", "return", "solution"}
    mapping: dict[str, str] = {}
    for word in sorted(set(WORD.findall(row.demonstration)) - keep):
        if rng.random() < share:
            new = rng.choice(words)
            mapping[word] = new.title() if word[0].isupper() else new

    def swap(text: str) -> str:
        return WORD.sub(lambda m: mapping.get(m[0], m[0]), text)

    return RealRow(swap(row.question), swap(row.demonstration), swap(row.own), row.answer)
