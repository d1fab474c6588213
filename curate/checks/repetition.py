"""Does the completion repeat itself?

Catches: loops at the end, the same line said again and again, a solution told twice or three times: text whose
mean likelihood rises although it says nothing. Cannot catch: padding in ever new words. Texts below `min_words`
pass, since a short sum has few words to vary.
"""

from __future__ import annotations

from collections import Counter
from typing import ClassVar, Literal

from pydantic import Field

from curate.checks.case import Case, CheckConfig, ngrams, shown, words
from curate.records import Check

N = 8


class RepetitionCheck(CheckConfig):
    """No loops, no line said three times, no text told twice."""

    type: Literal["repetition"] = "repetition"
    min_distinct: float = Field(default=0.7, ge=0.0, le=1.0)
    """Smallest share of distinct word 8-grams among all of them."""
    max_same_line: int = Field(default=2, ge=1)
    """How often the same line of at least four words may stand."""
    min_words: int = Field(default=32, ge=N)
    """Shorter completions are not measured."""

    name: ClassVar[str] = "repetition"

    def run(self, case: Case) -> Check:
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
        return self.passed(distinct)
