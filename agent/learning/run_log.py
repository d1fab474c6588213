"""What a learning run leaves on disk while it runs: a metrics file, checkpoints, adapters. All survive kill -9."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

METRICS, TRAINER_STATE = "metrics.jsonl", "trainer_state.json"


class Metrics:
    """A JSON-lines file that a kill can cut short anywhere."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, entry: Mapping[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")

    def cut(self, step: int) -> list[dict[str, Any]]:
        """Drop an unfinished last line and every entry after `step`; return the others."""
        if not self.path.exists():
            return []
        lines = self.path.read_text(encoding="utf-8").split("\n")[:-1]
        kept = [line for line in lines if json.loads(line)["step"] <= step]
        partial = self.path.with_suffix(".partial")
        partial.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
        partial.replace(self.path)
        return [json.loads(line) for line in kept]


def last_checkpoint(folder: Path) -> Path | None:
    """The newest complete checkpoint; the trainer writes `trainer_state.json` last, so one without is torn."""
    found = sorted(folder.glob("checkpoint-*"), key=lambda p: int(p.name.rpartition("-")[2]))
    complete = [p for p in found if _readable(p / TRAINER_STATE)]
    for torn in set(found) - set(complete):
        shutil.rmtree(torn)
    return complete[-1] if complete else None


def save_adapter(model: Any, folder: Path) -> None:
    """Write the adapter as safetensors to `folder`, replacing what is there in one rename."""
    partial, old = folder.with_name(folder.name + ".partial"), folder.with_name(folder.name + ".old")
    for leftover in (partial, old):
        shutil.rmtree(leftover, ignore_errors=True)
    model.save_pretrained(partial)
    (partial / "README.md").unlink(missing_ok=True)  # PEFT's model card template
    if folder.exists():
        folder.rename(old)
    partial.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _readable(path: Path) -> bool:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True
