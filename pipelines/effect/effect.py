"""The proof, run: phases of cells through `stages`, the choice between them, and what came out.

Killed at any moment, the same call goes on: every cell is a stage, found again by its fingerprint. A change of the
world, of a reward setting, of the rule or of the grid changes fingerprints, so that the cells it touches are made anew.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from curate.errors import UsageError
from curate.fingerprint import fingerprint
from pipelines import identity, stages
from pipelines.config import Config
from pipelines.effect import datasets, picture, plan, table
from pipelines.effect.grid import (
    DEMONSTRATIONS,
    ORACLE,
    Arm,
    Cell,
    Grid,
    first_phase,
    second_phase,
    study_phase,
)
from pipelines.effect.selection import Point, best, half, point
from pipelines.effect.subject import Subject
from pipelines.progress import Reporter
from pipelines.runs import write_whole
from pipelines.stages import StageOutcome
from train.compare import compare
from train.results import EvalResult

CURVE_POINTS = 24
"""Of a loss curve, roughly: single steps of 16 rows jump too much to be told apart."""


@dataclass
class Measured:
    """Outcomes of stages, and the evaluations behind them."""

    cells: list[Cell] = field(default_factory=list)
    outcomes: dict[str, StageOutcome] = field(default_factory=dict)
    evaluations: dict[str, EvalResult] = field(default_factory=dict)

    def add(self, cells: Sequence[Cell], outcomes: Mapping[str, StageOutcome]) -> None:
        self.cells += cells
        self.outcomes |= outcomes
        for name in ("base", *(f"eval-{cell.name}" for cell in cells)):
            if name not in self.evaluations:
                self.evaluations[name] = EvalResult.load(outcomes[name].result["out"])

    @property
    def base(self) -> EvalResult:
        return self.evaluations["base"]

    def runs(self, arm: Arm, lr: float) -> list[EvalResult]:
        """Evaluations of an arm at a learning rate, by seed."""
        return [self.evaluations[f"eval-{c.name}"] for c in self.at(arm, lr)]

    def at(self, arm: Arm, lr: float) -> list[Cell]:
        return sorted((c for c in self.cells if (c.arm, c.lr) == (arm, lr)), key=lambda c: c.seed)

    def points(self, arm: Arm, target: str) -> dict[float, Point]:
        """Learning rate -> where it lies, on the half that chooses."""
        lrs = sorted({c.lr for c in self.cells if c.arm == arm})
        return {lr: point(self.base, self.runs(arm, lr), target) for lr in lrs}

    def best_lr(self, arm: Arm, target: str, grid: Grid) -> float:
        """The learning rate that the rule chooses for an arm."""
        return best(self.points(arm, target), grid.slack)

    def at_best(self, arms: Sequence[Arm], target: str, grid: Grid) -> dict[Arm, Point]:
        """Where each arm lies at its learning rate, on the half that chooses."""
        return {arm: self.points(arm, target)[self.best_lr(arm, target, grid)] for arm in arms}

    def versions(self) -> dict[tuple[str, int], str]:
        """(rows, seed) -> the version that holds them."""
        found = {}
        for cell in self.cells:
            for rows in (DEMONSTRATIONS, cell.arm.rows):
                stage = f"import-{cell.seed}" if rows == DEMONSTRATIONS else f"{rows}-{cell.seed}"
                found[rows, cell.seed] = self.outcomes[stage].result["version"]
        return found


def prove(
    out: Path,
    subject: Subject,
    grid: Grid,
    *,
    models: Sequence[str],
    config: Config,
    jobs: int,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Run the grid on the first of `models` into `out`, and the headline arms on every other into `out/others/NAME`.

    Returns the result of the first with those of the others, by name, under `others` (also `out/result.json`); a table
    of all goes to `out/backbones.md`.
    Raises UsageError for two models of one name, ModelError for one that is not there, and what stages raise.
    """
    names = [Path(model).name for model in models]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"two backbones are called {twice!r}; the folder of each is called by its name.")
    for model in models:
        identity.model(model)  # one that is missing is said now and not after hours
    first, *others = models
    result = run(out, subject, grid, model=first, config=config, jobs=jobs, reporter=reporter)
    further = grid.headline(result["best_agent"])
    result["others"] = {
        Path(model).name: run(
            out / "others" / Path(model).name,
            subject,
            further,
            model=model,
            config=config,
            jobs=jobs,
            reporter=reporter,
        )
        for model in others
    }
    if others:
        every = {names[0]: result, **result["others"]}
        write_whole(out / "backbones.md", table.backbones_markdown(every))
    write_whole(out / "result.json", json.dumps(result, indent=1) + "\n")
    return result


def run(
    out: Path,
    subject: Subject,
    grid: Grid,
    *,
    model: str,
    config: Config,
    jobs: int,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Run the grid on one backbone into `out` and return the result (also `out/result.json`).

    Tables go to `out/table.md`, pictures to `out/plane.svg` and `out/loss.svg`. Raises what stages raise.
    """
    began = time.monotonic()
    measured = Measured()
    learning = config.section("learn")
    settings = {
        "rewriting": config.given.get("rewrite"),
        "step_candidates": learning.prompts_per_step * learning.candidates,
    }
    # `rewrite` goes to the stages that take it; `curate --only` takes no other filter
    shared = Config.of({k: v for k, v in config.given.items() if k not in ("rewrite", "curate")})

    def work(cells: list[Cell]) -> None:
        planned = stages.Plan.of(plan.stages(cells, subject, grid, model, **settings), shared)
        measured.add(cells, stages.run(planned, store=out / "store", jobs=jobs, reporter=reporter))

    if not subject.oracle:
        grid = grid.model_copy(update={"data": tuple(d for d in grid.data if d != ORACLE)})
    work(first_phase(grid))
    chosen = best_agent(measured, grid, subject.target)
    if further := second_phase(grid, chosen):
        work(further)
    if grid.study:
        lrs = {data: measured.best_lr(Arm(data), subject.target, grid) for data in grid.data}

        def some_rewritten_by(rewriters: Sequence[str]) -> bool:
            return datasets.all_rewrote(out / "store", measured.versions(), rewriters, range(grid.seeds))

        work(study_phase(grid, chosen, lrs, some_rewritten_by=some_rewritten_by))
    result = summary(measured, grid, subject, chosen, out)
    result |= {
        "model": model,
        "grid": grid.model_dump(mode="json"),
        "grid_fingerprint": fingerprint(grid.model_dump(mode="json")),
        "seconds": round(time.monotonic() - began, 1),
    }
    write_whole(out / "result.json", json.dumps(result, indent=1) + "\n")
    return result


def best_agent(measured: Measured, grid: Grid, target: str) -> str:
    """The agents' data set that the rule chooses, each at the learning rate that the rule chooses for it."""
    return best(measured.at_best([Arm(data) for data in grid.agents], target, grid), grid.slack).data


def summary(measured: Measured, grid: Grid, subject: Subject, chosen: str, out: Path) -> dict[str, Any]:
    """Everything that is reported, written beside the store."""
    arms = list(dict.fromkeys(cell.arm for cell in measured.cells))
    lrs = {arm: measured.best_lr(arm, subject.target, grid) for arm in arms}
    losses = {
        arm: [
            float(measured.outcomes[f"sft-{c.name}"].result["start_loss"]) for c in measured.at(arm, lrs[arm])
        ]
        for arm in arms
    }
    runs = {arm: measured.runs(arm, lrs[arm]) for arm in arms}
    results = table.arm_results(measured.base, runs, lrs, losses, subject.target, chosen)
    reported = compare(half(measured.base, choosing=False), {}, target=[subject.target])
    base = {"downstream": reported.base_downstream or 0.0, "general": reported.base_general or 0.0}
    found = datasets.described(measured.cells, measured.outcomes, measured.versions(), out / "store")
    rivals = table.rivals(results, chosen)
    rehearsed = [arm for arm in arms if arm.rehearsal and arm.data == chosen]
    with_rehearsal = (
        best(measured.at_best(rehearsed, subject.target, grid), grid.slack) if rehearsed else None
    )
    bounds = table.bounds(results, chosen)
    bounds += table.rehearsed_bounds(next((r for r in results if r.arm == with_rehearsal), None))
    parts = [table.markdown(results, base), table.rivals_markdown(rivals, chosen), datasets.markdown(found)]
    write_whole(out / "table.md", "\n".join(parts))
    write_whole(out / "plane.svg", plane(measured, grid, subject.target))
    write_whole(out / "loss.svg", loss_curves(measured, grid, lrs))
    return {
        "best_agent": chosen,
        "base": base,
        "arms": table.plain(results, chosen),
        "bounds": [asdict(bound) for bound in bounds],
        "rivals": [asdict(rival) for rival in rivals],
        "data_sets": [asdict(data) for data in found],
        "cost_seconds": costs(measured),
        "table": str(out / "table.md"),
        "pictures": [str(out / "plane.svg"), str(out / "loss.svg")],
    }


def costs(measured: Measured) -> dict[str, float]:
    """Seconds of all stages of a kind, on however many cores they ran; what makes a data set counts as `data`."""
    spent: dict[str, float] = defaultdict(float)
    for name, outcome in measured.outcomes.items():
        kind = name.partition("-")[0]
        spent[kind if kind in ("sft", "eval", "base", "learn", plan.REHEARSAL) else "data"] += outcome.seconds
    return {kind: round(seconds, 1) for kind, seconds in spent.items()}


def plane(measured: Measured, grid: Grid, target: str) -> str:
    """Downstream over forgetting on the reported half: a curve over learning rates for every data set with NLL."""
    named: dict[str, list[tuple[float, float]]] = {}
    for data in grid.data:
        arm = Arm(data)
        for lr in sorted({c.lr for c in measured.cells if c.arm == arm}):
            runs = {"arm": [half(run, choosing=False) for run in measured.runs(arm, lr)]}
            base = half(measured.base, choosing=False)
            change = compare(base, runs, target=[target], num_resamples=1).changes[0]
            assert change.forgetting and change.downstream is not None
            named.setdefault(arm.label, []).append((change.forgetting.value, change.downstream))
    return picture.curves(named, "forgetting, points lost in general", "downstream, % correct", marked=True)


def loss_curves(measured: Measured, grid: Grid, lrs: Mapping[Arm, float]) -> str:
    """SFT loss over steps of every data set with NLL, at its learning rate, first seed; means of a few steps each."""
    named = {}
    for data in grid.data:
        arm = Arm(data)
        cell = measured.at(arm, lrs[arm])[0]
        folder = Path(measured.outcomes[f"sft-{cell.name}"].result["out"])
        lines = [json.loads(line) for line in (folder / "loss.jsonl").read_text().splitlines()]
        width = max(1, len(lines) // CURVE_POINTS)
        spans = [lines[i : i + width] for i in range(0, len(lines) - width + 1, width)]
        named[arm.label] = [
            (float(span[-1]["step"]), fmean(float(line["loss"]) for line in span)) for span in spans
        ]
    return picture.curves(named, "step", "SFT loss, nats per token", marked=False)
