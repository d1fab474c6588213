"""The live rows of a commit's parent, looked up by key.

A commit asks batch after batch what its rows were in the parent. Where the rows come in the parent's order,
as they do when a version is committed again with changes, that takes a comparison of keys and no join.
"""

from __future__ import annotations

from collections.abc import Iterable

import duckdb
import numpy as np
import pyarrow as pa

from curate import changes
from curate.catalog import one
from curate.errors import IntegrityError
from curate.snapshot import Snapshot

MAX_DEPTH = 48  # logs that a reader folds at most
_SMALL_ROWS = 200_000  # an index of this size is held in memory rather than read several times
_STATE_TYPES = {
    "hash": pa.string(),
    "score": pa.int64(),
    "part": pa.string(),
    "pos": pa.int64(),
    "order": pa.int64(),
}


def _flat(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    return array.cast(pa.string()) if pa.types.is_dictionary(array.type) else array


class Index:
    """The parent's live rows, looked up by key."""

    def __init__(self, con: duckdb.DuckDBPyConnection, parent: Snapshot | None, whole: bool) -> None:
        self.con = con
        self.rows = parent.version.rows if parent is not None else 0
        self.parent = parent
        self.table: pa.Table | None = None
        self.cursor = 0  # where in `table` the next batch is expected to start
        self.lookups = 0
        self.next_order = 0
        self.sql: str | None = None
        if parent is None:
            return
        self.sql = parent.live_sql()
        self.base_sql, self.log_sqls = parent.base_and_logs()
        self.next_order = parent.version.next_order
        if whole or self.rows <= _SMALL_ROWS:
            self._load()

    def _load(self) -> None:
        """Hold the index in memory: many batches will ask for it."""
        table = self.con.sql(f'SELECT * FROM ({self.sql}) ORDER BY "order"').to_arrow_table()
        coded = table.column("part").dictionary_encode()  # few ids, many rows
        place = table.schema.get_field_index("part")
        self.table = table.set_column(place, "part", coded).combine_chunks()
        self.con.register("parent", self.table)
        self.sql = "SELECT * FROM parent"

    def needs_base(self, log_rows: int, rows: int) -> bool:
        """Whether reading the version would otherwise cost much more than the rows it holds."""
        assert self.parent is not None
        version = self.parent.version
        return version.pending + log_rows > max(rows // 2, 1024) or version.depth + 1 >= MAX_DEPTH

    def match(self, batch: pa.RecordBatch) -> dict[str, pa.Array]:
        """State in the parent of each row of `batch`, null where it has none."""
        if self.parent is None:
            return {c: pa.nulls(batch.num_rows, t) for c, t in _STATE_TYPES.items()}
        if self.table is not None and (found := self._in_step(batch)) is not None:
            return found
        self.lookups += 1
        if self.lookups == 2 and self.table is None:
            self._load()
        keys = pa.table(
            {
                "row_id": batch.column("row_id"),
                "target": batch.column("target"),
                "slot": np.arange(batch.num_rows),
            }
        )
        self.con.register("keys", keys)
        columns = ", ".join(f'p."{c}"' for c in changes.STATE)
        found = self.con.sql(
            f"SELECT k.slot, {columns} FROM keys k JOIN ({self.sql}) p ON k.row_id = p.row_id AND k.target = p.target"
        ).to_arrow_table()
        self.con.unregister("keys")
        slot = np.full(batch.num_rows, -1, np.int64)
        slot[found.column("slot").to_numpy()] = np.arange(found.num_rows)
        rows = pa.array(slot, mask=slot < 0)
        if found.num_rows and (order := found.column("order").to_numpy()).size and self.table is not None:
            self.cursor = int(np.searchsorted(self.table.column("order").to_numpy(), order.max())) + 1
        return {c: _flat(found.column(c)).take(rows) for c in changes.STATE}

    def _in_step(self, batch: pa.RecordBatch) -> dict[str, pa.Array] | None:
        """The next rows of the parent, if they have exactly the keys of `batch`: the usual case, without a join."""
        assert self.table is not None
        piece = self.table.slice(self.cursor, batch.num_rows)
        if piece.num_rows != batch.num_rows:
            return None
        for key in ("row_id", "target"):
            if not piece.column(key).combine_chunks().equals(batch.column(key)):
                return None
        self.cursor += batch.num_rows
        return {c: _flat(piece.column(c)) for c in changes.STATE}

    def refuse_twice(self, given: np.ndarray) -> None:
        """Raise IntegrityError if a key of the parent was given twice (`given`: their orders)."""
        values, times = np.unique(given, return_counts=True)
        if (times > 1).any():
            order = int(values[times > 1][0])
            key = one(self.con, f'SELECT row_id, target FROM ({self.sql}) WHERE "order" = {order}')
            assert key is not None
            raise IntegrityError(
                f"row {key[0]!r} (target {key[1]}) occurs {times.max()} times among the rows committed, but a key may "
                "occur once. Give the rows distinct ids (or targets), or drop the repetition; nothing was committed."
            )

    def unseen(self, given: np.ndarray) -> pa.Table:
        """Log rows that remove every key of the parent whose order is not in `given`."""
        if self.parent is None or len(given) == self.rows:
            return changes.LOG_SCHEMA.empty_table()
        self.con.register("given", pa.table({"order": pa.array(given, pa.int64())}))
        return self._removal(f'SELECT p.* FROM ({self.sql}) p ANTI JOIN given g ON p."order" = g."order"')

    def named(self, keys: Iterable[tuple[str, int]]) -> pa.Table:
        """Log rows that remove `keys`. Raises IntegrityError for a key that the parent lacks."""
        wanted = pa.Table.from_pylist(
            [{"row_id": r, "target": t} for r, t in keys],
            pa.schema([("row_id", pa.string()), ("target", pa.int32())]),
        )
        if not wanted.num_rows:
            return changes.LOG_SCHEMA.empty_table()
        self.con.register("wanted", wanted)
        join = "ON p.row_id = w.row_id AND p.target = w.target"
        was = self.sql or changes.live(None, [])
        lost = one(self.con, f"SELECT w.row_id, w.target FROM wanted w ANTI JOIN ({was}) p {join} LIMIT 1")
        if lost:
            raise IntegrityError(
                f"cannot remove row {lost[0]!r} (target {lost[1]}): the parent does not have it."
            )
        return self._removal(f"SELECT p.* FROM ({self.sql}) p SEMI JOIN wanted w {join}")

    def _removal(self, rows: str) -> pa.Table:
        before = ", ".join(f'"{c}" AS {c}_before' for c in changes.STATE)
        after = ", ".join(f"NULL AS {c}_after" for c in changes.STATE)
        table = self.con.sql(
            f"SELECT row_id, target, 'remove' AS op, {before}, {after} FROM ({rows}) ORDER BY order_before"
        ).to_arrow_table()
        return table.cast(changes.LOG_SCHEMA)
