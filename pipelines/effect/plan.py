"""Cells as stages of `recast run`: what is finished is found again, what two cells share is made once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from recast.agent.rewriting.methods import FIXED
from recast.pipelines.effect.grid import BASELINES, DEMONSTRATIONS, ORACLE, PROMPT, Arm, Cell, Grid
from recast.pipelines.effect.subject import Subject

REHEARSAL = "rehearsal"


def stages(
    cells: Sequence[Cell],
    subject: Subject,
    grid: Grid,
    model: str,
    *,
    rewriting: Mapping[str, Any] | None = None,
    step_candidates: int = 64,
) -> list[dict[str, Any]]:
    """Everything that `cells` need on one backbone, measurements included, in the mapping form of `stages.Plan`.

    `rewriting` are settings of the section `rewrite`; every method is given those that it takes. `step_candidates` are
    the candidates of a learning step (`Grid.variants`).
    """
    variants = grid.variants(step_candidates)
    suites = [str(path) for path in subject.suites]
    planned = [_stage("base", "eval", 30, model=model, suite=suites, label="base")]
    sources = dict.fromkeys(
        (data, cell.seed) for cell in cells for data in (cell.arm.data, *cell.arm.rewritten_by)
    )
    for seed in dict.fromkeys(seed for _, seed in sources):
        demonstrations = str(subject.demonstrations[seed])
        planned.append(
            _stage(f"import-{seed}", "import", 5, path=demonstrations, to=f"demonstrations-{seed}")
        )
    for data, seed in sources:
        if data == ORACLE:
            planned.append(
                _stage(f"{data}-{seed}", "import", 5, path=str(subject.oracle[seed]), to=f"{data}-{seed}")
            )
        else:
            planned += data_set(data, seed, variants, model, rewriting or {})
    for arm, seed in dict.fromkeys((cell.arm, cell.seed) for cell in cells if cell.arm.rewritten_by):
        planned.append(_subset(arm, seed))
    if any(cell.arm.rehearsal for cell in cells):
        # one draw for all seeds: what is rehearsed are the backbone's own answers, whatever it is taught
        count = max(1, round(grid.rehearsal_share * subject.num_rows))
        planned.append(_stage(REHEARSAL, "rehearse", 30, name=REHEARSAL, own=count, model=model))
    for cell in cells:
        planned += _cell(cell, grid, suites, model)
    return planned


def version_of(data: str, seed: int) -> str:
    """Reference to the version that holds the rows of a data set."""
    if data == DEMONSTRATIONS:
        return f"${{import-{seed}.version}}"
    return f"${{{data}-{seed}.version}}"


def _subset(arm: Arm, seed: int) -> dict[str, Any]:
    """The rows of a data set whose questions all of some data sets rewrote."""
    rewritten = (
        f"row_id IN (SELECT row_id FROM \"{version_of(data, seed)}\" WHERE decision IN ('rewrite', 'repair'))"
        for data in arm.rewritten_by
    )
    name, rows = f"{arm.rows}-{seed}", version_of(arm.data, seed)
    return _stage(name, "curate", 2, name=rows, to=name, only=" AND ".join(rewritten))


UNDOUBTED: dict[str, Any] = {"doubt": 0.0}
"""What the section `rewrite` has unless it says otherwise: the proofs were fixed, and begun, before `rewrite` doubted,
and a data set made with doubt cannot be held against one without."""


def data_set(
    data: str,
    seed: int,
    variants: Mapping[str, dict[str, Any]],
    model: str,
    rewriting: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """The stages that make a data set of the demonstrations of `import-SEED`; none where it is these themselves."""
    rows, name, to = version_of(DEMONSTRATIONS, seed), f"{data}-{seed}", f"{data}-{seed}"
    rewriting = UNDOUBTED | dict(rewriting)
    if data == DEMONSTRATIONS:
        return []
    if data == PROMPT or data in BASELINES:
        free = {"rewrite": {k: v for k, v in rewriting.items() if k not in FIXED[data]}}
        return [
            _stage(name, "rewrite", 60, config=free, name=rows, to=to, model=model, method=data, seed=seed)
        ]
    learn = f"learn-{data}-{seed}"
    mode, _, variant = data.removeprefix("agent-").partition("-")
    config = {"learn": {"mode": mode, **(variants[variant] if variant else {})}}
    own = {"rewrite": {k: v for k, v in rewriting.items() if k != "accept"}}  # which is for other methods
    agent = f"${{{learn}.out}}"
    return [
        _stage(learn, "learn", 110, config=config, name=rows, model=model, seed=seed),
        _stage(name, "rewrite", 60, config=own, name=rows, to=to, model=model, agent=agent, seed=seed),
    ]


def _cell(cell: Cell, grid: Grid, suites: list[str], model: str) -> Iterable[dict[str, Any]]:
    arm: Arm = cell.arm
    rows = [f"${{{arm.rows}-{cell.seed}.version}}" if arm.rewritten_by else version_of(arm.data, cell.seed)]
    if arm.rehearsal:
        rows.append(f"${{{REHEARSAL}.version}}:{grid.rehearsal_share:g}")
    sft: dict[str, Any] = {"lr": cell.lr, "objective": arm.objective, "checkpoints": 0}
    sft |= {"lora_rank": arm.rank} if arm.rank else {}
    tuned = f"sft-{cell.name}"
    yield _stage(tuned, "sft", 30, config={"sft": sft}, name=rows, model=model, seed=cell.seed)
    yield _stage(f"eval-{cell.name}", "eval", 25, model=f"${{{tuned}.out}}", suite=suites, label=arm.label)


def _stage(stage: str, verb: str, seconds: float, /, config: Any = None, **args: Any) -> dict[str, Any]:
    return {"name": stage, "verb": verb, "args": args, "seconds": seconds, "config": config or {}}
