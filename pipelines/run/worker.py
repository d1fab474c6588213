"""The worker process of `pipelines.run.pool`: takes a stage, runs it, says what came of it, takes the next.

While it waits for its first stage it imports what most stages need, so that stages do not.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
import time
import traceback
from multiprocessing.connection import Connection
from typing import Any

from recast.curate.errors import RecastError
from recast.pipelines.config import Config
from recast.pipelines.exit_codes import DISK_FULL, UNEXPECTED, disk_full
from recast.pipelines.run import runs
from recast.pipelines.run.pool import Task

WARM = ("torch", "transformers", "datasets", "trl", "peft")
PROGRESS_EVERY_S = 0.2
WATCH_EVERY_S = 0.5


def main() -> None:
    """`python -m pipelines.run.worker FD PARENT [--warm]`."""
    connection, parent = Connection(int(sys.argv[1])), int(sys.argv[2])
    runs.quiet_libraries()
    threading.Thread(target=_die_with, args=(parent,), daemon=True).start()
    for module in WARM if "--warm" in sys.argv else ():
        if connection.poll():
            break
        importlib.import_module(module)
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        connection.send(_perform(task, connection))


def _perform(task: Task, connection: Connection) -> tuple[str, Any]:
    last = 0.0

    def progress(point: Any) -> None:
        nonlocal last
        if time.monotonic() - last >= PROGRESS_EVERY_S:
            last = time.monotonic()
            connection.send(("progress", point))

    try:
        outcome = runs.execute(
            task.verb,
            task.args,
            store=task.store,
            config=Config.of(task.config),
            progress=progress,
            memo=True,
            patience_s=task.patience_s,
        )
    except RecastError as error:
        return "failed", (error.exit_code, str(error))
    except Exception as error:
        traceback.print_exc()  # to the worker's log
        if full := disk_full(error):
            return "failed", (DISK_FULL, full)
        return "failed", (UNEXPECTED, f"unexpected {type(error).__name__}: {error}")
    return "done", (
        outcome.result,
        outcome.seconds,
        outcome.found,
        str(outcome.run.folder) if outcome.run else None,
    )


def _die_with(parent: int) -> None:
    """A worker whose parent was killed stops at once: whoever runs the same command again finds the run folder free."""
    while os.getppid() == parent:
        time.sleep(WATCH_EVERY_S)
    os._exit(1)


if __name__ == "__main__":
    main()
