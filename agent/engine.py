"""The engine protocol: where samples and log-probabilities come from.

An engine holds a frozen backbone and, optionally, one adapter. `sample` draws completions, `logprobs`
scores given completions. Prompts are message lists; engines render them with the model's own chat
template through `curate.chat`, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from curate.records import Messages


@dataclass(frozen=True, slots=True)
class Sampling:
    """How completions are drawn. `temperature` 0 is greedy."""

    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 512


@dataclass(frozen=True, slots=True)
class Sample:
    """One completion. `token_ids` and `logprobs` (nats) include the end-of-turn token when it was drawn."""

    text: str
    token_ids: list[int]
    logprobs: list[float]
    finish_reason: str  # "stop" or "length"


@dataclass(frozen=True, slots=True)
class Score:
    """Likelihood of a completion and its end of turn under a prompt.

    `nll` is the mean of -log p per token (nats), `entropy` the mean of the model's entropy at the same
    positions, `excess` the sum over tokens of (-log p - entropy): 0 in expectation on own samples.
    """

    nll: float
    num_tokens: int
    entropy: float
    excess: float


@runtime_checkable
class Engine(Protocol):
    """What the agent needs of a model."""

    name: str  # "hf", "vllm", "http"

    @property
    def fingerprint(self) -> str:
        """Identity of backbone weights and dtype (16 hex digits), without the adapter."""
        ...

    def sample(
        self,
        prompts: Sequence[Messages],
        k: int,
        sampling: Sampling,
        *,
        seeds: Sequence[Sequence[int]],
        adapter: bool,
    ) -> list[list[Sample]]:
        """Draw `k` completions a prompt. `seeds[i][j]` seeds sample j of prompt i. With or without the adapter."""
        ...

    def logprobs(
        self, prompts: Sequence[Messages], completions: Sequence[str], *, adapter: bool
    ) -> list[Score]:
        """Score `completions[i]` under `prompts[i]`."""
        ...
