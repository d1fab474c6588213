"""Parts of the number line: intervals, unions of them, inequalities with a name, an absolute value, or in words.

>>> read("x < 2 or x > 5") == read("(-\\\\infty, 2) \\\\cup (5, \\\\infty)")
True
>>> read("|x - 1| < 4")
(Interval(low='(1) - (4)', high='(1) + (4)', low_closed=False, high_closed=False),)
>>> read("at least 5") == read("\\\\geq 5"), read("]2, 5[") == read("(2, 5)")
(True, True)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from recast.curate.answers.expressions import parse
from recast.curate.answers.numeric_probe import names
from recast.curate.answers.quantities import quantity
from recast.curate.answers.structured import split, tidy


@dataclass(frozen=True, slots=True)
class Interval:
    """One interval; the ends are texts, `-oo` and `oo` where it has none."""

    low: str
    high: str
    low_closed: bool
    high_closed: bool

    @property
    def bounds(self) -> int:
        return (self.low != "-oo") + (self.high != "oo")


Region = tuple[Interval, ...]

_SET_BUILDER = re.compile(r"\{\s*[A-Za-z]\w?\s*(?::|\||\\mid(?![a-z]))\s*(.*)\}\Z", re.DOTALL)
_UNEQUAL = re.compile(r"\s*[A-Za-z]\w?\s*(?:\\neq?(?![a-z])|≠|!=)\s*([^=<>\\]+?)\s*\Z")
_OR = re.compile(r"\s*(?:\bor\b|\\text\{\s*or\s*\}|\\lor(?![a-z])|∨)\s*")
_REALS = frozenset(("\\mathbb{R}", "\\mathbb R", "\\R", "ℝ", "all real numbers", "all reals"))
_RELATION = re.compile(
    r"(<=|>=|\\leq?(?:slant)?(?![a-z])|\\geq?(?:slant)?(?![a-z])|\\lt(?![a-z])|\\gt(?![a-z])|≤|≥|<|>)"
)
_INFINITY = re.compile(r"\A\+?\\?(?:infty|infinity|oo|∞|inf)\Z|\A\\infty\Z")
_MEMBER = re.compile(r"[A-Za-z]\w?\s*(?:\\in(?![a-z])|∈)\s*(?=[(\[\]\\{])")
_NAME = re.compile(r"[A-Za-z]\w?\Z")
_ABSOLUTE = re.compile(r"\|\s*([A-Za-z]\w?)\s*(?:([-+])\s*([^|]+?))?\s*\|\Z")
_TOLD = (
    (">=", re.compile(r"(?:at least|no less than|not less than|no fewer than|a minimum of)\s+(.+)")),
    (">=", re.compile(r"(?:greater|more|larger) than or equal to\s+(.+)")),
    ("<=", re.compile(r"(?:at most|no more than|not more than|up to|a maximum of)\s+(.+)")),
    ("<=", re.compile(r"(?:less|fewer|smaller) than or equal to\s+(.+)")),
    (">", re.compile(r"(?:more than|greater than|larger than|bigger than|above|over)\s+(.+)")),
    ("<", re.compile(r"(?:less than|fewer than|smaller than|below|under)\s+(.+)")),
    (">=", re.compile(r"(.+?)\s+(?:or (?:more|greater|above|over|higher))(?:\s+[a-z]+)?\Z")),
    ("<=", re.compile(r"(.+?)\s+(?:or (?:less|fewer|below|under|lower))(?:\s+[a-z]+)?\Z")),
)  # fmt: skip
_IS = re.compile(r"([A-Za-z]\w?)\s+is\s+")


@lru_cache(maxsize=4096)
def told(text: str) -> str | None:
    """A bound in words as an inequality: `at least 5` is `x >= 5`, `less than 5 apples` is `x < 5 apples`."""
    if not text[:1].isalnum() or "<" in text or ">" in text:
        return None
    body = _IS.sub("", text, count=1)
    for relation, pattern in _TOLD:
        if (match := pattern.match(body)) and any(c.isalnum() for c in match.group(1)):
            return f"x {relation} {match.group(1)}" if quantity(match.group(1)) is not None else None
    return None


def is_inequality(text: str) -> bool:
    return any(pattern.search(tidy(text)) for pattern in (_RELATION, _UNEQUAL)) or told(text) is not None


@lru_cache(maxsize=2048)
def read(text: str) -> Region | None:
    """Read `(0, 1]`, a union of such, `x \\ge 3`, `1 < x < 2`, `{x : x > 3}`, the reals; None for anything else."""
    text = tidy(told(text) or text)
    text = re.sub(r"\\[lr]?[vV]ert(?![a-z])\s?|\\mid(?![a-z])\s?", "|", text) if "vert" in text else text
    if text in _REALS:
        return (Interval("-oo", "oo", False, False),)
    if built := _SET_BUILDER.match(text):
        text = built.group(1).strip()
    if apart := _UNEQUAL.match(text):
        return Interval("-oo", apart.group(1), False, False), Interval(apart.group(1), "oo", False, False)
    if _RELATION.search(text):
        return _joined([_inequality(part) for part in _OR.split(text)])
    text = _MEMBER.sub("", text, count=1)
    return _joined([_bracketed(part.strip()) for part in re.split(r"\\cup(?![a-z])|∪|\bU\b", text)])


def _bracketed(text: str) -> Region | None:
    """`(0, 1]` or, as some write it, `]0, 1]`."""
    if len(text) < 5 or text[0] not in "([]" or text[-1] not in ")][":
        return None
    ends = split(text[1:-1])
    if len(ends) != 2:
        return None
    return (Interval(_end(ends[0]), _end(ends[1]), text[0] == "[", text[-1] == "]"),)


def _joined(regions: list[Region | None]) -> Region | None:
    found: list[Interval] = []
    for region in regions:
        if region is None:
            return None
        found += region
    return tuple(sorted(found, key=_place))


def _place(interval: Interval) -> tuple[bool, float, str, str]:
    low = quantity(interval.low) if interval.low != "-oo" else None
    return interval.low != "-oo", float(low.value) if low else 0.0, interval.low, interval.high


def _end(text: str) -> str:
    text = text.strip()
    if text.startswith("-") and _INFINITY.match(text[1:].strip()):
        return "-oo"
    return "oo" if _INFINITY.match(text) else text


def _inequality(text: str) -> Region | None:
    pieces = _RELATION.split(text)
    parts, relations = [p.strip() for p in pieces[::2]], pieces[1::2]
    strict = ["=" not in r and "e" not in r.removeprefix("\\") and r not in "≤≥" for r in relations]
    less = [r[0] == "<" or r[0] == "≤" or r.startswith("\\l") for r in relations]
    if len(relations) == 1:
        left, right = parts
        if _named(right) and not _named(left):
            left, right, less = right, left, [not less[0]]
        if not right:
            return None
        if absolute := _ABSOLUTE.match(left):
            return _around(absolute, right, less[0], not strict[0])
        if not _NAME.match(left) and left:  # `\geq 5` names nothing
            return None
        if less[0]:
            return (Interval("-oo", right, False, not strict[0]),)
        return (Interval(right, "oo", not strict[0], False),)
    if len(relations) == 2 and less[0] == less[1] and _NAME.match(parts[1]):
        low, high = (parts[0], parts[2]) if less[0] else (parts[2], parts[0])
        closed = (not strict[0], not strict[1]) if less[0] else (not strict[1], not strict[0])
        return (Interval(low, high, *closed),)
    return None


def _named(text: str) -> bool:
    return _NAME.match(text) is not None or _ABSOLUTE.match(text) is not None


def _around(absolute: re.Match[str], size: str, less: bool, closed: bool) -> Region | None:
    """`|x - 1| < 4` as the numbers between -3 and 5, `|x| > 7` as those outside."""
    _, sign, shift = absolute.groups()
    middle = "0" if shift is None else f"({shift})" if sign == "-" else f"-({shift})"
    low, high = f"{middle} - ({size})", f"{middle} + ({size})"
    if any((tree := parse(end)) is None or names(tree) for end in (low, high)):
        return None
    if less:
        return (Interval(low, high, closed, closed),)
    return Interval("-oo", low, False, closed), Interval(high, "oo", closed, False)
