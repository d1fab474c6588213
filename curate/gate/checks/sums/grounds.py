"""What a sum of a text stands on: numbers that are given, results of sums before it, or nothing.

Given are the numbers of the question in figures and words, what those of a percentage or a share leave or add, the
constants of clock, calendar and count, and the numbers that the demonstration itself brings in. A sum with any other
operand is one that somebody made up to fit its result: `23 + 1 = 24`, `24 * 1 = 24`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from fractions import Fraction
from functools import lru_cache
from itertools import combinations
from typing import NamedTuple

from recast.curate.answers.statements.marks import marks
from recast.curate.arithmetic.equalities import equalities, step_results
from recast.curate.arithmetic.segments import ANNOTATION
from recast.curate.language.sentences import sentences
from recast.curate.maths.notation import plain
from recast.curate.maths.numbers import Value, divide, exact, literal, numbers, spoken

CONSTANTS: frozenset[Value] = frozenset(
    (
        *(0, 1, 2, 7, 12, 24, 30, 31, 52, 60, 90, 100, 180, 360, 365, 1000, 3600),
        *(Fraction(n, 4) for n in (1, 2, 3)),
        Fraction(1, 100),
    )
)
"""What nobody needs to be told: pairs, weeks, dozens, hours, years, circles, percentages, halves and quarters."""

MIN_WORDS_OF_SENTENCE = 2
_NO_WORK = frozenset((0, 1, 100, Fraction(1, 100)))
CONVERSIONS = (100, 60, 12, 1000)
"""Cents, minutes, months and metres to what they are parts of: a number so converted and then said is known."""
OPERAND, MENTION = "o", "m"
_WORDS_OF: dict[str, tuple[Value, ...]] = {
    "half": (2,), "twice": (2,), "double": (2,), "doubled": (2,), "doubles": (2,), "thrice": (3,), "triple": (3,),
    "tripled": (3,), "triples": (3,), "third": (3,), "thirds": (3,), "quarter": (4, 25), "quarters": (4, 25),
    "fourth": (4,), "fifth": (5,), "fifths": (5,), "sixth": (6,), "eighth": (8,), "tenth": (10,), "nickel": (5,),
    "nickels": (5,), "dime": (10,), "dimes": (10,), "decade": (10,), "decades": (10,), "both": (2,), "couple": (2,),
    "pair": (2,), "pairs": (2,), "weekdays": (5,), "weekday": (5,), "weekend": (2,), "feet": (3, 12), "yard": (3,),
    "yards": (3,), "square": (4,), "rectangle": (2,), "triplets": (3,), "quadruple": (4,), "inches": (12,),
    "pounds": (16,), "pound": (16,), "ounces": (16,), "month": (4,), "months": (4,), "cube": (6,), "miles": (5280,),
}  # fmt: skip
_QUOTED = re.compile(r"[\"“«][^\"“”«»\n]{20,}[\"”»]")  # a question that is told again states nothing
_LETTERS = re.compile(r"[^\W\d_]{2,}")
_READ_ALOUD = frozenset(
    "plus minus times divided multiplied by over is are equal equals to make makes give gives get the we and so".split()
)
_FIGURE = re.compile(r"\d[\d,]*(?:\.\d+)?|(?<!\d)\.\d+")
_SIGN = r"(?:[-+*/^]|[xX](?= ?[$\d])|plus\b|minus\b|times\b|divided by\b|multiplied by\b)"
_USED_AFTER = re.compile(rf"[%)]*(?: ?[A-Za-z]+){{0,3}} ?{_SIGN} ?[$€£(]*[\d.]")
_USED_BEFORE = re.compile(rf"[\d%)](?: ?[A-Za-z]+){{0,3}} ?{_SIGN} ?[$€£(]*\Z")


class Sum(NamedTuple):
    """A true sum that a text states."""

    operands: tuple[Value, ...]
    result: Value

    @property
    def work(self) -> tuple[Value, ...]:
        """What goes into it however it is written: 20 %, 0.2 and 1/5 are one operand, 0, 1 and 100 none."""
        return tuple(sorted(core(v) for v in self.operands if v not in _NO_WORK))

    @property
    def vacuous(self) -> bool:
        """`24 * 1 = 24`, `24 + 0 = 24`."""
        return self.result in self.operands and self.work in ((), (core(self.result),))


@lru_cache(maxsize=4096)
def sums(text: str) -> tuple[Sum, ...]:
    """The true sums of `text` in order, each once."""
    found: dict[Sum, None] = {}
    for equality in equalities(text):
        if not equality.truth:
            continue
        for operands, result in equality.inner:
            found[Sum(operands, result)] = None
        if equality.result is not None:
            found[Sum(equality.operands, equality.result)] = None
    return tuple(found)


@lru_cache(maxsize=4096)
def core(value: Value) -> Value:
    """A number without its sign and hundreds, and the same for what it divides by: 1/5, 0.2, 20 % and 5 are 5.

    Hundreds, not tens: 20 / 5 would be 2 * 2.
    """
    number = abs(Fraction(value))
    if not number:
        return 0
    return exact(min(_digits(number), _digits(1 / number), key=lambda v: (v.denominator, v)))


def _digits(number: Fraction) -> Fraction:
    """0.45 and 4500 as 45, and thirds by their own digits: 200/3 as 2/3."""
    while number.denominator % 2 == 0 or number.denominator % 5 == 0:
        number *= 100
    while number.numerator % 100 == 0:
        number /= 100
    return number


@lru_cache(maxsize=2048)
def given(prompt: str, demonstration: str) -> frozenset[Value]:
    """The numbers that a sum may begin with, before anything is worked out."""
    results: set[Value] = set()
    brought: set[Value] = set()
    for step in sums(demonstration):
        brought |= {v for v in step.operands if v not in results}
        results.add(step.result)
    return (
        asked(prompt) | (CONSTANTS - results) | brought
    )  # 24 hours, but not where 24 is what has to be worked out


@lru_cache(maxsize=2048)
def asked(prompt: str) -> frozenset[Value]:
    """The numbers of a question in figures and words."""
    return numbers(prompt) | spoken(prompt)


@lru_cache(maxsize=2048)
def implied(prompt: str) -> frozenset[Value]:
    """The numbers of a question, and what they make of a whole: 80 % for 20 % off, 1.2 for 20 % more."""
    values = set(asked(prompt))
    lower = prompt.lower()
    for word in set(re.findall(r"[a-z]+", lower)) & _WORDS_OF.keys():
        values.update(_WORDS_OF[word])
    if "%" in prompt or "percent" in lower:
        for value in [v for v in values if 0 < v <= 200]:
            share = Fraction(value) / 100
            values |= {exact(share), exact(1 - share), exact(1 + share), 100 - value, 100 + value}
    for value in [v for v in values if isinstance(v, Fraction) and 0 < v < 1]:
        values |= {
            1 - value,
            1 + value,
            value.numerator,
            value.denominator - value.numerator,
            value.denominator,
        }
        values.add(value.denominator + value.numerator)
    return frozenset(values)


def grounded(text: str, prompt: str, demonstration: str) -> Iterator[tuple[Sum, bool]]:
    """Every sum of `text` in order, and whether each of its operands is known by then.

    Known are the numbers that are `given` or `implied`, results of grounded sums before it, and those of the
    demonstration's steps that the text says before it reckons with them.
    """
    known = given(prompt, demonstration)
    earlier: set[Value] = set()
    for step in sums(text):
        strange = [v for v in step.operands if v not in known and v not in earlier and -v not in known]
        if strange:
            strange = [
                v for v in strange
                if v not in implied(prompt) and not _rounded(v, earlier) and not _hundredth(v, known)
            ]  # fmt: skip
        if strange:
            seen, steps = places(text), step_results(demonstration)
            strange = [
                v
                for v in strange
                if seen.get(v, OPERAND)[0] != MENTION
                or not (v in steps or converted(v, known) or v in storied(text, known))
            ]
        yield step, not strange
        if not strange:
            earlier.add(step.result)


@lru_cache(maxsize=1024)
def by_sentence(text: str) -> tuple[frozenset[Value], ...]:
    """The numbers of every sentence of `text` that tells something about them: no list, no answer alone."""
    told: list[frozenset[Value]] = []
    for sentence in sentences(_QUOTED.sub("", ANNOTATION.sub("", text))):
        said = numbers(sentence) | spoken(sentence)
        letters = len(_LETTERS.findall(sentence))
        enough = letters >= max(MIN_WORDS_OF_SENTENCE, len(numbers(sentence)))
        if said and enough and not marks(sentence):
            told.append(frozenset(said))
    return tuple(told)


@lru_cache(maxsize=2048)
def has_words(text: str, least: int) -> bool:
    """Whether `text` has `least` words of two letters and more that read no sign aloud, apart from sentences that mark
    an answer and from a question that is told again."""
    counted = 0
    for told in sentences(_QUOTED.sub("", text)):
        found = sum(word.lower() not in _READ_ALOUD for word in _LETTERS.findall(told))
        if found and not marks(told):
            counted += found
            if counted >= least:
                return True
    return counted >= least


@lru_cache(maxsize=1024)
def storied(text: str, known: frozenset[Value]) -> frozenset[Value]:
    """Numbers that a sentence tells beside two known ones that come to it: `6 red and 2 blue ones, 8 in all`."""
    found: set[Value] = set()
    for said in by_sentence(text):
        operands = said & known
        for a, b in combinations(operands, 2):
            found |= said & {a + b, a - b, b - a, a * b, divide(a, b), divide(b, a)}
    return frozenset(found)


def converted(value: Value, known: Set[Value]) -> bool:
    """Whether `value` is a number of `known` in another unit."""
    return any(value * c in known or divide(value, c) in known for c in CONVERSIONS)


def _hundredth(value: Value, known: Set[Value]) -> bool:
    """Whether a decimal is a known number of cents or per cent."""
    return isinstance(value, Fraction) and value * 100 in known


def _rounded(value: Value, results: set[Value]) -> bool:
    """Whether a decimal, or a whole number, is a result that was rounded or cut on the way."""
    near = Fraction(1, 1 if isinstance(value, int) else 10)
    return any(isinstance(r, Fraction) and abs(r - value) < near for r in results)


@lru_cache(maxsize=1024)
def places(text: str) -> dict[Value, str]:
    """For each number of the text, in the order of its occurrences, whether it stands beside an operator."""
    text = plain(text)
    places: dict[Value, str] = {}
    for match in _FIGURE.finditer(text):
        value, _ = literal(match.group().rstrip(","))
        if value is None:
            continue
        used = _USED_AFTER.match(text, match.end()) or _USED_BEFORE.search(text[: match.start()][-24:])
        places[value] = places.get(value, "") + (OPERAND if used else MENTION)
    return places
