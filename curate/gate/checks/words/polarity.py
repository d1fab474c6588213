"""Does a clause say the opposite of what question and demonstration say of the same numbers?

Catches: `decreased` for `increased`, `does not get` for `gets`, `12 fewer` for `12 more`, brothers for sisters. A clause is
compared with those of the source that hold its numbers and at least half of its words; it fails only where each of these
that says anything on the matter says the opposite. Cannot catch: opposites that are in no list, and what is said without a
number or in other words.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from recast.curate.gate.checks.case import Case, CheckConfig, shown
from recast.curate.language.polarity import Clause, clauses, opposed
from recast.curate.records import Check


class PolarityCheck(CheckConfig):
    """No clause turns what the source says of the same numbers."""

    type: Literal["polarity"] = "polarity"
    min_shared: float = Field(default=0.5, ge=0.0, le=1.0)
    """Share of a clause's words that a clause of the source must have to be about the same."""

    name: ClassVar[str] = "polarity"

    def run(self, case: Case) -> Check:
        source = (*clauses(case.prompt), *clauses(case.demonstration))
        known = set(source)
        told = clauses(case.completion)
        for clause in told:
            if clause not in known and (turned := self._turned(clause, source, told)):
                return self.failed("opposite_statement", turned)
        return self.passed()

    def _turned(self, ours: Clause, source: tuple[Clause, ...], told: tuple[Clause, ...]) -> str:
        """What a clause turns, as a sentence; empty where the source says it so, or nothing of it."""
        alike = [theirs for theirs in source if self._alike(ours, theirs)]
        if not alike:
            return ""
        found = [opposed(ours, theirs) for theirs in alike]
        if not all(found) or any(self._alike(ours, other) and opposed(ours, other) for other in told):
            return ""  # a text that tells of both sides tells of two things
        return f"{shown(ours.text)!r} turns {shown(alike[0].text)!r} ({found[0]})."

    def _alike(self, ours: Clause, theirs: Clause) -> bool:
        if not ours.numbers or not ours.numbers <= theirs.numbers:
            return False
        words = set(ours.words)
        return len(words & set(theirs.words)) >= self.min_shared * len(words)
