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
from typing import Any

from curate.fingerprint import fingerprint
from pipelines import stages
from pipelines.config import Config
from pipelines.effect import picture, plan, table
from pipelines.effect.grid import ORACLE, Arm, Cell, Grid, first_phase, second_phase
from pipelines.effect.selection import Point, best, half, point
from pipelines.effect.subject import Subject
from pipelines.progress import Reporter
from pipelines.runs import write_whole
from pipelines.stages import StageOutcome
from train.compare import compare
from train.results import EvalResult


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

    def work(cells: list[Cell]) -> None:
        planned = stages.Plan.of(plan.stages(cells, subject, grid, model), config)
        measured.add(cells, stages.run(planned, store=out / "store", jobs=jobs, reporter=reporter))

    if not subject.oracle:
        grid = grid.model_copy(update={"data": tuple(d for d in grid.data if d != ORACLE)})
    work(first_phase(grid))
    chosen = best_agent(measured, grid, subject.target)
    if further := second_phase(grid, chosen):
        work(further)
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
    at_best: dict[str, Point] = {}
    for data in grid.agents:
        points = measured.points(Arm(data), target)
        at_best[data] = points[best(points, grid.slack)]
    return best(at_best, grid.slack)


def summary(measured: Measured, grid: Grid, subject: Subject, chosen: str, out: Path) -> dict[str, Any]:
    """Everything that is reported, written beside the store."""
    arms = list(dict.fromkeys(cell.arm for cell in measured.cells))
    lrs = {arm: best(measured.points(arm, subject.target), grid.slack) for arm in arms}
    cells = {arm: measured.at(arm, lrs[arm]) for arm in arms}
    losses = {
        arm: [float(measured.outcomes[f"sft-{c.name}"].result["start_loss"]) for c in found]
        for arm, found in cells.items()
    }
    runs = {arm: measured.runs(arm, lrs[arm]) for arm in arms}
    results = table.arm_results(measured.base, runs, lrs, losses, subject.target)
    reported = compare(half(measured.base, choosing=False), {}, target=[subject.target])
    base = {"downstream": reported.base_downstream or 0.0, "general": reported.base_general or 0.0}
    accepted = accepted_shares(measured)
    write_whole(out / "table.md", table.markdown(results, base, accepted))
    write_whole(out / "plane.svg", plane(measured, grid, subject.target))
    write_whole(out / "loss.svg", loss_curves(measured, lrs))
    return {
        "best_agent": chosen,
        "base": base,
        "arms": table.plain(results, chosen),
        "bounds": [asdict(bound) for bound in table.bounds(results, chosen)],
        "accepted": accepted,
        "cost_seconds": costs(measured),
        "table": str(out / "table.md"),
        "pictures": [str(out / "plane.svg"), str(out / "loss.svg")],
    }


def accepted_shares(measured: Measured) -> dict[str, float]:
    """Share of rows that a data set rewrites, mean over seeds."""
    shares: dict[str, list[float]] = defaultdict(list)
    for name, outcome in measured.outcomes.items():
        if "fallback_share" in outcome.result:
            shares[name.rpartition("-")[0]].append(1 - outcome.result["fallback_share"])
    return {data: sum(values) / len(values) for data, values in shares.items()}


def costs(measured: Measured) -> dict[str, float]:
    """Seconds of all stages of a kind, on however many cores they ran."""
    spent: dict[str, float] = defaultdict(float)
    for name, outcome in measured.outcomes.items():
        spent[name.partition("-")[0]] += outcome.seconds
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


def loss_curves(measured: Measured, lrs: Mapping[Arm, float]) -> str:
    """SFT loss over steps, NLL arms at their learning rates, first seed."""
    named = {}
    for arm, lr in lrs.items():
        if arm != Arm(arm.data):
            continue
        cell = measured.at(arm, lr)[0]
        folder = Path(measured.outcomes[f"sft-{cell.name}"].result["out"])
        lines = [json.loads(line) for line in (folder / "loss.jsonl").read_text().splitlines()]
        named[arm.label] = [(float(line["step"]), float(line["loss"])) for line in lines]
    return picture.curves(named, "step", "SFT loss, nats per token", marked=False)
