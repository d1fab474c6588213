"""The live rows of a commit's parent, looked up by key.

A commit asks batch after batch what its rows were in the parent. Where the rows come in the parent's order, as they do
when a version is committed again with changes, that takes a comparison of keys and no join. A patch of few rows asks
the parent's files once or twice; whoever asks more often gets a table of them, which DuckDB keeps within its memory
limit and else on disk. What is held for each row of the parent in memory is two bytes.
"""

from __future__ import annotations

from collections.abc import Iterable

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recast.curate.errors import IntegrityError
from recast.curate.store import changes
from recast.curate.store.catalog import one
from recast.curate.store.snapshot import Snapshot

MAX_DEPTH = 48  # logs that a reader folds at most
_LOOKUPS = 3  # passes over the parent's files that cost less than a table of them


class Index:
    """The parent's live rows, looked up by key."""

    def __init__(self, con: duckdb.DuckDBPyConnection, parent: Snapshot | None, whole: bool) -> None:
        """`whole`: every row of the parent will be asked for."""
        self.con, self.parent = con, parent
        self.rows = parent.version.rows if parent is not None else 0
        self.next_order = parent.version.next_order if parent is not None else 0
        self.base_sql, self.log_sqls = parent.base_and_logs() if parent is not None else (None, [])
        self._live = (
            changes.live(self.base_sql, self.log_sqls) if parent is not None else changes.live(None, [])
        )
        self._loaded = False
        self._cursor = 0  # where in the table the next batch is expected to start
        self._found: list[pa.Table] = []  # what look-ups without a table have found
        self._times = np.zeros(self.next_order, np.uint16)  # how often a row was given, by its order
        if whole and parent is not None:
            self._load()

    @property
    def sql(self) -> str:
        """The parent's live rows: all of them, or at least those that have been asked for."""
        if self._loaded or not self._found:
            return self._rows
        self.con.register("found", pa.concat_tables(self._found))
        return "SELECT * FROM found"

    @property
    def _rows(self) -> str:
        return "SELECT * FROM parent" if self._loaded else self._live

    def _load(self) -> None:
        self.con.execute(f'CREATE TEMP TABLE parent AS SELECT * FROM ({self._live}) ORDER BY "order"')
        self._loaded = True

    def needs_base(self, log_rows: int, rows: int) -> bool:
        """Whether reading the version would otherwise cost much more than the rows it holds."""
        assert self.parent is not None
        version = self.parent.version
        return version.pending + log_rows > max(rows // 2, 1024) or version.depth + 1 >= MAX_DEPTH

    def match(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """State in the parent of each row of `batch` (changes.STATE), null where it has none.

        Raises IntegrityError for a row of the parent that was given before.
        """
        if self.parent is None:
            return _one_batch(_STATE_SCHEMA.empty_table().take(pa.nulls(batch.num_rows, pa.int64())))
        step = self._in_step(batch) if self._loaded else None
        state = _one_batch(self._joined(batch) if step is None else step)
        self._refuse_twice(batch, state)
        return state

    def _in_step(self, batch: pa.RecordBatch) -> pa.Table | None:
        """The next rows of the parent, if they have exactly the keys of `batch`: the usual case, without a join."""
        piece = self.con.sql(
            f"SELECT * FROM parent WHERE rowid BETWEEN {self._cursor} AND {self._cursor + batch.num_rows - 1}"
        ).to_arrow_table()
        if piece.num_rows != batch.num_rows:
            return None
        for key in ("row_id", "target"):
            if not piece.column(key).combine_chunks().equals(batch.column(key)):
                return None
        self._cursor += batch.num_rows
        return piece.select(changes.STATE)

    def _joined(self, batch: pa.RecordBatch) -> pa.Table:
        if not self._loaded and len(self._found) >= _LOOKUPS:
            self._load()
        self.con.register("keys", pa.table({
            "row_id": batch.column("row_id"), "target": batch.column("target"), "slot": np.arange(batch.num_rows),
        }))  # fmt: skip
        rows = "SELECT *, rowid AS rank FROM parent" if self._loaded else self._live
        found = self.con.sql(
            f"SELECT k.slot, p.* FROM keys k JOIN ({rows}) p ON k.row_id = p.row_id AND k.target = p.target"
        ).to_arrow_table()
        self.con.unregister("keys")
        if not self._loaded:
            self._found.append(found.drop_columns("slot"))
        elif found.num_rows:
            self._cursor = pc.max(found.column("rank")).as_py() + 1
        place = np.full(batch.num_rows, -1, np.int64)
        place[found.column("slot").to_numpy()] = np.arange(found.num_rows)
        return found.select(changes.STATE).combine_chunks().take(pa.array(place, mask=place < 0))

    def _refuse_twice(self, batch: pa.RecordBatch, state: pa.RecordBatch) -> None:
        orders = state.column("order").drop_null().to_numpy()
        np.add.at(self._times, orders, 1)
        again = orders[self._times[orders] > 1]
        if len(again):
            slot = pc.index(state.column("order"), int(again[0])).as_py()
            raise changes.repeated(
                batch.column("row_id")[int(slot)].as_py(),
                batch.column("target")[int(slot)].as_py(),
                int(self._times[again[0]]),
            )

    def unseen(self) -> pa.Table:
        """Log rows that remove every key of the parent that was not given."""
        absent = np.flatnonzero(self._times == 0)
        if not len(absent):
            return changes.LOG_SCHEMA.empty_table()
        self.con.register("absent", pa.table({"order": absent}))
        return self._removal(f'SELECT p.* FROM ({self._rows}) p SEMI JOIN absent a ON p."order" = a."order"')

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
        lost = one(
            self.con, f"SELECT w.row_id, w.target FROM wanted w ANTI JOIN ({self._rows}) p {join} LIMIT 1"
        )
        if lost:
            raise IntegrityError(
                f"cannot remove row {lost[0]!r} (target {lost[1]}): the parent does not have it."
            )
        gone = self.con.sql(f"SELECT p.* FROM ({self._rows}) p SEMI JOIN wanted w {join}").to_arrow_table()
        if not self._loaded:
            self._found.append(gone)
        self.con.register("gone", gone)
        return self._removal("SELECT * FROM gone")

    def _removal(self, rows: str) -> pa.Table:
        before = ", ".join(f'"{c}" AS {c}_before' for c in changes.STATE)
        after = ", ".join(f"NULL AS {c}_after" for c in changes.STATE)
        table = self.con.sql(
            f"SELECT row_id, target, 'remove' AS op, {before}, {after} FROM ({rows}) ORDER BY order_before"
        ).to_arrow_table()
        return table.cast(changes.LOG_SCHEMA)


def _one_batch(rows: pa.Table) -> pa.RecordBatch:
    return rows.combine_chunks().to_batches()[0]


_STATE_SCHEMA = pa.schema([changes.LOG_SCHEMA.field(f"{c}_after").with_name(c) for c in changes.STATE])
