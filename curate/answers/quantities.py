"""A single number with what may stand around it: sign, currency, percent, unit, and numbers told in words.

>>> same_quantity(quantity("2 hours"), quantity("120 minutes"))
True
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from recast.curate.answers.expressions import parse, repeating
from recast.curate.answers.numeric_probe import Inexact, exact_value, names
from recast.curate.maths.notation import signs
from recast.curate.maths.numbers import Value, exact, worded
from recast.curate.maths.units import MULTIPLIERS, dimensions, unit


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
    r"\s*(?P<percent>\\?%|\bper\s?cent\b)?\s*(?P<unit>(?:\^?\s?\{?\\circ\}?|°|¢|€|£|\\?\$|(?:/\s?)?(?<![\\A-Za-z])[A-Za-z]).*)?\Z",
    re.DOTALL,
)
_MONEY = {
    "$": "dollars", "€": "euros", "£": "sterling", "₹": "rupees", "USD": "dollars", "EUR": "euros", "GBP": "sterling",
    "Rs": "rupees", "Rs.": "rupees",
}  # fmt: skip
_ROMAN = re.compile(r"\\(?:text|mathrm|textrm|operatorname|mbox|textbf)\s*\{\s*~?([^{}]*)\}")
_ABOUT = re.compile(
    r"(?:about|approximately|around|roughly|only|exactly|a total of|total of|≈|\\approx)\s*", re.I
)
_UNIT = re.compile(r"(?:/\s?)?[A-Za-z°¢€£$][A-Za-z°¢€£$'\s/.^0-9(){}*·-]{0,60}\Z")
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
    text = _ABOUT.sub("", _ROMAN.sub(r" \1 ", text).replace("~", " "), count=1).strip()
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
            if rest and (not _UNIT.match(rest) or len(words) - count > 4):
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
    written = re.sub(r"\^?\s?\{?\\circ\}?", "degrees ", written).strip()
    if written and not _is_unit(written):
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
        rate = written.startswith(("per", "/", "a ", "an ", "each"))
        counted = written.split()[0].lower() in MULTIPLIERS  # $3 million
        written = (
            f"{written} {_MONEY[money]}"
            if counted
            else f"{_MONEY[money]} {written}"
            if rate
            else _MONEY[money]
        )
    return Quantity(value, match.group("percent") is not None, written.replace("\\$", "$"), decimals)


def _is_unit(text: str) -> bool:
    if not _UNIT.match(text):
        return False
    first = re.split(r"[\s/^({]", text.lstrip("/ "))[0]
    if first in ("and", "or", "to", "plus", "minus", "times", "with", "over", "then"):
        return False
    return first not in _VARIABLES


def same_quantity(x: Quantity, y: Quantity) -> bool | None:
    """Whether two quantities are the same; a unit, a percent sign or a currency may be left off on one side."""
    if x.percent != y.percent:
        full, bare = (x, y) if x.percent else (y, x)
        if exact(Fraction(full.value) / 100) == bare.value:
            return True
        if full.value == bare.value:
            return True if abs(bare.value) > 1 else None  # 0.5% and 0.5: a dropped sign, or another number
        return False
    if not x.unit or not y.unit:
        return _same_value(x.value, y.value, x, y, _multiplier(x) / _multiplier(y))
    (one, ours), (two, theirs) = unit(x.unit), unit(y.unit)
    if ours == theirs:
        return _same_value(x.value, y.value, x, y, one / two)
    if {x.unit.lower(), y.unit.lower()} & {"£", "pounds"} and {n for n, _ in ours + theirs} <= {
        "sterling",
        "mass",
    }:
        return x.value == y.value  # pounds: of money or of weight
    if x.value != y.value:
        return False
    known = {"time", "calendar", "length", "mass", "volume", "money", "euro", "sterling", "angle"}
    if {n for n, _ in ours} <= known and {n for n, _ in theirs} <= known:
        return False
    return True if {n for n, _ in ours} & {n for n, _ in theirs} - known else None


def _multiplier(x: Quantity) -> Fraction:
    """`dozen` and `million` count although the other side has no unit."""
    if not x.unit:
        return Fraction(1)
    factor, dims = unit(x.unit)
    return (
        factor
        if not any(dimensions(word) for word in re.findall(r"[A-Za-z]+", x.unit)) or not dims
        else Fraction(1)
    )


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
