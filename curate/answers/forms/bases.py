"""Numerals with their base: `1010_2`, `1F_{16}`, `1011_{two}`, `77 base 8`.

>>> compare("1010_2", "12_8"), compare("1010_2", "10"), compare("2516_8", "2516")
(True, True, None)
"""

from __future__ import annotations

import re
from functools import lru_cache

from recast.curate.answers.quantities import quantity
from recast.curate.answers.verdict import OPEN, Verdict
from recast.curate.maths.numbers import worded

_SUBSCRIPT = re.compile(
    r"\(?([0-9A-Za-z]{1,40})\)?\s?_\s?\{?\s*\(?(?:\\text\s?\{)?\s*(?:base\s+)?(\d{1,2}|[a-z-]{3,12})\s*\}?\)?\s*\}?\Z"
)
_TOLD = re.compile(r"\(?([0-9A-Fa-f]{1,40})\)?,?\s+\(?(?:in\s+)?base[\s-]+(\d{1,2}|[a-z-]{3,12})\)?\Z")
_NAMES = {"binary": 2, "octal": 8, "decimal": 10, "hexadecimal": 16, "hex": 16, "bin": 2, "oct": 8}


@lru_cache(maxsize=2048)
def based(text: str) -> tuple[int, str] | None:
    """`(value, digits)` of a numeral with a base of 2 to 36; None for anything else."""
    match = _SUBSCRIPT.match(text) or _TOLD.match(text)
    if not match:
        return None
    digits, said = match.group(1).upper(), match.group(2)
    base = int(said) if said.isdigit() else _NAMES.get(said) or worded(said) or 0
    if not isinstance(base, int) or not 2 <= base <= 36 or (not digits[0].isdigit() and len(digits) < 2):
        return None  # x_2 is a name
    try:
        return int(digits, base), digits
    except ValueError:
        return None


def compare(a: str, b: str) -> Verdict:
    """By value; where only the base was left off, the question may have named it."""
    one, two = based(a), based(b)
    if one and two:
        return one[0] == two[0]
    if not one and not two:
        return OPEN
    (value, digits), other = (one, b) if one else (two, a)  # type: ignore[misc]
    if other.upper() == digits:
        return None
    number = quantity(other)
    return number.value == value if number is not None else OPEN
