"""One learning run in several processes, a GPU each: who writes, who waits, what all of them need to know.

Started by `accelerate launch` or `torchrun`; alone, everything here does nothing. Every process samples, gates and
scores its own prompts, and the figures are those of all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import gather_object


class Processes:
    """The processes of this run."""

    def __init__(self) -> None:
        self._state = PartialState(cpu=not torch.cuda.is_available())
        self.rank, self.count = self._state.process_index, self._state.num_processes

    @property
    def first(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def gathered(self, mine: Sequence[Any]) -> list[Any]:
        """The items of all processes, in the order of the processes."""
        return list(mine) if self.count == 1 else gather_object(list(mine))

    @contextmanager
    def first_alone(self) -> Iterator[None]:
        """The first process runs the body before the others."""
        if not self.first:
            self._state.wait_for_everyone()
        yield
        if self.first:
            self._state.wait_for_everyone()

    def wait(self) -> None:
        """Wait until all processes are here."""
        self._state.wait_for_everyone()
