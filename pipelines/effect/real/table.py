"""What came out: arms at the rate that was chosen for each, the bounds that were set in advance, tables for a README.

Downstream and forgetting are compared question by question over questions and seeds, on the half that is reported
(`pipelines.effect.table`). Drift and held-out likelihood are means over seeds, their intervals Student's over seeds,
with one seed over questions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from statistics import fmean

from recast.curate.intervals import half_width
from recast.pipelines.effect import table
from recast.pipelines.effect.grid import DEMONSTRATIONS, PROMPT, Arm
from recast.pipelines.effect.real.grid import AGENT
from recast.pipelines.effect.real.measurements import DataSet, Measurement
from recast.pipelines.effect.table import ArmResult, Bound, Rival
from recast.train.evaluation.bootstrap import Interval

MIN_GAIN = -3.0
"""Points that the lower end of downstream against demonstrations must exceed."""
MAX_RATIO, MIN_LOST = 1 / 3, 10.0
"""Of what demonstrations forget, where they lose so many points."""
MAX_START = 0.6
"""Of demonstrations' start loss."""
MIN_REWRITTEN, MIN_TIMES, MIN_EDIT = 0.7, 3.0, 0.2
"""Share of the rows that the agent rewrites, how many times the bare model's share of candidates is accepted, and the
median distance from demonstrations: copies are no rewrites."""
BOUNDS = {
    "min_gain": MIN_GAIN, "max_ratio": MAX_RATIO, "min_lost": MIN_LOST, "max_start": MAX_START,
    "min_rewritten": MIN_REWRITTEN, "min_times": MIN_TIMES, "min_edit": MIN_EDIT,
}  # fmt: skip

OPEN = "not measured"
Runs = Mapping[Arm, Sequence[Measurement]]  # by seed, at the rate that was chosen


@dataclass(frozen=True, slots=True)
class Drift:
    """How far the models of an arm are from the backbone, nats per token."""

    arm: Arm
    heldout: Interval  # log-likelihood of reference replies to instructions, tuned minus backbone
    left: Interval  # KL(tuned || backbone), on the tuned model's answers
    missed: Interval  # KL(backbone || tuned), on the backbone's


def over(by_seed: Sequence[Sequence[float]]) -> Interval:
    """Mean over seeds of the means over questions."""
    means = [fmean(values) for values in by_seed]
    spread = means if len(means) > 1 else by_seed[0]
    value, half = fmean(means), half_width(spread) if len(spread) > 1 else 0.0
    return Interval(value, value - half, value + half)


def drift(arm: Arm, base: Measurement, runs: Sequence[Measurement]) -> Drift:
    def changed(one: Measurement) -> list[float]:
        pairs = zip(_flat(one), _flat(base), strict=True)
        return [b - a for b, a in pairs if a is not None and b is not None]

    def known(values: Sequence[float | None]) -> list[float]:
        return [value for value in values if value is not None]

    return Drift(
        arm,
        over([changed(one) for one in runs]),
        over([known(one.left) for one in runs]),
        over([known(one.missed) for one in runs]),
    )


def _flat(one: Measurement) -> list[float | None]:
    return list(chain.from_iterable(one.gold.values()))


def bounds(
    results: Sequence[ArmResult], rivals: Sequence[Rival], data: Mapping[str, Sequence[DataSet]]
) -> list[Bound]:
    """The figures to reach; what has not been measured is not held and not missed. `data`: data set -> by seed."""
    by_arm = {result.arm.data: result for result in results}
    agent, expert, prompt = (by_arm.get(name) for name in (AGENT, DEMONSTRATIONS, PROMPT))
    against = agent.against_demonstrations if agent else None
    gained, ratio = (against.downstream, against.forgetting_ratio) if against else (None, None)
    name = f"downstream against demonstrations: interval above {MIN_GAIN:g}"
    found = [Bound(name, str(gained), gained.low > MIN_GAIN) if gained else Bound(name, OPEN, None)]

    rival = next((r for r in rivals if r.name == PROMPT), None)
    name = "against prompt-only: better in downstream or forgetting, interval without 0"
    said = f"downstream {rival.downstream}, forgetting {rival.forgetting}" if rival else OPEN
    found.append(Bound(name, said, bool({"downstream", "forgetting"} & {*rival.better}) if rival else None))

    name = f"forgetting at most a third of demonstrations', where these lose at least {MIN_LOST:g} points"
    if expert and expert.forgetting.value < MIN_LOST:
        found.append(Bound(name, f"demonstrations lose {table.points(expert.forgetting)}", None))
    else:
        found.append(
            Bound(name, table.within(ratio) if ratio else OPEN, ratio.value <= MAX_RATIO if ratio else None)
        )

    def start(name: str, of: ArmResult | None, most: float) -> Bound:
        if agent is None or of is None:
            return Bound(name, OPEN, None)
        share = agent.start_loss / of.start_loss
        return Bound(name, f"{share:.2f}", share < most if most == 1 else share <= most)

    found.append(start("start loss below prompt-only's", prompt, 1.0))
    found.append(start(f"start loss at most {MAX_START:g} of demonstrations'", expert, MAX_START))
    return found + _of_rows(data.get(AGENT, ()), data.get(PROMPT, ()))


def _of_rows(agent: Sequence[DataSet], prompt: Sequence[DataSet]) -> list[Bound]:
    names = (
        f"rows rewritten by the agent: {MIN_REWRITTEN:.0%}",
        f"candidates accepted: {MIN_TIMES:g} x the bare model's",
        f"median edit distance of its rewrites: {MIN_EDIT:g}",
    )
    if not agent:
        return [Bound(name, OPEN, None) for name in names]
    share, edit = _rewritten(agent), fmean(one.edit for one in agent)
    found = [Bound(names[0], f"{share:.1%}", share >= MIN_REWRITTEN)]
    if prompt and (bare := _accepted(prompt)):
        times = _accepted(agent) / bare
        found.append(Bound(names[1], f"{times:.1f} x", times >= MIN_TIMES))
    else:
        found.append(Bound(names[1], OPEN, None))
    return [*found, Bound(names[2], f"{edit:.2f}", edit >= MIN_EDIT)]


def _rewritten(seeds: Sequence[DataSet]) -> float:
    return fmean(one.rewritten / one.rows for one in seeds)


def _accepted(seeds: Sequence[DataSet]) -> float:
    return fmean(one.accepted / one.candidates for one in seeds)


def drift_markdown(found: Sequence[Drift]) -> str:
    """For a README."""
    heads = ("nats per token", "held-out replies", "KL(tuned, backbone)", "KL(backbone, tuned)")
    rows = ([d.arm.label, *(_signed(i) for i in (d.heldout, d.left, d.missed))] for d in found)
    return "\n".join(table.rows_of(heads, rows)) + "\n"


def data_markdown(data: Mapping[str, Sequence[DataSet]]) -> str:
    """For a README."""
    heads = ("SFT data", "seeds", "rows rewritten", "candidates accepted", "median edit distance",
             "nats per token, demonstrations", "of the rows", "made in")  # fmt: skip

    def mean(values: Sequence[float | None]) -> str:
        known = [value for value in values if value is not None]
        return f"{fmean(known):.3f}" if known else ""

    rows = (
        [
            Arm(name).label,
            str(len(seeds)),
            f"{_rewritten(seeds):.1%}",
            f"{_accepted(seeds):.1%}",
            f"{fmean(one.edit for one in seeds):.2f}",
            mean([one.nll_demonstrations for one in seeds]),
            mean([one.nll_rows for one in seeds]),
            f"{fmean(one.seconds for one in seeds):.0f} s",
        ]
        for name, seeds in data.items()
    )
    return "\n".join(table.rows_of(heads, rows)) + "\n"


def families_markdown(base: Measurement, runs: Runs) -> str:
    """Per cent of the instructions of every family that a model follows, all questions and seeds."""
    keys = list(base.gold)
    named = [("backbone", [base]), *((arm.label, seeds) for arm, seeds in runs.items())]
    rows = (
        [
            key.split("/")[1].replace("_", " "),
            *(f"{100 * fmean(_share(one.outcomes[key]) for one in seeds):.0f}" for _, seeds in named),
        ]
        for key in keys
    )
    return "\n".join(table.rows_of(("instructions followed, %", *(name for name, _ in named)), rows)) + "\n"


def _share(letters: str) -> float:
    return letters.count("R") / len(letters)


def _signed(value: Interval) -> str:
    return f"{value.value:+.3f} ({value.low:+.3f} to {value.high:+.3f})"
