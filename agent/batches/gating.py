"""Verification beside generation: the gate in a process of its own, and isolation of what it cannot bear.

`verdicts` asks a gate about many texts; a text on which it raises is `unverifiable` (reason `error`). `GateProcess`
does the same in a child process, so that on two cores the gate costs the engine nothing. A text that kills the
child is `unverifiable` (`error`), one that keeps it busy beyond a limit `unverifiable` (`timeout`); the others of its
request are asked again. The child ends when its parent does, however that ends.

    with GateProcess(gate) as verifier:
        future = verifier.submit(GateJob(rows, texts, reasons))
"""

from __future__ import annotations

import json
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, Protocol, runtime_checkable

from recast.agent.batches.isolation import ERROR
from recast.curate.records import Verdict, VerdictStatus

TIMEOUT = "timeout"
START_S = 120.0
REQUEST_S, TEXT_S = 60.0, 60.0
"""Wall-clock seconds that a request, and each of its texts, may take; checks have tighter limits of their own."""


class Gate(Protocol):
    """What a job needs of `curate.gate.gate.Gate`."""

    @property
    def id(self) -> str: ...

    def verify_many(
        self,
        rows: Sequence[Mapping[str, Any]],
        completions: Sequence[str],
        finish_reasons: Sequence[str] | None = None,
    ) -> list[Verdict]: ...


@runtime_checkable
class NamesModels(Protocol):
    """A gate that says which models its checks ask."""

    @property
    def models(self) -> Mapping[str, Any]: ...


def asks_models(gate: Gate) -> bool:
    """Whether the gate must stay in the process in which its models are; it must where it does not say."""
    return not isinstance(gate, NamesModels) or bool(gate.models)


@dataclass(frozen=True, slots=True)
class GateJob:
    """Texts to verify: `texts[i]` as the completion of `rows[i]`."""

    rows: list[dict[str, Any]]
    texts: list[str]
    finish_reasons: list[str]

    def only(self, index: int) -> GateJob:
        return GateJob([self.rows[index]], [self.texts[index]], [self.finish_reasons[index]])


class Verifier(Protocol):
    """Who answers gate jobs. `seconds` adds up what the gate took."""

    seconds: float

    def submit(self, job: GateJob) -> Future[list[Verdict]]: ...


def unverifiable(reason: str) -> Verdict:
    return Verdict(VerdictStatus.UNVERIFIABLE, reason)


def verdicts(gate: Gate, job: GateJob) -> list[Verdict]:
    """Verdicts in order; equal texts of a row are verified once (a learned agent repeats itself)."""
    keys = [
        (row.get("row_id"), row.get("target"), text, reason)
        for row, text, reason in zip(job.rows, job.texts, job.finish_reasons, strict=True)
    ]
    first = {key: i for i, key in reversed(list(enumerate(keys)))}
    indices = sorted(first.values())
    try:
        found = gate.verify_many(*_columns(job, indices))
    except Exception:
        found = [_alone(gate, job, i) for i in indices]
    by_index = dict(zip(indices, found, strict=True))
    return [by_index[first[key]] for key in keys]


def _columns(job: GateJob, indices: Sequence[int]) -> tuple[list[dict[str, Any]], list[str], list[str]]:
    return (
        [job.rows[i] for i in indices],
        [job.texts[i] for i in indices],
        [job.finish_reasons[i] for i in indices],
    )


def _alone(gate: Gate, job: GateJob, index: int) -> Verdict:
    try:
        return gate.verify_many(*_columns(job, [index]))[0]
    except Exception:
        return unverifiable(ERROR)


class Inline:
    """The gate in this thread, at the moment it is asked: for gates that ask models, and for few rows."""

    def __init__(self, gate: Gate) -> None:
        self.gate, self.seconds = gate, 0.0

    def submit(self, job: GateJob) -> Future[list[Verdict]]:
        started = time.monotonic()
        done: Future[list[Verdict]] = Future()
        done.set_result(verdicts(self.gate, job))
        self.seconds += time.monotonic() - started
        return done


class GateProcess:
    """The gate in a child process, one request at a time in the order submitted."""

    def __init__(self, gate: Gate, *, request_s: float = REQUEST_S, text_s: float = TEXT_S) -> None:
        self._pickled, self.seconds = pickle.dumps(gate), 0.0
        self._request_s, self._text_s = request_s, text_s
        self._child: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None
        # pickling and waiting happen here, so that the engine's thread is never held up by the pipe
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="gate")
        self._started = self._thread.submit(self._start)

    def __enter__(self) -> GateProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(cancel_futures=True)
        self._stop()

    def submit(self, job: GateJob) -> Future[list[Verdict]]:
        return self._thread.submit(self._verify, job)

    def _verify(self, job: GateJob) -> list[Verdict]:
        self._started.result()  # what kept the child from starting rises with the first job
        started = time.monotonic()
        try:
            answer = self._ask(job)
            if not isinstance(answer, str):
                return answer
            if len(job.texts) == 1:
                return [unverifiable(answer)]
            alone = [self._ask(job.only(i)) for i in range(len(job.texts))]
            return [unverifiable(a) if isinstance(a, str) else a[0] for a in alone]
        finally:
            self.seconds += time.monotonic() - started

    def _ask(self, job: GateJob) -> list[Verdict] | str:
        """The child's verdicts, or why there are none: the child is another one afterwards."""
        if self._child is None or self._child.poll() is not None:
            self._start()
        assert self._pipe is not None
        failure = ERROR
        try:
            self._pipe.send(job)
            if self._pipe.poll(self._request_s + self._text_s * len(job.texts)):
                return self._pipe.recv()
            failure = TIMEOUT
        except (EOFError, OSError):
            pass
        self._stop()
        return failure

    def _start(self) -> None:
        self._pipe, theirs = Pipe()
        # a plain interpreter and not `multiprocessing.Process`, which would run the caller's script once more
        self._child = subprocess.Popen(
            [sys.executable, "-c", _CHILD, str(theirs.fileno()), json.dumps(sys.path)],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
        )
        theirs.close()  # the child holds the only other end: it reads an end of file when we are gone
        try:
            self._pipe.send_bytes(self._pickled)
            ready = self._pipe.poll(START_S) and self._pipe.recv() == READY
        except (EOFError, OSError):
            ready = False
        if not ready:
            self._stop()
            raise RuntimeError(
                "the gate's process did not start; what it said stands above. A gate that another process cannot "
                "import works with beside=False."
            )

    def _stop(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
        if self._child is not None:
            self._child.kill()
            self._child.wait()
        self._child = self._pipe = None


_CHILD = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); from recast.agent.batches.gating import serve; "
    "serve(int(sys.argv[1]))"
)
READY = "ready"


def serve(fd: int) -> None:
    """The child: a gate first, then one job in, its verdicts out, until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    pipe = Connection(fd)
    gate = pickle.loads(pipe.recv_bytes())  # our own parent's object, over a pipe that nobody else holds
    pipe.send(READY)
    while True:
        try:
            job = pipe.recv()
        except (EOFError, OSError):
            return
        pipe.send(verdicts(gate, job))
