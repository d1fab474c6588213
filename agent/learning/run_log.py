"""What a learning run leaves on disk while it runs: a metrics file, checkpoints, adapters. All survive kill -9."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recast.curate.files import append_line
from recast.train.model.checkpoints import forget_after

METRICS = "metrics.jsonl"


class Metrics:
    """A JSON-lines file that a kill can cut short anywhere."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, entry: Mapping[str, Any]) -> None:
        append_line(self.path, entry)

    def cut(self, step: int) -> list[dict[str, Any]]:
        return forget_after(self.path, step)


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
