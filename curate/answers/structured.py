"""Answers with parts: lists, tuples, sets, matrices, ratios, times of day.

Each reader turns a text into a small record or says None; `curate.answers.equivalence` compares the parts.

>>> items("x = 3, y = 4").parts, ratio("4:6")
(('3', '4'), (2, 3))
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import gcd, lcm

MAX_ITEMS = 200
_OPENERS = {"(": ")", "[": "]", "{": "}"}
_BOUNDARY = re.compile(
    r"[(\[{]|[)\]}]|\s*(?:,?\s*\\text\{\s*,?\s*(?P<told>and|or)\s*\}|,\s*and\b|,\s*or\b|;|\band\b|\bor\b|,)\s*"
)
_BRACKETED = re.compile(r"\([^()]*\)|\[[^\[\]]*\]|\{[^{}]*\}")
_ALTERNATIVE = re.compile(r"\bor\b")
_ASSIGNED = re.compile(r"[A-Za-z]\w{0,20}\s*(?:=|\\in)\s*(?=[^=])")
_THOUSANDS = re.compile(r"[-+$\\]*\d{1,3}(?:,\d{3})+(?:\.\d+)?[^,]*\Z")
EMPTY_SETS = frozenset(("\\emptyset", "\\varnothing", "\\{\\}", "{}", "∅", "no solution", "no solutions"))


@dataclass(frozen=True, slots=True)
class Items:
    """Parts in order. `kind` is the two brackets, `set` where order does not count, `named` for the values of
    different names in their order, or empty for a bare list."""

    kind: str
    parts: tuple[str, ...]
    joined: str = ""
    """`and` or `or` where the last parts of a bare list are joined by it and no comma stands between any."""

    @property
    def unordered(self) -> bool:
        return self.kind in ("set", "{}") or self.joined == "or"


def tidy(text: str) -> str:
    """Without the spacing commands that mean nothing between parts."""
    for old, new in (("\\left", ""), ("\\right", ""), ("\\{", "{"), ("\\}", "}"), ("{,}", "\u2063"), ("\\,", " "),
                     ("\\;", " "), ("\\!", ""), ("\\ ", " "), ("\\lbrace", "{"), ("\\rbrace", "}"),
                     ("\\langle", "("), ("\\rangle", ")")):  # fmt: skip
        text = text.replace(old, new)
    return text.strip()


@lru_cache(maxsize=4096)
def items(text: str) -> Items | None:
    """Read a list, tuple or set; None for anything else. A sentence with commas is no list."""
    if text in EMPTY_SETS:
        return Items("set", ())
    if "\\pm" in text and text.count("\\pm") == 1 and "," not in text:
        body = _ASSIGNED.sub("", text, count=1).strip()
        plus = "" if body.startswith("\\pm") else "+"
        return Items("set", (body.replace("\\pm", plus, 1).strip(), body.replace("\\pm", "-", 1).strip()))
    braces = "\\{" in text or (text.startswith("{") and text.endswith("}"))
    if not braces and not any(mark in text for mark in (",", ";", " and ", " or ", "{ and", "{ or")):
        return None
    text = tidy(text)
    by_name = _named(text)
    if by_name:
        return Items("named", by_name)
    kind, assigned = "", _ASSIGNED.match(text)
    if assigned:
        text, kind = text[assigned.end() :], "set"
    named = re.match(r"\(\s*[A-Za-z]\w?(?:\s*,\s*[A-Za-z]\w?)*\s*\)\s*=\s*(?=\()", text)
    if named:
        text = text[named.end() :]
    if len(text) > 1 and text[0] in _OPENERS and text[-1] in ")]}" and _closes_at_end(text):
        kind, text = text[0] + text[-1], text[1:-1]
    elif kind == "" and _THOUSANDS.match(text):
        return None
    parts = split(text)
    if len(parts) == 1 and kind != "{}":
        return None
    if kind == "" and any(_ASSIGNED.match(part) for part in parts):
        kind = "set"
    if not all(parts) or len(parts) > MAX_ITEMS or (kind == "" and any(len(p.split()) > 3 for p in parts)):
        return None
    between = _BRACKETED.sub("", text)
    joined = (
        "" if kind or "," in between or ";" in between else "or" if _ALTERNATIVE.search(between) else "and"
    )
    return Items(kind, tuple(part.replace("\u2063", ",") for part in parts), joined)


def _named(text: str) -> tuple[str, ...] | None:
    """The values of `y = 4, x = 3` by name, `(3, 4)`; None where not every part gives another name a value."""
    matches = [(_ASSIGNED.match(part), part) for part in split(text)]
    if len(matches) < 2 or not all(match for match, _ in matches):
        return None
    values = {match.group().rstrip("= "): part[match.end() :] for match, part in matches if match}
    return tuple(values[name] for name in sorted(values)) if len(values) == len(matches) else None


def split(text: str) -> list[str]:
    """The parts of a list at commas, semicolons, `and` and `or` outside brackets."""
    parts: list[str] = []
    level = start = 0
    for match in _BOUNDARY.finditer(text):
        piece = match.group()
        if piece in _OPENERS:
            level += 1
        elif piece in (")", "]", "}"):
            level -= 1
        elif level == 0:
            parts.append(text[start : match.start()].strip())
            start = match.end()
    parts.append(text[start:].strip())
    return parts


def _closes_at_end(text: str) -> bool:
    level = 0
    for i, char in enumerate(text):
        if char in "([{":
            level += 1
        elif char in ")]}":
            level -= 1
            if level == 0:
                return i == len(text) - 1
    return False


_MATRIX = re.compile(
    r"\s*(?:\\left\s*[(\[|])?\s*\\begin\{(?:[pbvBV]?(?:small)?matrix|array)\}(?:\{[clr|\s]*\})?(.*?)"
    r"\\end\{(?:[pbvBV]?(?:small)?matrix|array)\}\s*(?:\\right\s*[)\]|])?\s*\Z|",
    re.DOTALL,
)
_RATIO = re.compile(r"\s*(\d{1,9}(?:\.\d{1,9})?(?:\s*:\s*\d{1,9}(?:\.\d{1,9})?){1,4})\s*\Z")
_NAMED_TIMES = {"noon": 720, "midnight": 0}
_RATIO_WORDS = re.compile(r"\s*(\d{1,9})\s+to\s+(\d{1,9})\s*\Z")
_TIME = re.compile(
    r"\s*(\d{1,2})(?::(\d{2}))?\s*([ap])\.?\s?m\.?\s*\Z|\s*(\d{1,2}):(\d{2})\s*\Z", re.IGNORECASE
)


@lru_cache(maxsize=2048)
def matrix(text: str) -> tuple[tuple[str, ...], ...] | None:
    """Rows of `\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}` or `[[1, 2], [3, 4]]`."""
    text = _ASSIGNED.sub("", text, count=1) if "matrix" in text or "array" in text else text
    match = _MATRIX.match(text)
    if match and match.group(1) is not None:
        rows = [row for row in re.split(r"\\\\(?:\[[^\]]*\])?", match.group(1)) if row.strip()]
        return tuple(tuple(cell.strip() for cell in row.split("&")) for row in rows[:MAX_ITEMS])
    outer = items(text) if text.startswith("[[") else None
    if outer is None and text.startswith("[[") and text.endswith("]]"):
        outer = Items("[]", (text[1:-1],))
    if outer is None:
        return None
    rows = [items(part) for part in outer.parts]
    if any(row is None or row.kind != "[]" for row in rows):
        return None
    return tuple(row.parts for row in rows if row is not None)


def ratio(text: str) -> tuple[int, ...] | None:
    """`4:6`, `1:1.5` and `2 to 3` as (2, 3)."""
    match, told = _RATIO.match(text), _RATIO_WORDS.match(text)
    if not match and not told:
        return None
    shares = [Fraction(p.strip()) for p in (match.group(1).split(":") if match else told.groups())]  # type: ignore[union-attr]
    whole = lcm(*(share.denominator for share in shares))
    parts = [int(share * whole) for share in shares]
    common = gcd(*parts)
    return tuple(p // common for p in parts) if common else tuple(parts)


def time_of_day(text: str) -> tuple[int, bool | None] | None:
    """`(minutes since midnight, whether the half of the day is known)` of `5:30 pm`, `17:30`, `7 p.m.`, `noon`.

    The half is None where it is likely but not said: `02:30` is mostly half past two in the morning.
    """
    if (named := _NAMED_TIMES.get(text.lower().removeprefix("12 ").strip())) is not None:
        return named, True
    match = _TIME.match(text)
    if not match:
        return None
    if match.group(3):
        hour, minute = int(match.group(1)), int(match.group(2) or 0)
        if not 1 <= hour <= 12 or minute > 59:
            return None
        return (hour % 12 + (12 if match.group(3).lower() == "p" else 0)) * 60 + minute, True
    hour, minute = int(match.group(4)), int(match.group(5))
    if hour > 23 or minute > 59:
        return None
    known = True if hour > 12 or hour == 0 else None if match.group(4)[0] == "0" else False
    return hour * 60 + minute, known


_DURATION = re.compile(r"\s*(\d{1,3}):([0-5]\d):([0-5]\d(?:\.\d+)?)\s*\Z")


@lru_cache(maxsize=2048)
def duration(text: str) -> Fraction | None:
    """Seconds of `1:02:03`; None for anything else. `10:20:30` may be a ratio, too."""
    match = _DURATION.match(text)
    return 3600 * int(match.group(1)) + 60 * int(match.group(2)) + Fraction(match.group(3)) if match else None


def same_time(one: tuple[int, bool | None], two: tuple[int, bool | None]) -> bool | None:
    """Whether two times of day are the same; None where one may lie in the other half of the day."""
    (minutes, known), (minutes_too, known_too) = one, two
    likely = known is None or known_too is None
    if minutes == minutes_too:
        return True if known is known_too or likely else None
    return False if known is known_too or (likely and False in (known, known_too)) else None
