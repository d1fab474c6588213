"""What tuning gained and what it forgot: paired comparison of evaluations over the same items.

All figures are in points of 100. For a task b with the same items before and after:

    gain_b = acc_b(tuned) - acc_b(base)          on the target task(s)
    F_b    = acc_b(base) - acc_b(tuned)          on every general task
    forgetting = mean_b F_b                      tasks weigh alike, whatever their size

Net accuracy hides what moves both ways, so items right -> wrong and wrong -> right are counted, too.
Intervals come from a paired bootstrap over items, drawn within each task; p-values from the exact
McNemar test. Nothing here knows models; it reads `train.evaluate.EvalResult`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from curate.errors import DataError, UsageError
from train.evaluate import EvalResult, ItemResult, Outcome

NUM_RESAMPLES = 10_000
Key = tuple[str, str]  # (suite, task)


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure in points with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:+.1f} ({self.low:+.1f} to {self.high:+.1f})"


@dataclass(frozen=True, slots=True)
class TaskChange:
    """One task before and after."""

    suite: str
    task: str
    num: int
    base_accuracy: float  # points
    accuracy: float  # points
    right_to_wrong: int
    wrong_to_right: int
    format_failures: int  # items of the tuned model without any answer
    p_value: float  # exact McNemar, two-sided
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
    """One tuned model against the base."""

    model: str
    target: tuple[TaskChange, ...]
    general: tuple[TaskChange, ...]
    downstream: float | None  # accuracy on the target, points
    gain: Interval | None  # on the target tasks; None without any
    general_accuracy: float | None
    forgetting: Interval | None  # mean over the general tasks; None without any
    worst: TaskChange | None  # the general task that lost most
    right_to_wrong: int  # over the general tasks
    wrong_to_right: int
    p_value: float | None  # exact McNemar over all general items
    gold_loglik_change: float | None  # nats per token on the general tasks, tuned minus base
    verdict: str


@dataclass(frozen=True, slots=True)
class Pair:
    """Two tuned models against each other: the second minus the first."""

    first: str
    second: str
    downstream: Interval | None
    forgetting: Interval | None
    forgetting_ratio: float | None  # second / first; None where the first forgot nothing
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


def compare(
    base: EvalResult,
    others: Sequence[EvalResult] | Mapping[str, EvalResult],
    *,
    target: Iterable[str] = (),
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Compare every result of `others` with `base`, and each with every later one.

    `target` names the suites or tasks that the tuning was for; everything else is general. A mapping
    renames the models. Raises DataError where two results do not hold the same items, UsageError where
    `target` names nothing.
    """
    named_results = others.items() if isinstance(others, Mapping) else [(r.model, r) for r in others]
    results = [EvalResult(name, result.items) for name, result in named_results]
    named = frozenset(target)
    known = {name for key in base.groups() for name in key}
    if unknown := named - known:
        names = ", ".join(sorted(unknown))
        raise UsageError(f"no suite or task is called {names}; there are {', '.join(sorted(known))}.")
    before = _tables(base)
    after = [_aligned(base, before, r) for r in results]
    targets = [key for key in before if named & set(key)]
    generals = [key for key in before if not named & set(key)]
    draw = _Bootstrap(num_resamples, seed)
    changes = [
        _change(r.model, before, table, targets, generals, draw)
        for r, table in zip(results, after, strict=True)
    ]
    pairs = [
        _pair(results[i].model, results[j].model, before, after[i], after[j], targets, generals, draw)
        for i in range(len(results))
        for j in range(i + 1, len(results))
    ]
    return Comparison(
        base=base.model,
        base_downstream=_mean_accuracy(before, targets),
        base_general=_mean_accuracy(before, generals),
        changes=tuple(changes),
        pairs=tuple(pairs),
    )


def mcnemar(right_to_wrong: int, wrong_to_right: int) -> float:
    """Two-sided exact p-value: a binomial test of the discordant items at one half. 1 without any."""
    n, k = right_to_wrong + wrong_to_right, min(right_to_wrong, wrong_to_right)
    # log C(n, i) - n log 2: neither factor fits a float where thousands of items disagree
    terms = (math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) for i in range(k + 1))
    return min(1.0, 2 * math.fsum(math.exp(term - n * math.log(2)) for term in terms))


class _Bootstrap:
    """95 % percentile intervals of the mean over tasks of the mean over items of paired differences.

    Resampling n items with replacement draws, for each distinct difference, how often it occurs: a
    multinomial. Accuracies differ by -1, 0 or 1, so this is the paired bootstrap over items exactly, at a
    cost that does not grow with the number of items.
    """

    def __init__(self, num_resamples: int, seed: int) -> None:
        self.num_resamples = num_resamples
        self.seed = seed

    def interval(self, differences: Sequence[np.ndarray]) -> Interval | None:
        """`differences`: one array of per-item differences (fractions) a task. None without tasks."""
        if not differences:
            return None
        rng = np.random.default_rng(self.seed)  # the same draws for every figure: repeatable in any order
        means = np.zeros(self.num_resamples)
        for task in differences:
            values, counts = np.unique(task, return_counts=True)
            draws = rng.multinomial(len(task), counts / len(task), size=self.num_resamples)
            means += draws @ values / len(task)
        low, high = np.percentile(100 * means / len(differences), [2.5, 97.5])
        return Interval(100 * float(np.mean([task.mean() for task in differences])), float(low), float(high))


def _tables(result: EvalResult) -> dict[Key, dict[str, ItemResult]]:
    tables: dict[Key, dict[str, ItemResult]] = {}
    for item in result.items:
        tables.setdefault((item.suite, item.task), {})[item.item_id] = item
    return tables


def _aligned(
    base: EvalResult, before: Mapping[Key, Mapping[str, ItemResult]], result: EvalResult
) -> dict[Key, dict[str, ItemResult]]:
    """Items of `result` in the order of the base. Raises DataError where they are not the same items."""
    after = _tables(result)
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


def _right(table: Mapping[str, ItemResult]) -> np.ndarray:
    """(items,) floats, 1 where right."""
    return np.array([item.outcome is Outcome.RIGHT for item in table.values()], dtype=float)


def _mean_accuracy(tables: Mapping[Key, Mapping[str, ItemResult]], keys: Sequence[Key]) -> float | None:
    return 100 * float(np.mean([_right(tables[key]).mean() for key in keys])) if keys else None


def _gold(table: Mapping[str, ItemResult]) -> float | None:
    values = [item.gold_loglik for item in table.values() if item.gold_loglik is not None]
    return float(np.mean(values)) if values else None


def _task_change(key: Key, before: Mapping[str, ItemResult], after: Mapping[str, ItemResult]) -> TaskChange:
    was, now = _right(before), _right(after)
    lost, won = int(((was == 1) & (now == 0)).sum()), int(((was == 0) & (now == 1)).sum())
    return TaskChange(
        suite=key[0],
        task=key[1],
        num=len(was),
        base_accuracy=100 * float(was.mean()),
        accuracy=100 * float(now.mean()),
        right_to_wrong=lost,
        wrong_to_right=won,
        format_failures=sum(item.outcome is Outcome.FORMAT for item in after.values()),
        p_value=mcnemar(lost, won),
        base_gold_loglik=_gold(before),
        gold_loglik=_gold(after),
    )


def _change(
    model: str,
    before: Mapping[Key, Mapping[str, ItemResult]],
    after: Mapping[Key, Mapping[str, ItemResult]],
    targets: Sequence[Key],
    generals: Sequence[Key],
    draw: _Bootstrap,
) -> Change:
    target = tuple(_task_change(key, before[key], after[key]) for key in targets)
    general = tuple(_task_change(key, before[key], after[key]) for key in generals)
    gain = draw.interval([_right(after[key]) - _right(before[key]) for key in targets])
    forgetting = draw.interval([_right(before[key]) - _right(after[key]) for key in generals])
    lost, won = sum(t.right_to_wrong for t in general), sum(t.wrong_to_right for t in general)
    golds = [t.gold_loglik_change for t in general if t.gold_loglik_change is not None]
    return Change(
        model=model,
        target=target,
        general=general,
        downstream=_mean_accuracy(after, targets),
        gain=gain,
        general_accuracy=_mean_accuracy(after, generals),
        forgetting=forgetting,
        worst=min(general, key=lambda t: t.change, default=None),
        right_to_wrong=lost,
        wrong_to_right=won,
        p_value=mcnemar(lost, won) if general else None,
        gold_loglik_change=float(np.mean(golds)) if golds else None,
        verdict=_verdict(model, gain, forgetting),
    )


def _pair(
    first: str,
    second: str,
    before: Mapping[Key, Mapping[str, ItemResult]],
    a: Mapping[Key, Mapping[str, ItemResult]],
    b: Mapping[Key, Mapping[str, ItemResult]],
    targets: Sequence[Key],
    generals: Sequence[Key],
    draw: _Bootstrap,
) -> Pair:
    downstream = draw.interval([_right(b[key]) - _right(a[key]) for key in targets])
    # F(b) - F(a) = acc(a) - acc(b): the base cancels, so the pairing is between the two tuned models
    forgetting = draw.interval([_right(a[key]) - _right(b[key]) for key in generals])
    base, acc_a, acc_b = (_mean_accuracy(t, generals) for t in (before, a, b))
    ratio = None
    if base is not None and acc_a is not None and acc_b is not None and base - acc_a > 0:
        ratio = (base - acc_b) / (base - acc_a)
    verdict = _pair_verdict(first, second, downstream, forgetting)
    return Pair(first, second, downstream, forgetting, ratio, verdict)


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
