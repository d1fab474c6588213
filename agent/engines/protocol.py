"""The engine protocol: where samples and log-probabilities come from.

An engine holds a frozen backbone and, optionally, one adapter. `sample` draws completions, `logprobs`
scores given completions. Prompts are message lists; every engine renders and tokenises them here, with the
model's own chat template (`agent.engines.tokens`), and its model sees token ids: no second template, no second
tokenisation. `agent.engines.factory` opens one by its name.

What only some engines can do is a protocol of its own, of one member, that `isinstance` asks for: `Inspectable` (hf),
`ContinuesTokens` (hf, vllm, http), `MixesContexts` (hf), `KeepsAnswers` (http).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from recast.curate.records import Messages

STOP, LENGTH, PROMPT_TOO_LONG = "stop", "length", "prompt_too_long"


@dataclass(frozen=True, slots=True)
class Sampling:
    """How completions are drawn. `temperature` 0 is greedy."""

    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 512


@dataclass(frozen=True, slots=True)
class Mixing:
    """How two contexts of one model speak as one: tokens are drawn of p^(1 - l) q^l, normalised.

    p is the first context's distribution, q the second's, l = clip(strength * H(p) / log V, 0, 1) with p's entropy H
    and V tokens. Once `until` is found in the text so far, l is 1.
    """

    strength: float
    until: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Sample:
    """One completion. `token_ids` and `logprobs` (nats) include the end-of-turn token when it was drawn.

    Log-probabilities are those of the untempered model. `finish_reason` is `STOP` (end of turn), `LENGTH` (cut
    off) or `PROMPT_TOO_LONG`: the prompt left no room in the model, and nothing was drawn.
    """

    text: str
    token_ids: list[int]
    logprobs: list[float]
    finish_reason: str


@dataclass(frozen=True, slots=True)
class Score:
    """Likelihood of a completion and its end of turn under a prompt.

    `nll` is the mean of -log p per token (nats), `entropy` the mean of the model's entropy at the same
    positions, `excess` the sum over tokens of (-log p - entropy) at the temperature asked for (1 unless said): 0 in
    expectation on samples drawn at that temperature. `nll` is NaN where prompt and completion are longer than the
    model; the other two also from engines that show no whole distributions (all but `hf`).
    """

    nll: float
    num_tokens: int
    entropy: float
    excess: float


@runtime_checkable
class Engine(Protocol):
    """What the agent needs of a model."""

    name: str  # "hf", "vllm", "http"
    tokenizer: Any

    @property
    def has_adapter(self) -> bool:
        """Whether an adapter sits on the backbone."""
        ...

    @property
    def max_length(self) -> int | None:
        """Most tokens of prompt and completion together, None where nothing says."""
        ...

    @property
    def dtype(self) -> str | None:
        """What it computes in, such as "bfloat16"; None where it cannot tell."""
        ...

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
        """Draw `k` completions a prompt. `seeds[i][j]` seeds sample j of prompt i. With or without the adapter.

        Raises ModelError where the adapter is asked of an engine that has none.
        """
        ...

    def logprobs(
        self, prompts: Sequence[Messages], completions: Sequence[str], *, adapter: bool
    ) -> list[Score]:
        """Score `completions[i]` under `prompts[i]`."""
        ...


@runtime_checkable
class Inspectable(Protocol):
    """An engine that has the model itself: it tells entropies, and shows hidden states."""

    def score(
        self,
        prompts: Sequence[Messages],
        completions: Sequence[str],
        *,
        adapter: bool,
        embed: bool = False,
        temperature: float = 1.0,
    ) -> tuple[list[Score], np.ndarray | None]:
        """`Engine.logprobs` with entropies; with `embed` the mean last hidden state of each completion, (N, D).

        `excess` is that of the distribution at `temperature`; `nll` and `entropy` are the model's own whatever it is.
        """
        ...


@runtime_checkable
class ContinuesTokens(Protocol):
    """An engine that continues token ids, whatever they say: half a user turn, for one."""

    def sample_ids(
        self,
        prompts: Sequence[Sequence[int]],
        k: int,
        sampling: Sampling,
        *,
        seeds: Sequence[Sequence[int]],
        adapter: bool,
    ) -> list[list[Sample]]:
        """`Engine.sample` for prompts that are token ids already."""
        ...


@runtime_checkable
class MixesContexts(Protocol):
    """An engine that can draw from two contexts at once."""

    def sample_mixed(
        self,
        prompts: Sequence[tuple[Messages, Messages]],
        k: int,
        sampling: Sampling,
        *,
        mixing: Mixing,
        seeds: Sequence[Sequence[int]],
        adapter: bool,
    ) -> list[list[Sample]]:
        """`Engine.sample` where each prompt is two. Log-probabilities are those of the mixture."""
        ...


@runtime_checkable
class KeepsAnswers(Protocol):
    """An engine that does not ask twice for what it was answered once."""

    @property
    def uncached(self) -> Engine:
        """The same engine, asked past what it keeps."""
        ...


def uncached(engine: Engine) -> Engine:
    """The engine past whatever keeps its answers: for a question about what it is now, not what it once said."""
    return engine.uncached if isinstance(engine, KeepsAnswers) else engine
