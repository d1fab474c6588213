"""What the command's exit codes mean, and which error is behind an unexpected one. Others are their error's own."""

from __future__ import annotations

import errno

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
    while error is not None:
        number = getattr(error, "errno", None)
        if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or any(sign in str(error) for sign in signs):
            where = getattr(error, "filename", None)
            return (
                f"the disk is full{f' at {where}' if where else ''} ({' '.join(str(error).split())}). Nothing half "
                "written counts; free some space and run the same command: it goes on."
            )
        error = error.__cause__ or error.__context__
    return None
