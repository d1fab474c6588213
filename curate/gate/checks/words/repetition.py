"""Does the completion repeat itself, or say nothing?

Catches: loops at the end, the same line said again and again, the end of a sentence said again behind it, a solution
told twice or three times, an answer given three times, a conclusion that says what it concludes from (`he has 9 pens,
so he has 9 pens`), and boilerplate: sentences with no number, formula or code and no word of the question or the
demonstration. All of these raise the mean likelihood of a text that says no more. Cannot catch: padding that names what
the question is about. Texts below `min_words` pass where shares are measured, since a short sum has few words to vary.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from itertools import pairwise
from typing import ClassVar, Literal

from pydantic import Field

from recast.curate.answers.statements.marks import marks
from recast.curate.gate.checks.case import Case, CheckConfig, shown
from recast.curate.language.english import FUNCTION_WORDS
from recast.curate.language.prose import vocabulary
from recast.curate.language.sentences import sentences as sentences_of
from recast.curate.language.stems import beginning
from recast.curate.language.tokens import read
from recast.curate.records import Check
from recast.curate.texts import ngrams, words

N = 8
MIN_FILLER = 3
"""Sentences that say nothing, from which a text is filler."""
MAX_ANSWERS = 2
"""How often a text may give its answer, or once more than the demonstration does."""
MIN_AGAIN = 5
"""Words of a sentence that nobody says twice in a row."""
_SENTENCE = re.compile(r"\s(?:(?<=[.!?]\s)\s*|(?<=\n)\n*)")  # space behind a mark, line breaks anywhere
_NO_SENTENCE = re.compile(r"[\d{}()\[\];=<>\\|_]")  # a number, a formula, a line of code


class RepetitionCheck(CheckConfig):
    """No loops, no line said three times, no text told twice, not mostly boilerplate."""

    type: Literal["repetition"] = "repetition"
    min_distinct: float = Field(default=0.7, ge=0.0, le=1.0)
    """Smallest share of distinct word 8-grams among all of them."""
    max_same_line: int = Field(default=2, ge=1)
    """How often the same line of at least four words may stand."""
    max_filler: float = Field(default=0.5, ge=0.0, le=1.0)
    """Largest share of sentences that may be filler, where at least three are."""
    min_words: int = Field(default=32, ge=N)
    """Shorter completions are not measured."""

    name: ClassVar[str] = "repetition"
    revision: ClassVar[int] = 5

    def run(self, case: Case) -> Check:
        if again := _said_again(case):
            return self.failed("repetition", f"{shown(again)!r} is said twice in a row.", 0.5)
        if nothing := _concludes_nothing(case.completion):
            return self.failed("repetition", f"{shown(nothing)!r} concludes what it begins with.", 0.5)
        answers = _answers(case.completion) if "answer" in case.completion else 0
        if answers > max(MAX_ANSWERS, _answers(case.demonstration) + 1):
            return self.failed("repetition", f"It gives its answer {answers} times.", 0.5)
        tokens = words(case.completion)
        if len(tokens) < self.min_words:
            return self.passed()
        lines = Counter(line.strip() for line in case.completion.splitlines() if len(line.split()) >= 4)
        if lines:
            line, count = lines.most_common(1)[0]
            if count > self.max_same_line and case.demonstration.count(line) < count:
                return self.failed("repetition", f"{shown(line)!r} stands {count} times.", 1.0 / count)
        distinct = len(ngrams(case.completion, N)) / (len(tokens) - N + 1)
        if distinct < self.min_distinct:
            return self.failed("repetition", f"Only {distinct:.0%} of its 8-grams are distinct.", distinct)
        sentences, filler = _filler(case)
        if case.demonstration and len(filler) >= MIN_FILLER and len(filler) > self.max_filler * sentences:
            return self.failed(
                "boilerplate",
                f"{len(filler)} of its {sentences} sentences say nothing of it, such as {shown(filler[0])!r}.",
                len(filler) / sentences,
            )
        return self.passed(distinct)


def _said_again(case: Case) -> str:
    """A sentence or line of at least `MIN_AGAIN` words that comes twice in a row, or its end again; else empty."""
    lines = [line.strip() for line in case.completion.splitlines() if line.strip()]
    for one, two in (*pairwise(sentences_of(case.completion)), *pairwise(lines)):
        if one == two and len(one.split()) >= MIN_AGAIN and case.demonstration.count(one) < 2:
            return one
        if two[0].islower() and one.endswith(f" {two}") and " " in two:
            return two  # `They own 12 hens. own 12 hens.`
    return ""


def _concludes_nothing(text: str) -> str:
    """A sentence without a sum whose part after `so` has no word and number that its part before has not."""
    if vocabulary(text).isdisjoint(_CONCLUDES):
        return ""
    for sentence in read(text):
        if sentence.computes or (cut := _SO.search(sentence.text)) is None:
            continue
        before, after = _content(sentence.text[: cut.start()]), _content(sentence.text[cut.end() :])
        if len(after) > 1 and after <= before and any(word[-1].isdigit() for word in after):
            return sentence.text
    return ""


def _content(text: str) -> set[str]:
    return {token.lower() for sentence in read(text) for token in sentence.tokens} - FUNCTION_WORDS - _MARKS


_CONCLUDES = frozenset("so therefore thus hence means meaning".split())
_SO = re.compile(
    r"(?<=\w),? (?:so|therefore|thus|hence|which means(?: that)?|meaning(?: that)?) ", re.IGNORECASE
)
_MARKS = frozenset(".,;:!?'\"")


@lru_cache(maxsize=1024)
def _answers(text: str) -> int:
    return sum(bool(marks(sentence)) for sentence in sentences_of(text))


def _filler(case: Case) -> tuple[int, list[str]]:
    """How many sentences of three words and more there are, and those that say nothing of the question."""
    told = [s.strip() for s in _SENTENCE.split(case.completion) if len(s.split()) >= 3]
    empty = [s for s in told if not _NO_SENTENCE.search(s)]
    if len(empty) >= MIN_FILLER:
        known = {
            beginning(w)
            for w in (*words(case.prompt), *words(case.demonstration))
            if len(w) >= 4 or not w.isalpha()
        }
        empty = [s for s in empty if not any(beginning(w) in known for w in words(s) if w[0].isalnum())]
    return len(told), empty
