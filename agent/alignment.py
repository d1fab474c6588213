"""Alignment under the QA prompt: where a text lies between the backbone's own samples and the demonstration.

Scoring never sees the rewriting prompt (arXiv 2602.11220): the question alone, the real chat template, the
completion's tokens and its end of turn, the adapter off. This module measures and remembers the two anchors
of a prompt, its demonstration and the backbone's own samples; `agent.reward` turns them into a term.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from agent.engine import Engine, Sampling
from curate.chat import template_id
from curate.fingerprint import fingerprint, prompt_hash, seed_of
from curate.records import Messages


@dataclass(frozen=True, slots=True)
class Anchors:
    """Levels of one row in nats: per token for the NLLs, summed for the excess. NaN: too long to score."""

    nll_demonstration: float
    excess_demonstration: float
    nll_self: float

    def suffice(self, mode: str) -> bool:
        """Whether they hold what a reward mode needs."""
        needed = {"paper": (), "typical": (self.excess_demonstration,)}
        return all(map(math.isfinite, needed.get(mode, (self.nll_demonstration, self.nll_self))))


class AnchorCache:
    """Anchors of rows, measured once a prompt: keyed by prompt, demonstration, backbone, template, sampling.

    `own_samples` completions of the plain question are drawn at temperature 1, and their mean NLL is
    that of the tokens drawn: no second pass. With 0 of them `nll_self` stays NaN.
    """

    def __init__(
        self, engine: Engine, tokenizer: Any, *, own_samples: int = 2, max_tokens: int = 512, seed: int = 0
    ) -> None:
        self.engine, self.own_samples, self.seed = engine, own_samples, seed
        self.sampling = Sampling(temperature=1.0, top_p=1.0, max_tokens=max_tokens)
        self._context = [engine.fingerprint, template_id(tokenizer), own_samples, max_tokens, seed]
        self._known: dict[str, Anchors] = {}

    def of(self, rows: Sequence[Mapping[str, Any]]) -> list[Anchors]:
        """Anchors of `rows` (keys messages, demonstration), measuring those not yet known in one batch."""
        keys = [self._key(row) for row in rows]
        new = {key: row for key, row in zip(keys, rows, strict=True) if key not in self._known}
        if new:
            fresh = list(new.values())
            prompts = [row["messages"] for row in fresh]
            scores = self.engine.logprobs(prompts, [row["demonstration"] for row in fresh], adapter=False)
            own = self._own(prompts)
            for key, score, level in zip(new, scores, own, strict=True):
                self._known[key] = Anchors(score.nll, score.excess, level)
        return [self._known[key] for key in keys]

    def knows(self, row: Mapping[str, Any]) -> bool:
        """Whether the anchors of `row` have been measured."""
        return self._key(row) in self._known

    def state(self) -> dict[str, list[float | None]]:
        """What is known, as JSON; `restore` takes it back, so that a resumed run measures nothing twice."""
        return {
            key: [_finite(a.nll_demonstration), _finite(a.excess_demonstration), _finite(a.nll_self)]
            for key, a in self._known.items()
        }

    def restore(self, state: Mapping[str, Sequence[float | None]]) -> None:
        """Take back what `state` gave; entries of another backbone or template are never looked up."""
        for key, values in state.items():
            self._known[key] = Anchors(*(math.nan if v is None else float(v) for v in values))

    def _own(self, prompts: Sequence[Messages]) -> list[float]:
        if not self.own_samples:
            return [math.nan] * len(prompts)
        draws = range(self.own_samples)
        seeds = [[seed_of(self.seed, "own", prompt_hash(p), k) for k in draws] for p in prompts]
        groups = self.engine.sample(prompts, self.own_samples, self.sampling, seeds=seeds, adapter=False)
        return [
            -float(np.mean([np.mean(s.logprobs) for s in group if s.logprobs]))
            if any(s.logprobs for s in group)
            else math.nan
            for group in groups
        ]

    def _key(self, row: Mapping[str, Any]) -> str:
        return fingerprint([*self._context, prompt_hash(row["messages"]), row["demonstration"]])[:32]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
