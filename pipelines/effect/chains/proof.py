"""The proof of the stages, run: cell after cell, seed by seed, what is kept of each, and what came out so far.

    out/cells.jsonl     a line a finished cell (`measurements`)
    out/table.md, plane.svg, rewards.svg, result.json     what they say; written anew after every cell

Killed at any moment, the same call goes on: a cell that has its line is not made again, and what an unfinished one had
made is found by its fingerprint. `known` may be a file of such lines that somebody committed: cells that were measured
under the settings that they would have now (`marks`) are taken from there.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

from recast.curate.files import read_lines, write_json, write_text
from recast.curate.fingerprint import fingerprint
from recast.pipelines.config import Config
from recast.pipelines.effect import cells, picture
from recast.pipelines.effect.chains import measurements, plan, table
from recast.pipelines.effect.chains.grid import SETTINGS, Cell, Chain, ChainGrid
from recast.pipelines.effect.chains.measurements import Measurement
from recast.pipelines.effect.chains.plan import BASE
from recast.pipelines.effect.chains.subject import TARGET, Subject
from recast.pipelines.effect.table import bounds_markdown
from recast.pipelines.models.names import model_path
from recast.pipelines.run import identity, runs, stages
from recast.pipelines.run.arguments import find
from recast.pipelines.run.stages import StageOutcome
from recast.pipelines.terminal.progress import Reporter
from recast.train.evaluation.results import EvalResult


def prove(
    out: Path,
    subject: Subject,
    grid: ChainGrid,
    *,
    model: str,
    config: Config,
    jobs: int,
    known: Path | None = None,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Run the chains on one backbone into `out` and return the result (also `out/result.json`).

    Raises DataError for a `known` that holds no measurements, and what stages raise.
    """
    began = time.monotonic()
    asked = measured_on(grid, subject, model)
    marked = marks(grid, subject, model, config, asked)
    found = measurements.read(known, marked) if known else {}
    found |= measurements.read(out / cells.FILE, marked)
    length = _token_counter(model)
    result: dict[str, Any] = {}

    def work(cell: Cell) -> None:
        planned = plan.stages([cell], subject, grid, model)
        outcomes = stages.run(
            stages.Plan.of(planned, config), store=out / "store", jobs=jobs, reporter=reporter
        )
        for made in (None, cell):
            one = _measured(made, marked, outcomes, length, planned)
            if one.name not in found:
                found[one.name] = one
                cells.append(out / cells.FILE, one)

    for cell in grid.cells():
        if cell.name not in found:
            # one after another: of the stages of many, those of one would be finished last, and nothing be known before
            work(cell)
            result = report(out, grid, found)
    if not result:
        result = report(out, grid, found)
    result |= {
        "model": model,
        "fixed": {"measured_on": asked, "settings": SETTINGS, "bounds": table.BOUNDS, "marks": marked},
        "seconds": round(time.monotonic() - began, 1),
        "others": {},
    }
    write_json(out / "result.json", result)
    return result


def measured_on(grid: ChainGrid, subject: Subject, model: str) -> dict[str, Any]:
    """What all models are made of and measured on."""
    files = (subject.target, subject.general, subject.disturbed, subject.grader)
    return {
        # a further seed changes none of those before it
        "grid": grid.model_dump(mode="json", exclude={"seeds"}),
        "questions": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
        "model": identity.model(model),
    }


def marks(
    grid: ChainGrid, subject: Subject, model: str, config: Config, asked: Mapping[str, Any]
) -> dict[str, str]:
    """By cell, and of the backbone: a fingerprint of all that decides its measurement, defaults and gate included.

    It stands in the measurement, so that a changed setting of a stage asks for the cells anew which have that stage,
    and for no other.
    """
    found = {BASE: fingerprint(asked)[:16]}
    for cell in grid.cells():
        planned = plan.stages([cell], subject, grid, model)
        needed = _needed(plan.last_stage(cell), planned)
        decided = {
            stage["name"]: runs.settings_of(
                find(stage["verb"]), stage["args"], config.over(stage["config"]), Path()
            )
            for stage in planned
            if stage["name"] in needed
        }
        found[cell.name] = fingerprint([asked, asdict(cell), decided])[:16]
    return found


def report(out: Path, grid: ChainGrid, found: Mapping[str, Measurement]) -> dict[str, Any]:
    """Tables and pictures of what has been measured."""
    base = found[BASE]
    runs: dict[Chain, dict[int, Measurement]] = {}
    for chain in grid.chains():
        seeds = {s: found[name] for s in range(grid.seeds) if (name := Cell(chain, s).name) in found}
        if seeds:
            runs[chain] = seeds
    results = table.chain_results(base, runs)
    asked = [table.difference(*asked[:1], base, runs, *asked[1:]) for asked in table.questions()]
    differences = [d for d in asked if d]
    held = table.bounds(base, runs)
    parts = [
        table.markdown(base, results),
        bounds_markdown(held),
        table.differences_markdown(differences),
        f"{sum(len(seeds) for seeds in runs.values())} of {len(grid.cells())} models.\n",
    ]
    write_text(out / "table.md", "\n".join(parts))
    drawn = {"plane.svg": _plane(results)}
    if learned := {f"{r.chain.label}, {r.chain.rows}": r.validation for r in results if r.validation}:
        drawn["rewards.svg"] = picture.curves(learned, "step of RL", "validation reward")
    for name, drawing in drawn.items():
        write_text(out / name, drawing)
    return {
        "models": sum(len(seeds) for seeds in runs.values()),
        "arms": [
            asdict(r) | {"name": r.chain.name, "label": r.chain.label, "rows": r.chain.rows} for r in results
        ],
        "bounds": [asdict(bound) for bound in held],
        "differences": [asdict(d) for d in differences],
        "table": str(out / "table.md"),
        "pictures": [str(out / name) for name in drawn],
    }


def _plane(results: list[table.ChainResult]) -> str:
    named = {f"{r.chain.label}, {r.chain.rows}": [(r.forgetting, r.downstream)] for r in results}
    return picture.plane(named, "forgetting, points lost in general", "downstream, % correct")


def _measured(
    cell: Cell | None,
    marked: Mapping[str, str],
    outcomes: Mapping[str, StageOutcome],
    length: Callable[[str], int],
    planned: list[dict[str, Any]],
) -> Measurement:
    """The record of a cell, of the backbone where it is None."""
    name = cell.name if cell else BASE
    task, rest = (outcomes[f"{kind}-{name}"] for kind in ("task", "rest"))
    evaluations = [EvalResult.load(o.result["out"]) for o in (task, rest)]
    replies = [item for item in evaluations[0].items if item.suite == TARGET]
    drawn = sum(1 + len(item.samples) for item in replies)
    learned = plan.rl_stage(cell) if cell else None
    curve = read_lines(Path(outcomes[learned].result["out"]) / "metrics.jsonl") if learned else []
    own = _needed(plan.last_stage(cell), planned) if cell else set()
    return measurements.measured(
        name,
        marked[name],
        evaluations,
        tokens=fmean(length(item.text) for item in replies),
        reply_seconds=task.seconds / drawn,
        validation=curve,
        seconds=sum(outcomes[stage].seconds for stage in own),
    )


def _needed(stage: str, planned: list[dict[str, Any]]) -> set[str]:
    """A stage and all that it needs."""
    by_name = {s["name"]: s for s in planned}
    found, left = set[str](), [stage]
    while left:
        name = left.pop()
        found.add(name)
        left += [
            other for other in by_name if other not in found and f"${{{other}." in str(by_name[name]["args"])
        ]
    return found


def _token_counter(model: str) -> Callable[[str], int]:
    from recast.train.model.loading import load_tokenizer

    tokenizer = load_tokenizer(model_path(model))
    return lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"])
