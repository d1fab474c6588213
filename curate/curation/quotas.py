"""The mix of a data set: its rows by kind, and how many of each kind make a sample of that mix.

    found = kinds(snapshot.batches(columns(["task", "length"])), ["task", "length"])
    found.names[0]                     "task=gsm8k, length 38 to 112"
    quotas(found.counts, 5000)         int64[kinds], of sum 5000

`length` is that of the demonstration, in characters. A column of numbers is cut into as many stretches of like many
rows; of any other, each value is a kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from recast.curate.errors import UsageError
from recast.curate.schema import VERSION_SCHEMA

LENGTH = "length"
STRETCHES = 5
"""Into which numbers are cut: quintiles."""
MOST_KINDS = 1000
"""More of them say that a column tells rows apart, not kinds of rows."""


@dataclass(frozen=True, slots=True)
class Kinds:
    """`of_row`: int64[rows], into `names`."""

    of_row: NDArray[np.int64]
    names: tuple[str, ...]

    @property
    def counts(self) -> NDArray[np.int64]:
        """int64[kinds]: rows of each."""
        return np.bincount(self.of_row, minlength=len(self.names))


def columns(like: Sequence[str]) -> list[str]:
    """The columns of a version that `like` names. Raises UsageError for what is none."""
    for name in like:
        if name != LENGTH and name not in VERSION_SCHEMA.names:
            raise UsageError(
                f"--like {name}: a version has no such column. It has {', '.join(VERSION_SCHEMA.names)}; {LENGTH} is "
                "that of the demonstration."
            )
    if len(set(like)) < len(like):
        raise UsageError(f"--like {','.join(like)} names a column twice.")
    return [*dict.fromkeys("demonstration" if name == LENGTH else name for name in like)]


def kinds(batches: Iterable[pa.RecordBatch], like: Sequence[str]) -> Kinds:
    """The kinds of rows, told apart by the columns `like`, the commonest first; all are of one kind where it is empty.

    `batches` hold `columns(like)`, or `row_id` where that is nothing. Raises UsageError for more than MOST_KINDS.
    """
    values: dict[str, list[pa.Array]] = {name: [] for name in like}
    num_rows = 0
    for batch in batches:
        num_rows += batch.num_rows
        for name in like:
            values[name].append(pc.utf8_length(batch["demonstration"]) if name == LENGTH else batch[name])
    code, names = np.zeros(num_rows, np.int64), [""]
    for name in like:
        own, called = _cut(name, pa.chunked_array(values[name]))
        pairs, code = np.unique(code * len(called) + own, return_inverse=True)
        if len(pairs) > MOST_KINDS:
            raise UsageError(
                f"--like {','.join(like)} tells {len(pairs):,} kinds of rows apart, more than {MOST_KINDS:,}; leave "
                f"{name} out."
            )
        before = [names[pair // len(called)] for pair in pairs]
        names = [
            f"{b}, {called[p % len(called)]}".removeprefix(", ") for b, p in zip(before, pairs, strict=True)
        ]
    order = np.argsort(-np.bincount(code, minlength=len(names)), kind="stable")
    place = np.argsort(order)
    return Kinds(place[code], tuple(names[i] or "all rows" for i in order))


def quotas(counts: NDArray[np.int64], wanted: int) -> NDArray[np.int64]:
    """int64[kinds] of sum `wanted`: the shares of `counts`, what is left over to the largest remainders (Hamilton).

    Raises UsageError where there are fewer rows than that.
    """
    total = int(counts.sum())
    if wanted > total:
        raise UsageError(f"{wanted:,} accepted rows are wanted of {total:,}; a row gives one at most.")
    exact = counts * wanted / total
    found = np.floor(exact).astype(np.int64)
    # by whole numbers: the remainders of like shares must not differ by rounding
    remainders = counts * wanted - found * total
    found[np.argsort(-remainders, kind="stable")[: wanted - int(found.sum())]] += 1
    return found


def _cut(name: str, values: pa.ChunkedArray) -> tuple[NDArray[np.int64], list[str]]:
    """int64[rows] into the names of the values, or of the stretches that numbers are cut into."""
    if pa.types.is_floating(values.type) or pa.types.is_integer(values.type):
        numbers = values.cast(pa.float64()).to_numpy()
        known = np.unique(numbers[~np.isnan(numbers)])
        edges = (
            np.unique(np.quantile(numbers[~np.isnan(numbers)], np.linspace(0, 1, STRETCHES + 1)[1:-1]))
            if len(known)
            else known
        )
        edges = edges[edges > known[0]] if len(known) else edges
        own = np.searchsorted(edges, numbers, side="right").astype(np.int64)
        called = []
        for i in range(len(edges) + 1):
            inside = known[np.searchsorted(edges, known, side="right") == i]
            called.append(f"{name} {inside[0]:g} to {inside[-1]:g}" if len(inside) else f"{name} none")
        own[np.isnan(numbers)] = len(called)
        return own, [*called, f"{name} none"]
    coded = values.combine_chunks().dictionary_encode()
    called = [f"{name}={value}" for value in coded.dictionary.to_pylist()]
    own = coded.indices.fill_null(len(called)).to_numpy(zero_copy_only=False).astype(np.int64)
    return own, [*called, f"{name} none"]
