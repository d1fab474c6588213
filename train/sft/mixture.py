"""Mixtures of data sets by weight: which rows an epoch sees.

The first source is what the run is for: an epoch sees each of its rows once, as of any source without a
weight. A source of weight w gives w rows for every row of the first; it deals them out in its own shuffled
order and begins anew only when all have had their turn, across epochs. So 0.2 is one row in six of what is
trained, however large the source is. What is drawn depends on the sizes, the weights and the seed alone:
resuming needs only a position.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from recast.curate.errors import UsageError


@dataclass(frozen=True, slots=True)
class Source:
    """A version by name, and the rows it gives for each row of the first; None: all of its rows."""

    ref: str
    weight: float | None = None

    @classmethod
    def parse(cls, text: str) -> Source:
        """`craft@v3` or `general:0.2`. Raises UsageError where the weight is no number above 0."""
        ref, colon, weight = text.rpartition(":")
        if not colon:
            return cls(text)
        try:
            value = float(weight)
        except ValueError:
            value = math.nan
        if not ref or not 0 < value < math.inf:
            raise UsageError(
                f"found {text!r}; a version in a mixture is NAME, or NAME:WEIGHT with a weight above 0, "
                "as in general:0.2."
            )
        return cls(ref, value)

    def __str__(self) -> str:
        return self.ref if self.weight is None else f"{self.ref}:{self.weight:g}"


def rows_per_epoch(sizes: Sequence[int], weights: Sequence[float | None]) -> list[int]:
    """How many rows each source gives to an epoch; at least one."""
    pairs = zip(sizes, weights, strict=True)
    return [size if weight is None else max(1, round(weight * sizes[0])) for size, weight in pairs]


def stream(sizes: Sequence[int], weights: Sequence[float | None], *, epochs: int, seed: int) -> np.ndarray:
    """Return the row of every training position, as an index into all sources end to end."""
    counts, firsts = rows_per_epoch(sizes, weights), np.cumsum([0, *sizes[:-1]])
    dealers = [_deal(size, (seed, number)) for number, size in enumerate(sizes)]
    mixing = np.random.default_rng(seed)
    drawn = []
    for _ in range(epochs):
        rows = [
            first + np.fromiter(dealer, dtype=np.int64, count=count)
            for dealer, first, count in zip(dealers, firsts, counts, strict=True)
        ]
        drawn.append(mixing.permutation(np.concatenate(rows)))
    return np.concatenate(drawn)


def _deal(size: int, seed: tuple[int, int]) -> Iterator[int]:
    """Rows of a source without end, each once before any comes again."""
    rng = np.random.default_rng(seed)
    while True:
        yield from rng.permutation(size).tolist()
