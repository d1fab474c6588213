"""How a model that was trained is trained again on other rows: the command, from its run folder or its manifest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recast.curate.errors import RecastError
from recast.pipelines.run.arguments import command_line
from recast.pipelines.run.runs import RESULT
from recast.pipelines.wiring.story.trained import arguments, base_of

if TYPE_CHECKING:
    from recast.curate.store.store import Store
    from recast.curate.store.versions import Version

TRAINING = ("sft", "reject", "reward-model")
BESIDE = "-recalled"
"""What the folder of the new model is called after the old one: two trainings share no folder."""


def training(store: Store, model: str, trained: str, before: Version, new: str) -> dict[str, str]:
    """`next`, the command that makes the model anew, and `note`, what to do or know first; empty where nothing is.

    `trained` is the version that it learned from. Where that is of the line of `before`, `new` takes its place;
    where it is of another name, that name's newest version does, which must be without the row.
    """
    name = trained.rpartition("@")[0]
    of_line = name == before.name
    ref = new if of_line else name
    note = "" if of_line else f"take the row from {name} first, or rewrite {new} anew"
    run = _run(store.root, model)
    if run is None:
        base = base_of(Path(model)) or "MODEL"
        lacks = "its run folder is gone: settings other than the base are not known"
        said = command_line(
            "sft", {"name": [ref], "model": base, "out": f"{model}{BESIDE}"}, store=store.root
        )
        return {"next": said, "note": f"{note}; {lacks}" if note else lacks}
    given = arguments(run)
    given["name"] = _with(given.get("name"), store, trained, ref)
    if given.get("out"):
        given["out"] = f"{given['out']}{BESIDE}"
    return {"next": command_line(_verb(run), given, _settings(run), store=store.root), "note": note}


def _run(root: Path, model: str) -> Path | None:
    """The newest finished run that made the model in this folder."""
    found: list[tuple[float, Path]] = []
    for verb in TRAINING:
        for file in root.glob(f"runs/{verb}-*/{RESULT}"):
            try:
                out = json.loads(file.read_text(encoding="utf-8"))["result"]["out"]
            except (OSError, ValueError, KeyError, TypeError):
                continue
            if Path(out).absolute() == Path(model):
                found.append((file.stat().st_mtime, file.parent))
    return max(found)[1] if found else None


def _verb(run: Path) -> str:
    return json.loads((run / RESULT).read_text(encoding="utf-8"))["verb"]


def _with(names: Any, store: Store, trained: str, ref: str) -> Any:
    """The versions of a command, `ref` in the place of the one that the model learned the row from."""
    several = names if isinstance(names, list) else [names]
    out = []
    for each in several:
        named, colon, weight = str(each).partition(":")
        try:
            # a name may mean a newer version by now than it did when the model was trained
            same = store.resolve(named).name == store.resolve(trained).name
        except RecastError:
            same = False
        out.append(f"{ref}{colon}{weight}" if same else str(each))
    return out if isinstance(names, list) else out[0]


def _settings(run: Path) -> dict[str, Any]:
    """The settings of the run that are not the defaults, under the names that `--set` takes."""
    import yaml

    from recast.curate import yaml_file
    from recast.pipelines.config import SECTIONS, Config
    from recast.pipelines.run.runs import RESOLVED

    try:
        asked = yaml_file.load((run / RESOLVED).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        return {}
    usual, flat = Config(), {}
    for section, values in (asked.get("config") or {}).items():
        if section not in SECTIONS or not isinstance(values, dict):
            continue
        default = usual.section(section).model_dump(mode="json")
        flat |= {f"{section}.{key}": value for key, value in values.items() if value != default.get(key)}
    return flat
