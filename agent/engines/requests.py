"""What engines do alike: render prompts, refuse those that leave no room, put answers back in the order asked.

`TokenEngine` makes `sample` and `sample_ids` (`agent.engines.protocol`) of an engine's own `draw`, which sees token ids
that fit. `score_as_prompts` scores by the log-probabilities of prompt tokens, for engines that show no whole
distributions.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from recast.agent.engines import tokens
from recast.agent.engines.protocol import PROMPT_TOO_LONG, Sample, Sampling, Score
from recast.curate.errors import ModelError
from recast.curate.records import Messages


@dataclass(frozen=True, slots=True)
class Request:
    """Completions asked for of one prompt that fits: its token ids, and a seed for each of them."""

    prompt: list[int]
    seeds: Sequence[int]
    beside: list[int] = field(default_factory=list)  # a second context, for an engine that mixes them


class TokenEngine(ABC):
    """An engine whose model sees token ids alone. Owns no weights and no connection."""

    tokenizer: Any

    @property
    @abstractmethod
    def max_length(self) -> int | None:
        """Most tokens of prompt and completion together, None where nothing says."""

    @abstractmethod
    def draw(self, requests: list[Request], sampling: Sampling, adapter: bool) -> list[list[Sample]]:
        """A sample for each seed of each request, at least one request. Raises ModelError for a missing adapter."""

    def sample(
        self,
        prompts: Sequence[Messages],
        k: int,
        sampling: Sampling,
        *,
        seeds: Sequence[Sequence[int]],
        adapter: bool,
    ) -> list[list[Sample]]:
        """Draw `k` completions a prompt (`agent.engines.protocol.Engine`)."""
        ids = tokens.prompt_ids(self.tokenizer, prompts)
        return self.sample_ids(ids, k, sampling, seeds=seeds, adapter=adapter)

    def sample_ids(
        self,
        prompts: Sequence[Sequence[int]],
        k: int,
        sampling: Sampling,
        *,
        seeds: Sequence[Sequence[int]],
        adapter: bool,
    ) -> list[list[Sample]]:
        """`sample` for prompts that are token ids already. Raises ValueError unless each has `k` seeds."""
        check_seeds(seeds, len(prompts), k)
        longest = self.max_length or math.inf
        fitting = [i for i, prompt in enumerate(prompts) if len(prompt) < longest]
        groups = [[Sample("", [], [], PROMPT_TOO_LONG)] * k for _ in prompts]
        if fitting:
            drawn = self.draw([Request(list(prompts[i]), seeds[i]) for i in fitting], sampling, adapter)
            for i, group in zip(fitting, drawn, strict=True):
                groups[i] = group
        return groups

    def room(self, request: Request, sampling: Sampling) -> int:
        """Most tokens that a completion of the request may have."""
        longest = self.max_length
        return (
            sampling.max_tokens
            if longest is None
            else min(sampling.max_tokens, longest - len(request.prompt))
        )


def check_seeds(seeds: Sequence[Sequence[int]], num_prompts: int, k: int) -> None:
    """Raise ValueError unless there is a seed for each of `k` samples of every prompt."""
    if len(seeds) != num_prompts or any(len(group) != k for group in seeds):
        found = sorted({len(group) for group in seeds})
        raise ValueError(f"seeds for {len(seeds)} prompts x {found}, expected {num_prompts} prompts x {k}")


def grouped(samples: Sequence[Sample], requests: Sequence[Request]) -> list[list[Sample]]:
    """Samples that lie one after another, as one group a request."""
    left = iter(samples)
    return [[next(left) for _ in request.seeds] for request in requests]


def no_adapter() -> ModelError:
    """What to raise where the adapter is asked of weights that have none."""
    return ModelError(
        "samples with the adapter were asked of a backbone that has none; load the engine with adapter=FOLDER, or "
        "ask with adapter=False for the backbone's own."
    )


PromptLogprobs = Callable[[list[tuple[list[int], list[int]]]], list[list[float]]]
"""For each pair of prompt and target ids, the log-probability (nats) of each target token."""


def score_as_prompts(
    engine: TokenEngine, prompts: Sequence[Messages], completions: Sequence[str], measure: PromptLogprobs
) -> list[Score]:
    """Scores of completions and their ends of turn by `measure`; NaN for what is longer than the model.

    Entropy and excess are NaN throughout. Such an engine draws at least one token, for which there must be room.
    """
    heads = tokens.prompt_ids(engine.tokenizer, prompts)
    targets = tokens.completion_ids(engine.tokenizer, completions)
    longest = engine.max_length or math.inf
    rows = [i for i, head in enumerate(heads) if len(head) + len(targets[i]) < longest]
    scores = [Score(math.nan, len(target), math.nan, math.nan) for target in targets]
    if rows:
        for i, found in zip(rows, measure([(heads[i], targets[i]) for i in rows]), strict=True):
            scores[i] = Score(-math.fsum(found) / len(found), len(found), math.nan, math.nan)
    return scores
