"""Does every sentence of the completion speak of what the question and the demonstration speak of?

Catches: sentences about something else, spam, instructions to whoever reads, filler, another problem with the same
numbers, bare sums where the demonstration says what its numbers are. Cannot catch: a sentence about the right
things that says something false of them.

Without a model, words stand in for meaning: a sentence is off topic where it has `min_new` different words or more
that are in neither question nor demonstration nor common to all solutions, and its known words are fewer than
`min_share` of both. That sees about half of the sentences of other word problems (the rest are nothing but sums
and common words), nearly all advertisement, filler and foreign instructions. Where question and demonstration are
not English, common words are not known, and only a sentence of many new words without any known one is off topic.

With `model`, a sentence embedder, the least similar of the sentences with a new word decides too. The check asks
`sentences(texts, sources)`: for each text its cosine to the nearest source, or None where one is too long for the
model. The threshold belongs to a model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from recast.curate.answers.statements.marks import is_program
from recast.curate.gate.checks.case import Asked, Case, CheckConfig, shown
from recast.curate.language.sentences import sentences
from recast.curate.language.topic import Shared, is_english, most_new, shared, telling
from recast.curate.records import Check

FOREIGN_NEW = 5
"""New words from which a sentence in another language than English is off topic, if it has no known one."""
SHORT = 3
"""Words below which a sentence, a heading mostly, is none that must speak of something."""
SPEAKS = 3
"""Words of a demonstration, without those of sums and answers, from which a completion has to have one."""

_NUMBER = re.compile(r"\d")
_BRACKETED = re.compile(r" ?\([^()\n]{0,400}\)")
_FENCED = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)


class TopicCheck(CheckConfig):
    """No sentence is about something else."""

    type: Literal["topic"] = "topic"
    min_share: float = Field(default=0.5, ge=0.0, le=1.0)
    """Smallest share of known words among the known and the new ones of a sentence, and of the whole text."""
    min_new: int = Field(default=2, ge=2)
    """Different new words from which a sentence counts: one less without a number, twice as many for a whole text."""
    model: str = ""
    """A sentence embedder that is asked beside the words; part of the gate's id."""
    min_cosine: float = Field(default=0.49, ge=-1.0, le=1.0)
    """Smallest cosine of a sentence to the nearest sentence of question or demonstration (all-MiniLM-L6-v2)."""

    name: ClassVar[str] = "topic"
    revision: ClassVar[int] = 3

    def run(self, case: Case) -> Check:
        text = _prose(case.completion)
        # a sentence has no more new words than the text
        most = most_new(text, case.prompt, case.demonstration)
        if most >= self.min_new - 1 and (wrong := self._by_words(text, case)):
            return wrong
        if not telling(case.completion) and _speaks(case.demonstration):
            return self.failed("no_words", "It says nothing of what its numbers are.", 0.0)
        return self._by_model(case) if self.model else self.passed()

    def _by_words(self, text: str, case: Case) -> Check | None:
        whole = shared(text, case.prompt, case.demonstration)
        if len(whole.new) < self.min_new - 1:
            return None
        english = is_english(f"{case.prompt}\n{case.demonstration}")
        for sentence in sentences(text):
            # what stands in brackets speaks for itself: `a well-known puzzle (12 / 3 = 4 cookies)`
            for part in dict.fromkeys((sentence, _BRACKETED.sub("", sentence))):
                told = _NUMBER.search(part) or len(part.split()) < SHORT
                least = self.min_new if told else self.min_new - 1
                if self._off_topic(shared(part, case.prompt, case.demonstration), english, least):
                    return self.failed(
                        "off_topic", f"Neither question nor demonstration speak of it: {shown(part)!r}.", 0.0
                    )
        if self._off_topic(whole, english, 2 * self.min_new):
            said = ", ".join(sorted(whole.new)[:4])
            return self.failed("off_topic", f"Its words are not those of the question: {said}.", 0.0)
        return None

    def asks(self, case: Case) -> Iterator[Asked]:
        if self.model and (doubtful := _doubtful(case)):
            yield "sentences", (doubtful, _sources(case))

    def _off_topic(self, found: Shared, english: bool, least: int) -> bool:
        known, new = len(found.known), len(found.new)
        if not english:
            return new >= max(FOREIGN_NEW, least) and not known
        return new >= least and known < self.min_share * (known + new)

    def _by_model(self, case: Case) -> Check:
        ask = case.models.get("sentences")
        if ask is None:
            return self.undecided("no_sentence_model", "No model of sentences was given to the gate.")
        doubtful, sources = _doubtful(case), _sources(case)
        if not doubtful or not sources:
            return self.passed()
        cosines = ask(doubtful, sources)
        if cosines is None or any(not -1.01 <= cosine <= 1.01 for cosine in cosines):
            return self.undecided("unreadable_sentences", "The model cannot compare the sentences.")
        least, sentence = min(zip(cosines, doubtful, strict=True))
        if least < self.min_cosine:
            return self.failed("unlike_topic", f"Cosine {least:.2f} at most: {shown(sentence)!r}.", least)
        return self.passed(least)


def _prose(text: str) -> str:
    """`text` without fenced code; empty where it is a program."""
    if "```" in text:
        text = _FENCED.sub("\n", text)
    return "" if is_program(text) else text


def _speaks(demonstration: str) -> bool:
    """Whether the demonstration says what its numbers are."""
    return len(telling(demonstration)) >= SPEAKS and not is_program(demonstration)


def _doubtful(case: Case) -> tuple[str, ...]:
    """Sentences that a model is asked about: those with a word that is new. What differs in numbers or in the order of
    known words, no model of sentences sees."""
    text = _prose(case.completion)
    if not most_new(text, case.prompt, case.demonstration):
        return ()
    return tuple(s for s in sentences(text) if shared(s, case.prompt, case.demonstration).new)


def _sources(case: Case) -> tuple[str, ...]:
    return (*sentences(case.prompt), *sentences(case.demonstration))
