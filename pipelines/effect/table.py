"""What came out: arms with intervals, the bounds that were set in advance, and the table for a README."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from recast.curate.intervals import half_width
from recast.pipelines.effect.grid import BASELINES, DATA, DEMONSTRATIONS, ORACLE, PROMPT, Arm
from recast.pipelines.effect.selection import half
from recast.train.evaluation.bootstrap import Interval
from recast.train.evaluation.compare import compare
from recast.train.evaluation.results import EvalResult
from recast.train.evaluation.verdicts import Pair

MIN_GAIN, MAX_RATIO, MAX_RATIO_HIGH, MAX_START, MAX_ORACLE = -1.0, 0.5, 0.6, 0.4, 1.3
"""Bounds of the headline: points; ratio of forgetting, and upper end of its interval; ratio of start losses; ratio to
the oracle's forgetting. Fixed with the grid."""
MAX_POINTS, MAX_REHEARSED = 3.0, 0.15
"""Bounds of the best agent's rows with rehearsal: points forgotten, and of what the demonstrations forget."""


BOUNDS = {
    "min_gain": MIN_GAIN,
    "max_ratio": MAX_RATIO,
    "max_ratio_high": MAX_RATIO_HIGH,
    "max_start": MAX_START,
    "max_oracle": MAX_ORACLE,
    "max_points_rehearsed": MAX_POINTS,
    "max_ratio_rehearsed": MAX_REHEARSED,
}
FIGURES = ("downstream", "forgetting", "of demonstrations'", "start loss")
"""Heads of the columns that every table of arms ends in."""
NUM_CURVE_RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Trained:
    """What SFT said of an arm, at the learning rate that was chosen for it."""

    start_losses: tuple[float, ...]  # by seed, nats per token
    steps: float = 0.0  # mean over seeds, as are
    tokens: float = 0.0  # trained tokens of an epoch


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """An arm at one of its learning rates, on the half that is reported."""

    lr: float
    num_seeds: int
    downstream: Interval  # points
    forgetting: Interval


@dataclass(frozen=True, slots=True)
class ArmResult:
    """An arm at the learning rate that was chosen for it, on the half that is reported."""

    arm: Arm
    lr: float
    num_seeds: int
    downstream: float  # points
    gain: Interval
    general: float
    forgetting: Interval
    gold_loglik_change: float | None  # nats per token
    trained: Trained
    against_demonstrations: Pair | None
    against_best: Pair | None
    """The best agent's rows, plain likelihood, minus this arm."""

    @property
    def start_loss(self) -> float:
        return float(np.mean(self.trained.start_losses))


@dataclass(frozen=True, slots=True)
class Bound:
    """One of the figures to reach."""

    name: str
    found: str
    held: bool | None
    """None where it cannot be measured."""


def arm_results(
    base: EvalResult,
    runs: Mapping[Arm, Sequence[EvalResult]],
    lrs: Mapping[Arm, float],
    trained: Mapping[Arm, Trained],
    target: str,
    best: str,
) -> list[ArmResult]:
    """Compare every arm with the base, with demonstrations and with the rows of the agent `best` (both NLL), over
    questions and seeds.
    """
    named = {arm.name: [half(run, choosing=False) for run in found] for arm, found in runs.items()}
    origin = half(base, choosing=False)
    comparison = compare(origin, named, target=[target])
    changes = {change.model: change for change in comparison.changes}
    reference, agent = Arm(DEMONSTRATIONS).name, Arm(best).name
    out = []
    for arm in runs:
        change = changes[arm.name]
        assert change.downstream is not None and change.gain and change.general_accuracy is not None
        assert change.forgetting
        out.append(
            ArmResult(
                arm,
                lrs[arm],
                change.num_runs,
                change.downstream,
                change.gain,
                change.general_accuracy,
                change.forgetting,
                change.gold_loglik_change,
                trained[arm],
                paired(origin, named, reference, arm.name, target),
                paired(origin, named, arm.name, agent, target),
            )
        )
    return out


def curve_points(
    base: EvalResult, runs: Mapping[float, Sequence[EvalResult]], target: str
) -> list[CurvePoint]:
    """An arm at each of its learning rates; `runs` holds its seeds by rate."""
    origin, found = half(base, choosing=False), []
    for lr, seeds in sorted(runs.items()):
        arm = {"arm": [half(run, choosing=False) for run in seeds]}
        change = compare(origin, arm, target=[target], num_resamples=NUM_CURVE_RESAMPLES).changes[0]
        assert change.downstream is not None and change.gain and change.forgetting
        before, gain = change.downstream - change.gain.value, change.gain
        low, high = max(0.0, before + gain.low), min(100.0, before + gain.high)
        downstream = Interval(change.downstream, low, high)
        found.append(CurvePoint(lr, change.num_runs, downstream, change.forgetting))
    return found


def paired(
    base: EvalResult, runs: Mapping[str, Sequence[EvalResult]], first: str, second: str, target: str
) -> Pair | None:
    """The second arm minus the first, over the seeds that both have; None for an arm with itself, or one not there.

    Seed i of two arms was made from the same demonstrations: with other seeds on one side, the difference between
    seeds would pass for one between arms.
    """
    if first == second or not {first, second} <= set(runs):
        return None
    seeds = min(len(runs[first]), len(runs[second]))
    both = {name: runs[name][:seeds] for name in (first, second)}
    return compare(base, both, target=[target]).pairs[0]


def bounds(results: Sequence[ArmResult], best: str) -> list[Bound]:
    """The headline against what was asked of it: best agent, NLL, against demonstrations and the oracle."""
    by_arm = {result.arm: result for result in results}
    agent, expert = by_arm.get(Arm(best)), by_arm.get(Arm(DEMONSTRATIONS))
    if agent is None or expert is None or agent.against_demonstrations is None:
        return []
    against, found = agent.against_demonstrations, _not_lower("downstream", agent)
    name = f"forgetting at most {MAX_RATIO:g} of demonstrations' (interval below {MAX_RATIO_HIGH:g})"
    if r := against.forgetting_ratio:
        found.append(Bound(name, within(r), r.value <= MAX_RATIO and r.high < MAX_RATIO_HIGH))
    else:
        found.append(Bound(name, f"demonstrations forget too little for a ratio: {expert.forgetting}", None))
    start = agent.start_loss / expert.start_loss
    found.append(
        Bound(f"start loss at most {MAX_START:g} of demonstrations'", f"{start:.2f}", start <= MAX_START)
    )
    oracle = by_arm.get(Arm(ORACLE))
    if oracle and (pair := oracle.against_best) and pair.forgetting:
        name = f"forgetting at most {MAX_ORACLE:g} x the oracle's"
        if r := pair.forgetting_ratio:
            found.append(Bound(name, within(r), r.value <= MAX_ORACLE))
        else:
            said = f"the oracle forgets too little for a ratio; agent minus oracle {pair.forgetting}"
            found.append(Bound(name, said, None))
    return found


def rivals_bounds(found: Sequence[Rival]) -> list[Bound]:
    """What was asked of the best agent against prompting alone and published methods."""
    wanted = (PROMPT, *BASELINES)
    return [
        Bound(
            f"better than {rival.name} in two of downstream, forgetting, start loss, and worse in none",
            f"better in {', '.join(rival.better) or 'none'}, worse in {', '.join(rival.worse) or 'none'}",
            len(rival.better) >= 2 and not rival.worse,
        )
        for rival in found
        if rival.name in wanted
    ]


def rehearsed_bounds(result: ArmResult | None) -> list[Bound]:
    """What was asked of the best agent's rows with rehearsal, at the best objective and learning rate."""
    if result is None or result.against_demonstrations is None:
        return []
    name, lost = f"{result.arm.label}: ", result.forgetting
    found = _not_lower(f"{name}downstream", result)
    found.append(
        Bound(f"{name}forgetting at most {MAX_POINTS:g} points", points(lost), lost.value <= MAX_POINTS)
    )
    words = f"{name}forgetting at most {MAX_REHEARSED:g} of demonstrations'"
    if ratio := result.against_demonstrations.forgetting_ratio:
        found.append(Bound(words, within(ratio), ratio.value <= MAX_REHEARSED))
    else:
        found.append(Bound(words, "demonstrations forget too little for a ratio", None))
    return found


def _not_lower(name: str, result: ArmResult) -> list[Bound]:
    gained = result.against_demonstrations and result.against_demonstrations.downstream
    if not gained:
        return []
    words = f"{name} not lower than demonstrations' (interval above {MIN_GAIN:g})"
    return [Bound(words, str(gained), gained.low > MIN_GAIN)]


@dataclass(frozen=True, slots=True)
class Rival:
    """The best agent's rows against another data set, both with plain likelihood. Differences: agent minus rival."""

    name: str
    downstream: Interval
    forgetting: Interval
    start_loss: float  # nats per token, mean over the seeds that both have
    better: tuple[str, ...]
    worse: tuple[str, ...]


def rivals(results: Sequence[ArmResult], best: str) -> list[Rival]:
    """What the best agent is clearly better or worse in than every other rewriter, over the seeds that both have.

    Clear is a difference whose interval of 95 % leaves out 0: the bootstrap's, in start loss that of the mean over
    seeds, which takes two of them.
    """
    by_arm = {result.arm: result for result in results}
    agent, found = by_arm[Arm(best)], []
    for result in results:
        pair = result.against_best
        if (
            result.arm != Arm(result.arm.data)
            or result.arm.data in (DEMONSTRATIONS, ORACLE, best)
            or not pair
        ):
            continue
        assert pair.downstream and pair.forgetting
        gaps = [a - b for a, b in zip(agent.trained.start_losses, result.trained.start_losses, strict=False)]
        gap, half = float(np.mean(gaps)), half_width(gaps) if len(gaps) > 1 else math.inf
        signs = {
            "downstream": _sign(pair.downstream),
            "forgetting": -_sign(pair.forgetting),
            "start loss": -_sign(Interval(gap, gap - half, gap + half)),
        }
        found.append(
            Rival(
                result.arm.label,
                pair.downstream,
                pair.forgetting,
                gap,
                tuple(name for name, sign in signs.items() if sign > 0),
                tuple(name for name, sign in signs.items() if sign < 0),
            )
        )
    return found


def _sign(difference: Interval) -> int:
    """1 or -1 where the interval leaves out 0, and what rounding makes of 0; else 0."""
    return (difference.low > 1e-9) - (difference.high < -1e-9)


PLAIN = "Data sets, plain likelihood"
SECTIONS = (
    (PLAIN, lambda arm: arm == Arm(arm.data) and arm.data in DATA),
    ("Objectives", lambda arm: arm.objective != "nll" and not arm.rehearsal),
    ("LoRA", lambda arm: arm.rank is not None),
    ("With rehearsal rows", lambda arm: arm.rehearsal),
    ("The agent taken apart", lambda arm: arm == Arm(arm.data)),
    ("Coverage set apart from quality", lambda arm: bool(arm.rewritten_by)),
)
"""Parts of the table; an arm stands in the first that is true of it."""


def section(arm: Arm) -> str:
    """The part of the table that an arm stands in."""
    return next(title for title, holds in SECTIONS if holds(arm))


def markdown(results: Sequence[ArmResult], base: Mapping[str, float]) -> str:
    """The tables for a README. `base` has downstream and general."""
    heads = ("SFT data, objective", "lr", "seeds", "steps", *FIGURES)
    lines = [
        f"Backbone before SFT: downstream {base['downstream']:.1f}, general {base['general']:.1f}. Intervals of 95 %."
    ]
    for title, _ in SECTIONS:
        if chosen := [result for result in results if section(result.arm) == title]:
            lines += ["", f"**{title}**", "", *rows_of(heads, map(_cells, chosen))]
    return "\n".join(lines) + "\n"


def rows_of(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table in Markdown."""
    return [
        f"| {' | '.join(heads)} |",
        "|---" * len(heads) + "|",
        *(f"| {' | '.join(cells)} |" for cells in rows),
    ]


def _cells(result: ArmResult) -> list[str]:
    against = result.against_demonstrations
    ratio = against.forgetting_ratio if against else None
    return [
        result.arm.label,
        f"{result.lr:g}",
        str(result.num_seeds),
        f"{result.trained.steps:.0f}",
        f"{result.downstream:.1f}",
        points(result.forgetting),
        "" if ratio is None else within(ratio),
        f"{result.start_loss:.3f}",
    ]


def rivals_markdown(found: Sequence[Rival], best: str) -> str:
    """The best agent against every other rewriter, for a README."""
    if not found:
        return ""
    heads = ("", "downstream", "forgetting", "start loss", "clearly better in", "clearly worse in")
    rows = (
        [
            rival.name,
            str(rival.downstream),
            str(rival.forgetting),
            f"{rival.start_loss:+.3f}",
            ", ".join(rival.better) or "nothing",
            ", ".join(rival.worse) or "nothing",
        ]
        for rival in found
    )
    title = f"**{Arm(best).label} against other rewriters** (agent minus the other)"
    return "\n".join([title, "", *rows_of(heads, rows)]) + "\n"


def curves_markdown(curves: Mapping[Arm, Sequence[CurvePoint]]) -> str:
    """Every arm at every learning rate: points on the target / points forgotten, each with its interval."""
    lrs = sorted({point.lr for curve in curves.values() for point in curve})
    heads = ["downstream / forgetting at lr", *(f"{lr:g}" for lr in lrs)]
    rows = []
    for arm, curve in curves.items():
        by_lr = {p.lr: f"{points(p.downstream)} / {points(p.forgetting)}" for p in curve}
        rows.append([arm.label, *(by_lr.get(lr, "") for lr in lrs)])
    return "\n".join(rows_of(heads, rows)) + "\n"


def bounds_markdown(found: Sequence[Bound]) -> str:
    """The figures to reach, and whether they were."""
    said = {True: "yes", False: "**no**", None: "not measurable"}
    rows = ([bound.name, bound.found, said[bound.held]] for bound in found)
    return "\n".join(rows_of(("figure to reach", "found", "held"), rows)) + "\n"


def backbones_markdown(results: Mapping[str, Mapping[str, Any]]) -> str:
    """The headline arms on every backbone, for a README. `results` are those of `effect.run` by backbone."""
    rows = []
    for backbone, result in results.items():
        base = result["base"]
        before = [f"{base['downstream']:.1f}", f"general {base['general']:.1f}"]
        rows.append([backbone, "before SFT", "", "", *before, "", ""])
        headline = [Arm(data).name for data in (DEMONSTRATIONS, PROMPT, result["best_agent"], ORACLE)]
        by_name = {arm["name"]: arm for arm in result["arms"]}
        for arm in (by_name[name] for name in headline if name in by_name):
            ratio = (arm["against_demonstrations"] or {}).get("forgetting_ratio")
            rows.append(
                [
                    "",
                    arm["label"],
                    f"{arm['lr']:g}",
                    str(arm["num_seeds"]),
                    f"{arm['downstream']:.1f}",
                    points(Interval(**arm["forgetting"])),
                    within(Interval(**ratio)) if ratio else "",
                    f"{arm['start_loss']:.3f}",
                ]
            )
    return "\n".join(rows_of(("backbone", "SFT data", "lr", "seeds", *FIGURES), rows)) + "\n"


def plain(
    results: Sequence[ArmResult], best: str, curves: Mapping[Arm, Sequence[CurvePoint]]
) -> list[dict[str, Any]]:
    """For JSON; `agent` marks the arms of the best one."""
    return [
        asdict(r)
        | {"name": r.arm.name, "label": r.arm.label, "agent": r.arm.data == best, "start_loss": r.start_loss}
        | {"curve": [asdict(point) for point in curves[r.arm]]}
        for r in results
    ]


def points(value: Interval) -> str:
    return f"{value.value:.1f} ({value.low:.1f} to {value.high:.1f})"


def within(ratio: Interval) -> str:
    return f"{ratio.value:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"
