"""Answers with parts: lists, tuples, sets, intervals and inequalities, matrices, ratios, times of day.

Each reader turns a text into a small record or says None; `curate.answers.equivalence` compares the parts.

>>> items("x = 3, y = 4").parts, region("x < 2 or x > 5") == region("(-\\infty, 2) \\cup (5, \\infty)")
(('3', '4'), True)
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
    r"[(\[{]|[)\]}]|\s*(?:,\s*and\b|,\s*or\b|;|\band\b|\bor\b|,|\\text\{\s*(?:and|or)\s*\})\s*"
)
_ASSIGNED = re.compile(r"[A-Za-z]\w{0,20}\s*(?:=|\\in)\s*(?=[^=])")
_THOUSANDS = re.compile(r"[-+$\\]*\d{1,3}(?:,\d{3})+(?:\.\d+)?[^,]*\Z")
EMPTY_SETS = frozenset(("\\emptyset", "\\varnothing", "\\{\\}", "{}", "∅", "no solution", "no solutions"))


@dataclass(frozen=True, slots=True)
class Items:
    """Parts in order. `kind` is the two brackets, `set` where order does not count, `named` for the values of
    different names in their order, or empty for a bare list."""

    kind: str
    parts: tuple[str, ...]

    @property
    def unordered(self) -> bool:
        return self.kind in ("set", "{}")


def tidy(text: str) -> str:
    """Without the spacing commands that mean nothing between parts."""
    for old, new in (("\\left", ""), ("\\right", ""), ("\\{", "{"), ("\\}", "}"), ("{,}", "\u2063"), ("\\,", " "),
                     ("\\;", " "), ("\\!", ""), ("\\ ", " "), ("\\lbrace", "{"), ("\\rbrace", "}")):  # fmt: skip
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
    parts = _split(text)
    if len(parts) == 1 and kind != "{}":
        return None
    if kind == "" and any(_ASSIGNED.match(part) for part in parts):
        kind = "set"
    if not all(parts) or len(parts) > MAX_ITEMS or (kind == "" and any(len(p.split()) > 3 for p in parts)):
        return None
    return Items(kind, tuple(part.replace("\u2063", ",") for part in parts))


def _named(text: str) -> tuple[str, ...] | None:
    """The values of `y = 4, x = 3` by name, `(3, 4)`; None where not every part gives another name a value."""
    matches = [(_ASSIGNED.match(part), part) for part in _split(text)]
    if len(matches) < 2 or not all(match for match, _ in matches):
        return None
    values = {match.group().rstrip("= "): part[match.end() :] for match, part in matches if match}
    return tuple(values[name] for name in sorted(values)) if len(values) == len(matches) else None


def _split(text: str) -> list[str]:
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


# --- intervals ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Interval:
    """One interval; the ends are texts, `-oo` and `oo` where it has none."""

    low: str
    high: str
    low_closed: bool
    high_closed: bool


_SET_BUILDER = re.compile(r"\{\s*[A-Za-z]\w?\s*(?::|\||\\mid(?![a-z]))\s*(.*)\}\Z", re.DOTALL)
_UNEQUAL = re.compile(r"\s*[A-Za-z]\w?\s*(?:\\neq?(?![a-z])|≠|!=)\s*([^=<>\\]+?)\s*\Z")
_OR = re.compile(r"\s*(?:\bor\b|\\text\{\s*or\s*\})\s*")
_REALS = frozenset(("\\mathbb{R}", "\\mathbb R", "\\R", "ℝ", "all real numbers", "all reals"))
_RELATION = re.compile(r"(<=|>=|\\leq?(?![a-z])|\\geq?(?![a-z])|\\lt(?![a-z])|\\gt(?![a-z])|≤|≥|<|>)")
_INFINITY = re.compile(r"\A\+?\\?(?:infty|infinity|oo|∞|inf)\Z|\A\\infty\Z")


@lru_cache(maxsize=2048)
def region(text: str) -> tuple[Interval, ...] | None:
    """Read `(0, 1]`, a union of such, `x \\ge 3`, `1 < x < 2`, `{x : x > 3}`, the reals; None for anything else."""
    text = tidy(text)
    if text in _REALS:
        return (Interval("-oo", "oo", False, False),)
    if built := _SET_BUILDER.match(text):
        text = built.group(1).strip()
    if apart := _UNEQUAL.match(text):
        return Interval("-oo", apart.group(1), False, False), Interval(apart.group(1), "oo", False, False)
    if _RELATION.search(text):
        told = [_inequality(part) for part in _OR.split(text)]
        return _sorted([one for one in told if one]) if all(told) else None
    parts = re.split(r"\\cup|∪|\bU\b", text)
    found: list[Interval] = []
    for part in parts:
        part = part.strip()
        if len(part) < 5 or part[0] not in "([" or part[-1] not in ")]":
            return None
        ends = _split(part[1:-1])
        if len(ends) != 2:
            return None
        found.append(Interval(_end(ends[0]), _end(ends[1]), part[0] == "[", part[-1] == "]"))
    return _sorted(found)


def _sorted(intervals: list[Interval]) -> tuple[Interval, ...]:
    return tuple(sorted(intervals, key=lambda i: (i.low != "-oo", i.low, i.high)))


def _end(text: str) -> str:
    text = text.strip()
    if text.startswith("-") and _INFINITY.match(text[1:].strip()):
        return "-oo"
    return "oo" if _INFINITY.match(text) else text


def _inequality(text: str) -> Interval | None:
    pieces = _RELATION.split(text)
    parts, relations = [p.strip() for p in pieces[::2]], pieces[1::2]
    strict = ["=" not in r and "e" not in r.removeprefix("\\") and r not in "≤≥" for r in relations]
    less = [r[0] == "<" or r[0] == "≤" or r.startswith("\\l") for r in relations]
    name = re.compile(r"[A-Za-z]\w?\Z")
    if len(relations) == 1:
        left, right = parts
        if name.match(right) and not name.match(left):
            left, right, less = right, left, [not less[0]]
        if not name.match(left):
            return None
        if less[0]:
            return Interval("-oo", right, False, not strict[0])
        return Interval(right, "oo", not strict[0], False)
    if len(relations) == 2 and less[0] == less[1] and name.match(parts[1]):
        low, high = (parts[0], parts[2]) if less[0] else (parts[2], parts[0])
        closed = (not strict[0], not strict[1]) if less[0] else (not strict[1], not strict[0])
        return Interval(low, high, *closed)
    return None


def is_inequality(text: str) -> bool:
    return _RELATION.search(tidy(text)) is not None


# --- matrices, ratios, times ----------------------------------------------------------------------------

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


def same_time(one: tuple[int, bool | None], two: tuple[int, bool | None]) -> bool | None:
    """Whether two times of day are the same; None where one may lie in the other half of the day."""
    (minutes, known), (minutes_too, known_too) = one, two
    likely = known is None or known_too is None
    if minutes == minutes_too:
        return True if known is known_too or likely else None
    return False if known is known_too or (likely and False in (known, known_too)) else None
