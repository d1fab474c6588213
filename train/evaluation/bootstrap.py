"""Uncertainty of paired comparisons: the bootstrap over items and seeds, and McNemar's test."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from recast.curate.intervals import Z, student_t

NUM_RESAMPLES = 10_000
MOST_FREEDOM = 1_000_000
"""Beyond, Student's quantile is the normal one."""
CELLS = 1 << 22
"""Most counts that are drawn at once: 32 MiB."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its 95 % interval. Differences are in points, ratios plain."""

    value: float
    low: float
    high: float

    def wider(self, factor: float) -> Interval:
        """Both ends `factor` times as far from the value."""
        if factor == 1:
            return self
        low, high = self.value - self.low, self.high - self.value
        return Interval(self.value, self.value - factor * low, self.value + factor * high)

    def __str__(self) -> str:
        return f"{self.value:+.1f} ({self.low:+.1f} to {self.high:+.1f})"


def interval(value: float, resamples_B: np.ndarray) -> Interval:
    """Percentile interval (Efron 1979) of `value` from its resamples."""
    # a resample itself and no mean of two: ratios may be infinite
    low, high = np.percentile(resamples_B, [2.5, 97.5], method="inverted_cdf")
    return Interval(float(value), float(low), float(high))


def resampled_accuracies(
    tasks: Sequence[np.ndarray],
    groups: Sequence[Collection[int]],
    num_resamples: int,
    rng: np.random.Generator,
) -> list[np.ndarray]:
    """Mean over the tasks of each group of the mean over resampled items, for several runs at once: (B, R), in [0, 1].

    `tasks`: for each an (R, N) array, 1 where run r answers item n rightly; `groups`: places in `tasks`. The same
    items are drawn for all runs, which keeps the comparison paired, and for all groups that a task is in.
    Drawing N items with replacement says how often each distinct column occurs: a multinomial, so this is the
    bootstrap over items exactly, at a cost that grows with the number of distinct columns (at most 2^R) and not with
    that of the items.
    """
    sums = [np.zeros((num_resamples, len(tasks[0]))) for _ in groups]
    for place, right_RN in enumerate(tasks):
        columns_RU, counts_U = np.unique(right_RN, axis=1, return_counts=True)
        num_items = right_RN.shape[1]
        for rows in _blocks(num_resamples, len(counts_U)):
            drawn_BU = rng.multinomial(num_items, counts_U / num_items, size=rows.stop - rows.start)
            means_BR = drawn_BU @ columns_RU.T / num_items
            for sum_BR, group in zip(sums, groups, strict=True):
                if place in group:
                    sum_BR[rows] += means_BR
    return [sum_BR / len(group) for sum_BR, group in zip(sums, groups, strict=True)]


def resampled_seeds(accuracies_BS: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(B,) means over seeds drawn with replacement, one draw of S seeds a resample."""
    num_resamples, num_seeds = accuracies_BS.shape
    drawn_BS = rng.integers(num_seeds, size=(num_resamples, num_seeds))
    return np.take_along_axis(accuracies_BS, drawn_BS, axis=1).mean(axis=1)


def widening(parts: Sequence[tuple[np.ndarray, np.ndarray]], drawn_B: np.ndarray) -> float:
    """By how much an interval over items and seeds must be widened (narrowed below 1) to cover what it says.

    Drawing S seeds with replacement spreads their mean by (S - 1) / S of the variance that it has, and its percentiles
    know nothing of how uncertain that variance is: with 3 seeds that differ much, 95 % cover 85 %. With many that
    hardly do, what items alone make them differ by is drawn twice. So variances are added up as in a crossed design of
    items and seeds, and the quantile is Student's at the degrees of freedom of Welch (1947) and Satterthwaite (1946):

        V = var_B(mean over seeds) + sum_parts max(0, s^2 - noise) / S        s^2: between seeds
        df = V^2 / sum_parts (s^2 / S)^2 / (S - 1), and at least the smallest S - 1
        widening = t(df) / z * sqrt(V / var(drawn))

    `noise` is what drawing items alone makes single seeds differ by, which the first term has already. `parts` are the
    independent terms of the figure: its value by seed (S,), and by resample and seed (B, S); a part of one seed says
    nothing of seeds. `drawn_B`: the figure resampled over items and seeds.
    """
    variance = float(np.var(sum(values_BS.mean(axis=1) for _, values_BS in parts)))
    uncertain = 0.0
    for figure_S, values_BS in parts:
        num_seeds = len(figure_S)
        if num_seeds < 2:
            continue
        apart_BS = values_BS - values_BS.mean(axis=1, keepdims=True)
        noise = float(apart_BS.var(axis=0).mean()) * num_seeds / (num_seeds - 1)
        between = float(figure_S.var(ddof=1))
        variance += max(0.0, between - noise) / num_seeds
        uncertain += (between / num_seeds) ** 2 / (num_seeds - 1)
    drawn = float(drawn_B.var())
    if uncertain == 0 or drawn == 0:
        return 1.0
    least = min(len(figure_S) for figure_S, _ in parts if len(figure_S) > 1) - 1
    # no sum of variances is less certain than its least certain one; noise taken off could make it look so
    freedom = max(least, int(min(variance**2 / uncertain, MOST_FREEDOM)))
    return student_t(freedom) / Z * math.sqrt(variance / drawn)


def mcnemar(right_to_wrong: int, wrong_to_right: int) -> float:
    """Two-sided exact p-value: a binomial test of the discordant items at one half. 1 without any."""
    n, k = right_to_wrong + wrong_to_right, min(right_to_wrong, wrong_to_right)
    # log C(n, i) - n log 2: neither factor fits a float where thousands of items disagree
    terms = (math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) for i in range(k + 1))
    return min(1.0, 2 * math.fsum(math.exp(term - n * math.log(2)) for term in terms))


def _blocks(count: int, width: int) -> Iterator[slice]:
    step = max(1, CELLS // max(width, 1))
    yield from (slice(start, min(start + step, count)) for start in range(0, count, step))
