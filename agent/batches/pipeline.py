"""Batches of work that take turns: while one waits for the gate, the next one has the engine.

A batch is a generator that yields gate jobs and is sent their verdicts (`Steps`); between two yields it uses the
engine. `pipelined` keeps a few of them going. Each batch makes the same calls whatever the others do, so its
outcome does not depend on the overlap.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future
from typing import TypeVar

from recast.agent.batches.gating import GateJob, Verifier
from recast.curate.records import Verdict

T = TypeVar("T")
Steps = Generator[GateJob, list[Verdict], T]


def pipelined(tasks: Iterable[Steps[T]], verifier: Verifier, *, depth: int = 2) -> Iterator[T]:
    """Run `tasks`, started in order, at most `depth` at a time; yield outcomes as they come.

    What a task raises rises from here; those that were started with it are dropped.
    """
    waiting: deque[tuple[Steps[T], Future[list[Verdict]]]] = deque()
    unstarted = iter(tasks)
    while True:
        task, answer = None, None
        if len(waiting) < depth:
            task = next(unstarted, None)
        if task is None:
            if not waiting:
                return
            task, future = waiting.popleft()
            answer = future.result()
        try:
            job = next(task) if answer is None else task.send(answer)
        except StopIteration as done:
            yield done.value
        else:
            waiting.append((task, verifier.submit(job)))


def run(task: Steps[T], verifier: Verifier) -> T:
    """Run one task to its end."""
    (outcome,) = pipelined([task], verifier)
    return outcome
