"""What tuning gained and what it forgot: paired comparison of evaluations over the same items.

All figures are in points of 100. For a task b with the same items before and after:

    gain_b = acc_b(tuned) - acc_b(base)          on the target task(s)
    F_b    = acc_b(base) - acc_b(tuned)          on every general task
    forgetting = mean_b F_b                      tasks weigh alike, whatever their size

Net accuracy hides what moves both ways, so items right -> wrong and wrong -> right are counted, too.
An arm may have several runs, one a seed: figures are then means over them. Intervals come from a bootstrap
that draws items, paired and within each task, and seeds; arms with equally many seeds share the drawn ones, since
seed i of one and of another were made from the same data. p-values are of the exact McNemar test, for arms of one
run: answers of several seeds to one question are not independent. Nothing here knows models; it reads
`train.results.EvalResult`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from curate.errors import DataError, UsageError
from train.bootstrap import NUM_RESAMPLES, Interval, interval, mcnemar, resampled_accuracies, resampled_seeds
from train.results import EvalResult, ItemResult, Outcome

Key = tuple[str, str]  # (suite, task)
Table = Mapping[Key, Mapping[str, ItemResult]]
MIN_FORGETTING = 0.5
"""Points that the first of a pair must forget before a ratio to it means anything."""


@dataclass(frozen=True, slots=True)
class TaskChange:
    """One task before and after. Counts are means over the runs of the arm."""

    suite: str
    task: str
    num: int
    base_accuracy: float  # points
    accuracy: float  # points
    right_to_wrong: float
    wrong_to_right: float
    format_failures: float  # items of the tuned model without any answer
    p_value: float | None  # exact McNemar, two-sided; None for several runs
    base_gold_loglik: float | None
    gold_loglik: float | None

    @property
    def change(self) -> float:
        """Points gained (negative: lost)."""
        return self.accuracy - self.base_accuracy

    @property
    def gold_loglik_change(self) -> float | None:
        """Nats per token by which the reference answers became likelier."""
        if self.gold_loglik is None or self.base_gold_loglik is None:
            return None
        return self.gold_loglik - self.base_gold_loglik


@dataclass(frozen=True, slots=True)
class Change:
    """One tuned arm against the base."""

    model: str
    num_runs: int
    target: tuple[TaskChange, ...]
    general: tuple[TaskChange, ...]
    downstream: float | None  # accuracy on the target, points
    gain: Interval | None  # on the target tasks; None without any
    general_accuracy: float | None
    forgetting: Interval | None  # mean over the general tasks; None without any
    worst: TaskChange | None  # the general task that lost most
    right_to_wrong: float  # over the general tasks
    wrong_to_right: float
    p_value: float | None  # exact McNemar over all general items
    gold_loglik_change: float | None  # nats per token on the general tasks, tuned minus base
    kl: float | None  # nats per token from the base, on own answers to the target's questions
    verdict: str


@dataclass(frozen=True, slots=True)
class Pair:
    """Two tuned arms against each other: the second minus the first."""

    first: str
    second: str
    downstream: Interval | None
    forgetting: Interval | None
    forgetting_ratio: Interval | None  # second / first; None where the first forgot less than MIN_FORGETTING
    verdict: str


@dataclass(frozen=True, slots=True)
class Comparison:
    base: str
    base_downstream: float | None
    base_general: float | None
    changes: tuple[Change, ...]
    pairs: tuple[Pair, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Arm:
    """An arm with its resampled accuracies in points, (B,) each; None without such tasks."""

    name: str
    tables: Sequence[Table]
    downstream: float | None
    general: float | None
    downstream_B: np.ndarray | None
    general_B: np.ndarray | None


def compare(
    base: EvalResult,
    others: Sequence[EvalResult] | Mapping[str, EvalResult | Sequence[EvalResult]],
    *,
    target: Iterable[str] = (),
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Compare every arm of `others` with `base`, and with each other in the order given.

    `others` are evaluations named by their models, or arms by name, each one evaluation or one a seed.
    `target` names the suites or tasks that tuning was for; all others are general. Every evaluation must
    hold the same items as the base. Raises DataError where they differ and UsageError for an unknown target.
    """
    arms = _named_runs(others)
    named = frozenset(target)
    known = {name for key in base.groups() for name in key}
    if unknown := named - known:
        names = ", ".join(sorted(unknown))
        raise UsageError(f"no suite or task is called {names}; there are {', '.join(sorted(known))}.")
    before = _table(base)
    after = {name: [_aligned(base, before, run) for run in runs] for name, runs in arms.items()}
    targets = [key for key in before if named & set(key)]
    generals = [key for key in before if not named & set(key)]
    origin, *tuned = _resampled(before, after, targets, generals, base.model, num_resamples, seed)
    return Comparison(
        base=base.model,
        base_downstream=origin.downstream,
        base_general=origin.general,
        changes=tuple(_change(origin, arm, targets, generals) for arm in tuned),
        pairs=tuple(
            _pair(origin, first, second) for i, first in enumerate(tuned) for second in tuned[i + 1 :]
        ),
    )


def _named_runs(
    others: Sequence[EvalResult] | Mapping[str, EvalResult | Sequence[EvalResult]],
) -> dict[str, list[EvalResult]]:
    if isinstance(others, Mapping):
        return {n: [runs] if isinstance(runs, EvalResult) else list(runs) for n, runs in others.items()}
    # a model compared with itself keeps its name
    named: dict[str, list[EvalResult]] = {}
    for result in others:
        named[result.model if result.model not in named else f"{result.model} ({len(named) + 1})"] = [result]
    return named


def _resampled(
    before: Table,
    after: Mapping[str, Sequence[Table]],
    targets: Sequence[Key],
    generals: Sequence[Key],
    base: str,
    num_resamples: int,
    seed: int,
) -> list[_Arm]:
    """The base and every arm, resampled together so that any two can be compared."""
    rng = np.random.default_rng(seed)
    arms: list[tuple[str, Sequence[Table]]] = [(base, [before]), *after.items()]
    runs = [table for _, tables in arms for table in tables]

    def accuracies(keys: Sequence[Key]) -> tuple[np.ndarray, np.ndarray] | tuple[None, None]:
        if not keys:
            return None, None
        tasks = [np.stack([_right(run[key]) for run in runs]) for key in keys]
        plain_R = 100 * np.mean([right_RN.mean(axis=1) for right_RN in tasks], axis=0)
        return plain_R, 100 * resampled_accuracies(tasks, num_resamples, rng)

    (down_R, down_BR), (rest_R, rest_BR) = accuracies(targets), accuracies(generals)
    seeds_of_draw = int(rng.integers(2**32))
    found, start = [], 0
    for name, tables in arms:
        own = slice(start, start + len(tables))
        start = own.stop

        def drawn(means_BR: np.ndarray | None, own: slice = own) -> np.ndarray | None:
            # the same generator for every arm and figure: arms with equally many seeds draw the same ones
            again = np.random.default_rng(seeds_of_draw)
            return None if means_BR is None else resampled_seeds(means_BR[:, own], again)

        found.append(
            _Arm(
                name,
                tables,
                None if down_R is None else float(down_R[own].mean()),
                None if rest_R is None else float(rest_R[own].mean()),
                drawn(down_BR),
                drawn(rest_BR),
            )
        )
    return found


def _change(base: _Arm, arm: _Arm, targets: Sequence[Key], generals: Sequence[Key]) -> Change:
    target = tuple(_task_change(key, base.tables[0], arm.tables) for key in targets)
    general = tuple(_task_change(key, base.tables[0], arm.tables) for key in generals)
    gain = _difference(arm.downstream, base.downstream, arm.downstream_B, base.downstream_B)
    forgetting = _difference(base.general, arm.general, base.general_B, arm.general_B)
    lost, won = sum(t.right_to_wrong for t in general), sum(t.wrong_to_right for t in general)
    golds = [t.gold_loglik_change for t in general if t.gold_loglik_change is not None]
    drifts = [i.kl for run in arm.tables for key in targets for i in run[key].values() if i.kl is not None]
    return Change(
        model=arm.name,
        num_runs=len(arm.tables),
        target=target,
        general=general,
        downstream=arm.downstream,
        gain=gain,
        general_accuracy=arm.general,
        forgetting=forgetting,
        worst=min(general, key=lambda t: t.change, default=None),
        right_to_wrong=lost,
        wrong_to_right=won,
        p_value=mcnemar(round(lost), round(won)) if general and len(arm.tables) == 1 else None,
        gold_loglik_change=float(np.mean(golds)) if golds else None,
        kl=float(np.mean(drifts)) if drifts else None,
        verdict=_verdict(arm.name, gain, forgetting),
    )


def _pair(base: _Arm, first: _Arm, second: _Arm) -> Pair:
    downstream = _difference(second.downstream, first.downstream, second.downstream_B, first.downstream_B)
    # F(second) - F(first) = acc(first) - acc(second): the base cancels
    forgetting = _difference(first.general, second.general, first.general_B, second.general_B)
    verdict = _pair_verdict(first.name, second.name, downstream, forgetting)
    return Pair(
        first.name, second.name, downstream, forgetting, _forgetting_ratio(base, first, second), verdict
    )


def _forgetting_ratio(base: _Arm, first: _Arm, second: _Arm) -> Interval | None:
    """F(second) / F(first), resampled together. Where a resample of the first forgets nothing its ratio is infinite."""
    if base.general is None or first.general is None or second.general is None:
        return None
    if (lost := base.general - first.general) < MIN_FORGETTING:
        return None
    assert base.general_B is not None and first.general_B is not None and second.general_B is not None
    lost_B, other_B = base.general_B - first.general_B, base.general_B - second.general_B
    ratios_B = np.where(lost_B > 0, other_B / np.where(lost_B > 0, lost_B, 1.0), np.inf)
    return interval((base.general - second.general) / lost, ratios_B)


def _difference(
    a: float | None, b: float | None, a_B: np.ndarray | None, b_B: np.ndarray | None
) -> Interval | None:
    """`a - b` in points; None without tasks."""
    if a is None or b is None or a_B is None or b_B is None:
        return None
    return interval(a - b, a_B - b_B)


def _table(result: EvalResult) -> dict[Key, dict[str, ItemResult]]:
    table: dict[Key, dict[str, ItemResult]] = {}
    for item in result.items:
        table.setdefault((item.suite, item.task), {})[item.item_id] = item
    return table


def _aligned(base: EvalResult, before: Table, result: EvalResult) -> Table:
    """Items of `result` in the order of the base. Raises DataError where they are not the same items."""
    after = _table(result)
    for key in [*before, *after]:
        missing = before.get(key, {}).keys() ^ after.get(key, {}).keys()
        if missing:
            raise DataError(
                f"{base.model} and {result.model} were not asked the same questions: {len(missing)} items of "
                f"{'/'.join(key)} are in one only (such as {min(missing)!r}). "
                "Evaluate both on the same suites."
            )
        for item_id, item in before[key].items():
            other = after[key][item_id].answer
            if item.answer != other:
                raise DataError(
                    f"item {item_id!r} of {'/'.join(key)} has the answer {item.answer!r} for {base.model} and "
                    f"{other!r} for {result.model}: the suite has changed. Evaluate both again."
                )
    return {key: {item_id: after[key][item_id] for item_id in before[key]} for key in before}


def _right(items: Mapping[str, ItemResult]) -> np.ndarray:
    """(N,) floats, 1 where right."""
    return np.array([item.outcome is Outcome.RIGHT for item in items.values()], dtype=float)


def _gold(runs: Sequence[Mapping[str, ItemResult]]) -> float | None:
    values = [item.gold_loglik for run in runs for item in run.values() if item.gold_loglik is not None]
    return float(np.mean(values)) if values else None


def _task_change(key: Key, before: Table, after: Sequence[Table]) -> TaskChange:
    was, now_RN = _right(before[key]), np.stack([_right(run[key]) for run in after])
    lost = float(((was == 1) & (now_RN == 0)).sum() / len(after))
    won = float(((was == 0) & (now_RN == 1)).sum() / len(after))
    failures = [sum(item.outcome is Outcome.FORMAT for item in run[key].values()) for run in after]
    return TaskChange(
        suite=key[0],
        task=key[1],
        num=len(was),
        base_accuracy=100 * float(was.mean()),
        accuracy=100 * float(now_RN.mean()),
        right_to_wrong=lost,
        wrong_to_right=won,
        format_failures=float(np.mean(failures)),
        p_value=mcnemar(round(lost), round(won)) if len(after) == 1 else None,
        base_gold_loglik=_gold([before[key]]),
        gold_loglik=_gold([run[key] for run in after]),
    )


def _verdict(model: str, gain: Interval | None, forgetting: Interval | None) -> str:
    parts = []
    if gain:
        word = "gains" if gain.low > 0 else "loses" if gain.high < 0 else "shows no clear change of"
        bounds = f"{gain.low:+.1f} to {gain.high:+.1f}"
        parts.append(f"{word} {abs(gain.value):.1f} points on the target ({bounds})")
    if forgetting:
        if forgetting.low > 0:
            text = f"forgets {forgetting.value:.1f} points"
        elif forgetting.high < 0:
            text = f"gains {-forgetting.value:.1f} points"
        else:
            text = f"shows no clear forgetting ({forgetting.value:+.1f} points)"
        parts.append(f"{text} on the general suites ({forgetting.low:+.1f} to {forgetting.high:+.1f})")
    return f"{model} {' and '.join(parts)}." if parts else f"{model} was compared on nothing."


def _pair_verdict(first: str, second: str, downstream: Interval | None, forgetting: Interval | None) -> str:
    parts = []
    if forgetting:
        if forgetting.high < 0:
            parts.append(f"forgets {-forgetting.value:.1f} points less than {first}")
        elif forgetting.low > 0:
            parts.append(f"forgets {forgetting.value:.1f} points more than {first}")
        else:
            parts.append(f"does not clearly differ from {first} in forgetting ({forgetting})")
    if downstream:
        if downstream.low > 0:
            parts.append(f"is {downstream.value:.1f} points better on the target")
        elif downstream.high < 0:
            parts.append(f"is {-downstream.value:.1f} points worse on the target")
        else:
            parts.append(f"does not clearly differ on the target ({downstream})")
    return f"{second} {' and '.join(parts)}." if parts else f"{second} and {first} were compared on nothing."
