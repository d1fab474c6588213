"""Rows of parts by place: (part, position), in any order.

Every page that is decoded is checked against its checksum first, so a damaged part is an error and never
wrong text. A few row groups are held at a time; they are bounded in bytes (see `parts`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recast.curate.schema import VERSION_SCHEMA
from recast.curate.store.parts import damaged, footer, require

_CACHED_GROUPS = 4
_THREADS = 2
_ROWS_ALONE = 16_384  # rows that are decoded sooner than a thread starts
_GROUP_BITS = 32


class Gatherer:
    """Gathers rows of the same columns from the same parts, again and again."""

    def __init__(self, root: Path, parts: Sequence[str], columns: Sequence[str]) -> None:
        self.root, self.parts, self.columns = root, list(parts), list(columns)
        self._metadata: dict[int, tuple[pq.FileMetaData, np.ndarray]] = {}
        self._cache: OrderedDict[tuple[int, int], pa.Table] = OrderedDict()

    def gather(self, part: np.ndarray, position: np.ndarray) -> pa.Table:
        """Rows at `position` (int[rows]) of part number `part` (int[rows], into `parts`), in the given order."""
        group = np.empty(len(part), np.int64)
        for number in np.flatnonzero(np.bincount(part)):
            starts = self._file(int(number))[1]
            mine = part == number
            group[mine] = np.searchsorted(starts, position[mine], side="right") - 1
        key = part.astype(np.int64) << _GROUP_BITS | group
        order = np.argsort(key, kind="stable")
        cuts = np.flatnonzero(np.diff(key[order])) + 1
        runs = [run for run in np.split(order, cuts) if len(run)]
        read = partial(self._run, key, position)
        if len(runs) > _CACHED_GROUPS and self._held(key, runs) > _ROWS_ALONE:
            # many groups, each needed once: decode them side by side
            with ThreadPoolExecutor(_THREADS) as pool:
                pieces = list(pool.map(partial(read, keep=False), runs))
        else:
            pieces = [read(run) for run in runs]
        gathered = pa.concat_tables(pieces) if pieces else self._empty()
        if (np.diff(order) == 1).all():
            return gathered
        back = np.empty(len(order), np.int64)
        back[order] = np.arange(len(order))
        return gathered.combine_chunks().take(_indices(back))

    def _run(self, key: np.ndarray, position: np.ndarray, rows: np.ndarray, keep: bool = True) -> pa.Table:
        """The rows `rows`, all of one row group."""
        part, group = int(key[rows[0]] >> _GROUP_BITS), int(key[rows[0]] & ((1 << _GROUP_BITS) - 1))
        table = self._group(part, group, keep)
        offset = position[rows] - self._file(part)[1][group]
        if offset[-1] >= table.num_rows:
            raise damaged(self.parts[part], f"row {offset[-1]} of {table.num_rows} asked for")
        if (np.diff(offset) == 1).all():
            return table.slice(offset[0], len(offset))
        return table.take(_indices(offset))

    def _held(self, key: np.ndarray, runs: Sequence[np.ndarray]) -> int:
        """Rows of the groups that `runs` lie in: what is decoded for them."""
        groups = (divmod(int(key[run[0]]), 1 << _GROUP_BITS) for run in runs)
        return sum(self._file(part)[0].row_group(group).num_rows for part, group in groups)

    def _file(self, part: int) -> tuple[pq.FileMetaData, np.ndarray]:
        if part not in self._metadata:
            metadata = footer(self.root, self.parts[part])
            sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
            self._metadata[part] = metadata, np.concatenate([[0], np.cumsum(sizes)])[:-1]
        return self._metadata[part]

    def _group(self, part: int, group: int, keep: bool) -> pa.Table:
        key = part, group
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        path = require(self.root, self.parts[part])
        try:
            # a reader of its own each time: one reader must not serve two threads
            with (
                pa.OSFile(str(path)) as source,  # a path would be looked up as an address first
                pq.ParquetFile(source, metadata=self._file(part)[0], page_checksum_verification=True) as file,
            ):
                table = file.read_row_group(group, columns=self.columns, use_threads=False).select(
                    self.columns
                )
        except (pa.ArrowException, OSError) as error:
            raise damaged(self.parts[part], error) from error
        if keep:
            self._cache[key] = table
            while len(self._cache) > _CACHED_GROUPS:
                self._cache.popitem(last=False)
        return table

    def _empty(self) -> pa.Table:
        return pa.schema([VERSION_SCHEMA.field(c) for c in self.columns]).empty_table()


def _indices(rows: np.ndarray) -> pa.Array:
    """`rows` (int64[rows]) as Arrow has it, without the pandas that `pa.array` imports to look at an array."""
    return pa.Array.from_buffers(
        pa.int64(), len(rows), [None, pa.py_buffer(np.ascontiguousarray(rows, np.int64))]
    )


def fetch(root: Path, part: pa.ChunkedArray, pos: pa.ChunkedArray, columns: Sequence[str]) -> pa.Table:
    """Rows at the given places, in that order; a null place gives a row of nulls."""
    import pyarrow.compute as pc  # a third of what importing Arrow takes; reading a version does without

    schema = pa.schema([VERSION_SCHEMA.field(c).with_nullable(True) for c in columns])
    there = np.flatnonzero(pc.is_valid(part).to_numpy())
    if not len(there):
        return pa.table([pa.nulls(len(part), f.type) for f in schema], schema=schema)
    places = pa.table({"part": part, "pos": pos}).take(pa.array(there)).combine_chunks()
    coded = pc.dictionary_encode(places.column("part")).combine_chunks()
    gatherer = Gatherer(root, coded.dictionary.to_pylist(), columns)
    found = gatherer.gather(coded.indices.to_numpy(), places.column("pos").to_numpy())
    if len(there) == len(part):
        return found.cast(schema)
    slot = np.full(len(part), -1, np.int64)
    slot[there] = np.arange(len(there))
    return found.combine_chunks().take(pa.array(slot, mask=slot < 0)).cast(schema)
