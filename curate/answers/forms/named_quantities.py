"""Several numbers, each with what it counts: `9 chickens and 10 rabbits`, `Mia: 4, Leo: 9`, `row 3, seat 12`.

What a number counts says which number of another answer it is compared with, so that their order does not count.

>>> compare("9 chickens and 10 rabbits", "10 rabbits, 9 chickens"), compare("9 chickens and 10 rabbits", "9 chickens")
(True, False)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from recast.curate.answers.normalise import roman
from recast.curate.answers.quantities import Quantity, quantity, same_quantity
from recast.curate.answers.structured import split, tidy
from recast.curate.answers.unit_words import content, opposed
from recast.curate.answers.verdict import OPEN, Verdict, all_of
from recast.curate.maths.numbers import worded
from recast.curate.maths.units import UNKNOWN, dimensions, unit

MAX_PARTS = 12
_SIDE_BY_SIDE = re.compile(
    r"\d[\d.]{0,9} [^\W\d_]{2,20}(?: \d[\d.]{0,9} [^\W\d_]{2,20})+\Z"
)  # 5 boys 3 girls
_UNPARTED = re.compile(r"(?<=[^\W\d_]) (?=\d)")
_NUMBER = re.compile(r"(?<![\w.])[-+]?[$€£]?\d+(?:,\d{3})*(?:\.\d+)?(?:/\d+)?%?(?![\w.])")
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_GROUPED = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_FORMULA = re.compile(r"[\\^_{}<>|!+*(\[]|(?<![^\W\d_])[^\W\d_]\w?\s*=")  # x = 1, y = 2 are equations


@dataclass(frozen=True, slots=True)
class Named:
    """One number, what it counts or whose it is, and its unit of measure as part of the quantity."""

    names: frozenset[str]
    quantity: Quantity


@lru_cache(maxsize=2048)
def named_quantities(text: str) -> tuple[Named, ...] | None:
    """The parts of a list of named quantities, two or more; None for anything else."""
    text = _UNPARTED.sub(", ", text) if _SIDE_BY_SIDE.match(text) else text
    if not any(mark in text for mark in (",", ";", " and ", "&", "\n")):
        return None
    text = _GROUPED.sub("", tidy(roman(text)).replace(" & ", ", "))
    if _FORMULA.search(text):
        return None
    parts = split(text)
    if not 2 <= len(parts) <= MAX_PARTS:
        return None
    found = [_named(part) for part in parts]
    return tuple(named for named in found if named) if all(found) else None


def _named(part: str) -> Named | None:
    numbers = list(_NUMBER.finditer(part))
    if len(numbers) == 1:
        written = numbers[0].group()
        words = _WORD.findall(f"{part[: numbers[0].start()]} {part[numbers[0].end() :]}")
        if any(c.isdigit() for c in part.replace(written, "", 1)):
            return None
    elif not numbers:
        words = _WORD.findall(part)
        told = next(
            (word for word in words if worded(word) is not None and word.lower() not in ("a", "and")), None
        )
        if told is None:
            return None
        words.remove(told)
        written = str(worded(told))
    else:
        return None
    names = [word for word in words if not dimensions(word)]
    measures = " ".join(word for word in words if dimensions(word))
    amount = quantity(f"{written} {measures}".strip())
    if amount is None or len(words) > 8:
        return None
    counted = content(names) or frozenset(
        name.removeprefix(UNKNOWN) for name, _ in (unit(measures)[1] if measures else ())
    )
    return Named(counted, amount) if counted else None


def compare(a: str, b: str) -> Verdict:
    one, two = named_quantities(a), named_quantities(b)
    if one is None and two is None:
        return OPEN
    if one and two:
        return _same(one, two)
    several, other = (one, b) if one else (two, a)
    assert several is not None
    parts = split(tidy(other))
    if len(parts) != len(several):
        return False if quantity(other) is not None or len(parts) > 1 or other[:1].isdigit() else None
    numbers = [quantity(part) for part in parts]
    bare = [number for number in numbers if number is not None]
    if len(bare) < len(several):
        return None
    in_order = all_of([same_quantity(x.quantity, y) for x, y in zip(several, bare, strict=True)])
    if in_order is not False:
        return in_order
    return None if sorted(x.quantity.value for x in several) == sorted(y.value for y in bare) else False


def _same(one: tuple[Named, ...], two: tuple[Named, ...]) -> bool | None:
    if len(one) != len(two):
        return False
    rest, verdicts = list(two), []
    for ours in one:
        meant = [y for y in rest if y.names == ours.names] or [
            y for y in rest if y.names < ours.names or ours.names < y.names
        ]
        meant = [y for y in meant if not opposed(ours.names, y.names)]
        if not meant:
            break
        chosen = next((y for y in meant if same_quantity(ours.quantity, y.quantity)), meant[0])
        verdicts.append(same_quantity(ours.quantity, chosen.quantity))
        rest.remove(chosen)
    if not rest:
        return all_of(verdicts)
    # other names: the same only if the numbers are, and then it cannot be told
    return None if sorted(x.quantity.value for x in one) == sorted(y.quantity.value for y in two) else False
