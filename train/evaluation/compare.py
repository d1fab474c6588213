"""What tuning gained and what it forgot: paired comparison of evaluations over the same items.

All figures are in points of 100. For a task b with the same items before and after:

    gain_b = acc_b(tuned) - acc_b(base)          on the target task(s)
    F_b    = acc_b(base) - acc_b(tuned)          on every general task
    forgetting = mean_b F_b                      tasks weigh alike, whatever their size

Since tasks weigh alike, a suite of 57 of them weighs 57 times one of a single task; the mean within every suite
stands beside the overall figure. Net accuracy hides what moves both ways, so items right -> wrong and wrong -> right
are counted, too.

An arm may have several runs, one a seed: figures are then means over them. Intervals come from a bootstrap
that draws items, paired and within each task, and seeds; arms with equally many seeds share the drawn ones, since
seed i of one and of another were made from the same data. What few seeds make too narrow is widened
(`bootstrap.widening`); an arm of one seed says nothing of other seeds. p-values are of the exact McNemar test, for arms
of one run: answers of several seeds to one question are not independent. Left out: F_b relative to acc_b(base),
which blows up where the base knows little (both accuracies are there to divide); correction for chance on
several-choice questions (arXiv 2510.17776), so some of their items that change side were guessed twice; and the forms
of continual learning, which follow a model over a sequence of tasks.

Nothing here knows models; it reads `train.evaluation.results.EvalResult`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recast.curate.errors import DataError, UsageError
from recast.train.evaluation.bootstrap import (
    NUM_RESAMPLES,
    Interval,
    interval,
    mcnemar,
    resampled_accuracies,
    resampled_seeds,
    widening,
)
from recast.train.evaluation.results import EvalResult, ItemResult, Outcome
from recast.train.evaluation.verdicts import (
    MIN_FORGETTING,
    Change,
    Comparison,
    Pair,
    SuiteChange,
    TaskChange,
    pair_verdict,
    verdict,
)

Key = tuple[str, str]  # (suite, task)
Table = Mapping[Key, Mapping[str, ItemResult]]


@dataclass(frozen=True, slots=True)
class _Accuracy:
    """Points of 100: by run, in every resample of the items, and in every one of items and seeds."""

    runs_S: np.ndarray
    runs_BS: np.ndarray
    drawn_B: np.ndarray

    @property
    def value(self) -> float:
        return float(self.runs_S.mean())


@dataclass(frozen=True, slots=True)
class _Arm:
    """An arm with its accuracies; None without such tasks."""

    name: str
    tables: Sequence[Table]
    downstream: _Accuracy | None
    general: _Accuracy | None
    suites: Mapping[str, _Accuracy]  # of the general tasks


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
        base_downstream=_value(origin.downstream),
        base_general=_value(origin.general),
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

    def accuracies(keys: Sequence[Key], suites: Sequence[str]) -> list[tuple[np.ndarray, np.ndarray]]:
        """(R,) and (B, R) in points: of all tasks, then of those of every suite."""
        if not keys:
            return []
        tasks = [np.stack([_right(run[key]) for run in runs]) for key in keys]
        groups = [range(len(keys)), *([i for i, key in enumerate(keys) if key[0] == s] for s in suites)]
        plain = [100 * np.mean([tasks[i].mean(axis=1) for i in group], axis=0) for group in groups]
        drawn = resampled_accuracies(tasks, groups, num_resamples, rng)
        return [(plain_R, 100 * means_BR) for plain_R, means_BR in zip(plain, drawn, strict=True)]

    suites = list(dict.fromkeys(suite for suite, _ in generals))
    downstream, general = accuracies(targets, ()), accuracies(generals, suites)
    seeds_of_draw = int(rng.integers(2**32))
    found, start = [], 0
    for name, tables in arms:
        own = slice(start, start + len(tables))
        start = own.stop

        def drawn(figure: tuple[np.ndarray, np.ndarray], own: slice = own) -> _Accuracy:
            # the same generator for every arm and figure: arms with equally many seeds draw the same ones
            again = np.random.default_rng(seeds_of_draw)
            plain_R, means_BR = figure
            return _Accuracy(plain_R[own], means_BR[:, own], resampled_seeds(means_BR[:, own], again))

        mine = [drawn(figure) for figure in general]
        found.append(
            _Arm(
                name,
                tables,
                drawn(downstream[0]) if downstream else None,
                mine[0] if mine else None,
                dict(zip(suites, mine[1:], strict=True)),
            )
        )
    return found


def _change(base: _Arm, arm: _Arm, targets: Sequence[Key], generals: Sequence[Key]) -> Change:
    target = tuple(_task_change(key, base.tables[0], arm.tables) for key in targets)
    general = tuple(_task_change(key, base.tables[0], arm.tables) for key in generals)
    gain = _difference(arm.downstream, base.downstream)
    forgetting = _difference(base.general, arm.general)
    lost, won = sum(t.right_to_wrong for t in general), sum(t.wrong_to_right for t in general)
    golds = [t.gold_loglik_change for t in general if t.gold_loglik_change is not None]
    drifts = [i.kl for run in arm.tables for key in targets for i in run[key].values() if i.kl is not None]
    return Change(
        model=arm.name,
        num_runs=len(arm.tables),
        target=target,
        general=general,
        downstream=_value(arm.downstream),
        gain=gain,
        general_accuracy=_value(arm.general),
        forgetting=forgetting,
        suites=tuple(_suite_change(suite, base, arm, general) for suite in arm.suites),
        worst=min(general, key=lambda t: t.change, default=None),
        right_to_wrong=lost,
        wrong_to_right=won,
        p_value=mcnemar(round(lost), round(won)) if general and len(arm.tables) == 1 else None,
        gold_loglik_change=float(np.mean(golds)) if golds else None,
        kl=float(np.mean(drifts)) if drifts else None,
        verdict=verdict(arm.name, gain, forgetting),
    )


def _suite_change(suite: str, base: _Arm, arm: _Arm, general: Sequence[TaskChange]) -> SuiteChange:
    tasks = [task for task in general if task.suite == suite]
    return SuiteChange(
        suite=suite,
        num_tasks=len(tasks),
        forgetting=_minus(base.suites[suite], arm.suites[suite]),
        worst=min(tasks, key=lambda t: t.change),
        right_to_wrong=sum(t.right_to_wrong for t in tasks),
        wrong_to_right=sum(t.wrong_to_right for t in tasks),
    )


def _pair(base: _Arm, first: _Arm, second: _Arm) -> Pair:
    downstream = _difference(second.downstream, first.downstream)
    # F(second) - F(first) = acc(first) - acc(second): the base cancels
    forgetting = _difference(first.general, second.general)
    ratio = _forgetting_ratio(base, first, second)
    said = pair_verdict(first.name, second.name, downstream, forgetting)
    return Pair(first.name, second.name, downstream, forgetting, ratio, said)


def _forgetting_ratio(base: _Arm, first: _Arm, second: _Arm) -> Interval | None:
    """F(second) / F(first), resampled together. Where a resample of the first forgets nothing its ratio is infinite."""
    if base.general is None or first.general is None or second.general is None:
        return None
    if (lost := base.general.value - first.general.value) < MIN_FORGETTING:
        return None
    lost_B = base.general.drawn_B - first.general.drawn_B
    other_B = base.general.drawn_B - second.general.drawn_B
    ratios_B = np.where(lost_B > 0, other_B / np.where(lost_B > 0, lost_B, 1.0), np.inf)
    ratio = (base.general.value - second.general.value) / lost
    # few seeds are made up for to first order: of a / b what varies is (a - ratio * b) / b
    terms = [(base.general, 1 - ratio), (second.general, -1.0), (first.general, ratio)]
    return interval(ratio, ratios_B).wider(_widening(terms))


def _value(accuracy: _Accuracy | None) -> float | None:
    return None if accuracy is None else accuracy.value


def _difference(a: _Accuracy | None, b: _Accuracy | None) -> Interval | None:
    """`a - b` in points; None without tasks."""
    return None if a is None or b is None else _minus(a, b)


def _minus(a: _Accuracy, b: _Accuracy) -> Interval:
    return interval(a.value - b.value, a.drawn_B - b.drawn_B).wider(_widening([(a, 1.0), (b, -1.0)]))


def _widening(terms: Sequence[tuple[_Accuracy, float]]) -> float:
    """`bootstrap.widening` of a sum of accuracies, each with its factor. Arms with equally many seeds share them."""
    by_count: dict[int, list[tuple[_Accuracy, float]]] = {}
    for accuracy, factor in terms:
        by_count.setdefault(len(accuracy.runs_S), []).append((accuracy, factor))
    parts = []
    for same in by_count.values():
        figure_S = np.sum([factor * accuracy.runs_S for accuracy, factor in same], axis=0)
        values_BS = np.sum([factor * accuracy.runs_BS for accuracy, factor in same], axis=0)
        parts.append((figure_S, values_BS))
    drawn_B = np.sum([factor * accuracy.drawn_B for accuracy, factor in terms], axis=0)
    return widening(parts, drawn_B)


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
