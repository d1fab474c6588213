"""Cells as stages of `recast run`: what two chains share, rows or a beginning, is made once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from recast.pipelines.effect.chains.grid import (
    AFTER_RL,
    DEMONSTRATIONS,
    OWN_ANSWERS,
    PPO,
    REJECT,
    RL,
    SETTINGS,
    SFT,
    UFT,
    WARM_UP,
    Cell,
    ChainGrid,
)
from recast.pipelines.effect.chains.subject import Subject

MAX_TOKENS = 160
"""Longest reply that is measured."""
BASE = "base"


def stages(cells: Sequence[Cell], subject: Subject, grid: ChainGrid, model: str) -> list[dict[str, Any]]:
    """Everything that `cells` need, measurements included, in the mapping form of `stages.Plan`."""
    planned = {stage["name"]: stage for stage in measuring(BASE, model, subject, grid)}
    for cell in cells:
        for stage in (*_rows(cell, subject, grid, model), *_chain(cell, subject, grid, model)):
            planned.setdefault(stage["name"], stage)
    return list(planned.values())


def measuring(name: str, model: str, subject: Subject, grid: ChainGrid) -> list[dict[str, Any]]:
    """The evaluations of one model: of the task with samples, and of what must not be lost."""
    shared = {"model": model, "label": name, "max_tokens": MAX_TOKENS}
    others = [str(subject.general), str(subject.disturbed)]
    return [
        _stage(
            f"task-{name}", "eval", 20, suite=[str(subject.target)], samples=grid.samples, seed=0, **shared
        ),
        _stage(f"rest-{name}", "eval", 20, suite=others, **shared),
    ]


def last_stage(cell: Cell) -> str:
    """Name of the stage that makes the model of a cell."""
    return _made(cell, len(cell.chain.steps))


def rl_stage(cell: Cell) -> str | None:
    """Name of its last stage of reinforcement; None where it has none."""
    places = [i for i, step in enumerate(cell.chain.steps, 1) if step in (RL, UFT, PPO)]
    return _made(cell, places[-1]) if places else None


def _made(cell: Cell, count: int) -> str:
    return f"{cell.chain.prefix(count)}-on-{cell.chain.rows}-{cell.seed}"


def _rows(cell: Cell, subject: Subject, grid: ChainGrid, model: str) -> list[dict[str, Any]]:
    """Demonstrations, and the agent's rewrites of them where the chain takes those."""
    chain, seed = cell.chain, cell.seed
    key = f"n{100 * chain.noise:.0f}-{seed}"
    demonstrations = str(subject.demonstrations[chain.noise, seed])
    found = [_stage(f"import-{key}", "import", 3, path=demonstrations, to=f"demonstrations-{key}")]
    # reinforcement alone asks the prompts, whoever answered them
    if chain.data == DEMONSTRATIONS or chain.steps == (RL,):
        return found
    rows, learn = f"${{import-{key}.version}}", f"learn-{key}"
    mode = {"learn": {"mode": grid.mode}}
    return [
        *found,
        _stage(learn, "learn", 110, config=mode, name=rows, model=model, seed=seed),
        _stage(
            f"rewrites-{key}", "rewrite", 60, name=rows, to=f"rewrites-{key}", model=model, agent=f"${{{learn}.out}}",
            seed=seed,
        ),
    ]  # fmt: skip


def _chain(cell: Cell, subject: Subject, grid: ChainGrid, model: str) -> list[dict[str, Any]]:
    chain, found = cell.chain, list[dict[str, Any]]()
    for count, step in enumerate(chain.steps, 1):
        start = f"${{{_made(cell, count - 1)}.out}}" if count > 1 else model
        found.append(_step(cell, count, step, start, subject, grid))
    return found + measuring(cell.name, f"${{{last_stage(cell)}.out}}", subject, grid)


def _step(cell: Cell, count: int, step: str, start: str, subject: Subject, grid: ChainGrid) -> dict[str, Any]:
    chain, name = cell.chain, _made(cell, count)
    key = f"n{100 * chain.noise:.0f}-{cell.seed}"
    from_expert = chain.data == DEMONSTRATIONS or chain.steps == (RL,)
    rows = f"${{{'import' if from_expert else 'rewrites'}-{key}.version}}"
    shared: dict[str, Any] = {"model": start, "seed": cell.seed}
    shared |= {"limit": round(chain.share * grid.rows)} if chain.share < 1 else {}
    graded = {"grader": str(subject.grader)}
    ((section, settings),) = SETTINGS[step].items()
    if step in (SFT, WARM_UP):
        settings = settings | ({"lr": chain.lr} if chain.lr else {})
        return _stage(name, "sft", 30, config={section: settings}, name=[rows], **shared)
    if step == REJECT:
        after_rl = RL in chain.steps[: count - 1]
        own = after_rl or chain.data == DEMONSTRATIONS
        settings = settings | (OWN_ANSWERS if own else {}) | (AFTER_RL if after_rl else {})
        return _stage(
            name, "reject", 50, config={section: settings}, name=rows, **shared, **(graded if own else {})
        )
    further: dict[str, Any] = {UFT: {"hint": "cosine"}, PPO: {"preset": "reft"}}.get(step, {})
    # a model that has learned the task already may leave little to learn: that is what is measured
    return _stage(
        name, "rl", 90, config={section: settings}, name=rows, validation=str(subject.validation[cell.seed]),
        force=True, **graded, **further, **shared,
    )  # fmt: skip


def _stage(stage: str, verb: str, seconds: float, /, config: Any = None, **args: Any) -> dict[str, Any]:
    return {"name": stage, "verb": verb, "args": args, "seconds": seconds, "config": config or {}}
