"""Engines without a model: what they say and what it costs is a function of prompt, seed or text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import SimpleNamespace

from recast.agent.engines.protocol import Sample, Sampling, Score

TOKENIZER = SimpleNamespace(chat_template="{{ messages }}", name_or_path="fake")
CHARACTERS = SimpleNamespace(decode=lambda ids, skip_special_tokens: "." * len(ids))
"""A tokenizer of a token a character."""


class FakeEngine:
    """Answers `words[seed % len(words)] <seed % 1000>`; NLL is the number of characters / 100."""

    name, tokenizer, max_length, dtype = "fake", CHARACTERS, None, None
    fingerprint = "0" * 16

    def __init__(self, words=("good", "bad"), *, has_adapter=False, broken=(), down=False, scoring_broken=()):
        self.words, self.has_adapter, self.broken, self.down = words, has_adapter, broken, down
        self.scoring_broken = scoring_broken
        self.calls = []  # (prompts, adapter) of every sample call

    def sample(self, prompts, k, sampling, *, seeds, adapter):
        self.calls.append(([p[-1]["content"] for p in prompts], adapter))
        if self.down:
            raise RuntimeError("device lost")
        for prompt in prompts:
            if any(word in prompt[-1]["content"] for word in self.broken):
                raise RuntimeError("cannot render this prompt")
        return [[self._sample(seed) for seed in group] for group in seeds]

    def _sample(self, seed):
        text = f"{self.words[seed % len(self.words)]} {seed % 1000}"
        return Sample(text, list(range(len(text))), [-0.5] * len(text), "stop")

    def logprobs(self, prompts, completions, *, adapter):
        assert adapter is False, "scoring is the frozen backbone's"
        if any(p[-1]["content"] in self.scoring_broken for p in prompts):
            raise RuntimeError("too long to score")
        return [Score(len(c) / 100, len(c), 0.1, 0.2) for c in completions]


class LengthEngine:
    """Scores a text by its length; own samples have two tokens of 0.5 and 1.5 nats."""

    name, tokenizer, has_adapter, max_length, dtype = "fake", None, False, None, None

    def __init__(self, fingerprint: str = "f" * 16) -> None:
        self.fingerprint = fingerprint
        self.scored: list[str] = []
        self.sampled = 0

    def logprobs(self, prompts: Sequence, completions: Sequence[str], *, adapter: bool) -> list[Score]:
        assert not adapter
        self.scored += completions
        return [
            Score(len(c) / 10 if c != "long" else math.nan, len(c), 0.1, 2.0 * len(c)) for c in completions
        ]

    def sample(
        self, prompts: Sequence, k: int, sampling: Sampling, *, seeds: Sequence, adapter: bool
    ) -> list[list[Sample]]:
        assert not adapter and sampling.temperature == 1.0
        self.sampled += len(prompts) * k
        return [[Sample("ab", [1, 2], [-0.5, -1.5], "stop")] * k for _ in prompts]
