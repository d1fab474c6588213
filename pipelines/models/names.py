"""What a model is called: a name that recast knows, else a folder or a hub id.

`pocket` and its siblings ship with recast; `smollm2` is fetched once (`recast models get smollm2`) and kept for all
projects of a user.
"""

from __future__ import annotations

import os
from pathlib import Path

from recast.curate.errors import ModelError

SHIPPED = ("pocket", "pocket-small", "pocket-neox")
"""Backbones that come with recast, in `pipelines/demo`."""
FETCHED = ("smollm2",)
"""Models that `recast models get` knows by name."""
MODELS_ENV = "RECAST_MODELS"


def model_path(name: str) -> str:
    """The folder or hub id behind a model's name.

    A name of recast's is always recast's: a folder that happens to be called so where the command runs is reached as
    `./pocket`. Raises ModelError where the model is not here.
    """
    if name in FETCHED:
        folder = fetched_folder(name)
        if not (folder / "config.json").exists():
            raise ModelError(f"{name} is not here yet; `recast models get {name}` fetches it (to {folder}).")
        return str(folder)
    if name not in SHIPPED:
        return name
    folder = Path(__file__).parents[1] / "demo" / name
    if not (folder / "config.json").exists():
        raise ModelError(
            f"the backbone {name} is missing from this installation ({folder}). Reinstall recast-sft, train it anew "
            f"with `python -m recast.pipelines.demo.backbone {name}`, or pass --model FOLDER."
        )
    return str(folder)


def fetched_folder(name: str) -> Path:
    """Where a fetched model of that name lies: below RECAST_MODELS, else in the user's cache."""
    if given := os.environ.get(MODELS_ENV):
        return Path(given) / name
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "recast" / "models" / name
