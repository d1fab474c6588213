"""Does a judge model say YES?

Catches: what the judge sees and no rule does. Cannot catch: what pleases judges; a judge that is the policy's own
backbone prefers its own words. Asks the model `judge(row, completion)`, the probability of YES against NO; None or
a value outside [0, 1] is an unreadable judge, which is undecided, never NO and never YES.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

from pydantic import Field

from recast.curate.gate.checks.case import Asked, Case, CheckConfig
from recast.curate.records import Check


class JudgeCheck(CheckConfig):
    """P(YES) of a judge."""

    type: Literal["judge"] = "judge"
    min_yes: float = Field(default=0.5, ge=0.0, le=1.0)
    """Smallest P(YES) that passes."""
    max_no: float = Field(default=0.5, ge=0.0, le=1.0)
    """Largest P(YES) that fails; between the two the judge is undecided."""
    model: str = ""
    """Which judge the thresholds were calibrated for; part of the gate's id."""
    prompt: str | None = Field(default=None, exclude_if=lambda prompt: prompt is None)
    """Template by which it is asked, as `prompts.judge` of a configuration; part of the gate's id where it is given."""

    name: ClassVar[str] = "judge"

    def asks(self, case: Case) -> Iterable[Asked]:
        return (("judge", (case.row, case.completion)),)

    def run(self, case: Case) -> Check:
        ask = case.models.get("judge")
        if ask is None:
            return self.undecided("no_judge", "No judge was given to the gate.")
        yes = ask(case.row, case.completion)
        if yes is None or not 0.0 <= yes <= 1.0:
            return self.undecided("unreadable_judge", "The judge gave no readable answer.")
        if yes >= self.min_yes:
            return self.passed(yes)
        if yes < self.max_no:
            return self.failed("judged_no", f"The judge says YES with {yes:.2f} only.", yes)
        return self.undecided("judge_undecided", f"The judge says YES with {yes:.2f}.", yes)
