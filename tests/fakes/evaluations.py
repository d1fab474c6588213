"""Evaluations in a store, as `recast eval` leaves them, without a model."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from recast.train.evaluation.results import EvalResult, ItemResult, Outcome


def evaluation(model: str, **right: int) -> EvalResult:
    """Ten questions of each suite, of which the first so many are right."""
    items = [
        ItemResult(
            suite, f"{suite}-{i}", suite, Outcome.RIGHT if i < num else Outcome.WRONG, "1", "1", "1", None
        )
        for suite, num in right.items()
        for i in range(10)
    ]
    return EvalResult(model, tuple(items))


def evaluated(store: Path, model: str | Path, **right: int) -> Path:
    """The run folder of an evaluation of `model`."""
    folder = store / "runs" / f"eval-{Path(model).name}"
    folder.mkdir(parents=True)
    evaluation(Path(model).name, **right).save(folder / "results.jsonl")
    (folder / "config.resolved.yaml").write_text(
        yaml.safe_dump({"verb": "eval", "given": {"model": str(model)}})
    )
    result = {"verb": "eval", "seconds": 1.0, "result": {"out": str(folder / "results.jsonl")}}
    (folder / "result.json").write_text(json.dumps(result))
    return folder


def tuned(folder: Path, base: str | Path) -> Path:
    """The folder of a model that was trained from `base`."""
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"model": str(base), "out": str(folder)}))
    return folder
