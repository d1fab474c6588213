"""What came out: arms with intervals, the bounds that were set in advance, and the table for a README."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pipelines.effect.grid import DEMONSTRATIONS, ORACLE, Arm
from pipelines.effect.selection import half
from train.bootstrap import Interval
from train.compare import Comparison, Pair, compare
from train.results import EvalResult

MIN_GAIN, MAX_RATIO, MAX_START, MAX_ORACLE = -1.0, 0.6, 0.4, 1.3
"""Bounds of the headline: points, ratio, ratio, ratio. Fixed with the grid."""


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
    start_loss: float  # mean over seeds, nats per token
    against_demonstrations: Pair | None


@dataclass(frozen=True, slots=True)
class Bound:
    """One of the figures to reach."""

    name: str
    found: str
    held: bool


def arm_results(
    base: EvalResult,
    runs: Mapping[Arm, Sequence[EvalResult]],
    lrs: Mapping[Arm, float],
    start_losses: Mapping[Arm, Sequence[float]],
    target: str,
) -> list[ArmResult]:
    """Compare every arm with the base and with demonstrations (NLL), over questions and seeds."""
    named = {arm.name: [half(run, choosing=False) for run in found] for arm, found in runs.items()}
    comparison = compare(half(base, choosing=False), named, target=[target])
    changes = {change.model: change for change in comparison.changes}
    reference = Arm(DEMONSTRATIONS).name
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
                float(np.mean(start_losses[arm])),
                pair(comparison, reference, arm.name),
            )
        )
    return out


def pair(comparison: Comparison, first: str, second: str) -> Pair | None:
    """The pair of two arms as the comparison has it; None where it has not."""
    return next((p for p in comparison.pairs if (p.first, p.second) == (first, second)), None)


def bounds(results: Sequence[ArmResult], best: str) -> list[Bound]:
    """The headline against what was asked of it: best agent, NLL, against demonstrations and the oracle."""
    by_arm = {result.arm: result for result in results}
    agent, expert = by_arm.get(Arm(best)), by_arm.get(Arm(DEMONSTRATIONS))
    if agent is None or expert is None or agent.against_demonstrations is None:
        return []
    against, found = agent.against_demonstrations, []
    if against.downstream:
        low = against.downstream.low
        found.append(
            Bound(
                f"downstream not lower (interval above {MIN_GAIN:g})", str(against.downstream), low > MIN_GAIN
            )
        )
    if against.forgetting_ratio:
        r = against.forgetting_ratio
        said = f"{r.value:.2f} ({r.low:.2f} to {r.high:.2f})"
        found.append(
            Bound(
                f"forgetting against demonstrations' (interval below {MAX_RATIO:g})", said, r.high < MAX_RATIO
            )
        )
    start = agent.start_loss / expert.start_loss
    found.append(
        Bound(f"start loss at most {MAX_START:g} of demonstrations'", f"{start:.2f}", start <= MAX_START)
    )
    if (oracle := by_arm.get(Arm(ORACLE))) and oracle.forgetting.value > 0:
        ratio = agent.forgetting.value / oracle.forgetting.value
        found.append(
            Bound(f"forgetting at most {MAX_ORACLE:g} x the oracle's", f"{ratio:.2f}", ratio <= MAX_ORACLE)
        )
    return found


def markdown(results: Sequence[ArmResult], base: Mapping[str, float], accepted: Mapping[str, float]) -> str:
    """The table for a README. `base` has downstream and general; `accepted` the share of rows rewritten, by data."""
    lines = [
        "| SFT data, objective | lr | seeds | start loss | rewritten | downstream | forgetting | of demonstrations' |",
        "|---|---|---|---|---|---|---|---|",
        f"| backbone, before SFT | | | | | {base['downstream']:.1f} | general {base['general']:.1f} | |",
    ]
    for result in results:
        against = result.against_demonstrations
        ratio = against.forgetting_ratio if against else None
        share = accepted.get(result.arm.data)
        cells = [
            result.arm.label,
            f"{result.lr:g}",
            str(result.num_seeds),
            f"{result.start_loss:.3f}",
            "" if share is None else f"{100 * share:.0f} %",
            f"{result.downstream:.1f}",
            _points(result.forgetting),
            "" if ratio is None else f"{ratio.value:.2f} ({ratio.low:.2f} to {ratio.high:.2f})",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def plain(results: Sequence[ArmResult], best: str) -> list[dict[str, Any]]:
    """For JSON; `agent` marks the arms of the best one."""
    return [
        asdict(r) | {"name": r.arm.name, "label": r.arm.label, "agent": r.arm.data == best} for r in results
    ]


def _points(value: Interval) -> str:
    return f"{value.value:.1f} ({value.low:.1f} to {value.high:.1f})"
