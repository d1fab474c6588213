"""How far a refused candidate came: what `learn.graded` pays for while hardly one passes the gate.

    grade = 0                           unless the answer is right, the form is kept, and it is no copy
          = 0.2 + 0.3 share             share of the demonstration's steps that stand in it
          = 0.2 + 0.3 + 0.2 passed      all steps stand; share of the other checks that pass

It is read off the gate's checks, of which `answer` gives the right to the rest: a share of checks passed would pay an
empty text best. A copy of the demonstration or of the request has all of answer and steps, so it has no grade. A gate
without a check of the answer (programs) grades nothing.
"""

from __future__ import annotations

from recast.curate.records import Check, CheckStatus, Verdict, VerdictStatus

ANSWER, STEPS, REST = 0.2, 0.3, 0.2
"""What a right answer, all steps, and all other checks count for. A candidate that passes has about 1 and more, so what
is left to gain by passing is more than all that a refused one has."""
NEEDED = ("answer", "format", "copy")
"""Checks of which none may fail."""


def grade(verdict: Verdict) -> float:
    """The grade of a refused candidate, 0 to 0.7; 0 for one that is accepted or that nothing could decide."""
    if verdict.status is not VerdictStatus.REJECTED:
        return 0.0
    by_name = {check.name: check for check in verdict.checks}
    failed = any(check.status is not CheckStatus.PASS for name, check in by_name.items() if name in NEEDED)
    if failed or "answer" not in by_name:
        return 0.0
    steps = by_name.pop("steps", None)
    if steps is not None and steps.status is not CheckStatus.PASS:
        return ANSWER + STEPS * _share(steps)
    others = [check for name, check in by_name.items() if name not in NEEDED]
    passed = sum(check.status is CheckStatus.PASS for check in others) / len(others) if others else 0.0
    return ANSWER + STEPS + REST * passed


def _share(steps: Check) -> float:
    """Share of the demonstration's steps that a failed check of steps found."""
    return steps.score if steps.status is CheckStatus.FAIL and steps.score is not None else 0.0
