"""The run of a job over stored batches: what is missing is worked in turns and written beside the work.

Common to rewriting, augmenting and rehearsing, which differ in what they do with a batch
(`agent.batches.pipeline.Steps`) and in what they count. A job stops between batches when its budget is used up; what
stands, stands. Several processes may share a job (`Sharing`): each makes the batches that it has a lease on, in no
order, and as no batch knows of another, the parts are those of one process.
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
from recast.curate.errors import BudgetReached, UsageError
from recast.curate.leases import Leases

Progress = Callable[[Mapping[str, Any]], None]
MakeTable = Callable[[], pa.Table]
"""Builds the part of a finished batch; called beside the engine's work."""

BESIDE_CANDIDATES = 512
"""From so many candidates on, the gate gets a process of its own: starting one takes a second."""
LOOK_EVERY_S = 0.5
"""How often a process that has nothing left to do looks whether the others have."""


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


@dataclass(frozen=True, slots=True)
class Sharing:
    """What a process needs that shares a job with others."""

    leases: Leases
    turn: Callable[[], None]
    """Waits until no other process ends the job; whoever has the turn counts the parts and goes on alone."""


class Hands(Protocol):
    """Who makes batches: this process (`Here`), or others that it asks. A context manager."""

    seconds: dict[str, float]

    def __enter__(self) -> Hands: ...
    def __exit__(self, *_: object) -> None: ...

    def made(self, wanted: Iterator[tuple[Window, Batch]]) -> Iterator[tuple[Batch, MakeTable]]:
        """Make what is `wanted`, in any order. What cannot be made raises."""
        ...


class Here:
    """Batches made in this process, the gate in one of its own if `beside`."""

    def __init__(self, steps: Callable[[Window, Batch], Steps[MakeTable]], gate: Gate, beside: bool) -> None:
        self._steps, self._gate, self._beside = steps, gate, beside
        self.seconds = {"gate": 0.0}

    def __enter__(self) -> Here:
        self._verifier = GateProcess(self._gate) if self._beside else Inline(self._gate)
        return self

    def __exit__(self, *raised: object) -> None:
        self.seconds["gate"] = self._verifier.seconds
        if isinstance(self._verifier, GateProcess):
            self._verifier.__exit__(*raised)

    def made(self, wanted: Iterator[tuple[Window, Batch]]) -> Iterator[tuple[Batch, MakeTable]]:
        yield from pipelined((self._one(window, batch) for window, batch in wanted), self._verifier)

    def _one(self, window: Window, batch: Batch) -> Steps[tuple[Batch, MakeTable]]:
        make = yield from self._steps(window, batch)
        return batch, make


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
        sharing: Sharing | None = None,
        hands: Hands | None = None,
    ) -> None:
        """`hands` None: made here. Raises UsageError for a budget that several processes cannot keep."""
        if sharing and budget.max_candidates is not None:
            raise UsageError(
                "--max-candidates counts the candidates of all processes, and of those that share a run none knows "
                "what the others draw. Leave it or --workers out."
            )
        self.source, self.parts, self.work = source, parts, work
        self.budget, self.progress, self.sharing = budget, progress, sharing
        if beside is None:
            enough = parts.plan.num_rows * max(1, work.most_candidates) >= BESIDE_CANDIDATES
            beside = enough and not asks_models(gate)
        self.hands = hands or Here(work.steps, gate, beside)
        self.seconds = {"gate": 0.0, "write": 0.0}
        self._started = time.monotonic()
        self.found = 0  # rows that earlier calls had finished, or others
        self._done = 0
        self._under_way = 0  # most candidates that the batches at work can come to
        self._stopped = self._goes_on = ""
        self._pending: deque[tuple[Batch, Future[pa.Table]]] = deque()
        self._elsewhere: dict[int, int] = {}  # batches that others hold, with their number of rows

    def run(self) -> None:
        """Make every batch that is missing. Raises BudgetReached, and what the engine raises.

        Of processes that share the job each returns when all is made, one at a time (`Sharing.turn`).
        """
        with ExitStack() as stack:
            hands = stack.enter_context(self.hands)
            writer = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="parts"))
            mine: frozenset[int] | None = None  # None: whatever is missing
            while mine is None or mine:
                for batch, make in hands.made(self._missing(mine)):
                    self._pending.append((batch, writer.submit(self._write, batch, make)))
                    self._collect(most_pending=1)
                self._collect(most_pending=0)
                mine = self._left_by_others()
        self.seconds |= hands.seconds
        if self._stopped:
            raise BudgetReached(
                f"{self._stopped} after {self._done} of {self.parts.plan.num_rows} rows. They stand in "
                f"{self.parts.folder}; {self._goes_on} goes on from there."
            )
        if self.sharing:
            self.sharing.turn()
            for window in windows(self.source, self.parts.plan):
                for batch in window.batches:
                    self.work.count(self.parts.read(batch))

    def _missing(self, mine: frozenset[int] | None) -> Iterator[tuple[Window, Batch]]:
        """The batches to be made; those that stand are counted."""
        wanted = (lambda indices: not mine.isdisjoint(indices)) if mine else (lambda _: True)
        for window in windows(self.source, self.parts.plan, wanted):
            for batch in window.batches:
                if mine is not None and batch[0] not in mine:
                    continue
                if self.parts.is_done(batch[0]):
                    if self.sharing:
                        self.sharing.leases.release(batch[0])
                    self.found += len(batch[1])
                    self._count(batch)
                elif not self._stopped and not self._spent(self._most(batch)):
                    if not self._claimed(batch[0]):
                        self._elsewhere[batch[0]] = len(batch[1])
                        continue
                    self._under_way += self._most(batch)
                    yield window, batch

    def _claimed(self, index: int) -> bool:
        """Whether the batch is this process's to make."""
        if not self.sharing:
            return True
        if not self.sharing.leases.claim(index):
            return False
        if self.parts.is_done(index):  # its holder was done between the two looks
            self.sharing.leases.release(index)
            return False
        return True

    def _left_by_others(self) -> frozenset[int]:
        """Wait for the batches that others hold. Those that fall to this process; none once all are done."""
        while self._elsewhere and not self._stopped and not self._spent(0):
            for index in [i for i in self._elsewhere if self.parts.is_done(i)]:
                rows = self._elsewhere.pop(index)
                self.found += rows
                self._done += rows
            mine = frozenset(i for i in self._elsewhere if self._claimed(i))
            if mine:
                for index in mine:
                    del self._elsewhere[index]
                return mine
            self._tell()
            time.sleep(LOOK_EVERY_S if self._elsewhere else 0)
        return frozenset()

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
        if self.sharing:
            self.sharing.leases.release(batch[0])
        self.seconds["write"] += time.monotonic() - started
        return table

    def _collect(self, most_pending: int) -> None:
        while self._pending and (len(self._pending) > most_pending or self._pending[0][1].done()):
            batch, future = self._pending.popleft()
            table = future.result()
            self._under_way -= self._most(batch)
            self._count(batch, table)

    def _count(self, batch: Batch, table: pa.Table | None = None) -> None:
        if not self.sharing:  # else all are counted at the end, from what stands
            self.work.count(self.parts.read(batch) if table is None else table)
        self._done += len(batch[1])
        self._tell()

    def _tell(self) -> None:
        if self.progress:
            seconds = time.monotonic() - self._started
            total, figures = self.parts.plan.num_rows, {} if self.sharing else self.work.figures()
            made = self._done - self.found
            self.progress({"done": self._done, "total": total, "made": made, **figures, "seconds": seconds})


def figures(result: Finished) -> dict[str, Any]:
    """What a finished job came to, as plain data; fields with an underscore stream its rows and are left out."""
    shown = [f.name for f in fields(result) if not f.name.startswith("_")]
    return {name: getattr(result, name) for name in shown} | {"run_dir": str(result.run_dir)}
