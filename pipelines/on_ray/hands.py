"""Batches given to actors, and what becomes of those whose actor dies.

A dead actor's batches are made again by others. One over which two actors died is tried in halves, each alone on an
actor and its outcome thrown away, down to the rows over which an actor dies twice while they are alone: those become
rows of the error that says so, and the batch is made whole without them. So a part is always one of the plan's.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from recast.agent.batches.gating import Gate
from recast.agent.batches.job import MakeTable
from recast.agent.batches.parts import Batch, Window
from recast.curate.errors import RecastError
from recast.pipelines.on_ray.actors import StepsOf

DEATHS = 2
"""Actors that die over a batch, or over a row that is alone, before it is suspected."""
AT_ONCE = 2
"""Batches given to an actor: one for its engine, one for its gate."""
LOOK_EVERY_S = 1.0
GROW_EVERY_S = 10.0
LOST = "ProcessDiedError: the process that worked on this row alone died, {} times."


class ActorsDieError(RecastError):
    """Actors die for no row's sake."""


@dataclass(slots=True)
class Case:
    """One batch, and what has happened to it."""

    window: Any  # a reference to it, which the cluster keeps
    batch: Batch
    deaths: int = 0
    row_deaths: Counter[int] = field(default_factory=Counter)
    lost: dict[int, str] = field(default_factory=dict)
    suspects: list[tuple[int, ...]] = field(default_factory=list)
    known: int = 0  # lost rows when it was last tried in halves
    cleared: bool = False  # tried in halves, and no further row was found


@dataclass(slots=True)
class Errand:
    """What an actor is asked: a batch whole, or some of its rows to see whether it lives."""

    case: Case
    rows: tuple[int, ...] | None = None

    @property
    def alone(self) -> bool:
        return self.rows is not None or self.case.deaths >= DEATHS


@dataclass(slots=True)
class Member:
    """One actor as the driver sees it."""

    handle: Any
    opening: Any  # reference to its facts; None once it is at work
    errands: dict[Any, Errand] = field(default_factory=dict)

    def takes(self, errand: Errand) -> bool:
        if errand.alone:
            return not self.errands
        return len(self.errands) < AT_ONCE and not any(e.alone for e in self.errands.values())


class Actors:
    """`agent.batches.job.Hands` on a cluster: `make` starts an actor, `most` says how many there may be now."""

    def __init__(
        self,
        make: Callable[[], Member],
        first: Member,
        most: Callable[[], int],
        steps: StepsOf,
        gate: Gate,
    ) -> None:
        self.seconds = {"gate": 0.0}
        self._make, self._most = make, most
        self._members = [first]
        self._steps, self._gate = ray.put(steps), ray.put(gate)
        self._again: deque[Errand] = deque()
        self._grown = -GROW_EVERY_S
        self._stillborn = 0

    def __enter__(self) -> Actors:
        return self

    def __exit__(self, *_: object) -> None:
        for member in self._members:
            if member.opening is None:
                with contextlib.suppress(RayError):  # it died, or has not ended: one figure less
                    spent: Any = ray.get(member.handle.gate_seconds.remote(), timeout=LOOK_EVERY_S)
                    self.seconds["gate"] += spent
            ray.kill(member.handle)

    def made(self, wanted: Iterator[tuple[Window, Batch]]) -> Iterator[tuple[Batch, MakeTable]]:
        errands = self._errands(wanted)
        held = next(errands, None)  # the next one that somebody is to take
        while held is not None or any(member.errands for member in self._members):
            self._grow()
            for member in self._members:
                while held is not None and member.opening is None and member.takes(held):
                    self._send(member, held)
                    held = self._next(errands)
            yield from self._answers()
            held = held or self._next(errands)

    def _next(self, errands: Iterator[Errand]) -> Errand | None:
        return self._again.popleft() if self._again else next(errands, None)

    def _errands(self, wanted: Iterator[tuple[Window, Batch]]) -> Iterator[Errand]:
        known: tuple[int, Any] = (-1, None)
        for window, batch in wanted:
            if window.start != known[0]:
                known = window.start, ray.put(window)  # once, for all its batches
            yield Errand(Case(known[1], batch))

    def _send(self, member: Member, errand: Errand) -> None:
        case = errand.case
        batch = case.batch if errand.rows is None else (case.batch[0], errand.rows)
        member.errands[member.handle.make.remote(case.window, batch, case.lost)] = errand

    def _answers(self) -> Iterator[tuple[Batch, MakeTable]]:
        """What has come back within a moment."""
        by_reference = {ref: member for member in self._members for ref in member.errands}
        by_reference |= {m.opening: m for m in self._members if m.opening is not None}
        ready, _ = ray.wait(list(by_reference), num_returns=1, timeout=LOOK_EVERY_S)
        for reference in ready:
            member = by_reference[reference]
            try:
                answer = ray.get(reference)
                if reference == member.opening:
                    self._begin(member)
                    continue
            except RayTaskError as failure:
                raise failure.cause from None
            except RayActorError:
                self._died(member)
                continue
            errand = member.errands.pop(reference)
            if errand.rows is None:
                yield errand.case.batch, partial(_given, answer)
            else:
                self._go_on(errand.case)

    def _begin(self, member: Member) -> None:
        member.opening, self._stillborn = None, 0
        ray.get(member.handle.begin.remote(self._steps, self._gate))

    def _grow(self) -> None:
        """As many actors as there is room for: another one where one died, or where a node has come."""
        if time.monotonic() - self._grown < GROW_EVERY_S and self._members:
            return
        self._grown = time.monotonic()
        for _ in range(self._most() - len(self._members)):
            self._members.append(self._make())

    def _died(self, member: Member) -> None:
        self._members.remove(member)
        self._grown = -GROW_EVERY_S
        if member.opening is not None:
            self._stillborn += 1
            if self._stillborn > DEATHS:
                raise ActorsDieError(
                    f"{self._stillborn} actors died one after another before they had an engine. Most likely there "
                    "is no room for the model: see the cluster's logs, or start fewer with --workers."
                )
        for errand in member.errands.values():
            case = errand.case
            if errand.rows is None:
                case.deaths += 1
                if case.deaths < DEATHS:
                    self._again.append(errand)
                elif case.cleared:
                    raise ActorsDieError(
                        f"actors die over batch {case.batch[0]}, though over none of its rows alone. Most likely it is "
                        "too large for their memory: make batches smaller (rewrite.batch_rows, --batch-size)."
                    )
                else:
                    case.suspects = [tuple(row for row in case.batch[1] if row not in case.lost)]
                    self._go_on(case)
            else:
                self._suspect(case, errand.rows)
                self._go_on(case)

    def _suspect(self, case: Case, rows: tuple[int, ...]) -> None:
        """An actor died over these rows."""
        row, *more = rows
        if more:
            case.suspects += [rows[: len(rows) // 2], rows[len(rows) // 2 :]]
            return
        case.row_deaths[row] += 1
        if case.row_deaths[row] < DEATHS:
            case.suspects.append(rows)  # it may have been chance
        else:
            case.lost[row] = LOST.format(DEATHS)

    def _go_on(self, case: Case) -> None:
        """The next half of a batch under suspicion, or the batch itself once there is none."""
        if case.suspects:
            self._again.append(Errand(case, case.suspects.pop()))
            return
        case.cleared, case.known, case.deaths = len(case.lost) == case.known, len(case.lost), 0
        self._again.append(Errand(case))


def _given(table: Any) -> Any:
    return table
