"""Runs that are killed at random moments, and what is left on the disk."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path


def killed_again_and_again(
    work: Callable[[Path], object], folder: Path, num_kills: int, rng: random.Random, longest_s: float
) -> int:
    """Run `work` in forked processes that die at random moments, then to its end; return how many died."""
    died = 0
    while died < num_kills:
        child = os.fork()
        if child == 0:
            try:
                work(folder)
            finally:
                os._exit(0)
        time.sleep(rng.uniform(0, longest_s))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        died += os.WIFSIGNALED(status)
        if os.WIFEXITED(status):  # it was faster: begin anew, there are kills left
            shutil.rmtree(folder)
    work(folder)
    return died


def shared_and_killed(
    work: Callable[[Path], object],
    folder: Path,
    num_processes: int,
    num_kills: int,
    rng: random.Random,
    longest_s: float,
) -> int:
    """Run `work` in forked processes at once, kill one after another at random moments and fork another in its place;
    the last of them end the work. Returns how many died."""
    living: set[int] = set()
    died = 0

    def start() -> None:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                work(folder)
                code = 0
            finally:
                os._exit(code)
        living.add(child)

    def reaped(child: int) -> bool:
        living.remove(child)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "a process failed of itself"
        return os.WIFSIGNALED(status)

    for _ in range(num_processes):
        start()
    while died < num_kills:
        time.sleep(rng.uniform(0, longest_s))
        victim = rng.choice(sorted(living))
        os.kill(victim, signal.SIGKILL)
        died += reaped(victim)
        start()
    while living:
        reaped(next(iter(living)))
    return died


def killed_at_step(script: str, step: int) -> None:
    """Run Python code that prints the number of every step it has done, and kill it once it prints `step` or more."""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None  # a pipe, as asked for
        for line in process.stdout:
            if int(line) >= step:
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL, "it ended, or failed, before that step"


def digest(folder: Path) -> dict[str, str]:
    """Digest of every file below `folder`, by name."""
    return {
        p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()
    }
