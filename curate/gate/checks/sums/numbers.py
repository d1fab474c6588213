"""Are all numbers of the completion given, known or computed?

Catches: a quantity of the question that was altered or made up, such as 13 where the question says 12. Allowed are
the numbers of the prompt, of the demonstration and of the answer, what a percentage of the question leaves or adds,
results of sums whose operands are known by then (`curate.gate.checks.sums.grounds`), so that an honest detour passes,
small counts, and constants that everybody knows (60, 100, 365). Cannot catch: a given number in the wrong place.
Refuses an operand that no step says (25 * 4 by way of 20 * 4 and 5 * 4), which is why the default gate leaves it out.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from fractions import Fraction
from typing import ClassVar, Literal

from pydantic import Field

from recast.curate.gate.checks.case import Case, CheckConfig
from recast.curate.gate.checks.sums.grounds import given, grounded, implied, storied
from recast.curate.maths.numbers import Value, exact, numbers, spoken
from recast.curate.records import Check

KNOWN: frozenset[Value] = frozenset(
    (*range(11), 12, 24, 30, 31, 52, 60, 90, 100, 180, 360, 365, 1000, *(Fraction(n, 4) for n in (1, 2, 3)))
)
"""Small counts, halves and quarters, and the constants of clock, calendar, circle and percentage."""


class NumbersCheck(CheckConfig):
    """No number of the completion is made up."""

    type: Literal["numbers"] = "numbers"
    max_invented: int = Field(default=0, ge=0)
    """How many different numbers may be neither given nor computed."""

    name: ClassVar[str] = "numbers"
    revision: ClassVar[int] = 3

    def run(self, case: Case) -> Check:
        strange = [v for v in numbers(case.completion) if v > 0]
        for allowed in _allowed(case):
            strange = [v for v in strange if not _among(v, allowed)]
            if not strange:
                break
        invented = sorted(strange)
        if len(invented) > self.max_invented:
            said = ", ".join(f"{float(v):g}" for v in invented[:3])
            return self.failed(
                "invented_number", f"Neither given nor computed: {said}.", float(len(invented))
            )
        return self.passed(float(len(invented)))


def percent(value: Value) -> Value:
    return exact(Fraction(value) / 100)


def hundredfold(value: Value) -> Value:
    return exact(Fraction(value) * 100)


def _among(value: Value, allowed: Set[Value]) -> bool:
    """Whether a number is allowed, its negative, or what it is in per cent or of a hundred."""
    return value in allowed or -value in allowed or percent(value) in allowed or hundredfold(value) in allowed


def _allowed(case: Case) -> Iterator[Set[Value]]:
    """What may be written, first what is soon found and mostly enough."""
    known = given(case.prompt, case.demonstration)
    yield known
    stated = grounded(case.completion, case.prompt, case.demonstration)
    yield KNOWN.union(step.result for step, founded in stated if founded)
    yield numbers(case.demonstration) | numbers(case.reference or "")
    yield spoken(case.demonstration) | implied(case.prompt)
    yield storied(case.completion, known)
