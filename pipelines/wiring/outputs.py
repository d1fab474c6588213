"""Folders that jobs write models to."""

from __future__ import annotations

import shutil
from pathlib import Path

from recast.curate.errors import UsageError
from recast.pipelines.run.runs import Run

MARKS = ("job.json", "manifest.json", "warm")  # what `learn` and `sft` leave in a folder of theirs


def folder(out: Path | None, run: Run, name: str) -> Path:
    """Where the result goes: `out`, or `name` in the run folder. With --fresh, what an earlier run left is removed.

    Raises UsageError rather than remove anything that no run of recast has made.
    """
    chosen = Path(out or run.folder / name)
    if run.fresh and chosen.exists():
        if not any((chosen / mark).exists() for mark in MARKS):
            raise UsageError(
                f"--fresh would remove {chosen}, which no run of recast has made. Choose another folder."
            )
        shutil.rmtree(chosen)
    return chosen
