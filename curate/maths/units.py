"""Units of measure, as far as answers of text problems use them: what a word means, and what converts into what.

Sizes are exact, in one unit a dimension (seconds, millimetres, milligrams, millilitres, cents). Months and years
are apart from seconds, because a month has no fixed length. Currencies do not convert.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

from recast.curate.maths import symbols

_TABLE = """
time        1                second seconds sec secs s
time        60               minute minutes min mins
time        3600             hour hours hr hrs h
time        86400            day days
time        604800           week weeks wk wks
calendar    1                month months
calendar    12               year years yr yrs
length      1                millimeter millimeters millimetre millimetres mm
length      10               centimeter centimeters centimetre centimetres cm
length      100              decimeter decimeters dm
length      1000             meter meters metre metres m
length      1000000          kilometer kilometers kilometre kilometres km kms
length      127/5            inch inches in
length      1524/5           foot feet ft
length      4572/5           yard yards yd yds
length      8046720/5        mile miles mi
mass        1                milligram milligrams mg
mass        1000             gram grams gramme grammes g
mass        1000000          kilogram kilograms kilo kilos kg kgs
mass        1000000000       tonne tonnes
mass        45359237/1600    ounce ounces oz
mass        45359237/100     pound pounds lb lbs
mass        907184740        ton tons
volume      1                milliliter milliliters millilitre millilitres ml mL
volume      1000             liter liters litre litres l L
money       1                cent cents penny pennies ¢
money       5                nickel nickels
money       10               dime dimes
money       100              dollar dollars usd $ bucks
rupee       1                rupee rupees inr rs ₹
euro        1                euro euros eur €
sterling    1                sterling gbp £
angle       1                degree degrees deg °
"""
_US_VOLUME = {
    "cup": 1,
    "cups": 1,
    "pint": 2,
    "pints": 2,
    "quart": 4,
    "quarts": 4,
    "gallon": 16,
    "gallons": 16,
}
_CUP_ML = Fraction(2365882365, 10_000_000)  # a US cup, exact
MULTIPLIERS = {
    "dozen": 12, "dozens": 12, "hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12,
}  # fmt: skip

_SIZES: dict[str, dict[str, Fraction]] = {}
for _line in _TABLE.strip().split("\n"):
    _kind, _size, *_words = _line.split()
    for _word in _words:
        _SIZES.setdefault(_word, {})[_kind] = Fraction(_size)
for _word, _cups in _US_VOLUME.items():
    _SIZES[_word] = {"volume": _CUP_ML * _cups}

_SHORT = {"mph": "miles per hour", "kmh": "km per hour", "kph": "km per hour", "mpg": "miles per gallon"}
_FACTOR = re.compile(r"([A-Za-z°¢$€£µμΩ]+)(?:\s*\^?\s*\{?\s*(-?\d)\s*\}?)?")


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


_IRREGULAR = {
    "men": "man", "women": "woman", "children": "child", "people": "person", "persons": "person", "mice": "mouse",
    "geese": "goose", "teeth": "tooth", "feet": "foot", "oxen": "ox", "wives": "wife", "knives": "knife",
    "halves": "half", "leaves": "leaf", "loaves": "loaf", "shelves": "shelf",
}  # fmt: skip
_TEMPERATURE = re.compile(r"\bdegrees?\s+(?:C|celsius|F|fahrenheit|kelvin)\b", re.IGNORECASE)
_FILLERS = frozenset("of the total and altogether".split())
UNKNOWN = "~"
"""Begins the name of a dimension that is a word of no known meaning."""


@lru_cache(maxsize=4096)
def singular(word: str) -> str:
    """A word in lower case and without a plural ending: `boxes`, `Ladies`, `men`."""
    word = word.lower()
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) <= 3 or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    return word[:-2] if word.endswith(("sses", "xes", "ches", "shes", "zes")) else word[:-1]


@lru_cache(maxsize=4096)
def unit(text: str) -> tuple[Fraction, tuple[tuple[str, int], ...]]:
    """`(factor, ((dimension or unknown word, exponent), ...))` of a written unit: `km/h`, `square feet`, `m^3`.

    Unknown words are their own dimension, in the singular, with `UNKNOWN` before them. `dozen` and `million` are
    factors without one. An area is a length squared.

    >>> unit("square cm") == unit("cm^2")
    True
    """
    text = _TEMPERATURE.sub(lambda m: _temperature(m.group()), text)
    text = " ".join(_SHORT.get(word.lower().strip("."), word) for word in text.split())
    text = text.replace("²", "^2").replace("³", "^3").replace("*", " ").replace("·", " ")
    factor = Fraction(1)
    powers: dict[str, int] = {}
    sign, raised = 1, 1
    parts = re.findall(r"/|[^\s/]+(?:\s*\^\s*\{?-?\d\}?)?", text)
    for part in parts:
        word = part.strip(".,'()").lower()
        if part == "/" or (word in ("per", "a", "an", "each", "every") and part != "A"):  # 5 A are amperes
            sign = -1 if part == "/" or word == "per" else sign
            continue
        if word in ("square", "sq"):
            raised = 2
            continue
        if word in ("cubic", "cu"):
            raised = 3
            continue
        if not word or word in _FILLERS or (word == "in" and len(parts) > 1 and raised == 1):
            continue  # apples in the box, but 60 in, and 5 square in
        if word in MULTIPLIERS and sign > 0:
            factor *= MULTIPLIERS[word]
            continue
        match = _FACTOR.fullmatch(part.strip(".,'()"))
        base = match.group(1) if match else word
        exponent = sign * raised * (int(match.group(2)) if match and match.group(2) else 1)
        raised = 1
        name, size = _dimension(base)
        factor *= size**exponent
        if name == "area":
            name, exponent = "length", 2 * exponent
        powers[name] = powers.get(name, 0) + exponent
    return factor, tuple(sorted((n, p) for n, p in powers.items() if p))


def _dimension(word: str) -> tuple[str, Fraction]:
    """What one word measures: a symbol in its case first, since `Mm` is no `mm`."""
    known = _SIZES.get(word)
    if known is None and (symbol := symbols.size(word)):
        return symbol
    known = known or dimensions(word)
    return next(iter(known.items())) if known else (UNKNOWN + singular(word), Fraction(1))


def _temperature(text: str) -> str:
    return {"c": "celsius", "f": "fahrenheit", "k": "kelvin"}[text.split()[-1][0].lower()]
