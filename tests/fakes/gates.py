"""Gates that look at a word or a letter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from recast.curate.records import Check, CheckStatus, Verdict, VerdictStatus


class FakeGate:
    """Accepts texts that begin with `good`; others name their first word as the reason."""

    id = "1" * 16

    def verify_many(self, rows, completions, finish_reasons=None):
        return [self._verify(text) for text in completions]

    def _verify(self, text):
        word = text.split()[0]
        if word == "good":
            return Verdict(VerdictStatus.ACCEPTED)
        if word == "unclear":
            return Verdict(VerdictStatus.UNVERIFIABLE, "unparseable")
        if word == "raise":
            raise ValueError("a check broke")
        return Verdict(
            VerdictStatus.REJECTED, word, (Check("word", CheckStatus.FAIL, word, f"The text is {word}."),)
        )


class LetterGate:
    """Accepts what holds an e: about half of what a random model writes, and easily learnt."""

    id = "e" * 16

    def verify_many(
        self,
        rows: Sequence[Mapping[str, Any]],
        completions: Sequence[str],
        finish_reasons: Sequence[str] | None = None,
    ) -> list[Verdict]:
        return [Verdict(VerdictStatus.ACCEPTED if "e" in c else VerdictStatus.REJECTED) for c in completions]


class LetterVerdictGate:
    """Accepts what begins with a, is undecided about u, refuses the rest and what was cut."""

    id = "0" * 16

    def verify_many(
        self,
        rows: Sequence[Mapping[str, Any]],
        completions: Sequence[str],
        finish_reasons: Sequence[str] | None = None,
    ) -> list[Verdict]:
        status = {"a": VerdictStatus.ACCEPTED, "u": VerdictStatus.UNVERIFIABLE}
        return [
            Verdict(status.get(c[0], VerdictStatus.REJECTED) if r == "stop" else VerdictStatus.REJECTED)
            for c, r in zip(completions, finish_reasons or [], strict=True)
        ]
