"""What came out: chains with intervals, the bounds that were set in advance, and tables for a README.

Downstream, forgetting and accuracy on questions put badly are compared question by question, over questions and seeds
(`train.evaluation.compare`). P(correct) is the share of right ones among answers drawn at temperature 1; its interval
is over seeds (Student's), with one seed over questions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from recast.curate.intervals import half_width
from recast.pipelines.effect.chains.grid import (
    DEMONSTRATIONS,
    FEW,
    HIGH_LR,
    NOISE,
    PPO,
    REJECT,
    REWRITES,
    RL,
    SFT,
    WARM_UP,
    Chain,
)
from recast.pipelines.effect.chains.measurements import Measurement
from recast.pipelines.effect.chains.subject import DISTURBED, TARGET
from recast.pipelines.effect.table import Bound, points, rows_of
from recast.train.evaluation.bootstrap import Interval
from recast.train.evaluation.compare import compare
from recast.train.evaluation.results import EvalResult

MIN_OVER_SFT = 10.0
"""Points downstream by which reject, then RL is to lead SFT where a fifth of the labels are wrong."""
BOUNDS = {"min_over_sft_under_noise": MIN_OVER_SFT, "reft_over_warm_up": 0.0, "rl_over_backbone": 0.0}
NUM_RESAMPLES = 2000
SECTIONS = (
    ("Rewrites, right labels", lambda c: c.data == REWRITES and not c.noise and c.share == 1),
    ("Rewrites, a fifth of the labels wrong", lambda c: c.data == REWRITES and c.noise > 0),
    ("Demonstrations", lambda c: c.data == DEMONSTRATIONS),
    ("A tenth of the rows (rewrites)", lambda c: c.share < 1),
)


@dataclass(frozen=True, slots=True)
class ChainResult:
    """A chain over its seeds. Intervals in points of 100."""

    chain: Chain
    num_seeds: int
    downstream: Interval
    forgetting: Interval
    disturbed: Interval
    by_disturbance: dict[str, float]
    correct: Interval  # P(correct)
    reply_tokens: float
    reply_ms: float
    validation: list[tuple[int, float]]  # (step, mean reward) of the last reinforcement


@dataclass(frozen=True, slots=True)
class Difference:
    """The second chain minus the first, over the seeds that both have."""

    question: str
    num_seeds: int
    downstream: Interval
    forgetting: Interval
    correct: Interval


Runs = Mapping[Chain, Mapping[int, Measurement]]  # by seed


def chain_results(base: Measurement, runs: Runs) -> list[ChainResult]:
    """One for each chain that has been measured."""
    named = {chain.name: [m.result() for m in found.values()] for chain, found in runs.items()}
    known = _compared(base, named, disturbed=False)
    badly = _compared(base, named, disturbed=True)
    out = []
    for chain, found in runs.items():
        change, put_badly = known[chain.name], badly[chain.name]
        seeds = list(found.values())
        tasks = {key for m in seeds for key in m.outcomes if key.startswith(f"{DISTURBED}/")}
        curves = [dict(m.validation) for m in seeds]
        steps = sorted(set.intersection(*map(set, curves)))
        out.append(
            ChainResult(
                chain,
                len(seeds),
                _level(change),
                change.forgetting,
                _level(put_badly),
                {key.split("/")[1]: 100 * fmean(_share(m.outcomes[key]) for m in seeds) for key in sorted(tasks)},
                correct(seeds),
                fmean(m.reply_tokens for m in seeds),
                1000 * fmean(m.reply_seconds for m in seeds),
                [(s, fmean(c[s] or 0.0 for c in curves)) for s in steps],
            )
        )  # fmt: skip
    return out


def correct(seeds: Sequence[Measurement]) -> Interval:
    """P(correct) in points, over seeds; with one seed over questions."""
    means = [100 * fmean(n / m.samples for n in m.sampled) for m in seeds]
    spread = means if len(seeds) > 1 else [100 * n / m.samples for m in seeds for n in m.sampled]
    value, half = fmean(means), half_width(spread) if len(spread) > 1 else 100.0
    return Interval(value, max(0.0, value - half), min(100.0, value + half))


def difference(
    question: str, base: Measurement, runs: Runs, first: Chain, second: Chain
) -> Difference | None:
    """None where one of them has not been measured."""
    one, two = runs.get(first, {}), runs.get(second, {})
    seeds = sorted(one.keys() & two.keys())
    if not seeds:
        return None
    named = {"first": [one[s].result() for s in seeds], "second": [two[s].result() for s in seeds]}
    asked = _without_disturbed(base.result())
    arms = {name: [_without_disturbed(r) for r in found] for name, found in named.items()}
    (pair,) = compare(asked, arms, target=[TARGET]).pairs
    assert pair.downstream and pair.forgetting
    gaps = [
        [
            100 * (b / two[s].samples - a / one[s].samples)
            for a, b in zip(one[s].sampled, two[s].sampled, strict=True)
        ]
        for s in seeds
    ]
    means = [fmean(of_seed) for of_seed in gaps]
    half = half_width(means if len(seeds) > 1 else gaps[0])
    value = fmean(means)
    return Difference(
        question, len(seeds), pair.downstream, pair.forgetting, Interval(value, value - half, value + half)
    )


def questions() -> list[tuple[str, Chain, Chain]]:
    """(what is asked, the chain that it is measured against, the other), fixed with the grid."""
    both = ((SFT, RL), (REJECT, RL))
    found = [
        ("RL against the backbone's own start: SFT, then RL against SFT", Chain((SFT,)), Chain((SFT, RL))),
        ("reject against SFT", Chain((SFT,)), Chain((REJECT,))),
        ("reject, then RL against SFT, then RL", *map(Chain, both)),
        ("RL, then reject against RL", Chain((RL,)), Chain((RL, REJECT))),
        ("ReFT against its warm-up", Chain((WARM_UP,)), Chain((WARM_UP, PPO))),
    ]
    found += [
        (f"a better start for RL: rewrites against demonstrations, {Chain(steps).label}",
         Chain(steps, DEMONSTRATIONS), Chain(steps))
        for steps in both
    ]  # fmt: skip
    found += [
        (
            f"the same, demonstrations at lr {HIGH_LR:g}",
            Chain((SFT, RL), DEMONSTRATIONS, lr=HIGH_LR),
            Chain((SFT, RL)),
        ),
        (
            "a fifth wrong: reject, then RL against SFT",
            Chain((SFT,), noise=NOISE),
            Chain((REJECT, RL), noise=NOISE),
        ),
        (
            "a fifth wrong: SFT, then RL against SFT",
            Chain((SFT,), noise=NOISE),
            Chain((SFT, RL), noise=NOISE),
        ),
        (
            "a tenth of the rows: SFT, then RL against SFT",
            Chain((SFT,), share=FEW),
            Chain((SFT, RL), share=FEW),
        ),
    ]
    return found


def bounds(base: Measurement, runs: Runs) -> list[Bound]:
    """The figures to reach. None held: not measured yet."""
    found = []
    noisy = difference("", base, runs, Chain((SFT,), noise=NOISE), Chain((REJECT, RL), noise=NOISE))
    name = f"a fifth wrong: reject, then RL at least {MIN_OVER_SFT:g} points above SFT downstream"
    found.append(_bound(name, noisy and noisy.downstream, lambda i: i.value >= MIN_OVER_SFT))
    reft = difference("", base, runs, Chain((WARM_UP,)), Chain((WARM_UP, PPO)))
    found.append(
        _bound(
            "ReFT above its own warm-up downstream, interval without 0",
            reft and reft.downstream,
            lambda i: i.low > 0,
        )
    )
    if alone := runs.get(Chain((RL,))):
        change = _compared(base, {"rl": [m.result() for m in alone.values()]}, disturbed=False)["rl"]
        found.append(
            _bound("RL above the backbone downstream, interval without 0", change.gain, lambda i: i.low > 0)
        )
    return found


def _bound(name: str, found: Interval | None, holds: Any) -> Bound:
    return Bound(
        name, "not measured" if found is None else str(found), None if found is None else holds(found)
    )


def _compared(
    base: Measurement, named: Mapping[str, Sequence[EvalResult]], *, disturbed: bool
) -> dict[str, Any]:
    """Changes by chain; the target is the task, or the task put badly."""
    left_out = TARGET if disturbed else DISTURBED
    target = DISTURBED if disturbed else TARGET
    arms = {name: [_without(r, left_out) for r in found] for name, found in named.items()}
    found = compare(_without(base.result(), left_out), arms, target=[target], num_resamples=NUM_RESAMPLES)
    return {change.model: change for change in found.changes}


def _without(result: EvalResult, suite: str) -> EvalResult:
    return EvalResult(result.model, tuple(item for item in result.items if item.suite != suite))


def _without_disturbed(result: EvalResult) -> EvalResult:
    return _without(result, DISTURBED)


def _level(change: Any) -> Interval:
    """Accuracy on the target with the interval of its gain."""
    before, gain = change.downstream - change.gain.value, change.gain
    return Interval(change.downstream, max(0.0, before + gain.low), min(100.0, before + gain.high))


def _share(letters: str) -> float:
    return letters.count("R") / len(letters)


def markdown(base: Measurement, results: Sequence[ChainResult]) -> str:
    """A table a section."""
    target = 100 * _share(base.outcomes[f"{TARGET}/{TARGET}"])
    badly = [100 * _share(v) for k, v in base.outcomes.items() if k.startswith(f"{DISTURBED}/")]
    general = [
        100 * _share(v) for k, v in base.outcomes.items() if not k.startswith((f"{TARGET}/", f"{DISTURBED}/"))
    ]
    lines = [
        f"Backbone: downstream {target:.1f}, put badly {fmean(badly):.1f}, P(correct) {correct([base]).value:.1f}, "
        f"general {fmean(general):.1f}, {base.reply_tokens:.0f} tokens a reply. Intervals of 95 %."
    ]
    heads = (
        "chain",
        "seeds",
        "downstream",
        "forgetting",
        "P(correct)",
        "put badly",
        "tokens a reply",
        "ms a reply",
    )
    for title, holds in SECTIONS:
        chosen = [r for r in results if holds(r.chain)]
        if chosen:
            lines += ["", f"**{title}**", "", *rows_of(heads, map(_cells, chosen))]
    kinds = sorted({kind for r in results for kind in r.by_disturbance})
    lines += ["", "**The task put badly, % right by kind**", ""]
    lines += rows_of(
        ("chain", "rows", *(kind.replace("_", " ") for kind in kinds)),
        ([r.chain.label, r.chain.rows, *(f"{r.by_disturbance[k]:.1f}" for k in kinds)] for r in results),
    )
    learned = [r for r in results if r.validation]
    if learned:
        steps = sorted({s for r in learned for s, _ in r.validation})
        lines += ["", "**Validation reward of the last reinforcement, by step**", ""]
        lines += rows_of(
            ("chain", "rows", *map(str, steps)),
            (
                [
                    r.chain.label,
                    r.chain.rows,
                    *(f"{v:.3f}" if (v := dict(r.validation).get(s)) is not None else "" for s in steps),
                ]
                for r in learned
            ),
        )
    return "\n".join(lines) + "\n"


def _cells(r: ChainResult) -> list[str]:
    return [
        r.chain.label, str(r.num_seeds), points(r.downstream), points(r.forgetting), points(r.correct),
        points(r.disturbed), f"{r.reply_tokens:.0f}", f"{r.reply_ms:.0f}",
    ]  # fmt: skip


def differences_markdown(found: Sequence[Difference]) -> str:
    heads = ("the second minus the first", "seeds", "downstream", "forgetting", "P(correct)")
    rows = (
        [d.question, str(d.num_seeds), str(d.downstream), str(d.forgetting), str(d.correct)] for d in found
    )
    return "\n".join(rows_of(heads, rows)) + "\n"
