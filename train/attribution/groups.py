"""Groups of changed rows by what they do to held-out text: helps, hurts, or cannot tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

HELPS, HURTS, CANNOT_TELL = "helps", "hurts", "cannot tell"
RESAMPLES = 4000
MIN_ROWS = 5
"""Rows below which nothing is said of a group."""
CELLS = 1 << 22
"""Draws that are held at once."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What a row of a group does to a held-out set: the mean of its influence with an interval over rows."""

    group: str
    rows: int  # that were measured
    value: float
    low: float
    high: float

    @property
    def says(self) -> str:
        if self.rows < MIN_ROWS or self.low <= 0 <= self.high:
            return CANNOT_TELL
        return HELPS if self.value > 0 else HURTS


def effects(
    influence: Sequence[float], groups: Mapping[str, Sequence[int]], *, seed: int = 0
) -> list[Effect]:
    """The effect of each group of rows (places in `influence`), worst first.

    Intervals are percentiles of a bootstrap over rows that together hold in 95 of 100 cases: each group's own leaves
    0.05 / number of groups to chance (Bonferroni), since the worst of many groups is looked at first. Rows without a
    figure (NaN) are left out, and so is a group that has no other.
    """
    values = np.asarray(influence, np.float64)
    chance = 0.05 / max(1, len(groups))
    found = []
    for number, (group, rows) in enumerate(groups.items()):
        of = values[list(rows)]
        of = of[~np.isnan(of)]
        if len(of):
            means = _means(of, np.random.default_rng([seed, number]))
            low, high = np.quantile(means, [chance / 2, 1 - chance / 2])
            found.append(Effect(group, len(of), float(of.mean()), float(low), float(high)))
    return sorted(found, key=lambda effect: effect.value)


def _means(of: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Means (RESAMPLES,) of `of` (N,), drawn with replacement."""
    at_once = max(1, CELLS // len(of))
    return np.concatenate([
        of[rng.integers(0, len(of), (min(at_once, RESAMPLES - first), len(of)))].mean(1)
        for first in range(0, RESAMPLES, at_once)
    ])  # fmt: skip
