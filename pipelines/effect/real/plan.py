"""Cells as stages of `recast run`: what two cells share is made once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from recast.pipelines.effect import plan
from recast.pipelines.effect.grid import BASELINES, Cell
from recast.pipelines.effect.real.grid import (
    DRIFT_TOKENS,
    GENERAL_TOKENS,
    SETTINGS,
    TARGET_TOKENS,
)
from recast.pipelines.effect.real.subject import Subject

BASE = "base"
SECONDS = {"import": 5, "learn": 2400, "rewrite": 480, "sft": 330, "eval": 100}
"""Of a stage on one core, roughly, for the time left."""


def stages(cell: Cell | None, subject: Subject, model: str) -> list[dict[str, Any]]:
    """Everything that a cell needs, or the backbone where it is None, measurements included, in the mapping form of
    `stages.Plan`.
    """
    if cell is None:
        return _timed(measuring(BASE, model, model, subject))
    seed, path = cell.seed, str(subject.demonstrations[cell.seed])
    tuned = f"sft-{cell.name}"
    made = [
        _stage(f"import-{seed}", "import", path=path, to=f"demonstrations-{seed}"),
        *_asked(plan.data_set(cell.arm.data, seed, {}, model, SETTINGS["rewrite"]), cell.arm.data),
        _stage(
            tuned,
            "sft",
            config={"sft": {"lr": cell.lr}},
            name=[plan.version_of(cell.arm.data, seed)],
            model=model,
            seed=seed,
        ),
        *measuring(cell.name, f"${{{tuned}.out}}", model, subject),
    ]
    return _timed(made)


def measuring(name: str, model: str, backbone: str, subject: Subject) -> list[dict[str, Any]]:
    """The evaluations of one model: of the task, of instructions by a grader, and how far it is from the backbone, on
    answers of its own (`left`) and on the backbone's (`missed`).
    """
    found = [
        _stage(
            f"task-{name}",
            "eval",
            model=model,
            suite=[str(subject.target)],
            label=name,
            max_tokens=TARGET_TOKENS,
        ),
        _stage(
            f"general-{name}",
            "eval",
            model=model,
            suite=[str(subject.general)],
            grader=str(subject.grader),
            label=name,
            max_tokens=GENERAL_TOKENS,
        ),
    ]
    if name == BASE:
        return found
    drift = {"suite": [str(subject.drift)], "max_tokens": DRIFT_TOKENS, "seed": 0, "label": name}
    return [
        *found,
        _stage(f"left-{name}", "eval", model=model, kl_to=backbone, **drift),
        _stage(f"missed-{name}", "eval", model=backbone, kl_to=model, **drift),
    ]


def _asked(planned: Sequence[dict[str, Any]], data: str) -> list[dict[str, Any]]:
    """With the prompts of the proof, where a method has none of its own."""
    prompts = {} if data in BASELINES else {"prompts": SETTINGS["prompts"]}
    return [stage | {"config": stage["config"] | prompts} for stage in planned]


def _timed(planned: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [stage | {"seconds": SECONDS[stage["verb"]]} for stage in planned]


def _stage(stage: str, verb: str, /, config: Any = None, **args: Any) -> dict[str, Any]:
    return {"name": stage, "verb": verb, "args": args, "config": config or {}}
