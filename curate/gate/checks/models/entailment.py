"""Does each of the two texts follow from the other, as an NLI model sees it?

Catches: something left out (the demonstration no longer follows) and something made up (the completion does not
follow). Cannot catch: arithmetic, which NLI models do not do. Asks the model `entails(premise, hypothesis)`, a
probability; undecided where none is given, and where the model says None because the texts are too long for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

from pydantic import Field

from recast.curate.gate.checks.case import Asked, Case, CheckConfig
from recast.curate.records import Check


class EntailmentCheck(CheckConfig):
    """Entailment both ways."""

    type: Literal["entailment"] = "entailment"
    min_probability: float = Field(default=0.5, ge=0.0, le=1.0)
    """Smallest probability of entailment that passes, in either direction."""
    model: str = ""
    """Which NLI model the threshold was calibrated for; part of the gate's id."""

    name: ClassVar[str] = "entailment"

    def asks(self, case: Case) -> Iterable[Asked]:
        return (
            ("entails", (case.completion, case.demonstration)),
            ("entails", (case.demonstration, case.completion)),
        )

    def run(self, case: Case) -> Check:
        ask = case.models.get("entails")
        if ask is None:
            return self.undecided("no_entailment_model", "No NLI model was given to the gate.")
        kept = ask(case.completion, case.demonstration)
        founded = ask(case.demonstration, case.completion)
        if kept is None or founded is None or not (0.0 <= kept <= 1.0 and 0.0 <= founded <= 1.0):
            return self.undecided("unreadable_entailment", "The NLI model cannot compare the two texts.")
        if kept < self.min_probability:
            return self.failed("content_lost", f"The demonstration follows with {kept:.2f} only.", kept)
        if founded < self.min_probability:
            return self.failed("content_added", f"The completion follows with {founded:.2f} only.", founded)
        return self.passed(min(kept, founded))
