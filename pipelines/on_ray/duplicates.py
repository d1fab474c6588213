"""Duplicates of sets that are too large for one node: sketched where the texts lie, compared where a band's key leads.

The rule is `curate.curation.dedup`'s, part by part, so the same rows go as in one process. The driver holds two numbers
a text and the pairs that were found; sketches and texts lie on the cluster.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from recast.curate.curation import dedup
from recast.curate.curation.dedup import Duplicate

PUT_ROWS = 50_000
MOST_BLOCKS = 512
Columns = dict[str, Any]


class Gathered:
    """`curate.curation.filters.Finder` on the cluster that this process is connected to."""

    def __init__(self, threshold: float | None) -> None:
        """`threshold` None: exact duplicates only."""
        self.threshold = threshold
        self._count = 0
        self._held: list[str] = []
        self._blocks: list[Any] = []

    def add(self, texts: Sequence[str]) -> None:
        """Take more texts. Places count all texts ever added, from 0."""
        self._held += texts
        if len(self._held) >= PUT_ROWS:
            self._put()

    def found(self) -> list[Duplicate | None]:
        """What each text duplicates, None where it stays."""
        import ray.data

        self._put()
        if not self._count:
            return []
        texts: Any = ray.data.from_arrow_refs(self._blocks)
        keyed = texts.map_batches(_worded, batch_size=dedup.BATCH_ROWS)
        same = dedup.components(self._count, _pairs(keyed, self._count, _same_words))
        if self.threshold is None:
            return dedup.told(same, same)
        # those with the same words are compared too: their sketches are equal, so the groups are the same
        banded = texts.map_batches(_banded, batch_size=dedup.BATCH_ROWS)
        first = dedup.components(
            self._count, _pairs(banded, self._count * dedup.NUM_BANDS, _near, threshold=self.threshold)
        )
        return dedup.told(first, same)

    def _put(self) -> None:
        import ray

        if self._held:
            places = pa.array(range(self._count, self._count + len(self._held)), pa.int64())
            self._blocks.append(
                ray.put(pa.table({"place": places, "text": pa.array(self._held, pa.string())}))
            )
            self._count += len(self._held)
            self._held = []


def _pairs(rows: Any, count: int, compare: Any, **kwargs: Any) -> Iterator[tuple[int, int]]:
    """Pairs of places among `count` rows whose `key` is the same; equal keys meet in one block."""
    blocks = min(MOST_BLOCKS, max(1, count // PUT_ROWS))
    met = rows.repartition(blocks, keys=["key"]) if blocks > 1 else rows.repartition(1)
    found = met.map_batches(compare, batch_size=None, fn_kwargs=kwargs)
    for batch in found.iter_batches(batch_format="numpy", batch_size=None):
        yield from zip(batch["a"].tolist(), batch["b"].tolist(), strict=True)


def _worded(batch: Columns) -> Columns:
    keys = [dedup.words_key(text) for text in batch["text"]]
    return {
        "place": batch["place"],
        "key": np.array([int.from_bytes(key[:8], "big", signed=True) for key in keys], np.int64),
        "words": np.array(keys, dtype=object),
    }


def _banded(batch: Columns) -> Columns:
    sketches = dedup.sketches_ND(list(batch["text"]))
    keys = dedup.bands_NB(sketches)
    # a band's number is part of its key: what agrees in two bands by accident agrees in none
    keys = (keys ^ np.arange(keys.shape[1], dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)).view(np.int64)
    return {
        "place": np.repeat(batch["place"], keys.shape[1]),
        "key": keys.reshape(-1),
        "sketch": np.repeat(sketches.view(np.int32), keys.shape[1], axis=0),
    }


def _same_words(block: Columns) -> Columns:
    first: dict[bytes, int] = {}
    pairs = [
        (int(p), first.setdefault(bytes(w), int(p)))
        for p, w in zip(block["place"], block["words"], strict=True)
    ]
    return _as_columns([(a, b) for a, b in pairs if a != b])


def _near(block: Columns, threshold: float) -> Columns:
    if not len(block["place"]):
        return _as_columns([])
    sketches = np.ascontiguousarray(np.stack(list(block["sketch"])), np.int32).view(np.uint32)
    keys, place = block["key"].view(np.uint64), block["place"]
    return _as_columns([(place[a], place[b]) for a, b in dedup.pairs_of_key(keys, sketches, threshold)])


def _as_columns(pairs: Sequence[tuple[int, int]]) -> Columns:
    found = np.array(pairs, np.int64).reshape(-1, 2)
    return {"a": found[:, 0], "b": found[:, 1]}
