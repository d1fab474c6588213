"""Is the completion the demonstration again?

Catches: verbatim and nearly verbatim copies, with or without calculator annotations, and with `max_told` all of the
demonstration with something put before, between or behind. Cannot catch: a copy with every eighth word changed, and it
says nothing about short texts that merely share their formulas: below `min_words` only equality counts. A
demonstration that already speaks in the model's style is refused as a copy of itself; its row then keeps the expert's
text, which is the same text.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from recast.curate.gate.checks.case import Case, CheckConfig
from recast.curate.records import Check
from recast.curate.texts import containment, words

N = 8


class CopyCheck(CheckConfig):
    """The completion is not a copy of the demonstration."""

    type: Literal["copy"] = "copy"
    max_containment: float = Field(default=0.8, gt=0.0, le=1.0)
    """Largest share of the completion's word 8-grams that may occur in the demonstration."""
    max_told: float | None = Field(default=None, gt=0.0, le=1.0)
    """Largest share of the demonstration's that may stand in the completion; None for any."""
    min_words: int = Field(default=24, ge=N)
    """Shorter completions fail only where they equal the demonstration; of shorter demonstrations all may be told."""

    name: ClassVar[str] = "copy"

    @model_serializer(mode="wrap")
    def _without_what_is_unused(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A gate that does not ask for `max_told` keeps the id that it had before there was such a thing."""
        return {name: value for name, value in dump(self).items() if name != "max_told" or value is not None}

    def run(self, case: Case) -> Check:
        ours, theirs = words(case.completion), words(case.demonstration)
        if ours and ours == theirs:
            return self.failed("copy", "The completion is the demonstration, word for word.", 1.0)
        if len(ours) < self.min_words:
            return self.passed()
        share = containment(case.completion, case.demonstration, N)
        if share > self.max_containment:
            return self.failed(
                "copy", f"{share:.0%} of the completion's 8-grams are the demonstration's.", share
            )
        if self.max_told is None or len(theirs) < self.min_words:
            return self.passed(share)
        told = containment(case.demonstration, case.completion, N)
        if told > self.max_told:
            return self.failed(
                "copy", f"{told:.0%} of the demonstration's 8-grams stand in the completion.", told
            )
        return self.passed(share)
