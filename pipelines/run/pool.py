"""Worker processes that live for a whole run and take one stage after another.

A worker is `python -m pipelines.run.worker FD`, a fresh interpreter connected by a socket: nothing of the
parent is inherited, so threads are limited before torch is imported, and a caller needs no
`if __name__ == "__main__"`. What libraries print goes to a log file. Workers die with their parent.
"""

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

STOP_S = 5.0


@dataclass(frozen=True, slots=True)
class Task:
    """One stage, ready to run."""

    name: str
    verb: str
    args: dict[str, Any]
    store: str
    config: dict[str, Any]
    patience_s: float = math.inf  # two stages of one file may ask for the same job


@dataclass(frozen=True, slots=True)
class Failure:
    """How a stage failed: the exit code that its error asks for, and what to say."""

    exit_code: int
    message: str
    died: bool = False  # of the process, not of the stage


class Pool:
    """`count` workers. Use as a context manager: leaving it stops them."""

    def __init__(
        self,
        count: int,
        logs: Path,
        *,
        warm: bool = True,
        devices: Sequence[str] = ("",),
        name: str = "worker",
    ) -> None:
        """`warm`: workers that wait for their first stage import torch and its kin meanwhile. `devices`: what each
        may see of the GPUs, by turns, as CUDA_VISIBLE_DEVICES has it (empty: as this process). `name` is of the logs.
        """
        self.count, self.logs, self.warm, self.devices, self.name = count, logs, warm, devices, name
        self._workers: list[_Worker] = []

    def __enter__(self) -> Pool:
        self.logs.mkdir(parents=True, exist_ok=True)
        self._workers = [self._worker(i) for i in range(self.count)]
        return self

    def __exit__(self, *_: Any) -> None:
        # not gently: an idle worker has nothing to lose, and a busy one is as safe as under kill -9
        for worker in self._workers:
            worker.connection.close()
            worker.process.terminate()
        for worker in self._workers:
            worker.wait()

    def _worker(self, index: int) -> _Worker:
        # cores are shared out, unless the user or the Makefile has said otherwise
        threads, log = max(1, (os.cpu_count() or 1) // self.count), self.logs / f"{self.name}-{index}.log"
        return _Worker(index, threads, log, self.warm, self.devices[index % len(self.devices)])

    @property
    def idle(self) -> int:
        return sum(worker.task is None for worker in self._workers)

    @property
    def busy(self) -> list[str]:
        """Names of the running stages."""
        return [worker.task.name for worker in self._workers if worker.task]

    def start(self, task: Task) -> None:
        # the idle worker that has worked most: it has imported most
        worker = max((w for w in self._workers if w.task is None), key=lambda w: w.num_tasks)
        worker.start(task)

    def messages(self, timeout_s: float) -> Iterator[tuple[str, Any]]:
        """Yield (stage, message): a progress mapping, a Failure, or (result, seconds, found, folder)."""
        by_connection = {worker.connection: worker for worker in self._workers if worker.task}
        for ready in wait(list(by_connection), timeout_s):
            worker = by_connection[ready]  # type: ignore[index]
            assert worker.task is not None
            name = worker.task.name
            try:
                kind, payload = worker.connection.recv()
            except (EOFError, OSError):
                failure = Failure(1, f"its process died ({worker.death()}). See {worker.log}.", died=True)
                self._workers[self._workers.index(worker)] = self._worker(worker.index)
                yield name, failure
                continue
            if kind == "progress":
                yield name, payload
                continue
            worker.task = None
            yield name, Failure(*payload) if kind == "failed" else payload


class _Worker:
    def __init__(self, index: int, threads: int, log: Path, warm: bool, devices: str) -> None:
        self.index, self.log = index, log
        self.task: Task | None = None
        self.num_tasks = 0
        ours, theirs = socket.socketpair()
        root = str(Path(__file__).parents[3])
        env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}
        env.setdefault("OMP_NUM_THREADS", str(threads))
        if devices:
            env["CUDA_VISIBLE_DEVICES"] = devices
        with theirs, self.log.open("ab") as said:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",  # a user's own train.py or datasets/ in the working folder is not ours to import
                    "-m",
                    "recast.pipelines.run.worker",
                    str(theirs.fileno()),
                    str(os.getpid()),
                    *(["--warm"] if warm else []),
                ],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env=env,
                start_new_session=True,  # Ctrl-C is the parent's to handle
            )
        self.connection = Connection(ours.detach())

    def start(self, task: Task) -> None:
        self.task = task
        self.num_tasks += 1
        self.connection.send(task)

    def death(self) -> str:
        code = self.process.wait(STOP_S)
        if code == -signal.SIGKILL:
            return "killed, perhaps for want of memory: fewer --jobs or a smaller batch need less"
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def wait(self) -> None:
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
