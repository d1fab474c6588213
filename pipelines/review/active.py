"""Active review: rows come so that one is soon sure how many of all are wrong.

    plan = Active(rows, risk, keys, seed=0)
    plan.rows                         the rows in the order in which they come
    plan.told(review, below=0.02)     {"low": 0.001, "high": 0.019, "sure": "below", ...}

The riskier a row, the sooner it tends to come: rows are put into groups by their risk, and drawn without replacement,
those of riskier groups with larger weights. What was said of the first rows of that order, up to the first that nobody
decided about, gives an interval that holds at any time (`curate.betting`), so that one may stop when it is narrow
enough; whichever rows else were decided about, in whatever queue, count when the order comes to them. A row that was
deferred, or whose expert is suspected, counts as wrong at the upper end and as right at the lower. Wrong means: not
accepted.

The order is drawn once and does not depend on decisions, which may so be undone and merged. What is found changes the
predictions and so the width of the interval. It would change the best weights little: rows of no risk must be looked at
all the same, as their number is what an upper end is made of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recast.curate.betting import Seen, drawn
from recast.pipelines.review.decisions import Action, Key, Review, Standing

CUTS = (1 / 64, 1 / 16, 1 / 4)
"""Where groups end, as shares of the rows, the riskiest first."""
WEIGHTS = (2.6, 1.8, 1.15, 0.88)
"""Of the groups. Larger ones lose more where nothing is wrong than they gain where something is."""
OPEN: tuple[Action, ...] = ("defer", "suspect")
"""What says nothing of the text that it is about."""


def refused(_: Key, standing: Standing) -> bool:
    """Whether a row counts as wrong."""
    return standing.action != "accept"


class Active:
    """The order of rows. Knows no texts."""

    def __init__(
        self, rows: NDArray[np.int64], risk: NDArray[np.float64], keys: Sequence[Key], *, seed: int = 0,
        grouped: bool = True,
    ) -> None:  # fmt: skip
        """`rows`: numbers of rows, into `keys`; `risk`: of each of them, the larger the riskier. Not `grouped`: in
        random order."""
        self.weights = WEIGHTS if grouped else (1.0,)
        ends = [round(len(rows) * cut) for cut in CUTS] if grouped else []
        groups = np.empty(len(rows), np.int64)
        # rows of like risk must not come by their place in the version
        shuffled = np.random.default_rng([seed, 1]).permutation(len(rows))
        groups[shuffled[np.argsort(-risk[shuffled], kind="stable")]] = np.searchsorted(
            ends, np.arange(len(rows)), side="right"
        )
        order = drawn(groups, self.weights, seed)
        self.rows, self.groups = rows[order], groups[order]
        self._keys = [keys[number] for number in self.rows]

    def looked(self, review: Review) -> int:
        """How many rows the order has come to: those ahead of the first that nobody decided about."""
        for number, key in enumerate(self._keys):
            standing = review.rows.get(key)
            if standing is None or standing.action is None:
                return number
        return len(self._keys)

    def interval(
        self, review: Review, wrong: Callable[[Key, Standing], bool] = refused
    ) -> tuple[float, float]:
        """The share of wrong rows among all, 95 %, at any time."""
        most, least = (self._seen(review, wrong, open_ones=each) for each in (True, False))
        if (most.wrong == least.wrong).all():
            return most.interval()
        return least.interval()[0], most.interval()[1]

    def told(self, review: Review, below: float) -> dict[str, Any]:
        """What is known, whether it is enough (`sure`), and else about how many rows it takes to be sure that fewer
        than `below` are wrong (`left`, None where it does not look so)."""
        seen = self._seen(review, refused, open_ones=True)
        low, high = self.interval(review)
        sure = "below" if high < below else "above" if low > below else None
        return {
            "low": low, "high": high, "below": below, "sure": sure, "looked": len(seen.wrong), "rows": len(self.rows),
            "left": None if sure else seen.rows_left(below),
        }  # fmt: skip

    def _seen(self, review: Review, wrong: Callable[[Key, Standing], bool], *, open_ones: bool) -> Seen:
        said = [review.rows[key] for key in self._keys[: self.looked(review)]]
        found = [
            open_ones if standing.action in OPEN else wrong((standing.row_id, standing.target), standing)
            for standing in said
        ]
        return Seen(self.groups, self.weights, np.array(found, bool))
