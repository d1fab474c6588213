"""Computer algebra in worker processes that can be killed.

math-verify limits its time with SIGALRM, which works in no thread but the main one and cannot interrupt a long
bignum operation. Here it runs in a child process: a request that overruns its limit costs that child its life,
and the answer is None. Children also die with their parent's pipe, and have a memory limit. What they say is one
vote: math-verify 0.9 holds 1-1/e and 1+1/e for equal.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import re
import select
import subprocess
import sys
import threading
import time
from functools import lru_cache

TIME_LIMIT_S = 3.0
"""Processor seconds of one request: a busy machine must not change a verdict."""
WALL_FACTOR = 20.0  # a request that sleeps is killed after this many times its limit
START_LIMIT_S = 60.0
MEMORY_LIMIT_BYTES = 2 << 30
MAX_CHARS = 500
MAX_DEPTH = 30
WORKERS = 2


class _Worker:
    """One child process; not safe for two threads at once."""

    def __init__(self) -> None:
        environment = {"PATH": os.environ.get("PATH", ""), "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
        self.process = subprocess.Popen(
            [sys.executable, "-I", os.path.abspath(__file__)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
            start_new_session=True,
        )  # fmt: skip
        self.ready = self._receive(START_LIMIT_S, 5 * START_LIMIT_S) == {"ready": True}

    def ask(self, a: str, b: str, limit_s: float) -> bool | None:
        """The child's verdict; None, and the child killed, where it fails or overruns."""
        try:
            assert self.process.stdin is not None
            self.process.stdin.write(json.dumps([a, b]).encode() + b"\n")
            self.process.stdin.flush()
        except OSError:
            self.kill()
            return None
        answer = self._receive(limit_s, WALL_FACTOR * limit_s)
        if answer is None:
            self.kill()
            return None
        return answer.get("equal")

    def _receive(self, cpu_limit_s: float, wall_limit_s: float) -> dict | None:
        """The child's next line; None where it ends or uses up either limit first."""
        stream = self.process.stdout
        assert stream is not None
        deadline = time.monotonic() + wall_limit_s
        used = _cpu_seconds(self.process.pid)
        while True:
            readable, _, _ = select.select([stream], [], [], min(0.2, wall_limit_s))
            if readable:
                line = stream.readline()
                return json.loads(line) if line else None
            spent = _cpu_seconds(self.process.pid)
            over = spent is not None and used is not None and spent - used > cpu_limit_s
            if over or time.monotonic() > deadline:
                return None

    @property
    def alive(self) -> bool:
        return self.ready and self.process.poll() is None

    def kill(self) -> None:
        self.ready = False
        with contextlib.suppress(OSError):
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


def _cpu_seconds(pid: int) -> float | None:
    """Processor time that a process has used, None where the system does not tell."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rsplit(b")", 1)[1].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class _Pool:
    """At most `WORKERS` children, started when needed, replaced when killed."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.idle: list[_Worker] = []
        self.slots = threading.Semaphore(WORKERS)
        self.pid = os.getpid()
        self.broken = False

    def verify(self, a: str, b: str, limit_s: float) -> bool | None:
        with self.slots:
            with self.lock:
                if self.broken:
                    return None
                worker = self.idle.pop() if self.idle else None
            if worker is None or not worker.alive:
                worker = _Worker()
                if not worker.alive:
                    worker.kill()
                    self.broken = True  # math-verify is not installed or cannot start: every vote abstains
                    return None
            verdict = worker.ask(a, b, limit_s)
            if worker.alive:
                with self.lock:
                    self.idle.append(worker)
            return verdict

    def close(self) -> None:
        with self.lock:
            for worker in self.idle:
                worker.kill()
            self.idle.clear()


_pool: _Pool | None = None
_pool_lock = threading.Lock()


def _shared_pool() -> _Pool:
    global _pool
    with _pool_lock:
        if _pool is None or _pool.pid != os.getpid():  # a forked child must not share its parent's pipes
            _pool = _Pool()
            atexit.register(_pool.close)
        return _pool


def verify(a: str, b: str, limit_s: float = TIME_LIMIT_S) -> bool | None:
    """math-verify's verdict on two answers, None where it fails, overruns `limit_s` or is not installed."""
    if _hopeless(a) or _hopeless(b):
        return None
    return _cached(a, b, limit_s)


@lru_cache(maxsize=4096)
def _cached(a: str, b: str, limit_s: float) -> bool | None:
    return _shared_pool().verify(a, b, limit_s)


_TOWER = re.compile(
    r"\^\s*\{?\s*\(?[\w.]+\s*\}?\s*\^|\^\s*\{?\s*\d{4,}|!\s*!|\d{5,}\s*!|10\s*\^\s*\{?\d+\s*\^"
)


def _hopeless(text: str) -> bool:
    """Too long, too deep, or a tower of powers: what would only use up its time limit."""
    if len(text) > MAX_CHARS or any(text.count(sign) > MAX_DEPTH for sign in "{(^"):
        return True
    return _TOWER.search(text) is not None


def close() -> None:
    """End every worker of this process; the next `verify` starts new ones."""
    global _pool
    with _pool_lock:
        if _pool is not None and _pool.pid == os.getpid():
            _pool.close()
        _pool = None


def _serve() -> None:
    """The child: one JSON line in, one out, until the pipe closes."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    out = sys.stdout
    sys.stdout = sys.stderr
    from math_verify import parse as parse_within
    from math_verify import verify as compare

    def parse(text: str) -> list:
        return parse_within(text, parsing_timeout=None)  # type: ignore[arg-type]  # no signals: the parent limits

    def say(answer: dict) -> None:
        out.write(json.dumps(answer) + "\n")
        out.flush()

    def formula(text: str) -> str:
        return text if "$" in text or "\\boxed" in text else f"${text}$"

    compare(parse("$x+1$"), parse("$1+x$"), timeout_seconds=None)
    say({"ready": True})  # the grammar is loaded, so that no request pays for it
    for line in sys.stdin:
        try:
            a, b = json.loads(line)
            one = parse(formula(a))
            two = parse(formula(b))
            equal = bool(compare(one, two, timeout_seconds=None)) if one and two else None
        except Exception:  # the child's one boundary: whatever computer algebra raises is an abstention
            equal = None
        say({"equal": equal})


if __name__ == "__main__":
    _serve()
