"""Answers of a loaded model, as plain callables: `pipelines.wiring.reinforcement` makes them of `agent`'s engine.

`train` imports nothing of `agent`, and yet draws with the same code as the rewriting agent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

LENGTH = "length"
"""Why an answer ended that was cut off."""


class Drawn(Protocol):
    """One answer. `token_ids` and `logprobs` (nats, untempered) include the end of turn where it was drawn."""

    @property
    def text(self) -> str: ...
    @property
    def token_ids(self) -> list[int]: ...
    @property
    def logprobs(self) -> list[float]: ...
    @property
    def finish_reason(self) -> str: ...


class Draw(Protocol):
    """Answers of `model` as it stands, its adapter on: `len(seeds[i])` of each of `prompts`, which are token ids."""

    def __call__(
        self,
        model: Any,
        tokenizer: Any,
        prompts: Sequence[Sequence[int]],
        *,
        seeds: Sequence[Sequence[int]],
        temperature: float,
        max_tokens: int,
        batch_size: int,
    ) -> Sequence[Sequence[Drawn]]: ...
