"""A demonstration told otherwise, and the same with one number, sum or step made wrong.

The base of every perturbation is `retold`. Demonstrations with calculator annotations are said in another order of
words (equation first, then its sentence with the result in place of the sum); others sentence by sentence with
another opening each. The answer stands at the end. A retelling must pass the gate; so must its reordered and
renotated variants. The wrong ones change one thing each. What is made depends on nothing but the row and the seed.
Programs are not retold.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from recast.curate.answers.extract import find_answer
from recast.curate.arithmetic.parser import evaluate
from recast.curate.maths.numbers import Value, agrees, exact, literal
from recast.curate.texts import containment

_STEP = re.compile(
    r"(?P<sum>[$€£]?[\d.(][^=<>\n]*?)\s*=\s*(?P<money>[$€£]?)<<(?P<work>[^<>]+)=(?P<value>[^<>=]+)>>\s*[\d.,]*\d"
)
_PLAIN_STEP = re.compile(
    r"(?<![\w.*/+:-])(?<![-+*/^(\d] )(\d[\d.]*(?: [-+*/] \d[\d.]*)+) = ([$]?)(\d[\d,.]*\d|\d)"
    r"(?!\w|[.,]\d|\s?[-+*/^]\s?\w|\s(?:and\s)?\d+/\d)"
)
_DENSE_STEP = re.compile(r"(?<![\w.])\d[\d.]*(?:\s*[-+*/×x]\s*\d[\d.]*)+\s*=\s*[$]?\d")
_OPERATION = re.compile(r"[\d)]\s*[-+*/]")
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
_OPERAND = re.compile(r"[$€£(]*(?:\d[\d,]*(?:\.\d+)?|\.\d+)")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z\d$\\])|\n+")
_PROGRAM = re.compile(r"```|^\s*(?:def |import |print\(|return\b)", re.MULTILINE)
_OPENINGS = (
    "To begin with, ",
    "Next, ",
    "After that, ",
    "Going on from there, ",
    "With this known, ",
    "Further, ",
)
_CHOICE = re.compile(r"\(?([A-J])\)?")
_OPPOSITE = {"yes": "no", "no": "yes", "true": "false", "false": "true"}

MAX_COPIED = 0.7  # of the retelling's 8-grams


_CLAUSE = re.compile(r"[,;]|\b(?:so|that's|then|which|who|they|he|she|is|are|was|were|has|have|had)\b")
_NO_REASON = re.compile(r",? (?:because|since) \$?[\d.][\d,.]*(?=\.?\Z)")


def retold(row: Mapping[str, Any]) -> str | None:
    """A right rewrite of a demonstration.

    None where it states no answer or is a program, and where so little could be said differently that the result is
    a copy.
    """
    parts = _body_and_answer(row)
    if parts is None:
        return None
    body, answer = parts
    lines = _from_annotations(body) if "<<" in body else _sentence_by_sentence(body)
    # what was `48 because 12 * 4 = 48` gives no reason any more
    lines = [_NO_REASON.sub("", line) for line in lines]
    text = "\n".join([*lines, f"The answer is {answer}."])
    return text if lines and containment(text, row["demonstration"]) <= MAX_COPIED else None


def _body_and_answer(row: Mapping[str, Any]) -> tuple[str, str] | None:
    demonstration = row["demonstration"]
    found = find_answer(demonstration, False)
    stated = str(row.get("answer") or "").strip()
    if _PROGRAM.search(demonstration) or not (found or stated):
        return None
    if found is None:
        return demonstration, stated
    if found.marker == "boxed":
        return demonstration.replace(f"\\boxed{{{found.text}}}", found.text), found.text
    body = demonstration[: found.start]
    if found.marker == "phrase":  # the sentence that says the answer goes with it
        body = body[: max(body.rfind("\n") + 1, body.rfind(". ") + 2 if ". " in body else 0)]
    return body, found.text


def _from_annotations(body: str) -> list[str]:
    """`48/2 = 24. In May she sold 24 clips.` for `In May she sold 48/2 = <<48/2=24>>24 clips.`"""
    lines: list[str] = []
    steps = 0
    for line in body.splitlines():
        match = _STEP.search(line)
        if match is None or line.count("<<") > 1 or not _OPERATION.search(match.group("work")):
            lines.append(re.sub(r"<<[^<>]*>>", "", line).strip())
            continue
        begin = _sum_start(match)
        if _CLAUSE.search(line, begin, match.start("money")):
            lines.append(re.sub(r"<<[^<>]*>>", "", line).strip())  # more than the sum would be left out
            continue
        steps += 1
        work = " ".join(re.sub(r"([-+*/])", r" \1 ", match.group("work")).split())
        value = match.group("value").strip()
        told = f"{line[:begin]}{match.group('money')}{value}{line[match.end() :]}"
        lines.append(f"{work} = {value}. {told.strip()}")
    return [line for line in lines if line] if steps else []


def _sum_start(step: re.Match[str]) -> int:
    """Where the sum of a step begins: with as many numbers as its annotation has."""
    wanted = len(_OPERAND.findall(step.group("work")))
    found = list(_OPERAND.finditer(step.string, step.start("sum"), step.end("sum")))
    return found[-wanted].start() if 0 < wanted <= len(found) else step.start("sum")


def _sentence_by_sentence(body: str) -> list[str]:
    """Every sentence with another opening, its sums with spaces between their signs."""
    spaced = _DENSE_STEP.sub(
        lambda m: " ".join(
            re.sub(r"([-+*/×x=])", r" \1 ", m.group()).replace("×", "*").replace("x", "*").split()
        ),
        body,
    )
    sentences = [" ".join(sentence.split()) for sentence in _SENTENCE.split(spaced) if sentence.strip()]
    return [f"{_OPENINGS[n % len(_OPENINGS)]}{sentence}" for n, sentence in enumerate(sentences)]


# --- kinds ----------------------------------------------------------------------------------------------


def _tail(text: str) -> tuple[str, str]:
    head, _, answer = text.rpartition("The answer is ")
    return head + "The answer is ", answer.rstrip(".")


def _value(answer: str) -> Value | None:
    return literal(answer.lstrip("-"))[0] if re.fullmatch(r"-?[$€£]?\d[\d,]*(?:\.\d+)?", answer) else None


def _answer_changed(text: str, random: Random) -> str | None:
    """Another number, another choice letter, or the opposite."""
    head, answer = _tail(text)
    if choice := _CHOICE.fullmatch(answer):
        return f"{head}{random.choice([c for c in 'ABCD' if c != choice.group(1)])}."
    if answer.lower() in _OPPOSITE:
        return f"{head}{_OPPOSITE[answer.lower()]}."
    value = _value(answer)
    if not isinstance(value, int):
        return None
    change = random.choice([1, -1, 2, 10, -10, value, 3])
    return f"{head}{value + (change or 1)}."


def _sign_flipped(text: str, random: Random) -> str | None:
    head, answer = _tail(text)
    return f"{head}-{answer}." if _value(answer) and answer[0] != "-" else None


def _digits_swapped(text: str, random: Random) -> str | None:
    head, answer = _tail(text)
    if _value(answer) is None:
        return None
    places = [i for i in range(len(answer) - 1) if answer[i : i + 2].isdigit() and answer[i] != answer[i + 1]]
    if not places:
        return None
    i = random.choice(places)
    return f"{head}{answer[:i]}{answer[i + 1]}{answer[i]}{answer[i + 2 :]}."


def _false_equality(text: str, random: Random) -> str | None:
    """One stated result is wrong, everything else stays right."""
    steps = list(_PLAIN_STEP.finditer(text))
    if not steps:
        return None
    step = random.choice(steps)
    value = literal(step.group(3))[0]
    if value is None:
        return None
    wrong = value + random.choice([1, -1, 2, 10])
    return f"{text[: step.start(3)]}{_shown(wrong)}{text[step.end(3) :]}"


def _number_altered(text: str, random: Random) -> str | None:
    """A step's result is another number wherever it stands, apart from the final answer."""
    head, answer = _tail(text)
    steps = [s for s in _PLAIN_STEP.finditer(head) if literal(s.group(3))[0] != _value(answer)]
    if not steps:
        return None
    old = random.choice(steps).group(3)
    new = _shown((literal(old)[0] or 0) + random.choice([1, 3, 7]))
    return re.sub(rf"(?<![\d.,]){re.escape(old)}(?![\d]|[.,]\d)", new, head) + answer + "."


def _operand_altered(text: str, random: Random) -> str | None:
    """A number that goes into a step is another one there, its result stays."""
    steps = list(_PLAIN_STEP.finditer(text))
    if not steps:
        return None
    step = random.choice(steps)
    number = random.choice(list(_NUMBER.finditer(step.group(1))))
    value = literal(number.group().rstrip("."))[0]
    if value is None:
        return None
    work = f"{step.group(1)[: number.start()]}{_shown(value + 1)}{step.group(1)[number.end() :]}"
    other, (result, decimals) = evaluate(work), literal(step.group(3))
    if other is None or result is None or agrees(other, result, -1, decimals):
        return None  # 13 / 60 is 0.2, too
    return f"{text[: step.start(1)]}{work}{text[step.end(1) :]}"


def _step_dropped(text: str, random: Random) -> str | None:
    lines = text.split("\n")
    steps = [i for i, line in enumerate(lines[:-1]) if _PLAIN_STEP.search(line)]
    if len(steps) < 2:
        return None
    gone = random.choice(steps[:-1])
    return "\n".join(line for i, line in enumerate(lines) if i != gone)


def _reasoning_dropped(text: str, random: Random) -> str | None:
    return text.rsplit("\n", 1)[-1]


def _told_twice(text: str, random: Random) -> str | None:
    return f"{text}\n{text}"


def _reordered(text: str, random: Random) -> str | None:
    """Two neighbouring steps change places where the second does not use the first's result."""
    lines = text.split("\n")
    for i in range(len(lines) - 2):
        first, second = _PLAIN_STEP.search(lines[i]), _PLAIN_STEP.search(lines[i + 1])
        if first and second and first.group(3) not in _NUMBER.findall(lines[i + 1]):
            lines[i], lines[i + 1] = lines[i + 1], lines[i]
            return "\n".join(lines)
    return None


def _latex(text: str, random: Random) -> str | None:
    """The same sums in LaTeX, the answer in a box."""
    head, answer = _tail(text)

    def formula(match: re.Match[str]) -> str:
        work = match.group(1).replace("*", "\\times").replace("/", "\\div")
        return f"${work} = {match.group(3)}$"

    return _PLAIN_STEP.sub(formula, head).replace(
        "The answer is ", f"So the final answer is $\\boxed{{{answer}}}$."
    )


def _in_words(text: str, random: Random) -> str | None:
    """The same sums in words: `48 divided by 2 equals 24`."""
    words = {"+": "plus", "-": "minus", "*": "times", "/": "divided by"}

    def told(match: re.Match[str]) -> str:
        return (
            re.sub(r" ([-+*/]) ", lambda m: f" {words[m.group(1)]} ", match.group(1))
            + f" equals {match.group(3)}"
        )

    steps = [s for s in _PLAIN_STEP.finditer(text) if len(re.findall(r" [-+*/] ", s.group(1))) == 1]
    return _PLAIN_STEP.sub(told, text) if steps and len(steps) == len(_PLAIN_STEP.findall(text)) else None


def _unit_dropped(text: str, random: Random) -> str | None:
    """Currency signs gone, everywhere."""
    return re.sub(r"[$€£](?=\d)", "", text)


def _unit_added(text: str, random: Random) -> str | None:
    head, answer = _tail(text)
    if _value(answer) is None:
        return None
    return (
        f"{head}{random.choice(['$', ''])}{answer.lstrip('$')}{random.choice([' dollars', ' of them', ''])}."
    )


Kind = Callable[[str, Random], "str | None"]
RIGHT: dict[str, Kind] = {
    "retold": lambda text, random: text,
    "reordered": _reordered,
    "latex": _latex,
    "in_words": _in_words,
}
WRONG: dict[str, Kind] = {
    "answer_changed": _answer_changed,
    "sign_flipped": _sign_flipped,
    "digits_swapped": _digits_swapped,
    "false_equality": _false_equality,
    "operand_altered": _operand_altered,
    "number_altered": _number_altered,
    "step_dropped": _step_dropped,
    "reasoning_dropped": _reasoning_dropped,
    "told_twice": _told_twice,
}
OPEN: dict[str, Kind] = {"unit_dropped": _unit_dropped, "unit_added": _unit_added}


def _shown(value: object) -> str:
    number = exact(value) if not isinstance(value, int) else value  # type: ignore[arg-type]
    return str(number) if isinstance(number, int) else f"{float(number):g}"
