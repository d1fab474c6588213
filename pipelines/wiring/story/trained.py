"""The models that trained on versions, and what evaluations in the store found of them.

A model is known by its pin, its base by the manifest of its training, an evaluation by the run folder of `recast eval`:
the newest one of a model counts. Nothing is loaded and nothing is asked again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from recast.curate import yaml_file
from recast.curate.errors import DataError, RecastError, UsageError
from recast.curate.history.lineage import LOCK
from recast.curate.store.store import Store
from recast.pipelines.models.names import model_path
from recast.pipelines.run.runs import RESOLVED, RESULT

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Trained:
    """A model that a version made, with the newest evaluations of it and of the model that it was before."""

    version_id: str
    model: str  # folder
    there: bool  # the folder is there, and was not trained on something else since
    base: str | None  # folder or hub id, where the manifest of its training says it
    evaluation: Path | None = None
    base_evaluation: Path | None = None


def trained_on(store: Store, version_ids: Iterable[str]) -> list[Trained]:
    """The models that are pinned to the versions, oldest pin first."""
    wanted = sorted(set(version_ids))
    with store.catalog.reading() as con:
        pins = con.execute(
            "SELECT version, model FROM consumed_by WHERE version IN (SELECT unnest(?::VARCHAR[])) "
            "ORDER BY pinned_at, model",
            [wanted],
        ).fetchall()
    found = evaluations(store.root) if pins else {}
    out = []
    for version_id, model in pins:
        base = base_of(Path(model))
        out.append(
            Trained(
                version_id,
                model,
                _still(Path(model), version_id),
                base,
                found.get(_key(model)),
                found.get(_key(base)) if base else None,
            )
        )
    return out


def base_of(model: Path) -> str | None:
    """What a model was before it was trained, as its manifest says; None where there is none."""
    told = _json(model / MANIFEST).get("model")
    return told if isinstance(told, str) else None


def evaluations(root: Path) -> dict[str, Path]:
    """The newest finished evaluation of every model in the run folders of a store, by the model's path or hub id."""
    newest: dict[str, tuple[float, Path]] = {}
    for file in sorted(root.glob(f"runs/eval-*/{RESULT}")):
        given = arguments(file.parent)
        out = Path(str((_json(file).get("result") or {}).get("out", "")))
        if not isinstance(given.get("model"), str) or given.get("agent") or not out.is_file():
            continue
        key, at = _key(given["model"]), file.stat().st_mtime
        if key not in newest or newest[key][0] < at:
            newest[key] = at, out
    return {key: path for key, (_, path) in newest.items()}


def arguments(run: Path) -> dict[str, Any]:
    """The arguments with which the job of a run folder was asked; empty where they cannot be read."""
    try:
        asked = yaml_file.load((run / RESOLVED).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        return {}
    return dict(asked.get("given") or {}) if isinstance(asked, dict) else {}


def change_of(trained: Trained, target: Iterable[str] = ()) -> dict[str, Any] | None:
    """Gain and forgetting of a model against its base, as `recast compare` says them; None where evaluations lack, or
    are of other questions."""
    from recast.train.evaluation.compare import compare
    from recast.train.evaluation.results import EvalResult

    if trained.evaluation is None or trained.base_evaluation is None:
        return None
    base, tuned = EvalResult.load(trained.base_evaluation), EvalResult.load(trained.evaluation)
    known = {name for key in base.groups() for name in key}
    try:
        return compare(base, [tuned], target=[name for name in target if name in known]).to_dict()["changes"][
            0
        ]
    except (DataError, UsageError):
        return None


def _still(model: Path, version_id: str) -> bool:
    lock = _json(model / LOCK)
    return version_id in {lock.get("id"), *(other.get("id") for other in lock.get("mixed", ()))}


def _key(model: str) -> str:
    """What two names of one model have in common: the path of its folder, or the hub id."""
    try:
        model = model_path(model)
    except RecastError:
        return model
    return str(Path(model).resolve()) if Path(model).exists() else model


def _json(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
