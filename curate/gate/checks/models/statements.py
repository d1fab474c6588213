"""Does every sentence of the completion follow from question and demonstration, as an NLI model sees it?

Catches: sentences that contradict the source (a denial, an opposite, another unit), sentences that nothing
supports. Cannot catch: arithmetic, which NLI models do not do: a sentence may also follow from an earlier sentence
with a sum, and one that is nothing but a sum is not asked about (`arithmetic`, `steps`). Undecided where the model
is unsure or a text is too long for it. Asks the model `relations(pairs)` once for all pairs of a completion:
(premise, hypothesis) to (probability of entailment, of contradiction) or None.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Literal, NamedTuple, cast

from pydantic import Field

from recast.curate.gate.checks.case import Asked, Case, CheckConfig, shown
from recast.curate.language.tokens import Sentence, read
from recast.curate.language.word_classes import GRAMMAR
from recast.curate.records import Check

Relation = tuple[float, float]
"""Probabilities of entailment and of contradiction."""
MIN_WORDS = 3


class Statement(NamedTuple):
    """A sentence to be asked about, and what it may follow from: question and demonstration first."""

    text: str
    premises: tuple[str, ...]


class StatementsCheck(CheckConfig):
    """Each sentence is entailed, none contradicted."""

    type: Literal["statements"] = "statements"
    min_entailed: float = Field(default=0.5, ge=0.0, le=1.0)
    """Smallest probability of entailment that passes."""
    min_contradicted: float = Field(default=0.8, ge=0.0, le=1.0)
    """Smallest probability of contradiction by question and demonstration that fails."""
    model: str = ""
    """Which NLI model the thresholds were calibrated for; part of the gate's id."""

    name: ClassVar[str] = "statements"

    def asks(self, case: Case) -> Iterable[Asked]:
        return (("relations", (pairs_of(statements(case)),)),)

    def run(self, case: Case) -> Check:
        ask = cast(Any, case.models.get("relations"))
        if ask is None:
            return self.undecided("no_relation_model", "No NLI model was given to the gate.")
        asked = statements(case)
        return self.decide(asked, ask(pairs_of(asked)))

    def decide(self, asked: Sequence[Statement], relations: Sequence[Relation | None]) -> Check:
        """The outcome, given what the model says of `pairs_of(asked)`, in order."""
        said = iter(relations)
        unsure: tuple[str, float] | None = None
        least = 1.0
        for statement in asked:
            found = [next(said) for _ in statement.premises]
            if any(r is None or not (min(r) >= 0.0 and max(r) <= 1.0) for r in found):
                return self.undecided("unreadable_relation", "The NLI model cannot compare the texts.")
            entailed = max(r[0] for r in found if r is not None)
            contradicted = found[0][1] if found[0] is not None else 0.0
            if entailed < self.min_entailed and contradicted >= self.min_contradicted:
                text = shown(statement.text)
                return self.failed(
                    "contradicted", f"{text!r} contradicts the source ({contradicted:.2f}).", entailed
                )
            if entailed < self.min_entailed:
                unsure = unsure or (statement.text, entailed)
            least = min(least, entailed)
        if unsure is not None:
            return self.undecided(
                "unsupported", f"{shown(unsure[0])!r} follows with {unsure[1]:.2f} only.", unsure[1]
            )
        return self.passed(least)


def statements(case: Case) -> list[Statement]:
    """The sentences of the completion that say something, each with its premises."""
    source = f"{case.prompt}\n{case.demonstration}"
    found: list[Statement] = []
    worked: list[str] = []
    for sentence in read(case.completion):
        if _says(sentence):
            found.append(Statement(sentence.text, (source, *worked[-1:])))
        if sentence.computes:
            worked.append(sentence.text)
    return found


def pairs_of(asked: Sequence[Statement]) -> list[tuple[str, str]]:
    """(premise, hypothesis) of every statement and premise, in order."""
    return [(premise, statement.text) for statement in asked for premise in statement.premises]


def _says(sentence: Sentence) -> bool:
    words = [token for token in sentence.tokens if token[0].isalpha()]
    return len(words) >= MIN_WORDS and any(word.lower() not in GRAMMAR for word in words)
