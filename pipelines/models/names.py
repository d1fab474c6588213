"""What a model is called: `pocket` and its siblings ship with recast, anything else is a folder or a hub id."""

from __future__ import annotations

from pathlib import Path

from recast.curate.errors import ModelError

SHIPPED = ("pocket", "pocket-small", "pocket-neox")
"""Backbones that come with recast, in `pipelines/demo`."""


def model_path(name: str) -> str:
    """The folder or hub id behind a model's name: `pocket` and its siblings (`SHIPPED`) come with recast.

    Always: a folder that happens to be called so where the command runs is reached as `./pocket`.
    """
    if name not in SHIPPED:
        return name
    folder = Path(__file__).parents[1] / "demo" / name
    if not (folder / "config.json").exists():
        raise ModelError(
            f"the backbone {name} is missing from this installation ({folder}). Reinstall recast, train it anew "
            f"with `python -m recast.pipelines.demo.backbone {name}`, or pass --model FOLDER."
        )
    return str(folder)
