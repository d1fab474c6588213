"""The run of a job over stored batches: what is missing is worked in turns and written beside the work.

Shared by rewriting, augmenting and rehearsing, which differ in what they do with a batch
(`agent.batches.pipeline.Steps`) and in what they count. A job stops between batches when its budget is used up; what
stands, stands.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Protocol

import pyarrow as pa

from recast.agent.batches.gating import Gate, GateProcess, Inline, asks_models
from recast.agent.batches.parts import Batch, Parts, Window, windows
from recast.agent.batches.pipeline import Steps, pipelined
from recast.agent.batches.source import Source
from recast.curate.errors import BudgetReached

Progress = Callable[[Mapping[str, Any]], None]
MakeTable = Callable[[], pa.Table]
"""Builds the part of a finished batch; called beside the engine's work."""

BESIDE_CANDIDATES = 512
"""From so many candidates on, the gate gets a process of its own: starting one takes a second."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Where a job stops, always between batches: the unit that a killed job does again, whatever its budget."""

    deadline: float | None = None
    """Of time.monotonic; the same call goes on."""
    max_candidates: int | None = None
    """Sampled by the job in all, earlier calls included; a larger one goes on."""


UNLIMITED = Budget()


class Finished(Protocol):
    """A dataclass that says what a job came to."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def run_dir(self) -> Path: ...


@dataclass(frozen=True, slots=True)
class Work:
    """What a job does."""

    steps: Callable[[Window, Batch], Steps[MakeTable]]
    count: Callable[[pa.Table], None]  # told of every part, once
    figures: Callable[[], dict[str, Any]]  # for progress
    candidates: Callable[[], int]  # sampled so far, by the parts counted
    most_candidates: int  # that one row can come to


class Job:
    """One call. `seconds`: what the gate took (beside the engine, or not), and writing."""

    def __init__(
        self,
        source: Source,
        parts: Parts,
        work: Work,
        gate: Gate,
        *,
        budget: Budget,
        progress: Progress | None,
        beside: bool | None,
    ) -> None:
        self.source, self.parts, self.work, self.gate = source, parts, work, gate
        self.budget, self.progress = budget, progress
        if beside is None:
            enough = parts.plan.num_rows * max(1, work.most_candidates) >= BESIDE_CANDIDATES
            beside = enough and not asks_models(gate)
        self.beside = beside
        self.seconds = {"gate": 0.0, "write": 0.0}
        self._started = time.monotonic()
        self.found = 0  # rows that earlier calls had finished
        self._done = 0
        self._under_way = 0  # most candidates that the batches at work can come to
        self._stopped = self._goes_on = ""
        self._pending: deque[tuple[Batch, Future[pa.Table]]] = deque()

    def run(self) -> None:
        """Make every batch that is missing. Raises BudgetReached, and what the engine raises."""
        with ExitStack() as stack:
            verifier = stack.enter_context(GateProcess(self.gate)) if self.beside else Inline(self.gate)
            writer = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="parts"))
            try:
                for batch, make in pipelined(self._missing(), verifier):
                    self._pending.append((batch, writer.submit(self._write, batch, make)))
                    self._collect(most_pending=1)
                self._collect(most_pending=0)
            finally:
                self.seconds["gate"] = verifier.seconds
        if self._stopped:
            raise BudgetReached(
                f"{self._stopped} after {self._done} of {self.parts.plan.num_rows} rows. They stand in "
                f"{self.parts.folder}; {self._goes_on} goes on from there."
            )

    def _missing(self) -> Iterator[Steps[tuple[Batch, MakeTable]]]:
        """The batches to be made; those that stand are counted."""
        for window in windows(self.source, self.parts.plan):
            for batch in window.batches:
                if self.parts.is_done(batch):
                    self.found += len(batch[1])
                    self._count(len(batch[1]), self.parts.read(batch))
                elif not self._stopped and not self._spent(self._most(batch)):
                    self._under_way += self._most(batch)
                    yield self._steps(window, batch)

    def _steps(self, window: Window, batch: Batch) -> Steps[tuple[Batch, MakeTable]]:
        make = yield from self.work.steps(window, batch)
        return batch, make

    def _most(self, batch: Batch) -> int:
        return len(batch[1]) * self.work.most_candidates

    def _spent(self, most: int) -> bool:
        """Whether the budget has no room for a batch of at most `most` candidates."""
        if self.budget.deadline is not None and time.monotonic() > self.budget.deadline:
            self._stopped, self._goes_on = "the time budget is used up", "the same command"
        limit = self.budget.max_candidates
        if limit is not None and self.work.candidates() + self._under_way + most > limit:
            self._stopped = f"the next batch may need {most} candidates, more than is left of {limit},"
            self._goes_on = "the same command with a larger --max-candidates"
        return bool(self._stopped)

    def _write(self, batch: Batch, make: MakeTable) -> pa.Table:
        started = time.monotonic()
        table = make()
        self.parts.write(batch, table)
        self.seconds["write"] += time.monotonic() - started
        return table

    def _collect(self, most_pending: int) -> None:
        while self._pending and (len(self._pending) > most_pending or self._pending[0][1].done()):
            batch, future = self._pending.popleft()
            table = future.result()
            self._under_way -= self._most(batch)
            self._count(len(batch[1]), table)

    def _count(self, num_rows: int, table: pa.Table) -> None:
        self.work.count(table)
        self._done += num_rows
        if self.progress:
            seconds = time.monotonic() - self._started
            total = self.parts.plan.num_rows
            self.progress({"done": self._done, "total": total, **self.work.figures(), "seconds": seconds})


def figures(result: Finished) -> dict[str, Any]:
    """What a finished job came to, as plain data; fields with an underscore stream its rows and are left out."""
    shown = [f.name for f in fields(result) if not f.name.startswith("_")]
    return {name: getattr(result, name) for name in shown} | {"run_dir": str(result.run_dir)}
