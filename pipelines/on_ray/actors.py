"""What an actor of the cluster is: an engine, what it does with a batch, and the gate beside it.

An actor knows no files of the run: it is handed a window of rows and which of them form its batch, and gives the
finished table back. One thread has the engine, and while the gate has one batch the engine has the next, as elsewhere.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from recast.agent.batches.gating import Gate, GateProcess, Inline, asks_models
from recast.agent.batches.job import MakeTable
from recast.agent.batches.parts import Batch, Window
from recast.agent.batches.pipeline import Steps, pipelined
from recast.agent.engines.protocol import Engine, Inspectable

Lost = Mapping[int, str]
"""Rows by input position that are not to be worked at, with what stands for their error."""
StepsOf = Callable[[Engine], Callable[[Window, Batch, Lost], Steps[MakeTable]]]
"""What a job does with a batch, given an engine."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the driver must know of an engine that it does not have."""

    name: str
    has_adapter: bool
    max_length: int | None
    dtype: str | None
    fingerprint: str
    inspectable: bool
    tokenizer: Any


class EngineActor:
    """Made on a node of the cluster; `open` first."""

    def open(self, opened: Callable[[], Engine]) -> Facts:
        """Load the engine, with the agent's adapter proved to be on. Raises what `opened` raises."""
        self.engine = engine = opened()
        return Facts(
            engine.name,
            engine.has_adapter,
            engine.max_length,
            engine.dtype,
            engine.fingerprint,
            isinstance(engine, Inspectable),
            engine.tokenizer,
        )

    def begin(self, steps: StepsOf, gate: Gate) -> None:
        """Take the job. Batches may be asked for from now on, two at a time."""
        self._steps = steps(self.engine)
        self._verifier = Inline(gate) if asks_models(gate) else GateProcess(gate)
        self._asked: queue.SimpleQueue[tuple[Window, Batch, Lost, Future[MakeTable]]] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="engine", daemon=True).start()

    def make(self, window: Window, batch: Batch, lost: Lost) -> pa.Table:
        """The part of a batch. Raises what the engine raises where it fails on everything."""
        answer: Future[MakeTable] = Future()
        self._asked.put((window, batch, lost, answer))
        return answer.result()()

    def gate_seconds(self) -> float:
        return self._verifier.seconds

    def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """A method of the engine, for the few questions of the driver."""
        return getattr(self.engine, method)(*args, **kwargs)

    def _work(self) -> None:
        under_way: list[Future[MakeTable]] = []

        def one(asked: tuple[Window, Batch, Lost, Future[MakeTable]]) -> Steps[None]:
            window, batch, lost, answer = asked
            under_way.append(answer)
            answer.set_result((yield from self._steps(window, batch, lost)))
            under_way.remove(answer)

        def waiting(first: tuple[Window, Batch, Lost, Future[MakeTable]]) -> Iterator[Steps[None]]:
            yield one(first)
            while (
                True
            ):  # to the end of what is asked now: a batch that waits for its gate must not wait for another
                try:
                    yield one(self._asked.get_nowait())
                except queue.Empty:
                    return

        while True:
            try:
                for _ in pipelined(waiting(self._asked.get()), self._verifier):
                    pass
            except Exception as error:
                for answer in under_way:
                    answer.set_exception(error)
                under_way.clear()
