"""One function over a stream of items in worker processes: results in order, little in memory, nothing left behind.

Workers are fresh interpreters, so `function` must be importable by name. They end when their parent does, however it
ends: the workers of a plain pool hold both ends of its pipes and would wait for ever after kill -9.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from recast.curate.errors import RecastError

AHEAD = 2
"""Items that may wait or be at work for each worker."""

Item = TypeVar("Item")
Made = TypeVar("Made")


class WorkerDiedError(RecastError):
    """A worker process ended in the midst of its work."""


def in_order(function: Callable[[Item], Made], items: Iterable[Item], *, workers: int = 1) -> Iterator[Made]:
    """Yield `function(item)` for every item, in order. With one worker everything happens in this process."""
    if workers <= 1:
        yield from map(function, items)
        return
    waiting: deque[Future[Made]] = deque()
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_begin) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= AHEAD * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as broken:
            raise WorkerDiedError(
                "a worker process died, perhaps killed for want of memory. What is finished stands: run the same "
                "command again, with fewer --workers if memory is short."
            ) from broken
        finally:
            for future in waiting:
                future.cancel()


def default_workers() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
