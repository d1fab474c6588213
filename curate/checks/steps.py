"""Do the results of the demonstration's steps occur in the completion?

Catches: a dropped step, a number altered mid-way, an answer without its reasoning. Cannot catch: a number that
occurs for another reason, and steps whose results the demonstration does not compute. Vacuous where the
demonstration states no computed result; so it says nothing about text tasks.
"""

from __future__ import annotations

from fractions import Fraction
from typing import ClassVar, Literal

from pydantic import Field

from curate.arithmetic import step_results
from curate.checks.case import Case, CheckConfig
from curate.numerals import Value, numbers, spoken
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
                f"{len(missing)} of the demonstration's {len(results)} step results do not occur, "
                f"such as {_said(missing[0])}.",
                share,
            )
        return self.passed(share)


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
