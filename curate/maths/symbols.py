"""Symbols and names of the International System, and of what is written beside it: `kW`, `mA`, `megabytes`, `kcal`.

Symbols are told apart by case (`mW` is no `MW`, `kb` no `kB`, a `Cal` is a kcal), names in any case. Time, lengths,
masses and volumes keep the dimension and the smallest unit of `curate.maths.units`.

>>> size("kW"), size("Kilowatts"), size("MW"), size("frog")
(('power', Fraction(1000, 1)), ('power', Fraction(1000, 1)), ('power', Fraction(1000000, 1)), None)
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

_PREFIXES = {
    "G": Fraction(10**9), "M": Fraction(10**6), "k": Fraction(1000), "m": Fraction(1, 1000), "µ": Fraction(1, 10**6),
    "μ": Fraction(1, 10**6), "n": Fraction(1, 10**9),
}  # fmt: skip
_LARGE = {
    "T": Fraction(10**12),
    "G": Fraction(10**9),
    "M": Fraction(10**6),
    "k": Fraction(1000),
    "K": Fraction(1000),
}
_WORD_PREFIXES = {
    "tera": Fraction(10**12), "giga": Fraction(10**9), "mega": Fraction(10**6), "kilo": Fraction(1000),
    "milli": Fraction(1, 1000), "micro": Fraction(1, 10**6), "nano": Fraction(1, 10**9),
}  # fmt: skip

# dimension, size in its smallest unit, symbol or -, names
_TABLE = """
power       1           W    watt
energy      1           J    joule
energy      3600        Wh   watthour watt-hour
energy      523/125     cal  calorie
energy      523000/125  Cal  -
force       1           N    newton
pressure    1           Pa   pascal
frequency   1           Hz   hertz
voltage     1           V    volt
current     1           A    amp ampere
charge      3600        Ah   -
charge      1           -    coulomb
resistance  1           Ω    ohm
amount      1           mol  mole
data        1           b    bit
data        8           B    byte
time        1           s    second
length      1000        m    meter metre
mass        1000        g    gram gramme
volume      1000        L    liter litre
volume      1000        l    -
area        -           ha   hectare
kelvin      1           -    kelvin
celsius     1           -    celsius
fahrenheit  1           -    fahrenheit
"""
_HECTARE = Fraction(10**10)  # in square millimetres
_ACRE = Fraction(43_560) * Fraction(1524, 5) ** 2

_SYMBOLS: dict[str, tuple[str, Fraction]] = {}
_NAMES: dict[str, tuple[str, Fraction]] = {"acre": ("area", _ACRE)}
for _line in _TABLE.strip().split("\n"):
    _dimension, _amount, _symbol, *_words = _line.split()
    _size = _HECTARE if _dimension == "area" else Fraction(_amount)
    _prefixes = _LARGE if _dimension == "data" else {} if _symbol in ("ha", "Cal") else _PREFIXES
    for _prefix, _times in {"": Fraction(1), **_prefixes}.items():
        if _symbol != "-":
            _SYMBOLS[_prefix + _symbol] = (_dimension, _times * _size)
    for _word in _words:
        if _word != "-":
            for _prefix, _times in {"": Fraction(1), **_WORD_PREFIXES}.items():
                _NAMES[_prefix + _word] = (_dimension, _times * _size)

SINGLE_LETTERS = frozenset(symbol for symbol in _SYMBOLS if len(symbol) == 1)


@lru_cache(maxsize=4096)
def size(word: str) -> tuple[str, Fraction] | None:
    """`(dimension, size in its smallest unit)` of a symbol, in its case, or of a name; None for any other word."""
    if word in _SYMBOLS:
        return _SYMBOLS[word]
    name = word.lower()
    return _NAMES.get(name) or (_NAMES.get(name[:-1]) if name.endswith("s") else None)
