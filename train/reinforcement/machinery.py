"""What this room needs of an engine, as plain callables: `pipelines.wiring.reinforcement` makes them of `agent`'s.

`train` imports nothing of `agent`, and yet draws and scores with the same code as the rewriting agent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
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


class Fit(Protocol):
    """Answers of a forward pass that fit into memory. Raises UsageError where one does not."""

    def __call__(self, config: Any, model: Any, longest_prompt: int, checkpoints: Path) -> int: ...


@dataclass(frozen=True, slots=True)
class Machinery:
    """Sampling and scoring of a loaded model."""

    draw: Draw
    trainer: Callable[[type], Any]
    """TRL's trainer class -> the same with prompts computed once; it takes `on_advantages` and `eos_ids` besides."""
    attention: Callable[[Any], AbstractContextManager[Any]]
    """Attention kernels for the model while it learns."""
    fit: Fit
