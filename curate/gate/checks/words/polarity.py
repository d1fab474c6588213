"""Does a clause say the opposite of what question and demonstration say of the same numbers?

Catches: `decreased` for `increased`, `does not get` for `gets`, `12 fewer` for `12 more`, brothers for sisters. A
clause is compared with those of the source that hold its numbers and at least half of its words; it fails only
where each of these that says anything on the matter says the opposite; and a sentence of the source with a `not` put
in, whatever it is about. Cannot catch: opposites that are in no list, and what is said without a number or in other
words.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Literal

from pydantic import Field

from recast.curate.gate.checks.case import Case, CheckConfig, shown
from recast.curate.language.polarity import (
    DENIALS,
    Clause,
    clauses,
    cut,
    denied_numbers,
    may_turn,
    opposed,
    supports,
    turning,
)
from recast.curate.language.tokens import Sentence, number, read
from recast.curate.maths.numbers import Value
from recast.curate.records import Check


class PolarityCheck(CheckConfig):
    """No clause turns what the source says of the same numbers."""

    type: Literal["polarity"] = "polarity"
    min_shared: float = Field(default=0.5, ge=0.0, le=1.0)
    """Share of a clause's words that a clause of the source must have to be about the same."""

    name: ClassVar[str] = "polarity"
    revision: ClassVar[int] = 3

    def run(self, case: Case) -> Check:
        if not may_turn(case.completion, case.prompt, case.demonstration):
            return self.passed()
        source = _source(case.prompt, case.demonstration)
        for sentence in read(case.completion):
            if told := _put_in(sentence, case.prompt, case.demonstration):
                return self.failed(
                    "opposite_statement",
                    f"{shown(sentence.text)!r} denies what the source says: {shown(told)!r}.",
                )
            if sentence.numbers and source.may_turn(sentence):
                for clause in cut(sentence):
                    if clause not in source.known and (
                        turned := self._turned(clause, source, case.completion)
                    ):
                        return self.failed("opposite_statement", turned)
        return self.passed()

    def _turned(self, ours: Clause, source: _Source, completion: str) -> str:
        """What a clause turns, as a sentence; empty where the source says it so, or nothing of it."""
        alike = [theirs for theirs in source.about(ours) if self._alike(ours, theirs)]
        if not alike:
            return ""
        found = next(((said, theirs) for theirs in alike if (said := opposed(ours, theirs))), None)
        if found is None or any(supports(ours, theirs) for theirs in alike):
            return ""
        said, theirs = found
        if not ours.denials and any(self._alike(ours, c) and opposed(ours, c) for c in clauses(completion)):
            return ""  # a text that tells of both sides tells of two things
        return f"{shown(ours.text)!r} turns {shown(theirs.text)!r} ({said})."

    def _alike(self, ours: Clause, theirs: Clause) -> bool:
        if not ours.numbers <= theirs.numbers:
            return False
        if not any(map(str.isalpha, ours.text)):
            return False  # a bare sum affirms nothing
        words = set(ours.words)
        return len(words.intersection(theirs.words)) >= self.min_shared * len(words)


MIN_WORDS = 5
"""Words of a sentence from which it is known as another's; ..."""
MIN_KEPT = 0.6
"""... share of the other's words that it must keep."""


def _put_in(sentence: Sentence, *sources: str) -> str:
    """The sentence of a source that a sentence is but for a denial and for what it leaves out, and that denies nothing.

    Empty where there is none, or another one denies the same.
    """
    if not any(map(_denies, sentence.tokens)):
        return ""
    words = [word for word in map(str.lower, sentence.tokens) if word[0].isalpha() and not _denies(word)]
    if len(words) < MIN_WORDS:
        return ""
    found = ""
    for theirs in (told for source in sources for told in read(source)):
        those = [word for word in map(str.lower, theirs.tokens) if word[0].isalpha()]
        left = iter(those)
        if len(words) >= MIN_KEPT * len(those) and all(word in left for word in words):
            if any(map(_denies, those)):
                return ""
            found = theirs.text
    return found


def _denies(word: str) -> bool:
    return word in DENIALS or word.endswith(("n't", "n’t"))


@dataclass(frozen=True, slots=True)
class _Source:
    """The clauses of question and demonstration by their numbers."""

    known: frozenset[Clause]
    by_number: dict[Value, list[Clause]]
    words: frozenset[str]
    """Those that turn something of it, denials among them."""
    denied: frozenset[Value]
    """The numbers of clauses that deny."""

    def about(self, clause: Clause) -> list[Clause]:
        """The clauses that hold a number of `clause`."""
        return self.by_number.get(next(iter(clause.numbers)), []) if clause.numbers else []

    def may_turn(self, sentence: Sentence) -> bool:
        """Whether a sentence can stand against anything, by its words or by what is denied of its numbers."""
        if not self.words.isdisjoint(sentence.tokens) or "n't" in sentence.text:
            return True
        return bool(self.denied) and any(number(token) in self.denied for token in sentence.tokens)


@lru_cache(maxsize=1024)
def _source(prompt: str, demonstration: str) -> _Source:
    found = dict.fromkeys((*clauses(prompt), *clauses(demonstration)))
    by_number: dict[Value, list[Clause]] = {}
    for clause in found:
        for value in clause.numbers:
            by_number.setdefault(value, []).append(clause)
    words = DENIALS.union(*(turning(clause) for clause in found))
    return _Source(
        frozenset(found), by_number, words | {word.capitalize() for word in words}, denied_numbers(found)
    )
