"""Taking turns between processes: one writer or many readers, in the order of arrival.

DuckDB refuses a file that another process has open, and a refused attempt costs as much as a successful one.
So processes queue on two small lock files first (flock, which the kernel releases when a process dies,
however it dies): whoever waits for the second holds the first, so that a stream of readers cannot keep a
writer out. DuckDB's own lock still guards against programs that know nothing of ours.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

_PAUSE_S = 0.002


class TimeoutHolder(Exception):
    """The deadline passed. `holder` is the process id of the last writer, if it is known."""

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder


@contextmanager
def turn(path: Path, *, exclusive: bool, deadline: float) -> Generator[None]:
    """Hold `path`.lock, shared or exclusive, until the block ends.

    `deadline` is on the clock of time.monotonic(). Raises TimeoutHolder once it has passed. Does nothing in
    a folder that cannot be written to.
    """
    with contextlib.ExitStack() as held:
        try:
            queue, lock = (held.enter_context(_opened(path.with_suffix(s))) for s in (".queue", ".lock"))
        except OSError as error:
            if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
                raise
            yield
            return
        _wait(queue, fcntl.LOCK_EX, deadline, lock)
        _wait(lock, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH, deadline, lock)
        fcntl.flock(queue, fcntl.LOCK_UN)
        if exclusive:
            os.ftruncate(lock, 0)
            os.pwrite(lock, str(os.getpid()).encode(), 0)
        yield


@contextmanager
def _opened(path: Path) -> Generator[int]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        yield handle
    finally:
        os.close(handle)  # and with it the lock


def _wait(handle: int, kind: int, deadline: float, lock: int) -> None:
    while True:
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise TimeoutHolder(os.pread(lock, 32, 0).decode(errors="replace")) from None
        time.sleep(_PAUSE_S)
