"""The proof, run: phases of cells through `stages`, the choice between them, and what came out.

Killed at any moment, the same call goes on: every cell is a stage, found again by its fingerprint. A change of the
world, of a setting or of the package's version changes fingerprints, so that the cells it touches are made anew; who
changes code between two versions starts in an empty folder.
"""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from recast.curate.errors import UsageError
from recast.curate.files import read_lines, write_json, write_text
from recast.curate.fingerprint import fingerprint
from recast.pipelines.config import Config
from recast.pipelines.effect import datasets, picture, plan, table
from recast.pipelines.effect.grid import (
    DEMONSTRATIONS,
    ORACLE,
    Arm,
    Cell,
    Grid,
    first_phase,
    second_phase,
    study_phase,
)
from recast.pipelines.effect.selection import Point, best, half, point
from recast.pipelines.effect.subject import Subject
from recast.pipelines.run import identity, stages
from recast.pipelines.run.stages import StageOutcome
from recast.pipelines.terminal.progress import Reporter
from recast.train.evaluation.compare import compare
from recast.train.evaluation.results import EvalResult

if TYPE_CHECKING:
    from recast.agent.reward.scorer import Weights

DECIDED = {
    "sft": ("lr", "objective", "lora_rank", "checkpoints", "seed"),
    "learn": ("mode", "soft_gate", "scored_under", "seed"),
}
"""Settings of which every arm has its own."""
FURTHER = {
    "Objectives": "objectives.svg",
    "LoRA": "lora.svg",
    "With rehearsal rows": "rehearsal.svg",
}
"""Sections of the table that have a picture of their own beside the data sets'."""
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

    def by_lr(self, arm: Arm) -> dict[float, list[EvalResult]]:
        """Evaluations of an arm, by seed, at each of its learning rates."""
        return {lr: self.runs(arm, lr) for lr in sorted({c.lr for c in self.cells if c.arm == arm})}

    def trained(self, arm: Arm, lr: float) -> table.Trained:
        """What SFT of an arm said."""
        said = [self.outcomes[f"sft-{c.name}"].result for c in self.at(arm, lr)]
        return table.Trained(
            tuple(float(s["start_loss"]) for s in said),
            steps=fmean(s["steps"] for s in said),
            tokens=fmean(s["num_tokens"] for s in said),
        )

    def points(self, arm: Arm, target: str) -> dict[float, Point]:
        """Learning rate -> where it lies, on the half that chooses."""
        return {lr: point(self.base, runs, target) for lr, runs in self.by_lr(arm).items()}

    def best_lr(self, arm: Arm, target: str, grid: Grid) -> float:
        """The learning rate that the rule chooses for an arm."""
        return best(self.points(arm, target), grid.slack)

    def at_best(self, arms: Sequence[Arm], target: str, grid: Grid) -> dict[Arm, Point]:
        """Where each arm lies at its learning rate, on the half that chooses."""
        found = {arm: self.points(arm, target) for arm in arms}
        return {arm: by_lr[best(by_lr, grid.slack)] for arm, by_lr in found.items()}

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
        write_text(out / "backbones.md", table.backbones_markdown(every))
    write_json(out / "result.json", result)
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

    Tables go to `out/table.md`; pictures to `plane.svg`, `loss.svg` and, of what is not a data set, those of FURTHER.
    Raises what stages raise.
    """
    began = time.monotonic()
    measured = Measured()
    # of all agents now: what the last one's mode refuses is refused before the first one learns
    rewards = {
        agent: config.section("learn", mode=agent.removeprefix("agent-")).weights() for agent in grid.agents
    }
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
    decided = fixed(grid, subject, rewards)
    result |= {
        "model": model,
        "fixed": decided,
        "fixed_fingerprint": fingerprint(decided),
        "seconds": round(time.monotonic() - began, 1),
    }
    write_json(out / "result.json", result)
    return result


def fixed(grid: Grid, subject: Subject, rewards: Mapping[str, Weights]) -> dict[str, Any]:
    """What is decided before anything is run: the grid, its bounds, the questions, and the weights of every agent's
    reward. Its fingerprint stands in the result.
    """
    return {
        "grid": grid.model_dump(mode="json"),
        "bounds": table.BOUNDS,
        "questions": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in subject.suites},
        "target": subject.target,
        "rewards": {agent: asdict(weights) for agent, weights in rewards.items()},
    }


def refuse_what_the_grid_decides(config: Config) -> None:
    """Raises UsageError for a setting that an arm brings itself: it would have no effect, or make a label untrue."""
    for section, names in DECIDED.items():
        if given := [name for name in names if name in (config.given.get(section) or {})]:
            raise UsageError(
                f"{section}.{given[0]} is decided by the grid, arm by arm: leave it out of the configuration. Learning "
                "rates are --lr, data sets and agents --data."
            )


def best_agent(measured: Measured, grid: Grid, target: str) -> str:
    """The agents' data set that the rule chooses, each at the learning rate that the rule chooses for it."""
    return best(measured.at_best([Arm(data) for data in grid.agents], target, grid), grid.slack).data


def summary(measured: Measured, grid: Grid, subject: Subject, chosen: str, out: Path) -> dict[str, Any]:
    """Everything that is reported, written beside the store."""
    arms = list(dict.fromkeys(cell.arm for cell in measured.cells))
    lrs = {arm: measured.best_lr(arm, subject.target, grid) for arm in arms}
    runs = {arm: measured.runs(arm, lrs[arm]) for arm in arms}
    trained = {arm: measured.trained(arm, lrs[arm]) for arm in arms}
    results = table.arm_results(measured.base, runs, lrs, trained, subject.target, chosen)
    curves = {arm: table.curve_points(measured.base, measured.by_lr(arm), subject.target) for arm in arms}
    reported = compare(half(measured.base, choosing=False), {}, target=[subject.target])
    base = {"downstream": reported.base_downstream or 0.0, "general": reported.base_general or 0.0}
    found = datasets.described(measured.cells, measured.outcomes, measured.versions(), out / "store")
    rivals = table.rivals(results, chosen)
    rehearsed = [arm for arm in arms if arm.rehearsal and arm.data == chosen]
    with_rehearsal = (
        best(measured.at_best(rehearsed, subject.target, grid), grid.slack) if rehearsed else None
    )
    bounds = [
        *table.bounds(results, chosen),
        *table.rehearsed_bounds(next((r for r in results if r.arm == with_rehearsal), None)),
        *table.rivals_bounds(rivals),
    ]
    spent = costs(measured)
    parts = [
        table.markdown(results, base),
        table.bounds_markdown(bounds),
        table.rivals_markdown(rivals, chosen),
        datasets.markdown(found),
        table.curves_markdown(curves),
        costs_markdown(spent),
    ]
    write_text(out / "table.md", "\n".join(parts))
    drawn = {
        "plane.svg": plane({arm: curves[arm] for arm in curves if table.section(arm) == table.PLAIN}),
        "loss.svg": loss_curves(measured, grid, lrs),
    }
    for title, file in FURTHER.items():
        if of_it := {arm: curves[arm] for arm in curves if table.section(arm) == title}:
            drawn[file] = plane(of_it)
    for name, picture_of in drawn.items():
        write_text(out / name, picture_of)
    return {
        "best_agent": chosen,
        "base": base,
        "arms": table.plain(results, chosen, curves),
        "bounds": [asdict(bound) for bound in bounds],
        "rivals": [asdict(rival) for rival in rivals],
        "data_sets": [asdict(data) for data in found],
        "cost_seconds": spent,
        "table": str(out / "table.md"),
        "pictures": [str(out / name) for name in drawn],
    }


def costs(measured: Measured) -> dict[str, float]:
    """Seconds of all stages of a kind, on however many cores they ran; what makes a data set counts as `data`."""
    spent: dict[str, float] = defaultdict(float)
    for name, outcome in measured.outcomes.items():
        kind = name.partition("-")[0]
        spent[kind if kind in ("sft", "eval", "base", "learn", plan.REHEARSAL) else "data"] += outcome.seconds
    return {kind: round(seconds, 1) for kind, seconds in spent.items()}


def costs_markdown(spent: Mapping[str, float]) -> str:
    """A line of costs for a README."""
    kinds = ", ".join(f"{kind} {seconds:,.0f}" for kind, seconds in spent.items())
    return f"Seconds in stages: {kinds}; {sum(spent.values()):,.0f} in all.\n"


def plane(curves: Mapping[Arm, Sequence[table.CurvePoint]]) -> str:
    """Downstream over forgetting on the reported half: a curve over learning rates for every arm."""
    named = {
        arm.label: [(point.forgetting, point.downstream) for point in curve] for arm, curve in curves.items()
    }
    return picture.plane(named, "forgetting, points lost in general", "downstream, % correct")


def loss_curves(measured: Measured, grid: Grid, lrs: Mapping[Arm, float]) -> str:
    """SFT loss over steps of every data set with NLL, at its learning rate, first seed; means of a few steps each."""
    named = {}
    for data in grid.data:
        arm = Arm(data)
        cell = measured.at(arm, lrs[arm])[0]
        folder = Path(measured.outcomes[f"sft-{cell.name}"].result["out"])
        lines = read_lines(folder / "loss.jsonl")
        width = max(1, len(lines) // CURVE_POINTS)
        spans = [lines[i : i + width] for i in range(0, len(lines) - width + 1, width)]
        named[arm.label] = [
            (float(span[-1]["step"]), fmean(float(line["loss"]) for line in span)) for span in spans
        ]
    return picture.curves(named, "step", "SFT loss, nats per token")
