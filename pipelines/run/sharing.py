"""A run done by several processes of this machine: each is given the same command, and shares the run with all others.

This process does no work itself: it starts them, one a GPU where there are several, starts one anew that died, and
passes on how far they are. They agree among themselves, and with those of other machines, by files in the run folder
(`curate.leases`), so nothing is lost with this process but its children.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recast.curate.errors import RecastError
from recast.pipelines.run.pool import Failure, Pool, Task
from recast.pipelines.terminal.progress import Progress

if TYPE_CHECKING:
    from recast.pipelines.config import Config

PATIENCE_S = 10.0
TICK_S = 0.5
DEATHS = 3
"""Deaths that each process may stand for before none is started anew: what kills one may be in the rows."""


class WorkersFailedError(RecastError):
    """No process of a shared run could go on; the exit code is that of the failure that is told."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.exit_code = failure.exit_code


def in_processes(
    verb: str,
    args: Mapping[str, Any],
    count: int,
    store: str | Path,
    config: Config,
    logs: Path,
    progress: Progress | None,
) -> dict[str, Any]:
    """The result of a run done by `count` processes that are each given `verb` with `args`; their words go to `logs`.

    Raises WorkersFailedError where none of them came to the end.
    """
    said: dict[str, float] = {}
    failures: dict[str, Failure] = {}
    result: dict[str, Any] | None = None
    deaths = DEATHS * count
    tasks = {
        f"{verb} {n}": Task(f"{verb} {n}", verb, dict(args), str(store), dict(config.given), PATIENCE_S)
        for n in range(count)
    }
    gpus = devices(config.section("engine").tensor_parallel)
    with Pool(count, logs, devices=gpus, name=socket.gethostname()) as pool:
        for task in tasks.values():
            pool.start(task)
        while pool.busy:
            for name, message in pool.messages(TICK_S):
                if isinstance(message, Mapping):
                    said[name] = max(said.get(name, 0), message.get("done", 0))
                    if progress:
                        progress({**message, "done": max(said.values())})
                elif not isinstance(message, Failure):
                    result = message[0]
                elif message.died and deaths:
                    deaths -= 1
                    pool.start(tasks[name])
                else:
                    failures[name] = message
    if result is None:
        # what ended one of them of itself says more than that another died
        raise WorkersFailedError(min(failures.values(), key=lambda failure: failure.died))
    return result


def devices(each: int) -> Sequence[str]:
    """What processes see of this machine's GPUs, `each` of them a process; an empty word where there is nothing to
    share out."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        found = [word for word in visible.split(",") if word]
    elif tool := shutil.which("nvidia-smi"):
        # not torch: what loads CUDA here would hold memory that belongs to the workers
        listed = subprocess.run(
            [tool, "--query-gpu=index", "--format=csv,noheader"], capture_output=True, text=True
        )
        found = listed.stdout.split() if listed.returncode == 0 else []
    else:
        found = []
    groups = [",".join(found[i : i + each]) for i in range(0, len(found) - each + 1, each)]
    return groups or [""]
