"""The proof on a real model, run: cell after cell, what is kept of each, and what came out so far.

    out/cells.jsonl     a line a finished cell (`measurements`)
    out/rows/           the rewritten rows of every data set, to be read
    out/table.md, plane.svg, loss.svg, learning.svg, result.json     what they say; written anew after every cell

Killed at any moment, the same call goes on: a cell that has its line is not made again, and what an unfinished one had
made is found by its fingerprint. `known` may be a file of such lines that somebody committed: cells that were measured
under the same fixed settings are taken from there, and no model of theirs is needed.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from recast.curate.errors import UsageError
from recast.curate.files import read_lines, write_json, write_lines, write_text
from recast.curate.fingerprint import fingerprint
from recast.curate.gate.gate import load_gate
from recast.curate.store.store import Store
from recast.pipelines.config import Config
from recast.pipelines.effect import cells, picture
from recast.pipelines.effect.grid import DEMONSTRATIONS, Arm, Cell
from recast.pipelines.effect.real import instructions, measurements, plan, problems, table
from recast.pipelines.effect.real.grid import AGENT, DATA, SETTINGS, RealGrid
from recast.pipelines.effect.real.measurements import REWRITTEN, DataSet, Measurement
from recast.pipelines.effect.real.plan import BASE
from recast.pipelines.effect.real.subject import Subject
from recast.pipelines.effect.selection import best, half, point
from recast.pipelines.effect.table import (
    Trained,
    arm_results,
    bounds_markdown,
    curve_points,
    curves_markdown,
    markdown,
    plain,
    rivals,
    rivals_markdown,
)
from recast.pipelines.run import identity, stages
from recast.pipelines.run.stages import StageOutcome
from recast.pipelines.terminal.progress import Reporter
from recast.train.evaluation.compare import compare
from recast.train.evaluation.results import EvalResult

Found = Mapping[str, Measurement]  # by cell


def prove(
    out: Path,
    subject: Subject,
    grid: RealGrid,
    *,
    model: str,
    config: Config,
    jobs: int,
    known: Path | None = None,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Run the grid on one backbone into `out` and return the result (also `out/result.json`).

    Raises ModelError for a model that is not there, DataError for a `known` that holds no measurements, and what stages
    raise.
    """
    began = time.monotonic()
    decided = fixed(grid, subject, model, config)
    mark = fingerprint(decided)[:16]
    found = measurements.read(known, mark) if known else {}
    found |= measurements.read(out / cells.FILE, mark)
    result: dict[str, Any] = {}
    # these go to the stages that take them, each with what its method leaves open
    shared = Config.of({k: v for k, v in config.given.items() if k not in ("rewrite", "prompts")})

    def work(some: Sequence[Cell | None]) -> None:
        planned = {s["name"]: s for cell in some for s in plan.stages(cell, subject, model)}
        asked = stages.Plan.of(list(planned.values()), shared)
        outcomes = stages.run(asked, store=out / "store", jobs=jobs, reporter=reporter)
        for cell in some:
            one = _measured(cell, mark, outcomes, out)
            found[one.name] = one
            cells.append(out / cells.FILE, one)

    if BASE not in found:
        work([None])
    for some in todo(grid, found, jobs):
        work(some)
        result = report(out, grid, found)
    result = result or report(out, grid, found)
    result |= {
        "model": model,
        "fixed": decided,
        "fixed_fingerprint": mark,
        "seconds": round(time.monotonic() - began, 1),
        "others": {},
    }
    write_json(out / "result.json", result)
    return result


def todo(grid: RealGrid, found: Found, jobs: int) -> Iterator[list[Cell]]:
    """What has no line yet, as many cells at a time as stages may run; the further seeds once rates are chosen."""
    for phase in (grid.first_seed, lambda: grid.further_seeds(rates(grid, found))):
        left = [cell for cell in phase() if cell.name not in found]
        yield from (left[i : i + jobs] for i in range(0, len(left), jobs))


def fixed(grid: RealGrid, subject: Subject, model: str, config: Config) -> dict[str, Any]:
    """What is decided before anything is run; its fingerprint stands in every measurement."""
    files = (subject.target, subject.general, subject.drift, subject.grader)
    return {
        # a further seed changes none of those before it
        "grid": grid.model_dump(mode="json", exclude={"seeds"}),
        "cells": [cell.name for cell in grid.first_seed()],
        "replies": [plan.TARGET_TOKENS, plan.GENERAL_TOKENS, plan.DRIFT_TOKENS],
        "bounds": table.BOUNDS,
        "questions": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
        "families": list(instructions.KEPT),
        "model": identity.model(model),
        # not the gate's id, which each data set names: what came before a check learnt to read still counts
        "config": {section: config.given[section] for section in SETTINGS},
    }


def refuse_other_settings(config: Config) -> None:
    """Raises UsageError for a setting that the proof has fixed."""
    if given := [section for section in SETTINGS if section in config.given and section != "engine"]:
        raise UsageError(
            f"{given[0]} is fixed for --real, so that what is measured can be added up: leave it out."
        )


def points(grid: RealGrid, found: Found, arm: Arm) -> dict[float, Any]:
    """Learning rate -> where the first seed of an arm lies, on the half that chooses."""
    by_lr = {lr: found[name] for lr in grid.lrs if (name := Cell(arm, lr, 0).name) in found}
    return {lr: point(found[BASE].result(), [one.result()], problems.TASK) for lr, one in by_lr.items()}


def rates(grid: RealGrid, found: Found) -> dict[Arm, float]:
    """The learning rate of every arm that has been measured, by the first seed; of one rate alone, that one."""
    lying = {arm: points(grid, found, arm) for arm in map(Arm, DATA)}
    return {arm: best(by_lr, grid.slack) for arm, by_lr in lying.items() if by_lr}


def report(out: Path, grid: RealGrid, found: Found) -> dict[str, Any]:
    """Tables and pictures of what has been measured."""
    base = found[BASE]
    lrs = rates(grid, found)
    runs = {arm: _seeds(grid, found, arm, lr) for arm, lr in lrs.items()}
    evaluated = {arm: [one.result() for one in seeds] for arm, seeds in runs.items()}
    trained = {
        arm: Trained(
            tuple(one.start_loss for one in seeds),
            sum(one.steps for one in seeds) / len(seeds),
            sum(one.tokens for one in seeds) / len(seeds),
        )
        for arm, seeds in runs.items()
    }
    origin = base.result()
    results = arm_results(origin, evaluated, lrs, trained, problems.TASK, AGENT)
    curves = {
        arm: curve_points(
            origin,
            {
                lr: [one.result() for one in seeds]
                for lr in grid.lrs
                if (seeds := _seeds(grid, found, arm, lr))
            },
            problems.TASK,
        )
        for arm in runs
    }
    others = rivals(results, AGENT) if Arm(AGENT) in runs else []
    data = {
        arm.data: made for arm, seeds in runs.items() if (made := [d for one in seeds if (d := one.data)])
    }
    held = table.bounds(results, others, data)
    asked = compare(half(origin, choosing=False), {}, target=[problems.TASK])
    before = {"downstream": asked.base_downstream or 0.0, "general": asked.base_general or 0.0}
    drifts = [table.drift(arm, base, seeds) for arm, seeds in runs.items()]
    done = sum(len(_seeds(grid, found, arm, lr)) for arm in map(Arm, DATA) for lr in grid.lrs)
    in_all = len(grid.first_seed()) + len(DATA) * (grid.seeds - 1)
    parts = [
        markdown(results, before),
        bounds_markdown(held),
        table.data_markdown(data),
        table.drift_markdown(drifts),
        rivals_markdown(others, AGENT),
        curves_markdown(curves),
        table.families_markdown(base, runs),
        f"{done} of {in_all} models.\n",
    ]
    write_text(out / "table.md", "\n".join(part for part in parts if part))
    named = {arm.label: [(p.forgetting, p.downstream) for p in curve] for arm, curve in curves.items()}
    drawn = {
        "plane.svg": picture.plane(named, "forgetting, points of instructions", "downstream, % correct"),
        "loss.svg": picture.curves(
            {arm.label: [(float(s), v) for s, v in seeds[0].loss] for arm, seeds in runs.items()},
            "step",
            "SFT loss, nats per token",
        ),
    }
    learned = {f"seed {i}": one.learning for i, one in enumerate(data.get(AGENT, ())) if one.learning}
    if learned:
        curves_of = {name: [(float(s), v) for s, v in line] for name, line in learned.items()}
        drawn["learning.svg"] = picture.curves(curves_of, "step of learning", "share of candidates accepted")
    for name, drawing in drawn.items():
        write_text(out / name, drawing)
    return {
        "models": done,
        "base": before,
        "arms": plain(results, AGENT, curves),
        "bounds": [asdict(bound) for bound in held],
        "rivals": [asdict(rival) for rival in others],
        "drift": [asdict(d) | {"label": d.arm.label} for d in drifts],
        "data_sets": {name: [asdict(one) for one in seeds] for name, seeds in data.items()},
        "table": str(out / "table.md"),
        "pictures": [str(out / name) for name in drawn],
    }


def _seeds(grid: RealGrid, found: Found, arm: Arm, lr: float) -> list[Measurement]:
    return [found[name] for seed in range(grid.seeds) if (name := Cell(arm, lr, seed).name) in found]


def _measured(cell: Cell | None, mark: str, outcomes: Mapping[str, StageOutcome], out: Path) -> Measurement:
    """The record of a cell, of the backbone where it is None."""
    name = cell.name if cell else BASE

    def evaluation(kind: str) -> EvalResult:
        return EvalResult.load(outcomes[f"{kind}-{name}"].result["out"])

    asked = measurements.followed(evaluation("general").items)
    lettered = cells.lettered([*evaluation("task").items, *asked])
    gold = measurements.golds(asked)
    if cell is None:
        return Measurement(name, mark, lettered, gold, [], [])
    sft = outcomes[f"sft-{name}"]
    curve = read_lines(Path(sft.result["out"]) / "loss.jsonl")
    own = ("sft", "task", "general", "left", "missed")
    return Measurement(
        name,
        mark,
        lettered,
        gold,
        measurements.drifts(evaluation("left")),
        measurements.drifts(evaluation("missed")),
        start_loss=round(sft.result["start_loss"], 4),
        steps=sft.result["steps"],
        tokens=sft.result["num_tokens"],
        loss=measurements.curve(curve, "loss"),
        data=_data_set(cell, outcomes, out),
        seconds=round(sum(outcomes[f"{kind}-{name}"].seconds for kind in own), 1),
    )


def _data_set(cell: Cell, outcomes: Mapping[str, StageOutcome], out: Path) -> DataSet | None:
    """What is kept of the rows of a cell; the rewritten ones are written beside, to be read."""
    data, seed = cell.arm.data, cell.seed
    if data == DEMONSTRATIONS:
        return None
    rewriting, learned = outcomes[f"{data}-{seed}"], outcomes.get(f"learn-{data}-{seed}")
    snapshot = Store(out / "store").open(rewriting.result["version"])
    rows = list(snapshot.rows(["row_id", "messages", "demonstration", "completion", "decision"]))
    write_lines(out / "rows" / f"{data}-{seed}.jsonl", (row for row in rows if row["decision"] in REWRITTEN))
    steps = read_lines(Path(learned.result["out"]) / "metrics.jsonl") if learned else []
    learning = measurements.curve(steps, "pass_rate", num_points=len(steps) or 1)
    return measurements.data_set(
        rewriting.result,
        rows,
        load_gate(SETTINGS["gate"]).id,
        learning,
        rewriting.seconds + (learned.seconds if learned else 0.0),
    )
