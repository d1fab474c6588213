"""What a sample that looks for rare things where they are likely says of their share: an interval that always holds.

    order = drawn(groups, weights, seed=0)        rows of groups of larger weight tend to come sooner
    seen = Seen(groups[order], weights, wrong)    wrong: bool of the rows looked at so far, in that order
    seen.interval()                               (0.0021, 0.0193): the share of wrong rows among all, 95 %
    seen.rows_left(0.02)                          about how many more rows until it is below 2 %

Let each row come next with a chance in proportion to the weight of its group, among the rows that are left. Then
X = A + (y - q) G / g has the number of wrong rows that are left as its mean, whatever is predicted: y says whether the
row is wrong, q what is predicted for its group, A the sum of the predictions of all rows left, g the group's weight, G
the sum of weights left. Whoever bets each time a part c of what may be lost that there are fewer wrong rows than T has

    M(T) = product of  1 + c (T' - X) / (most that X can be - T'),    T' = T less the wrong rows found before

after the bets: on average no more than the 1 that was laid in, if there are T or more. So with 95.5 % M(T) never comes
to 1 / 0.045, however long one looks and whenever one stops (Ville's inequality), and T is ruled out where it does. The
lower end is that of bets that there are more, and takes the other half of a hundredth. (Betting on a mean without
replacement: Waudby-Smith and Ramdas 2024, JRSS B 86(1), section 5; importance weights with predictions as in active
inference, Zrnic and Candes 2024.) Bad predictions and weights make the interval wide, never wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

ABOVE, BELOW = 0.045, 0.005
"""How often, at most, the truth lies above the interval, and below it. What one wants to be sure of is mostly that
little is wrong."""
PARTS = np.array([0.25, 0.5, 0.7, 0.85, 0.98])
"""Parts of the most that may be bet,"""
LAID = np.array([0.1, 0.15, 0.2, 0.2, 0.35])
"""and the share of the capital that is laid on each: most on there being next to nothing wrong."""
NOTHING = 1e-9
EXPECTED = 0.005
"""Share of wrong rows that is predicted before anything was seen, the larger the cube of a group's weight."""
CONVICTION = 0.5
"""How many wrong rows that prediction counts for."""


def drawn(groups: NDArray[np.int64], weights: Sequence[float], seed: int = 0) -> NDArray[np.int64]:
    """The order of rows, int64[rows]: each comes next with a chance in proportion to the weight of its group. `groups`:
    int64[rows], into `weights`."""
    waits = np.random.default_rng(seed).exponential(size=len(groups)) / np.asarray(weights)[groups]
    return np.argsort(waits, kind="stable")


@dataclass(frozen=True)
class Seen:
    """The first rows of an order that `drawn` gave. `groups`: int64[rows], of all rows in that order; `wrong`:
    bool[rows looked at]."""

    groups: NDArray[np.int64]
    weights: Sequence[float]
    wrong: NDArray[np.bool_]

    def interval(self) -> tuple[float, float]:
        """The share of wrong rows among all: (0, 1) before anything was seen, and what it is when all was."""
        total, found = len(self.groups), int(self.wrong.sum())
        low, high = found, found + total - len(self.wrong)
        # both capitals are monotone in T
        above = _first(found, high + 1, lambda t: self._capital(t, 1.0) >= -math.log(ABOVE))
        below = _first(found, high + 1, lambda t: self._capital(t, -1.0) < -math.log(BELOW))
        return max(low, below) / total, min(high, above - 1) / total

    def below(self, share: float) -> bool:
        """Whether it is sure that the share is smaller than `share`: what `interval` says, sooner."""
        return self._capital(self._least(share), 1.0) >= -math.log(ABOVE)

    def rows_left(self, share: float) -> int | None:
        """About how many more rows bring the interval below `share`, if rows go on as they look, at most all that are
        left; None where it looks as if that many were wrong."""
        left, wanted = len(self.groups) - len(self.wrong), self._least(share)
        if self.below(share):
            return 0
        ended = self._logs(wanted, 1.0)[:, -1] if len(self.wrong) else np.log(LAID)
        gains, expected = self._expected(wanted)
        if not left or expected >= wanted:
            return None

        def enough(more: int) -> bool:
            return float(np.logaddexp.reduce(ended + more * gains)) >= -math.log(ABOVE)

        return _first(1, left, enough)

    def _least(self, share: float) -> int:
        """The least number of wrong rows that is not below `share` of all."""
        return math.ceil(share * len(self.groups) - NOTHING)

    def _capital(self, wanted: int, side: float) -> float:
        """The most that log M(`wanted`) ever was; `side` 1 bets on fewer wrong rows, -1 on more."""
        if not len(self.wrong):
            return 0.0
        return max(0.0, float(np.logaddexp.reduce(self._logs(wanted, side), axis=0).max()))

    def _logs(self, wanted: int, side: float) -> NDArray[np.float64]:
        """float64[parts, rows looked at]: log of each part of M, after each row."""
        x, most, least, found = self._drawn
        left = wanted - found
        room = most - left if side > 0 else left - least
        gained = side * (left - x)
        with np.errstate(divide="ignore", invalid="ignore"):
            gains = np.log1p(PARTS[:, None] * (gained / room))
        # no room: if there are so many wrong rows, X is sure to be what is left, and else there are not so many
        gains[:, room <= NOTHING] = math.inf
        gains[:, (np.abs(room) <= NOTHING) & (np.abs(gained) <= NOTHING)] = 0.0
        return np.cumsum(gains, axis=1) + np.log(LAID)[:, None]

    @cached_property
    def _drawn(self) -> tuple[NDArray[np.float64], ...]:
        """float64[rows looked at]: X, the most and the least that it could be, wrong rows found before."""
        n, groups = len(self.wrong), len(self.weights)
        weights = np.asarray(self.weights, float)
        own = self.groups[:n]
        looked = np.zeros((n, groups))
        looked[np.arange(n), own] = 1
        found = looked * self.wrong[:, None]
        looked, found = (np.cumsum(each, axis=0) - each for each in (looked, found))
        rows = self._rows
        left = rows - looked
        q = self._predicted(looked, found)
        all_left = left @ weights
        expected = (left * q).sum(axis=1)
        here = np.arange(n)
        x = expected + (self.wrong - q[here, own]) * all_left / weights[own]
        rest = left > 0
        most = expected + all_left * np.where(rest, (1 - q) / weights, 0).max(axis=1)
        least = expected - all_left * np.where(rest, q / weights, 0).max(axis=1)
        return x, most, least, found.sum(axis=1)

    @property
    def _rows(self) -> NDArray[np.float64]:
        """float64[groups]"""
        return np.bincount(self.groups, minlength=len(self.weights)).astype(float)

    def _predicted(self, looked: NDArray[np.float64], found: NDArray[np.float64]) -> NDArray[np.float64]:
        """The chance of a row of each group to be wrong, by what was seen of the group."""
        risk = np.asarray(self.weights, float) ** 3
        first = np.minimum(EXPECTED * risk * self._rows.sum() / (risk @ self._rows), 0.5)
        return (CONVICTION + found) / (CONVICTION / first + looked)

    def _expected(self, wanted: int) -> tuple[NDArray[np.float64], float]:
        """float64[parts]: what one more bet is expected to add to log M(`wanted`); and how many are wrong, as it
        looks."""
        looked, found = (
            np.bincount(self.groups[: len(self.wrong)], weights=each, minlength=len(self.weights)).astype(
                float
            )
            for each in (np.ones(len(self.wrong)), self.wrong.astype(float))
        )
        weights, left = np.asarray(self.weights, float), self._rows - looked
        q = self._predicted(looked, found)
        all_left, expected = float(left @ weights), float(left @ q)
        needed = wanted - found.sum()
        in_all = float(found.sum()) + expected
        room = expected + all_left * np.where(left > 0, (1 - q) / weights, 0).max() - needed
        if room <= 0:
            return np.full(len(PARTS), math.inf), in_all
        chance = left * weights / all_left if all_left else left
        gains = np.zeros((len(PARTS), len(weights)))
        for wrong, of in ((1, q), (0, 1 - q)):
            x = expected + (wrong - q) * all_left / weights
            edge = np.where(left > 0, (needed - x) / room, 0)
            gains += of * np.log1p(PARTS[:, None] * edge)
        return gains @ chance, in_all


def _first(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """The least whole number from `low` on for which a condition holds that holds for all larger ones; `high` where
    it holds for none below."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low
