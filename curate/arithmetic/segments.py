"""Where a text may state an equality: its lines, sentences and annotations, cut for `curate.arithmetic.equalities`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from recast.curate.arithmetic.lexer import TIMES_X
from recast.curate.arithmetic.parser import evaluate
from recast.curate.arithmetic.told import in_signs, tells

MAX_SEGMENT_CHARS = 4000

_CONTROL = re.compile(r"\s*(?:if|elif|else|for|while|try|except|with)\b.*:\s*$")
_ASSIGNMENT = re.compile(r"\s*([A-Za-z_]\w*)\s*(?:[-+*/%]|//)?=(?!=)")
# this and `_IS` begin with one class of characters, so that a search need not try at every letter
_SEGMENT = re.compile(r"[\n;?!,.:](?:(?<=[\n;?])|(?<=!)(?!=)|(?<=[,.:])(?=\s|$))")
_OPERATION = re.compile(r"\d[^\n]{0,30}?(?:[-+*/÷^]|plus|minus|times|divided|multiplied|of)", re.I)
_IS = re.compile(
    r"[iamgl](?<!\w.)(?:(?<=i)s|(?<=a)re|(?<=m)akes?|(?<=g)ives?|(?<=l)eaves?|(?<=g)et)\b[^\d\n]{0,4}\d"
)
ANNOTATION = re.compile(r"<<([^<>\n]{1,300})>>")
_EQUAL_WORDS = re.compile(r"\b(?:(?:is|are|be)\s+)?equal(?:s|ing)?(?:\s+to)?\b", re.I)
_BULLET = re.compile(r"^\s*(?:[-*•>+]\s+|\(?\d{1,2}[.)]\s+|\(?[a-h]\)\s+|#+\s+)+")
# the mark of `712 lbs. - 234 lbs.` and of `3 lbs. coffee * 40` ends no sentence
_ABBREVIATED = re.compile(
    r"\.(?:(?<=[A-Za-z]\.)(?=\s*[-+*/×÷=)] ?[$\d(]|\s*=)|(?<=\b[a-z]{2}\.)(?= [a-z])|(?<=\b[a-z]{3}\.)(?= [a-z]))"
)
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_MAY_TIMES = re.compile(r"[\d)%\s][xX]")  # soon found, as the expression of the lexer is not
_OPERATES = re.compile(r"[-+*/×÷^]|\b[xX]\b")
_COMMENT_RESULT = re.compile(r"#\s*(?:=|->|=>)?\s*([$]?-?[\d.,]+)\s*$")


def straight_line(program: str) -> str:
    """`program` without what runs under a condition or in a loop: the names assigned there become unknown.

    A remainder `a % b` becomes unknown too, since the sign means percent everywhere else.
    """
    kept: list[str] = []
    block = -1  # indentation of the control line whose body is being skipped
    for line in program.split("\n"):
        indent = len(line) - len(line.lstrip())
        if block >= 0 and line.strip() and indent > block:
            name = _ASSIGNMENT.match(line)
            if name:
                kept.append(f"{name.group(1)} = unknown()")
            continue
        block = indent if _CONTROL.match(line) else -1
        kept.append(line.replace("%", " * unknown() * ") if "#" not in line else line)
    return "\n".join(kept)


def states(text: str) -> bool:
    """A cheap necessary condition for stating an equality in signs, or with `is` after an operation."""
    if "=" in text or "->" in text or "#" in text:
        return True
    if not text.isascii() and any(sign in text for sign in "≈→⇒＝"):
        return True
    return _IS.search(text) is not None and _OPERATION.search(text) is not None


def chains(text: str) -> str:
    """`text` with the lines in one that write a chain one side a line.

    `Left = 96 - 15 - 23` and `Left = 58` on the next line are `Left = 96 - 15 - 23 = 58`, and a line that begins with
    an equals sign goes on. Another sum under the same name, or another value of a symbol, begins anew.
    """
    labels = [line.partition("=")[0].strip() for line in text.split("\n") if "=" in line]
    if "" not in labels and len(set(labels)) == len(labels):
        return text
    lines: list[str] = []
    label, last = "", -1
    for line in text.split("\n"):
        start, sign, stated = line.partition("=")
        if sign and last >= 0 and not start.strip() and not stated.startswith("="):
            lines[last] = f"{lines[last]} {line.strip()}"
            continue
        name = start.strip() if sign and "=" not in stated else ""
        if name and name == label and _goes_on(name, lines[last], stated):
            lines[last] = f"{lines[last]} = {stated.strip()}"
            continue
        lines.append(line)
        if line.strip():
            label, last = (name if name[:1].isalpha() else ""), len(lines) - 1
    return "\n".join(lines)


def _goes_on(label: str, before: str, stated: str) -> bool:
    said = before.rpartition("=")[2]
    if _OPERATES.search(said) is None:
        return False
    first, second = evaluate(said, True), evaluate(stated, True)
    if first is not None and first == second:
        return True
    return len(label) > 1 and (first is None or _OPERATES.search(stated) is None)


def segments(text: str, prose: bool = True) -> Iterator[str]:
    """Yield every stretch of the text that may state an equality, annotations first. Programs are no `prose`."""
    if "<<" in text:
        for match in ANNOTATION.finditer(text):
            yield match.group(1)
        text = ANNOTATION.sub("", text)
    if prose and "=" in text:
        text = chains(text)
    cues = tells(text) if prose else ()
    for line in text.split("\n"):
        if cues and any(map(line.lower().__contains__, cues)):
            line = in_signs(line)
        if "equal" in line:
            line = _EQUAL_WORDS.sub(" = ", line)
        if "=" not in line and not states(line):
            continue
        if line[:1] not in _LETTERS or line[1:2] == ")":
            line = _BULLET.sub("", line)
        if "#" in line:
            line = _COMMENT_RESULT.sub(r" = \1", line)
            line = line.split("#", 1)[0] if "=" in line.split("#", 1)[0] else line.replace("#", " ")
        if "." in line:
            line = _ABBREVIATED.sub("", line)
        for segment in _SEGMENT.split(line):
            if "=" in segment or states(segment):
                if _MAY_TIMES.search(segment):
                    segment = TIMES_X.sub(" * ", segment)
                if len(segment) <= MAX_SEGMENT_CHARS:
                    yield segment
