"""A single number with what may stand around it: sign, currency, percent, unit, and numbers told in words.

>>> same_quantity(quantity("2 hours"), quantity("120 minutes"))
True
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from math import prod

from recast.curate.answers.expressions import parse, repeating
from recast.curate.answers.normalise import roman
from recast.curate.answers.numeric_probe import Inexact, exact_value, names
from recast.curate.answers.unit_words import same_unit_words
from recast.curate.answers.verdict import all_of
from recast.curate.maths.notation import signs
from recast.curate.maths.numbers import Value, exact, worded
from recast.curate.maths.symbols import SINGLE_LETTERS
from recast.curate.maths.units import MULTIPLIERS, UNKNOWN, unit


@dataclass(frozen=True, slots=True)
class Quantity:
    """An exact value, whether it is a percentage, and its unit as written."""

    value: Value
    percent: bool = False
    unit: str = ""
    decimals: int = 0
    """Digits after the point of a plain decimal, for telling a rounded answer from a wrong one."""


_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)?(?:\.\d+)?\Z")
_HEAD = re.compile(
    r"(?P<sign>[-+]?)\s*(?P<money>\\?\$|€|£|₹|USD\s|EUR\s|GBP\s|Rs\.?\s)?\s*(?P<number>[-+]?(?:\d|\\|\(|\.\d|√|\|).*?)"
    r"\s*(?P<percent>\\?%|\b(?:per\s?cent|pct)\b)?\s*"
    r"(?P<unit>(?:\^?\s?\{?\\circ\}?|°|¢|€|£|\\?\$|(?:/\s?)?(?<![\\A-Za-z])[^\W\d_]).*)?\Z",
    re.DOTALL,
)
_MONEY = {
    "$": "dollars", "€": "euros", "£": "sterling", "₹": "rupees", "USD": "dollars", "EUR": "euros", "GBP": "sterling",
    "Rs": "rupees", "Rs.": "rupees",
}  # fmt: skip
_ABOUT = re.compile(
    r"(?:about|approximately|around|roughly|only|exactly|a total of|total of|≈|\\approx)\s*", re.I
)
_UNIT = re.compile(r"(?:/\s?)?(?:[^\W\d_]|[°¢€£$])(?:[^\W_]|[°¢€£$'\s/.^(){}*·-]){0,60}\Z")
# another number: 9 cows and 4 goats, 8 remainder 3, 4 for $5, 2 boxes of six
_COUNTED = re.compile(
    r"(?:\A|[\s($€£])\d|\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
    r"|(?:thir|four|fif|six|seven|eigh|nine)teen|(?:twen|thir|for|fif|six|seven|eigh|nine)ty)\b",
    re.IGNORECASE,
)
_NEGATIVE = re.compile(r"(?:minus|negative)\s+(?=\S)", re.IGNORECASE)
_PER_MILLE = re.compile(r"(.*\d)\s*(?:‰|per\s?mille?)\Z")
_SHORT_MONEY = re.compile(r"([-+]?\s?\\?[$€£]\s?\d[\d,.]*)\s?(k|K|m|M|mn|bn|B|T)\Z")  # $1.2M
_AMOUNTS = {
    "k": "thousand",
    "m": "million",
    "mn": "million",
    "bn": "billion",
    "b": "billion",
    "t": "trillion",
}
_FEET = re.compile(r"(\d{1,3})['′](?:\s*(\d{1,2}(?:\.\d+)?)\s*(?:\"|''|″|′′)?)?\Z")
_PART = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)\s*([A-Za-z]{1,20})")
_COMPOUND = re.compile(rf"{_PART.pattern}(?:(?:,|\s+and|,\s*and)?\s+{_PART.pattern}){{1,3}}\.?\Z")
_VARIABLES = frozenset("x y z n k a b c i e t r d p q u v w X Y Z N".split())
_REPEATED = re.compile(r"(-?\d*\.\d*?)(\d+?)\2+(?:\.\.\.|…)\Z")


@lru_cache(maxsize=4096)
def quantity(text: str) -> Quantity | None:
    """Read `$1,200`, `3 1/2 hours`, `\\frac{1}{2}`, `50%`, `twelve`, `1.5 \\times 10^3`; None for anything else."""
    text = " ".join(signs(text).split())
    if _NUMBER.match(text) and any(c.isdigit() for c in text):
        return _plain(text)
    text = _ABOUT.sub("", roman(text).replace("~", " "), count=1).strip()
    if negative := _NEGATIVE.match(text):
        positive = quantity(text[negative.end() :])
        return replace(positive, value=-positive.value) if positive and positive.value >= 0 else None
    if mille := _PER_MILLE.match(text):
        tenths = quantity(mille.group(1))
        return Quantity(exact(Fraction(tenths.value) / 10), True) if tenths and not tenths.unit else None
    if short := _SHORT_MONEY.match(text):
        text = f"{short.group(1)} {_AMOUNTS[short.group(2).lower()]}"
    elif feet := _FEET.match(text):
        text = f"{feet.group(1)} feet {feet.group(2)} inches" if feet.group(2) else f"{feet.group(1)} feet"
    match = _REPEATED.match(text)
    if match:
        value = repeating(f"{match.group(1).lstrip('-')}\\overline{{{match.group(2)}}}")
        return Quantity(exact(-value if text.startswith("-") else value))
    told = _spoken(text) or _compound(text)
    if told is not None:
        return told
    value = _calculated(text) if "%" not in text else None
    if value is not None:
        return Quantity(value)
    match = _HEAD.match(text)
    return _figured(match) if match else None


def _calculated(text: str) -> Value | None:
    """The exact value of an expression without names, None where it is none or has no exact value."""
    tree = parse(text)
    if tree is None or names(tree):
        return None
    try:
        return exact(exact_value(tree, {}))
    except (Inexact, ArithmeticError):
        return None


def _plain(text: str) -> Quantity:
    digits = text.replace(",", "")
    return Quantity(exact(Fraction(digits)), decimals=len(digits.partition(".")[2]))


def _spoken(text: str) -> Quantity | None:
    """`forty-two`, `one half`, `three dozen eggs`: number words first, then a unit."""
    words = text.lower().split()
    for count in range(min(len(words), 6), 0, -1):
        value = worded(" ".join(words[:count]))
        if value is not None:
            rest = " ".join(words[count:])
            if rest and (not _is_unit(rest) or len(words) - count > 4):
                return None
            return Quantity(value, rest.startswith("percent"), "" if rest.startswith("percent") else rest)
    return None


def _compound(text: str) -> Quantity | None:
    """`1 hour 30 minutes`, `5 feet 3 inches`, `3 dollars and 50 cents`: the sum, in the last unit."""
    parts = _PART.findall(text)
    if not 2 <= len(parts) <= 4 or not _COMPOUND.match(text):
        return None
    units = [unit(word) for _, word in parts]
    sizes = [size for size, _ in units]
    if len({dims for _, dims in units}) != 1 or not units[0][1] or sizes != sorted(set(sizes), reverse=True):
        return None
    total = sum(Fraction(number) * size for (number, _), size in zip(parts, sizes, strict=True))
    return Quantity(exact(total / sizes[-1]), unit=parts[-1][1])


def _figured(match: re.Match[str]) -> Quantity | None:
    number, written = match.group("number"), (match.group("unit") or "").strip()
    written = re.sub(r"\^?\s?\{?\\circ\}?|°", "degrees ", written).strip()
    spaced = match.start("unit") > 0 and match.string[match.start("unit") - 1].isspace()
    if written and not _is_unit(written, spaced):
        return None
    number = number.strip().removesuffix("\\").rstrip("{ ")
    if _NUMBER.match(number) and any(c.isdigit() for c in number):
        plain = _plain(number)
        value, decimals = plain.value, plain.decimals
    else:
        calculated = _calculated(number)
        if calculated is None:
            return None
        value, decimals = calculated, 0
    if match.group("sign") == "-":
        value = -value
    money = (match.group("money") or "").strip().lstrip("\\")
    if money and written.lower() in ("", "usd", "dollars", "eur", "euros", "gbp", "pounds"):
        written = _MONEY[money]
    elif money:
        counted = written.split()[0].lower() in MULTIPLIERS  # $3 million
        written = f"{written} {_MONEY[money]}" if counted else f"{_MONEY[money]} {written}"
    return Quantity(value, match.group("percent") is not None, written.replace("\\$", "$"), decimals)


_NO_UNITS = frozenset("and or to plus minus times with then remainder rem r R out".split())


def _is_unit(text: str, spaced: bool = True) -> bool:
    """Whether words after a number can be its unit; `5 N` can, `5N` and `5x` are products."""
    if not _UNIT.match(text) or _COUNTED.search(text):
        return False
    first = re.split(r"[\s/^({]", text.lstrip("/ "))[0]
    if first in _NO_UNITS:
        return False
    return first not in _VARIABLES or (spaced and first in SINGLE_LETTERS and first.isupper())


def same_quantity(x: Quantity, y: Quantity) -> bool | None:
    """Whether two quantities are the same.

    A unit, a currency or words may be left off on one side. A percent sign may not: 35% is 0.35 and nothing else, so
    that equal answers of one form are equal to the same things; against a bare 35 the question has to tell.
    """
    if x.percent != y.percent:
        full, bare = (x, y) if x.percent else (y, x)
        same = exact(Fraction(full.value) / 100) == bare.value
        if not same:
            return None if full.value == bare.value else False
        return same_unit_words(_dimensions(x)[2], _dimensions(y)[2])
    (one, ours, words), (two, theirs, other_words) = _dimensions(x), _dimensions(y)
    if not x.unit or not y.unit:
        values = _same_value(x.value, y.value, x, y, _multiplier(x) / _multiplier(y))
        if values is False and x.value == y.value:
            return None  # 3 million, and 3 where the question asks for millions
        return all_of([values, same_unit_words(words, other_words)])
    if ours != theirs:
        return _other_dimensions(x, y, ours, theirs)
    values = _same_value(x.value, y.value, x, y, one / two)
    if values is False and ours == (("data", 1),) and _binary(x.value * one, y.value * two):
        return None  # a kilobyte of 1000 bytes, or of 1024
    return all_of([values, same_unit_words(words, other_words)])


Dimensions = tuple[tuple[str, int], ...]


@lru_cache(maxsize=4096)
def _measured(text: str) -> tuple[Fraction, Dimensions, frozenset[str]]:
    factor, dims = unit(text)
    known = tuple((name, power) for name, power in dims if not name.startswith(UNKNOWN))
    words = frozenset(
        f"{'/' if power < 0 else ''}{name[1:]}" for name, power in dims if name.startswith(UNKNOWN)
    )
    return factor, known, words


def _dimensions(x: Quantity) -> tuple[Fraction, Dimensions, frozenset[str]]:
    """`(factor, known dimensions, unknown words)` of the unit."""
    return _measured(x.unit) if x.unit else (Fraction(1), (), frozenset())


def _other_dimensions(x: Quantity, y: Quantity, ours: Dimensions, theirs: Dimensions) -> bool | None:
    """Two quantities whose known dimensions differ: the same only as pounds, or as a temperature."""
    names = {name for name, _ in ours + theirs}
    if {x.unit.lower(), y.unit.lower()} & {"£", "pounds"} and names <= {"sterling", "mass"}:
        return x.value == y.value  # pounds: of money or of weight
    if names == {"celsius", "fahrenheit"}:
        celsius, fahrenheit = (x, y) if ours[0][0] == "celsius" else (y, x)
        return Fraction(celsius.value) * 9 / 5 + 32 == fahrenheit.value
    if ours and theirs:
        return False
    return None if x.value == y.value else False


def _binary(one: Value, two: Value) -> bool:
    ratio = Fraction(one) / Fraction(two) if two else Fraction(0)
    return any(ratio in (step, 1 / step) for step in (Fraction(1024, 1000) ** n for n in range(1, 5)))


def _multiplier(x: Quantity) -> Fraction:
    """`dozen` and `million` count although the other side has no unit."""
    return Fraction(prod(MULTIPLIERS.get(word.lower(), 1) for word in x.unit.split()))


def _same_value(a: Value, b: Value, x: Quantity, y: Quantity, factor: Fraction) -> bool | None:
    if factor * a == b:
        return True
    if factor == 1:
        for full, short in ((x, y), (y, x)):
            digits = short.decimals
            if digits >= 2 and full.decimals != digits and full.value != short.value:
                gap = abs(Fraction(full.value) - Fraction(short.value))
                if gap * 10**digits <= Fraction(1, 2) and (full.decimals > digits or digits >= 4):
                    return None  # one may be the other, rounded
        if x.decimals >= 9 and y.decimals >= 9 and abs(a - b) <= abs(a) * Fraction(1, 10**12):
            return True  # floating point printed in full: 0.8333333333333333 and 0.8333333333333334
    return False
