"""Units of measure, as far as answers of text problems use them: what a word means, and what converts into what."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

_TABLE: dict[str, dict[str, str]] = {
    "time": {
        "1": "second seconds sec secs s", "60": "minute minutes min mins", "3600": "hour hours hr hrs h",
        "86400": "day days", "604800": "week weeks", "31536000": "year years yr yrs",
    },
    "calendar": {"1": "month months", "12": "year years yr yrs"},
    "length": {
        "1": "millimeter millimeters millimetre millimetres mm", "10": "centimeter centimeters centimetre centimetres cm",
        "1000": "meter meters metre metres m", "1000000": "kilometer kilometers kilometre kilometres km",
    },
    "length_us": {"1": "inch inches in", "12": "foot feet ft", "36": "yard yards yd", "63360": "mile miles mi"},
    "mass": {"1": "milligram milligrams mg", "1000": "gram grams g", "1000000": "kilogram kilograms kilo kilos kg",
             "1000000000": "tonne tonnes"},
    "mass_us": {"1": "ounce ounces oz", "16": "pound pounds lb lbs", "32000": "ton tons"},
    "volume": {"1": "milliliter milliliters millilitre millilitres ml mL", "1000": "liter liters litre litres l L"},
    "volume_us": {"1": "ounce ounces", "8": "cup cups", "16": "pint pints", "32": "quart quarts",
                  "128": "gallon gallons"},
    "money": {"1": "cent cents penny pennies ¢", "5": "nickel nickels", "10": "dime dimes", "25": "quarter quarters",
              "100": "dollar dollars usd"},
    "count": {"1": "piece pieces egg eggs item items", "12": "dozen dozens"},
}  # fmt: skip

_SIZES: dict[str, dict[str, Fraction]] = {}
for _dimension, _rows in _TABLE.items():
    for _size, _words in _rows.items():
        for _word in _words.split():
            _SIZES.setdefault(_word, {})[_dimension] = Fraction(_size)


@lru_cache(maxsize=4096)
def dimensions(word: str) -> dict[str, Fraction]:
    """`{dimension: size in its smallest unit}` of a unit word; empty where the word is no known unit."""
    return _SIZES.get(word) or _SIZES.get(word.lower()) or {}


@lru_cache(maxsize=4096)
def conversions(left: str, right: str) -> tuple[Fraction, ...]:
    """Factors that turn an amount written in `left` into one written in `right`.

    With both units known and of one dimension there is one factor. A side without a unit may be in any unit of
    the other's dimension (`60 + 60 = 2 hours`), so that several come back. Empty where nothing converts.
    """
    ours, theirs = dimensions(left), dimensions(right)
    if left and right:
        return tuple(ours[d] / theirs[d] for d in ours if d in theirs and ours[d] != theirs[d])
    known = ours or theirs
    factors: dict[Fraction, None] = {}
    for dimension, size in known.items():
        for word_sizes in _SIZES.values():
            other = word_sizes.get(dimension)
            if other is not None and other != size:
                factors[size / other if ours else other / size] = None
    return tuple(factors)
