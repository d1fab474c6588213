"""Cells as stages of `recast run`: what is finished is found again, what two cells share is made once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pipelines.effect.grid import BASELINES, DEMONSTRATIONS, ORACLE, PROMPT, Arm, Cell, Grid
from pipelines.effect.subject import Subject

REHEARSAL = "rehearsal"


def stages(cells: Sequence[Cell], subject: Subject, grid: Grid, model: str) -> list[dict[str, Any]]:
    """Everything that `cells` need on one backbone, measurements included, in the mapping form of `stages.Plan`."""
    suites = [str(path) for path in subject.suites]
    planned = [_stage("base", "eval", 30, model=model, suite=suites, label="base")]
    sources = dict.fromkeys((cell.arm.data, cell.seed) for cell in cells)
    for seed in dict.fromkeys(seed for _, seed in sources):
        demonstrations = str(subject.demonstrations[seed])
        planned.append(
            _stage(f"import-{seed}", "import", 5, path=demonstrations, to=f"demonstrations-{seed}")
        )
    for data, seed in sources:
        planned += _source(data, seed, subject, model)
    if any(cell.arm.rehearsal for cell in cells):
        count = max(1, round(grid.rehearsal_share * grid.rows))
        planned.append(_stage(REHEARSAL, "rehearse", 30, name=REHEARSAL, own=count, model=model))
    for cell in cells:
        planned += _cell(cell, grid, suites, model)
    return planned


def version_of(data: str, seed: int) -> str:
    """Reference to the version that holds the rows of a data set."""
    if data == DEMONSTRATIONS:
        return f"${{import-{seed}.version}}"
    return f"${{{data}-{seed}.version}}"


def _source(data: str, seed: int, subject: Subject, model: str) -> list[dict[str, Any]]:
    """The stages that make a data set of the demonstrations."""
    rows, name, to = version_of(DEMONSTRATIONS, seed), f"{data}-{seed}", f"{data}-{seed}"
    if data == DEMONSTRATIONS:
        return []
    if data == ORACLE:
        return [_stage(name, "import", 5, path=str(subject.oracle[seed]), to=to)]
    if data == PROMPT or data in BASELINES:
        return [_stage(name, "rewrite", 60, name=rows, to=to, model=model, method=data, seed=seed)]
    learn = f"learn-{data}-{seed}"
    mode = {"learn": {"mode": data.removeprefix("agent-")}}
    return [
        _stage(learn, "learn", 110, config=mode, name=rows, model=model, seed=seed),
        _stage(name, "rewrite", 60, name=rows, to=to, model=model, agent=f"${{{learn}.out}}", seed=seed),
    ]


def _cell(cell: Cell, grid: Grid, suites: list[str], model: str) -> Iterable[dict[str, Any]]:
    arm: Arm = cell.arm
    rows = [version_of(arm.data, cell.seed)]
    if arm.rehearsal:
        rows.append(f"${{{REHEARSAL}.version}}:{grid.rehearsal_share:g}")
    sft: dict[str, Any] = {"lr": cell.lr, "objective": arm.objective, "checkpoints": 0}
    sft |= {"lora_rank": arm.rank} if arm.rank else {}
    tuned = f"sft-{cell.name}"
    yield _stage(tuned, "sft", 30, config={"sft": sft}, name=rows, model=model, seed=cell.seed)
    yield _stage(f"eval-{cell.name}", "eval", 25, model=f"${{{tuned}.out}}", suite=suites, label=arm.label)


def _stage(stage: str, verb: str, seconds: float, /, config: Any = None, **args: Any) -> dict[str, Any]:
    return {"name": stage, "verb": verb, "args": args, "seconds": seconds, "config": config or {}}
