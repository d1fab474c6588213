"""Do the results of the demonstration's steps occur in the completion?

Catches: a dropped step, a number altered mid-way, an answer without its reasoning. Cannot catch: a number that
occurs for another reason, and steps whose results the demonstration does not compute. Vacuous where the
demonstration states no computed result; so it says nothing about text tasks.
"""

from __future__ import annotations

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
        share = 1.0 - len(missing) / len(results)
        if share < self.min_share:
            return self.failed(
                "missing_step",
                f"{len(missing)} of the demonstration's {len(results)} step results do not occur, such as {_said(missing[0])}.",
                share,
            )
        return self.passed(share)


def _nearly(result: Value, written: frozenset[Value]) -> bool:
    """A sign, a percentage or a rounding apart: -5 for a loss of 5, 20% for 0.2, 3.33 for 10/3."""
    if -result in written or exact100(result) in written:
        return True
    if isinstance(result, int):
        return False
    return any(
        isinstance(w, Fraction) and w.denominator < result.denominator * 100 and abs(w - result) <= Fraction(1, 2) / w.denominator
        for w in written
    )


def exact100(value: Value) -> Value:
    scaled = Fraction(value) * 100
    return scaled.numerator if scaled.denominator == 1 else scaled


def _said(value: Value) -> str:
    return str(value) if isinstance(value, int) else f"{float(value):g}"
