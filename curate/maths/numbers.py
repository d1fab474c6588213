"""Exact numbers: how they are written, in figures and in words, and when a rounded one agrees with what it rounds.

Integers and fractions, never floats. Sizes are bounded, so that `9^9^9^9` is None and not a stalled process.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from math import isqrt

from recast.curate.maths.notation import plain

Value = int | Fraction

MAX_DIGITS = 60
MAX_EXPONENT = 64
MAX_BITS = 4096
FLOAT_ERROR = Fraction(1, 10**9)
"""How far apart two numbers are at most of which one is written with the digits of a float."""

# begins with one class of characters, so that it is found without a try at every letter; signs stand before it
_NUMBER = re.compile(
    r"[\d.](?:(?<=[$€£]\d)\d{0,2}(?: \d{3})+(?![\d.])|(?<=\d)[\d,]*(?:\.\d+)?|(?<=\.)\d+)(?: ?%)?"
)
_CURRENCY = frozenset("$€£")
_SLASH = re.compile(r"/ ?\(?\d")
_WRITTEN_FRACTION = re.compile(
    r"(?=[\d(])(?:(?<![\d.,])(\d{1,9})[ -])?(?<![\d.,])\(?\(?(\d{1,9})\)? ?/ ?\(?(\d{1,9})(?![\d.,]\d)"
)


def exact(value: Fraction) -> Value:
    """The integer that `value` is, or `value`."""
    return value.numerator if value.denominator == 1 else value


@lru_cache(maxsize=4096)
def literal(text: str) -> tuple[Value | None, int]:
    """Return `(value, digits after the point)` of a number as written: `$1,200.50` is `(2401/2, 2)`."""
    text = text.lstrip("$€£ ").replace(",", "").replace(" ", "")
    if len(text) > MAX_DIGITS or (text[0] == "0" and len(text) > 1 and text[1].isdigit()):
        return None, 0  # 000 is the rest of a number that was cut apart
    power = 0
    if "e" in text or "E" in text:
        text, _, exponent = text.replace("E", "e").partition("e")
        power = int(exponent)
    whole, _, decimals = text.partition(".")
    number = Fraction(int((whole + decimals) or "0"), 10 ** len(decimals)) * Fraction(10) ** power
    return exact(number), max(0, len(decimals) - power)


def divide(a: Value, b: Value) -> Value | None:
    if b == 0:
        return None
    if isinstance(a, int) and isinstance(b, int):
        return a // b if a % b == 0 else Fraction(a, b)
    return exact(Fraction(a) / Fraction(b))


def power(a: Value, b: Value, max_exponent: int = MAX_EXPONENT) -> Value | None:
    """`a ** b` where it is exact and small enough to write down, else None."""
    if not isinstance(b, int) or abs(b) > max_exponent or (a == 0 and b <= 0):
        return None
    bits = a.bit_length() if isinstance(a, int) else max(a.numerator.bit_length(), a.denominator.bit_length())
    if bits * abs(b) > MAX_BITS:
        return None
    return exact(Fraction(a) ** b)


def square_root(value: Value) -> Value | None:
    """The exact square root, or None."""
    number = Fraction(value)
    if number < 0 or number.numerator.bit_length() > MAX_BITS:
        return None
    top, bottom = isqrt(number.numerator), isqrt(number.denominator)
    if top * top == number.numerator and bottom * bottom == number.denominator:
        return exact(Fraction(top, bottom))
    return None


def near_root(value: Value, digits: int = 40) -> Value | None:
    """The square root cut after `digits` digits, None below zero."""
    number = Fraction(value) * 100**digits
    if number < 0 or number.numerator.bit_length() > MAX_BITS:
        return None
    return exact(Fraction(isqrt(number.numerator // number.denominator), 10**digits))


def agrees(a: Value, b: Value, a_decimals: int, b_decimals: int, about: bool = False) -> bool:
    """Equal, or equal after rounding or cutting one at the digits that the other, a literal, is written with.

    `a_decimals` and `b_decimals` are the digits after the point of a literal, -1 for a computed side. A literal
    without decimals is taken as exact unless the text says `about`, for else 7 / 2 = 3 would be true.
    """
    if a == b:
        return True
    if max(a_decimals, b_decimals) > 9 and abs(a - b) < FLOAT_ERROR:
        return True
    for computed, stated, digits in ((a, b, b_decimals), (b, a, a_decimals)):
        if digits > 0 or (about and digits >= 0):
            scaled = Fraction(computed) * 10**digits
            target = Fraction(stated) * 10**digits
            if scaled.denominator == 1 and not about:
                continue  # nothing to round: 12.3 + 5.4 = 17.6 is false
            if abs(scaled - target) <= Fraction(1, 2) or (
                abs(scaled - target) < 1 and abs(target) <= abs(scaled)
            ):
                return True
    return bool(about and a and b and abs(Fraction(a) / Fraction(b) - 1) <= Fraction(1, 50))


@lru_cache(maxsize=1024)
def numbers(text: str) -> frozenset[Value]:
    """Every number written in `text`, a percentage counting both as 20 and as 1/5, and `3/4` as a fraction too."""
    values: set[Value] = set()
    text = plain(text)
    for written in set(_NUMBER.findall(text)):
        value, _ = literal(written.rstrip("% ,"))
        if value is not None:
            values.add(value)
            if written[-1] == "%":
                values.add(exact(Fraction(value) / 100))
    for match in _NUMBER.finditer(text) if "-" in text else ():
        before = match.start() - 1
        if before > 0 and text[before] in _CURRENCY:
            before -= 1
        if before >= 0 and text[before] == "-":
            value, _ = literal(match.group().rstrip("% ,"))
            if value is not None:
                values.add(-value)
    if "/" in text and _SLASH.search(text):
        for whole, top, bottom in _WRITTEN_FRACTION.findall(text):
            part = divide(int(top), int(bottom))
            if part is not None:
                values.add(part)
                if whole:
                    values.add(exact(int(whole) + Fraction(part)))
    return frozenset(values)


def count(text: str) -> dict[Value, int]:
    """How often each number is written in `text`, whatever its sign, currency or percent sign."""
    counts: dict[Value, int] = {}
    for match in _NUMBER.finditer(plain(text)):
        value, _ = literal(match.group().rstrip("% ,"))
        if value is not None:
            counts[value] = counts.get(value, 0) + 1
    return counts


_SMALL = {
    word: value
    for value, word in enumerate(
        (
            "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
            "seventeen eighteen nineteen"
        ).split()
    )
}
_TENS = {
    word: 10 * value
    for value, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)
}
_PARTS: dict[str, Value] = {
    "half": Fraction(1, 2), "third": Fraction(1, 3), "thirds": Fraction(1, 3), "quarter": Fraction(1, 4),
    "quarters": Fraction(1, 4), "fourth": Fraction(1, 4), "fourths": Fraction(1, 4), "fifth": Fraction(1, 5),
    "fifths": Fraction(1, 5), "sixth": Fraction(1, 6), "sixths": Fraction(1, 6), "eighth": Fraction(1, 8),
    "eighths": Fraction(1, 8), "tenth": Fraction(1, 10), "tenths": Fraction(1, 10), "dozen": 12, "hundred": 100,
    "thousand": 1000,
}  # fmt: skip
_SPOKEN = re.compile(r"[a-z]+")
_SAID = frozenset((*_SMALL, *_TENS, *_PARTS))


def spoken(text: str) -> frozenset[Value]:
    """The numbers below a million that `text` writes in words: `twenty-four`, `three quarters`, `two hundred`."""
    values: set[Value] = set()
    current: Value | None = None
    for word in _SPOKEN.findall(text.lower()):
        if word not in _SAID:
            current = current if word == "and" else None
            continue
        if word in _SMALL or word in _TENS:
            value = _SMALL[word] if word in _SMALL else _TENS[word]
            tens = isinstance(current, int) and current % (10 if value < 10 else 100) == 0 and current > value
            current = current + value if tens and current is not None else value
        else:
            current = _PARTS[word] * (current if current else 1)
        values.add(current)
    return frozenset(values)


def worded(text: str) -> Value | None:
    """The number that the words of `text` are as a whole: `forty-two`, `two thirds`, `two and a half`; None else."""
    words = text.lower().replace("-", " ").split()
    if not set(words) - {"a", "and"} or words[0] in ("hundred", "thousand", "dozen") or any(
        w not in _SMALL and w not in _TENS and w not in _PARTS and w not in ("and", "a") for w in words
    ):  # fmt: skip
        return None
    total: Value = 0
    current: Value = 0
    for i, word in enumerate(words):
        if word == "and" and any(isinstance(_PARTS.get(w), Fraction) for w in words[i:]):
            total, current = total + current, 0  # two and a half
        elif word in _SMALL or word in _TENS:
            current += _SMALL[word] if word in _SMALL else _TENS[word]
        elif word == "hundred":
            current = (current or 1) * 100
        elif word == "thousand":
            total, current = total + (current or 1) * 1000, 0
        elif word in _PARTS:
            current = (current or 1) * _PARTS[word]
    return exact(Fraction(total + current))
