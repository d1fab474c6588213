"""Do the results of the demonstration's steps occur in the completion?

Catches: a dropped step, a number altered mid-way, an answer without its reasoning. Cannot catch: a number that
occurs for another reason, and steps whose results the demonstration does not compute. Vacuous where the
demonstration states no computed result; so it says nothing about text tasks.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import ClassVar, Literal

from pydantic import Field

from curate.arithmetic import Value, numbers, step_results
from curate.checks.case import Case, CheckConfig
from curate.records import Check


class StepsCheck(CheckConfig):
    """The results of the demonstration's steps occur in the completion."""

    type: Literal["steps"] = "steps"
    min_share: float = Field(default=1.0, ge=0.0, le=1.0)
    """Smallest share of the demonstration's step results that the completion must contain."""

    name: ClassVar[str] = "steps"

    def run(self, case: Case) -> Check:
        results = step_results(case.demonstration)
        if not results:
            return self.passed()
        written = numbers(case.completion)
        missing = [r for r in results if r not in written and not _nearly(r, written)]
        if missing:
            said = spoken(case.completion)
            missing = [r for r in missing if r not in said]
        share = 1.0 - len(missing) / len(results)
        if share < self.min_share:
            return self.failed(
                "missing_step",
                f"{len(missing)} of the demonstration's {len(results)} step results do not occur, such as {_said(missing[0])}.",
                share,
            )
        return self.passed(share)


_SMALL = {
    w: v
    for v, w in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen".split()
    )
}
_TENS = {w: 10 * v for v, w in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)}
_PARTS: dict[str, Value] = {
    "half": Fraction(1, 2), "third": Fraction(1, 3), "thirds": Fraction(1, 3), "quarter": Fraction(1, 4),
    "quarters": Fraction(1, 4), "fourth": Fraction(1, 4), "fourths": Fraction(1, 4), "fifth": Fraction(1, 5),
    "fifths": Fraction(1, 5), "dozen": 12, "hundred": 100, "thousand": 1000,
}  # fmt: skip
_SPOKEN = re.compile(r"[a-z]+")


def spoken(text: str) -> frozenset[Value]:
    """The numbers below a million that `text` writes in words: `twenty-four`, `three quarters`, `two hundred`."""
    values: set[Value] = set()
    current: Value | None = None
    for word in _SPOKEN.findall(text.lower()):
        if word in _SMALL or word in _TENS:
            value = _SMALL[word] if word in _SMALL else _TENS[word]
            tens = isinstance(current, int) and current % (10 if value < 10 else 100) == 0 and current > value
            current = current + value if tens and current is not None else value
        elif word in _PARTS:
            current = _PARTS[word] * (current if current else 1)
        else:
            current = current if word == "and" else None
            continue
        values.add(current)
    return frozenset(values)


def _nearly(result: Value, written: frozenset[Value]) -> bool:
    """A sign, a percentage or a rounding apart: -5 for a loss of 5, 20% for 0.2, 3.33 for 10/3."""
    if -result in written or exact100(result) in written:
        return True
    if isinstance(result, int):
        return False
    return any(abs(w - result) * 2 * 10**digits <= 1 for w in written for digits in _decimals(w))


def _decimals(written: Value) -> tuple[int, ...]:
    """Digits after the point of a number written with one to four of them; none for integers and thirds."""
    if isinstance(written, int):
        return ()
    return next(((d,) for d in range(1, 5) if 10**d % written.denominator == 0), ())


def exact100(value: Value) -> Value:
    scaled = Fraction(value) * 100
    return scaled.numerator if scaled.denominator == 1 else scaled


def _said(value: Value) -> str:
    return str(value) if isinstance(value, int) else f"{float(value):g}"
