"""Groups of changed rows by what they do to held-out text: helps, hurts, or cannot tell.

effects(influence, groups)        by what gradients say of each row, with intervals over rows
gains(differences)                by what trainings without each group say, with intervals over questions and seeds
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HELPS, HURTS, CANNOT_TELL = "helps", "hurts", "cannot tell"
RESAMPLES = 4000
MIN_ROWS = 5
"""Rows below which nothing is said of a group."""
CELLS = 1 << 22
"""Draws that are held at once."""
ANGLES = 100_001
"""At which Student's density is summed up."""


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
        return CANNOT_TELL if self.rows < MIN_ROWS else _said(self.value, self.low, self.high)


@dataclass(frozen=True, slots=True)
class Gain:
    """What a group gives a held-out set: nats by which its reference answers are less likely without the group."""

    group: str
    seeds: int
    questions: int
    value: float
    low: float
    high: float

    @property
    def says(self) -> str:
        return _said(self.value, self.low, self.high)


def _said(value: float, low: float, high: float) -> str:
    return CANNOT_TELL if low <= 0 <= high else HELPS if value > 0 else HURTS


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


def gains(differences: Mapping[str, NDArray[np.float64]]) -> list[Gain]:
    """The gain of each group from what each seed says of each question (seeds, questions), worst first.

    Seeds and questions are both drawn, and crossed: the variance of the mean is at most

        V = s_Q^2 / Q + s_S^2 / S        s_Q^2 between the questions' means over seeds, s_S^2 between the seeds' means

    with Student's quantile at the degrees of freedom of Welch (1947) and Satterthwaite (1946), and together the
    intervals hold in 95 of 100 cases (Bonferroni, as in `effects`).
    """
    chance = 0.05 / max(1, len(differences))
    found = []
    for group, of in differences.items():
        seeds, questions = of.shape
        parts = [
            (of.mean(0).var(ddof=1) / questions, questions - 1),
            (of.mean(1).var(ddof=1) / seeds, seeds - 1),
        ]
        variance = sum(part for part, _ in parts)
        uncertain = sum(part**2 / freedom for part, freedom in parts)
        half = student_t(variance**2 / uncertain, chance) * math.sqrt(variance) if uncertain else 0.0
        value = float(of.mean())
        found.append(Gain(group, seeds, questions, value, value - half, value + half))
    return sorted(found, key=lambda gain: gain.value)


def student_t(freedom: float, chance: float) -> float:
    """What Student's t exceeds on either side with `chance` in all. t = sqrt(freedom) tan(angle), and the angle has the
    density cos^(freedom - 1), which is summed up."""
    angles = np.linspace(0, math.pi / 2, ANGLES)
    density = np.cos(angles) ** (freedom - 1)
    inside = np.concatenate([[0.0], np.cumsum(density[1:] + density[:-1])])
    return math.sqrt(freedom) * math.tan(float(np.interp((1 - chance) * inside[-1], inside, angles)))


def _means(of: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Means (RESAMPLES,) of `of` (N,), drawn with replacement."""
    at_once = max(1, CELLS // len(of))
    return np.concatenate([
        of[rng.integers(0, len(of), (min(at_once, RESAMPLES - first), len(of)))].mean(1)
        for first in range(0, RESAMPLES, at_once)
    ])  # fmt: skip
