"""Does the completion mean the same as the demonstration, as an embedding model sees it?

Catches: text about something else. Cannot catch: a changed number or a missing `not`, which barely move a vector.
Asks the model `similarity(a, b)`, a cosine in [-1, 1]; undecided where none is given, and where the model says None
because a text is too long for it. The threshold belongs to one model: calibrate it on labels when the model changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

from pydantic import Field

from recast.curate.gate.checks.case import Asked, Case, CheckConfig
from recast.curate.records import Check


class SimilarityCheck(CheckConfig):
    """Cosine of completion and demonstration."""

    type: Literal["similarity"] = "similarity"
    min_cosine: float = Field(default=0.6, ge=-1.0, le=1.0)
    """Smallest cosine that passes."""
    model: str = ""
    """Which embedding model the threshold was calibrated for; part of the gate's id."""

    name: ClassVar[str] = "similarity"

    def asks(self, case: Case) -> Iterable[Asked]:
        return (("similarity", (case.completion, case.demonstration)),)

    def run(self, case: Case) -> Check:
        ask = case.models.get("similarity")
        if ask is None:
            return self.undecided("no_similarity_model", "No embedding model was given to the gate.")
        cosine = ask(case.completion, case.demonstration)
        if cosine is None or not -1.01 <= cosine <= 1.01:
            return self.undecided(
                "unreadable_similarity", "The embedding model cannot compare the two texts."
            )
        if cosine < self.min_cosine:
            said = f"Cosine {cosine:.2f} to the demonstration, below {self.min_cosine}."
            return self.failed("dissimilar", said, cosine)
        return self.passed(cosine)
