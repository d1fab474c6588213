"""Results in two whole numbers: `8 remainder 3`, `17 R 2`, `3 out of 5`, `1 in 6`.

>>> compare("8 remainder 3", "8"), compare("8 R3", "8 with a remainder of 3"), compare("3 out of 5", "3/5")
(False, True, True)
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

from recast.curate.answers.quantities import quantity
from recast.curate.answers.verdict import OPEN, Verdict

_REMAINDER = re.compile(
    r"(\d{1,12})(?:\s+[^\W\d_]+)?[\s,]*"
    r"(?:R|r|rem\.?|(?:and\s+|with\s+)?(?:an?\s+)?remainder(?:\s+(?:of|is))?)[\s:]*(\d{1,12})\Z"
)
_LEFT_OVER = re.compile(
    r"(\d{1,12})(?:\s+[^\W\d_]+)?,?\s+(?:and|with)\s+(\d{1,12})(?:\s+[^\W\d_]+)?\s+(?:left\s?over|left|remaining|over)\Z"
)
_OUT_OF = re.compile(r"(\d{1,12})\s+(?:out\s+of(?:\s+the)?|in|of(?:\s+the)?)\s+(\d{1,12})\Z", re.IGNORECASE)


@lru_cache(maxsize=2048)
def quotient(text: str) -> tuple[int, int] | None:
    """Quotient and remainder."""
    match = _REMAINDER.match(text) or _LEFT_OVER.match(text)
    return (int(match.group(1)), int(match.group(2))) if match else None


@lru_cache(maxsize=2048)
def share(text: str) -> tuple[int, int] | None:
    """How many of how many."""
    match = _OUT_OF.match(text)
    return (int(match.group(1)), int(match.group(2))) if match and int(match.group(2)) else None


def compare(a: str, b: str) -> Verdict:
    if not a[:1].isdigit() and not b[:1].isdigit():
        return OPEN
    for read in (quotient, share):
        one, two = read(a), read(b)
        if one and two:
            if one == two:
                return True
            return None if read is share and Fraction(*one) == Fraction(*two) else False
        if one or two:
            pair, other = (one, b) if one else (two, a)
            assert pair is not None
            number = quantity(other)
            if number is None:
                return None
            if read is quotient:
                return None if 0 < number.value - pair[0] < 1 else False  # 8 remainder 3, and 8 3/5
            return Fraction(*pair) == (Fraction(number.value) / 100 if number.percent else number.value)
    return OPEN
