"""The rows of a job as a stream that can be read again: a job of any size holds one window of them.

source = Source.of(store.open("gsm8k"), limit=1000)
for window in source.windows(4096): ...
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recast.curate import schema
from recast.curate.schema import VERSION_SCHEMA

Batches = Callable[[], Iterator[pa.RecordBatch]]


@dataclass(frozen=True, slots=True)
class Source:
    """Rows of VERSION_SCHEMA. `batches()` begins anew at every call and gives the same rows each time."""

    batches: Batches
    limit: int | None = None

    @classmethod
    def of(cls, rows: Any, limit: int | None = None) -> Source:
        """From a `curate.store.snapshot.Snapshot`, a table, a `datasets.Dataset`, a list of mappings, or, held in
        memory then, from anything else that a store commits."""
        if isinstance(rows, Source):
            return cls(rows.batches, limit if rows.limit is None else min(rows.limit, limit or rows.limit))
        if hasattr(rows, "live_sql"):  # a Snapshot, which this package need not import
            return cls(rows.batches, limit)
        if not isinstance(rows, pa.Table | Sequence) and not hasattr(rows, "with_format"):
            rows = pa.Table.from_batches(list(schema.batches(rows)), VERSION_SCHEMA)
        return cls(lambda: schema.batches(rows), limit)

    def windows(self, num_rows: int) -> Iterator[pa.Table]:
        """Tables of `num_rows` consecutive rows, the last one of what is left."""
        held: list[pa.RecordBatch] = []
        count, left = 0, self.limit
        for batch in self.batches():
            if left is not None:
                batch = batch.slice(0, left)
                left -= batch.num_rows
            while batch.num_rows:
                taken = batch.slice(0, num_rows - count)
                held.append(taken)
                count += taken.num_rows
                batch = batch.slice(taken.num_rows)
                if count == num_rows:
                    yield pa.Table.from_batches(held, VERSION_SCHEMA)
                    held, count = [], 0
            if left == 0:
                break
        if held:
            yield pa.Table.from_batches(held, VERSION_SCHEMA)

    def survey(self, columns: Sequence[str], window_rows: int = 32_768) -> Survey:
        """One pass over all rows: how many, their total length, and the identity of `columns`."""
        digests = {name: (hashlib.sha256(), hashlib.sha256()) for name in columns}
        num_rows = num_chars = highest_target = 0
        for window in self.windows(window_rows):
            num_rows += window.num_rows
            num_chars += int(lengths(window).sum())
            highest_target = max(highest_target, pc.max(window["target"]).as_py())
            for name, (sizes, content) in digests.items():
                text = window[name].cast(pa.string())
                size = pc.fill_null(pc.binary_length(text), -1)  # an empty text is not a missing one
                sizes.update(size.to_numpy().astype("<i8").tobytes())
                for chunk in pc.fill_null(text, "").chunks:
                    content.update(_bytes(chunk))
        whole = hashlib.sha256()
        for name, pair in digests.items():
            whole.update(name.encode() + b"".join(digest.digest() for digest in pair))
        return Survey(num_rows, num_chars, whole.hexdigest(), highest_target)


@dataclass(frozen=True, slots=True)
class Survey:
    """What one pass over a source found."""

    num_rows: int
    num_chars: int  # of prompts and demonstrations
    digest: str
    highest_target: int


def _bytes(texts: pa.StringArray) -> memoryview:
    """The texts one after another, without a copy."""
    _, offsets, data = texts.buffers()
    if data is None or not len(texts):
        return memoryview(b"")
    bounds = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return memoryview(data)[bounds[0] : bounds[-1]]


def lengths(window: pa.Table) -> np.ndarray:
    """Characters of prompt and demonstration, row by row."""
    chars = pc.add(pc.utf8_length(window["messages"]), pc.utf8_length(window["demonstration"]))
    return chars.to_numpy().astype(np.int64)
