"""The checkpoints of a transformers trainer: the newest that is whole, and what its curves keep when it goes on.

checkpoint = last_checkpoint(out / "checkpoints")
trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from recast.curate.files import cut_lines, write_json

STATE = "trainer_state.json"
MICRO_BATCH = "micro_batch.json"


def last_checkpoint(folder: Path) -> Path | None:
    """The newest complete checkpoint; torn ones are removed.

    The trainer writes `trainer_state.json` last, so a folder where it is absent or cut was killed half-way.
    """
    found = sorted(folder.glob("checkpoint-*"), key=step_of)
    complete = [path for path in found if _is_json(path / STATE)]
    for torn in set(found) - set(complete):
        shutil.rmtree(torn)
    return complete[-1] if complete else None


def step_of(checkpoint: Path) -> int:
    """The step after which a checkpoint was written."""
    return int(checkpoint.name.rpartition("-")[2])


def forget_after(curve: Path, step: int) -> list[dict[str, Any]]:
    """Drop the points of a curve that a run resumed at `step` makes again; return the others, oldest first."""
    return cut_lines(curve, lambda point: point["step"] <= step)


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True


def kept_micro_batch(folder: Path) -> int | None:
    """How many rows an interrupted run put through a pass, of which there is a checkpoint in `folder` to go on from."""
    path = folder / MICRO_BATCH
    return json.loads(path.read_text(encoding="utf-8"))["micro_batch"] if path.exists() else None


def keep_micro_batch(folder: Path, rows: int) -> None:
    """Remember it for a run that goes on."""
    write_json(folder / MICRO_BATCH, {"micro_batch": rows})
