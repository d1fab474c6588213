"""Chunks of rows judged by a gate on a cluster: one task a chunk, their verdicts in order.

    with Cluster("auto") as cluster:
        audit(snapshot, gate, folder, judge=partial(judged, gate, cluster))

A chunk whose process died is judged again; one over which two died, in halves, down to the row over which two die:
that row is unverifiable (`check_error`), as one on which a check raises.
"""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from recast.curate.gate.gate import Gate, Job
from recast.curate.records import Verdict, VerdictStatus

if TYPE_CHECKING:
    from recast.pipelines.on_ray.cluster import Cluster

AHEAD = 2
"""Chunks that may wait or be at work for each process."""
DEATHS = 2
"""Processes that may die over a chunk before it is judged in halves."""


def judged(gate: Gate, cluster: Cluster, chunks: Iterable[Sequence[Job]]) -> Iterator[list[Verdict]]:
    """`Gate.verify_chunks` on a cluster that this process is connected to. A gate that asks models has a GPU for each
    process, where there are some."""
    import ray

    on_gpu = bool(gate.models) and cluster.on_gpus
    room = {"num_gpus": 1} if on_gpu else {"num_cpus": 1}
    task = ray.remote(_verdicts).options(**room, max_retries=DEATHS - 1)
    pickled = ray.put(pickle.dumps(gate))  # ours, for processes of ours
    waiting: deque[tuple[Sequence[Job], Any]] = deque()
    for chunk in chunks:
        waiting.append((chunk, task.remote(pickled, chunk)))
        if len(waiting) >= AHEAD * cluster.most(on_gpus=on_gpu):
            yield _answer(task, pickled, *waiting.popleft())
    while waiting:
        yield _answer(task, pickled, *waiting.popleft())


def _answer(task: Any, pickled: Any, chunk: Sequence[Job], reference: Any) -> list[Verdict]:
    import ray
    from ray.exceptions import RayTaskError, WorkerCrashedError

    try:
        return ray.get(reference)
    except RayTaskError as failure:
        raise failure.cause from None
    except WorkerCrashedError:
        if len(chunk) == 1:
            return [Verdict(VerdictStatus.UNVERIFIABLE, "check_error")]
        middle = len(chunk) // 2
        halves = [(half, task.remote(pickled, half)) for half in (chunk[:middle], chunk[middle:])]
        return [verdict for half in halves for verdict in _answer(task, pickled, *half)]


def _verdicts(pickled: bytes, chunk: Sequence[Job]) -> list[Verdict]:
    return _opened(pickled).verify_chunk(chunk)


@lru_cache(maxsize=1)
def _opened(pickled: bytes) -> Gate:
    """Once for all chunks of a process: its models are loaded when they are first asked."""
    return pickle.loads(pickled)
