"""Untrusted Python in processes of its own, judged by tests that it never meets: no network, no file but its own.

`judge` starts `sandbox_child.py`, which walls itself in (`curate.gate.inside`). Where the kernel lacks a wall, nothing
is run and `MissingDependencyError` says which; `unsafe=True` runs with resource limits alone, which is for programs
one would also run by hand.

>>> judge("def f(x): return x + 1", "assert f(1) == 2").status
<RunStatus.OK: 'ok'>
>>> call("def f(x): return x + 1", "f", [(1,), ("a",)])[1]
[Returned(value=2, raised=''), Returned(value=None, raised='TypeError: can only concatenate str (not "int") to str')]
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from recast.curate.errors import MissingDependencyError
from recast.curate.gate.inside.values import UnplainError, decode, encode

CHILD = Path(__file__).with_name("sandbox_child.py")

_LIBRARIES = ("/usr/lib64", "/usr/lib/{machine}", "/lib64", "/lib/{machine}", "/etc/ld.so.cache")
_OTHERS = ("/usr/share/zoneinfo", "/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")


class Limits(BaseModel):
    """What a program may use, and as much again its tests."""

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
    OK = "ok"  # the tests ran to their end
    FAILED = "failed"  # the program or a test raised, or the program ended early
    UNDECIDED = "undecided"  # the tests ask for something that cannot cross from process to process
    TIMEOUT = "timeout"
    MEMORY = "memory"
    OUTPUT = "output"


@dataclass(frozen=True, slots=True)
class Run:
    """How a program ended. `message`: why not ok."""

    status: RunStatus
    message: str
    stdout: str
    stderr: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Returned:
    """What one call of a function came to. `raised`: the exception, with its text, or why there is no plain value."""

    value: Any = None
    raised: str = ""


@lru_cache(maxsize=1)
def missing_wall() -> str | None:
    """What this machine lacks to run untrusted code, or None."""
    if not sys.platform.startswith("linux"):
        return f"Linux (this is {sys.platform})"
    trial, _ = _start("", {}, Limits(), True)
    return None if trial.status is RunStatus.OK else trial.message


def judge(
    program: str,
    tests: str = "",
    *,
    entry_point: str = "",
    prompt: str = "",
    limits: Limits | None = None,
    unsafe: bool = False,
) -> Run:
    """Run `program`, then `tests` in another process that reaches its functions by name.

    `entry_point`: the function under test; it alone may bear the name of a builtin. `prompt`: text of the row that
    defines names which the tests may trust. Without tests the program has only to run to its end. Raises
    MissingDependencyError where a wall is missing and `unsafe` is not set.
    """
    need_walls(unsafe=unsafe)
    asked = {"tests": tests, "entry_point": entry_point, "prompt": prompt}
    return _start(program, asked, limits or Limits(), not unsafe)[0]


def call(
    program: str,
    function: str,
    arguments: Sequence[Sequence[Any]],
    *,
    limits: Limits | None = None,
    packages: bool = False,
    unsafe: bool = False,
) -> tuple[Run, list[Returned]]:
    """Run `program`, then call its `function` with each of `arguments`, plain values, in one process.

    How the process ended, and what came of each call before it did: fewer results than calls where a call ended the
    process or the limits, which are those of all calls together, were reached. `packages` lets the program import what
    is installed here. Raises MissingDependencyError as `judge` does.
    """
    need_walls(unsafe=unsafe)
    asked = {"entry_point": function, "calls": [encode(list(each), None) for each in arguments]}
    return _start(program, asked, limits or Limits(), not unsafe, packages=packages)


def need_walls(*, unsafe: bool = False) -> None:
    """Raise MissingDependencyError where this machine cannot run untrusted code and `unsafe` is not set."""
    if not unsafe and (lacking := missing_wall()) is not None:
        raise MissingDependencyError(
            f"untrusted code needs user namespaces, pivot_root and seccomp, and this machine says: {lacking}. "
            "Run on Linux 5.12 or newer with unprivileged user namespaces on, or pass --unsafe-exec for code that "
            "you trust."
        )


def run(program: str, limits: Limits | None = None, *, unsafe: bool = False) -> Run:
    """Run a program without tests."""
    return judge(program, limits=limits, unsafe=unsafe)


def run_many(
    programs: Iterable[str], limits: Limits | None = None, *, workers: int = 2, unsafe: bool = False
) -> list[Run]:
    """Run programs side by side, results in order."""

    def one(program: str) -> Run:
        return run(program, limits, unsafe=unsafe)

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(one, programs))


@lru_cache(maxsize=1)
def _installed() -> list[str]:
    """Where the packages of this installation are."""
    return list(dict.fromkeys(os.path.realpath(sysconfig.get_path(name)) for name in ("purelib", "platlib")))


@lru_cache(maxsize=1)
def _runtime() -> dict[str, list[str]]:
    """What of this machine a program sees: the library of Python, what its modules load, and four devices."""
    base = {"base": sys.base_prefix, "platbase": sys.base_exec_prefix}
    visible = [sysconfig.get_path(name, vars=base) for name in ("stdlib", "platstdlib")]
    home = sysconfig.get_config_var("LIBDIR") or ""
    if not home.startswith("/usr/lib") and Path(home) != Path("/lib"):
        visible += map(str, Path(home).glob("*.so*"))  # a Python that brings its own libraries
    machine = sysconfig.get_config_var("MULTIARCH") or ""
    system = [path.format(machine=machine) for path in _LIBRARIES if machine or "{machine}" not in path]
    if not any(Path(path).is_dir() for path in system if "lib64" not in path):
        system += ["/usr/lib", "/lib"]
    real = dict.fromkeys(
        os.path.realpath(path) for path in (*visible, *system, *_OTHERS) if Path(path).exists()
    )
    hidden = [f"{path}/{name}" for path in real for name in ("site-packages", "dist-packages")]
    return {"visible": list(real), "hidden": [path for path in hidden if Path(path).is_dir()]}


def _start(
    program: str, asked_for: dict[str, Any], limits: Limits, walls: bool, *, packages: bool = False
) -> tuple[Run, list[Returned]]:
    start = time.monotonic()
    brief = json.dumps({"tests": "", "entry_point": "", "prompt": "", **asked_for}).encode()
    paths = _installed() if packages else []
    seen = _runtime()
    with (
        tempfile.TemporaryDirectory(prefix="recast-", ignore_cleanup_errors=True) as work,
        tempfile.TemporaryFile() as code,
        tempfile.TemporaryFile() as asked,
        tempfile.TemporaryFile() as verdict,
    ):
        code.write(program.encode("utf-8", "replace"))
        asked.write(brief)
        code.flush()
        asked.flush()
        files = {"code_fd": code.fileno(), "tests_fd": asked.fileno(), "verdict_fd": verdict.fileno()}
        request = {
            **files,
            "visible": seen["visible"] + paths,
            "hidden": [path for path in seen["hidden"] if path not in paths],
            "paths": paths,
            "work": work,
            "walls": walls,
            "cpu_s": limits.cpu_s,
            "memory_bytes": limits.memory_mb << 20,
            "file_bytes": limits.file_mb << 20,
        }
        process = subprocess.Popen(
            # not -I, which would not hear of the seed: sets and hashes are to be the same in every run
            [sys.executable, "-s", "-P", "-S", str(CHILD), json.dumps(request)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={"PYTHONHASHSEED": "0"}, pass_fds=tuple(files.values()), start_new_session=True,
        )  # fmt: skip
        try:
            stdout, stderr, ended = _converse(process, limits)
        finally:
            _kill(process)
        said = os.pread(verdict.fileno(), os.fstat(verdict.fileno()).st_size, 0)
    stderr = stderr.decode("utf-8", "replace")
    *results, last = said.split(b"\n")  # of calls a line each; what follows the last one is how it all ended
    status, message = (
        (ended, f"over its {ended.value} limit") if ended else _status(process.returncode, last, stderr)
    )
    run = Run(status, message, stdout.decode("utf-8", "replace"), stderr, time.monotonic() - start)
    return run, [_returned(json.loads(line)) for line in results]


def _returned(said: dict[str, Any]) -> Returned:
    if "raised" in said:
        return Returned(raised=said["raised"])
    try:
        return Returned(decode(said["value"], _refer))
    except (UnplainError, TypeError, ValueError, RecursionError, AttributeError):
        return Returned(raised="it returned a value that cannot be read")


def _refer(_: Any) -> Any:
    raise UnplainError("an object that stays in the sandbox")


def _converse(process: subprocess.Popen[bytes], limits: Limits) -> tuple[bytes, bytes, RunStatus | None]:
    """Read both outputs until the child ends or breaks a limit."""
    assert process.stdout is not None and process.stderr is not None
    deadline = time.monotonic() + limits.wall_s
    outputs = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray()}
    out, err = outputs.values()
    left = limits.output_kb << 10
    with selectors.DefaultSelector() as selector:
        for fileno in outputs:
            selector.register(fileno, selectors.EVENT_READ)
        while selector.get_map():
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return bytes(out), bytes(err), RunStatus.TIMEOUT
            for key, _ in selector.select(remaining):
                chunk = os.read(key.fd, min(65_536, left + 1))
                if not chunk:
                    selector.unregister(key.fd)
                    continue
                outputs[key.fd] += chunk
                left -= len(chunk)
                if left < 0:
                    return bytes(out), bytes(err), RunStatus.OUTPUT
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return bytes(out), bytes(err), RunStatus.TIMEOUT
    return bytes(out), bytes(err), None


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the child with everything that it started, and wait for it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()


def _status(code: int, said: bytes, stderr: str) -> tuple[RunStatus, str]:
    """What the tester said, and where it said nothing or that the program was gone, how the kernel ended which."""
    lines = stderr.strip().splitlines()
    status, message = json.loads(said) if said else ("failed", lines[-1] if lines else f"exit code {code}")
    if status == "failed" and code in (128 + signal.SIGXCPU, 128 + signal.SIGKILL):
        return RunStatus.TIMEOUT, "over its processor limit"
    if status == "failed" and message.startswith("MemoryError"):
        return RunStatus.MEMORY, "over its memory limit"
    return RunStatus(status), message
