"""What this room needs of an engine, as plain callables: `pipelines.wiring.reinforcement` makes them of `agent`'s.

`train` imports nothing of `agent`, and yet draws and scores with the same code as the rewriting agent.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from recast.train.model.drawing import Draw


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
