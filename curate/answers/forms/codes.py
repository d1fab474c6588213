"""Numbers joined by dashes or dots that are no sum: ranges, scores, codes, versions (`10-15`, `4-4-2`, `1.10.0`).

Written without spaces they are compared number by number. `10 - 15` may be a difference as well as a range, so that
only equal parts make it the same as another. `10 to 15` and `between 10 and 15` are ranges, too.

>>> compare("10-15 minutes", "10 to 15 min"), compare("10-15", "5-10"), compare("5-3", "2")
(True, False, None)
>>> compare("5 - 3", "2") is OPEN
True
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from recast.curate.answers.quantities import quantity
from recast.curate.answers.structured import ratio
from recast.curate.answers.verdict import OPEN, Verdict
from recast.curate.maths.units import unit

_NUMBER = r"[$€£]?\d+(?:,\d{3})*(?:\.\d+)?%?"
_WORDS = r"(?P<unit>\s+[^\W\d_][^\W\d_\s./]+(?:[\s/][^\W\d_]+)*|\s*(?:°|%)|\s+[a-zA-Z])?"
_DASHED = re.compile(rf"{_NUMBER}(?:\s?[–—]\s?{_NUMBER}|--?{_NUMBER})+{_WORDS}\Z")
_LOOSE = re.compile(rf"{_NUMBER} - {_NUMBER}{_WORDS}\Z")
_TOLD = re.compile(
    rf"(?:from |between )?(?P<low>-?{_NUMBER})(?P<link> to | through | and )(?P<high>-?{_NUMBER}){_WORDS}\Z",
    re.IGNORECASE,
)
_DOTTED = re.compile(r"v?\d+(?:\.\d+){2,}\Z", re.IGNORECASE)
_EACH = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Code:
    """Numbers in order, what follows them, and whether arithmetic could be meant."""

    numbers: tuple[Fraction, ...]
    unit: str = ""
    loose: bool = False

    @property
    def difference(self) -> Fraction:
        return self.numbers[0] - sum(self.numbers[1:])


@lru_cache(maxsize=2048)
def code(text: str) -> Code | None:
    if len(text) < 3 or not text.isprintable() or not any(c.isdigit() for c in text):
        return None
    if _DOTTED.match(text):
        return Code(tuple(Fraction(part) for part in text.lstrip("vV").split(".")), ".")
    if match := _TOLD.match(text):
        if match.group("link") == " and " and not text.lower().startswith("between "):
            return None
        low, high = (_value(match.group(name)) for name in ("low", "high"))
        return Code((low, high), _unit(match))
    match = _DASHED.match(text)
    if match is None and (match := _LOOSE.match(text)) is None:
        return None
    body = text[: match.start("unit")] if match.group("unit") else text
    numbers = tuple(_value(number) for number in _EACH.findall(body))
    return Code(numbers, _unit(match), match.re is _LOOSE)


def _value(text: str) -> Fraction:
    return Fraction(re.sub(r"[^\d.-]", "", text))


def _unit(match: re.Match[str]) -> str:
    return (match.group("unit") or "").strip()


def compare(a: str, b: str) -> Verdict:
    one, two = code(a), code(b)
    if one is None and two is None:
        return OPEN
    if one and two:
        if one.numbers == two.numbers:
            if not one.unit or not two.unit or unit(one.unit) == unit(two.unit):
                return True
            return None
        loose = (one.loose or two.loose) and one.difference == two.difference
        return None if loose or (ratio(a) and ratio(a) == ratio(b)) else False
    joined, other = (one, b) if one else (two, a)
    assert joined is not None
    number = quantity(other)
    if number is None or joined.loose or ratio(a if one else b):
        return OPEN
    return None if number.value == joined.difference else False
