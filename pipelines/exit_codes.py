"""What the command's exit codes mean, and which error is behind an unexpected one. Others are their error's own."""

from __future__ import annotations

import errno
from collections.abc import Iterator

OK, UNEXPECTED, FAILED_ROWS, INTERRUPTED = 0, 1, 3, 130
DISK_FULL = 6  # a machine that lacks what the job needs
EPILOG = (
    "Exit codes: 0 ok, 1 unexpected, 2 usage or input, 3 finished but some rows failed, 4 refused by a gate, "
    "5 integrity, 6 something is missing on this machine, 7 budget reached, 130 interrupted (the same command goes on)."
)


def disk_full(error: BaseException | None) -> str | None:
    """What to say where a full disk, a quota or a file-size limit is behind `error`; None otherwise."""
    signs = (
        "No space left on device",
        "File too large",
        "Disk quota exceeded",
        "StorageFull",
        "disk is full",
    )
    for cause in _behind(error):
        number = getattr(cause, "errno", None)
        if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or any(sign in str(cause) for sign in signs):
            where = getattr(cause, "filename", None)
            return (
                f"the disk is full{f' at {where}' if where else ''} ({' '.join(str(cause).split())}). Nothing half "
                "written counts; free some space and run the same command: it goes on."
            )
    return None


def no_access(error: BaseException | None) -> str | None:
    """What to say where a folder that cannot be read or written is behind `error`; None otherwise."""
    refused = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR)
    for cause in _behind(error):
        if isinstance(cause, OSError) and cause.errno in refused and cause.filename is not None:
            return (
                f"{cause.filename} cannot be used ({cause.strerror}). Choose a folder that you may write to with "
                "--store or RECAST_HOME, or change what may be done there."
            )
        text = " ".join(str(cause).split())
        if "Permission denied" in text or "Read-only file system" in text or "Not a directory" in text:
            return f"a file of the store cannot be used ({text}). Look at what may be done in its folder."
    return None


def _behind(error: BaseException | None) -> Iterator[BaseException]:
    """`error` and what it came from; libraries have been seen to close that chain to a ring."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
