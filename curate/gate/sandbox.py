"""Untrusted Python in a process of its own: no network, no other process, no file but its own, and limits on all else.

`run` starts `sandbox_child.py`, which walls itself in (its docstring lists the walls) before it runs the program.
Where the kernel lacks a wall, nothing is run and `MissingDependencyError` says which; `unsafe=True` runs with
resource limits alone, which is for programs one would also run by hand. It cannot keep a program from deceiving a
test that runs in the same interpreter; what it does keep is everything outside.

>>> run("print(6 * 7)").stdout
'42\\n'
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from recast.curate.errors import MissingDependencyError

CHILD = Path(__file__).with_name("sandbox_child.py")
SETUP_FAILED = 97


class Limits(BaseModel):
    """What one program may use."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpu_s: int = Field(default=5, ge=1)
    """Processor seconds; the kernel kills beyond them, whatever the program catches."""
    wall_s: float = Field(default=20.0, gt=0)
    """Seconds by the clock, for programs that sleep."""
    memory_mb: int = Field(default=512, ge=64)
    """Address space in MiB."""
    file_mb: int = Field(default=16, ge=1)
    """All files together, in MiB; at most 1000 of them."""
    output_kb: int = Field(default=64, ge=1)
    """Standard output and error together, in KiB."""


class RunStatus(StrEnum):
    OK = "ok"  # ran to its end
    FAILED = "failed"  # raised, exited early, or was refused something
    TIMEOUT = "timeout"
    MEMORY = "memory"
    OUTPUT = "output"


@dataclass(frozen=True, slots=True)
class Run:
    """How a program ended. `message` is the last line of its error output."""

    status: RunStatus
    stdout: str
    stderr: str
    exit_code: int
    seconds: float

    @property
    def message(self) -> str:
        lines = self.stderr.strip().splitlines()
        return lines[-1] if lines else f"exit code {self.exit_code}"


@lru_cache(maxsize=1)
def missing_wall() -> str | None:
    """What this machine lacks to run untrusted code, or None."""
    if not sys.platform.startswith("linux"):
        return f"Linux (this is {sys.platform})"
    trial = _start("pass", Limits(), True)
    return trial.message if trial.exit_code == SETUP_FAILED else None


def run(program: str, limits: Limits | None = None, *, unsafe: bool = False) -> Run:
    """Run a program. Raises MissingDependencyError where a wall is missing and `unsafe` is not set."""
    walls = not unsafe
    if walls and (lacking := missing_wall()) is not None:
        raise MissingDependencyError(
            f"untrusted code needs user namespaces, Landlock and seccomp, and this machine says: {lacking}. "
            "Run on a kernel with them (5.13 or newer, unprivileged user namespaces on), or pass --unsafe-exec "
            "for code that you trust."
        )
    return _start(program, limits or Limits(), walls)


def run_many(
    programs: Iterable[str], limits: Limits | None = None, *, workers: int = 2, unsafe: bool = False
) -> list[Run]:
    """Run programs side by side, results in order."""
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(lambda program: run(program, limits, unsafe=unsafe), programs))


def _start(program: str, limits: Limits, walls: bool) -> Run:
    token = secrets.token_hex(16)
    result_read, result_write = os.pipe()
    start = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="recast-", ignore_cleanup_errors=True) as work:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-B", str(CHILD)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                env={"PYTHONHASHSEED": "0"}, pass_fds=(result_write,), start_new_session=True,
            )  # fmt: skip
            try:
                request = {
                    "program": program.encode("utf-8", "replace").decode(),
                    "token": token,
                    "work": work,
                    "walls": walls,
                    "result_fd": result_write,
                    "cpu_s": limits.cpu_s,
                    "memory_bytes": limits.memory_mb << 20,
                    "file_bytes": limits.file_mb << 20,
                }
                stdout, stderr, ended = _converse(process, json.dumps(request).encode(), limits)
            finally:
                _kill(process)
    finally:
        os.close(result_write)
        said = _drain(result_read, len(token))
        os.close(result_read)
    seconds = time.monotonic() - start
    code = process.returncode
    status = ended or _status(code, said == token.encode(), stderr)
    return Run(status, stdout.decode("utf-8", "replace"), stderr.decode("utf-8", "replace"), code, seconds)


def _drain(pipe: int, count: int) -> bytes:
    os.set_blocking(pipe, False)
    with contextlib.suppress(BlockingIOError):
        return os.read(pipe, count + 1)
    return b""


def _converse(
    process: subprocess.Popen[bytes], request: bytes, limits: Limits
) -> tuple[bytes, bytes, RunStatus | None]:
    """Send the request and read both outputs until the child ends or breaks a limit."""
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    deadline = time.monotonic() + limits.wall_s
    outputs = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray()}
    keys, inlet = tuple(outputs), process.stdin.fileno()
    left = limits.output_kb << 10
    os.set_blocking(inlet, False)
    with selectors.DefaultSelector() as selector:
        for fileno in keys:
            selector.register(fileno, selectors.EVENT_READ)
        selector.register(inlet, selectors.EVENT_WRITE)
        sent = 0
        while selector.get_map():
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return bytes(outputs[keys[0]]), bytes(outputs[keys[1]]), RunStatus.TIMEOUT
            for key, _ in selector.select(remaining):
                if key.fd == inlet:
                    try:
                        sent += os.write(key.fd, request[sent : sent + 65_536])
                    except BrokenPipeError:
                        sent = len(request)
                    if sent >= len(request):
                        selector.unregister(key.fd)
                        process.stdin.close()
                        break  # its number is free for another file now
                    continue
                chunk = os.read(key.fd, min(65_536, left + 1))
                if not chunk:
                    selector.unregister(key.fd)
                    continue
                outputs[key.fd] += chunk
                left -= len(chunk)
                if left < 0:
                    return bytes(outputs[keys[0]]), bytes(outputs[keys[1]]), RunStatus.OUTPUT
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return bytes(outputs[keys[0]]), bytes(outputs[keys[1]]), RunStatus.TIMEOUT
    return bytes(outputs[keys[0]]), bytes(outputs[keys[1]]), None


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the child with everything that it started, and wait for it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()


def _status(code: int, finished: bool, stderr: bytes) -> RunStatus:
    if finished and code == 0:
        return RunStatus.OK
    if code in (128 + signal.SIGXCPU, 128 + signal.SIGKILL):
        return RunStatus.TIMEOUT
    return RunStatus.MEMORY if b"MemoryError" in stderr else RunStatus.FAILED
