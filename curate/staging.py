"""From rows to parts and a change log, without the catalog.

`stage` reads the rows once, batch by batch: hashes them column-wise, compares them with the parent's index,
writes only what is new or different, and returns the change log. Nothing it writes is visible until the
store seals a version that names it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate import changes
from curate.catalog import memory, one
from curate.errors import IntegrityError
from curate.parts import Part, PartWriter, write_part
from curate.schema import HASH_SQL, VERSION_SCHEMA, score_hash
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


@dataclass(frozen=True, slots=True)
class Staged:
    """Everything a version needs, on disk and fsynced, but named by nothing yet."""

    parts: list[Part]
    log: Part
    base: Part | None
    counts: dict[str, int]  # add, change, remove, rescore
    rows: int
    live: list[tuple[str, int]]  # change in live rows, part by part
    decisions: dict[str, int]  # of the rows given, not of the version
    next_order: int


def stage(
    root: Path,
    batches: Iterable[pa.RecordBatch],
    parent: Snapshot | None,
    *,
    patch: bool,
    remove: Iterable[tuple[str, int]] = (),
) -> Staged:
    """Write `batches` against `parent` and return what to seal.

    With `patch` the rows given are laid over the parent and `remove` names the keys that go; without it they
    are the whole version and every other key of the parent is removed.
    """
    with memory(root / "tmp") as con, PartWriter(root, "rows", VERSION_SCHEMA) as writer:
        index = _Index(con, parent, whole=not patch)
        pieces: list[pa.Table] = []
        seen: list[np.ndarray] = []
        decisions: dict[str, int] = {}
        next_order = index.next_order
        for batch in batches:
            for kind in pc.value_counts(batch.column("decision")).to_pylist():
                decisions[kind["values"]] = decisions.get(kind["values"], 0) + kind["counts"]
            con.register("batch", pa.Table.from_batches([batch]))
            hashes = (
                con.sql(f"SELECT {HASH_SQL} AS h FROM batch").to_arrow_table().column("h").combine_chunks()
            )
            scores = score_hash(batch)
            before = index.match(batch)
            known = pc.is_valid(before["hash"]).to_numpy(zero_copy_only=False)
            same_text = pc.fill_null(pc.equal(hashes, before["hash"]), False).to_numpy(zero_copy_only=False)
            same_score = scores == pc.fill_null(before["score"], 0).to_numpy(zero_copy_only=False)
            order = pc.fill_null(before["order"], -1).to_numpy(zero_copy_only=False).copy()
            seen.append(order[known])
            kept = np.flatnonzero(~(known & same_text & same_score))
            con.unregister("batch")
            if not len(kept):
                continue
            order[~known] = next_order + np.arange(int((~known).sum()))
            next_order += int((~known).sum())
            written = batch if len(kept) == batch.num_rows else batch.take(pa.array(kept))
            part, position = writer.write(written)
            rows = pa.array(kept)
            op = np.where(~known, "add", np.where(same_text, "rescore", "change"))[kept]
            pieces.append(
                pa.table(
                    {
                        "row_id": written.column("row_id"),
                        "target": written.column("target"),
                        "op": pa.array(op, pa.string()),
                        **{f"{c}_before": before[c].take(rows) for c in changes.STATE},
                        "hash_after": hashes.take(rows),
                        "score_after": pa.array(scores[kept]),
                        "part_after": pa.array(np.full(len(kept), part, np.int32)),  # its id is not known yet
                        "pos_after": pa.array(np.arange(position, position + len(kept), dtype=np.int64)),
                        "order_after": pa.array(order[kept]),
                    }
                )
            )
        parts = writer.close()
        log = _finish(pieces, [p.id for p in parts])
        given = np.concatenate(seen) if seen else np.empty(0, np.int64)
        index.refuse_twice(given)
        removed = index.named(remove) if patch else index.unseen(given)
        if removed.num_rows:
            log = pa.concat_tables([log, removed])
        return _seal_log(con, root, log, index, parts, decisions, next_order)


def stage_log(root: Path, log: pa.Table, parent: Snapshot) -> Staged:
    """Write a change log whose rows all lie in parts that exist already (merge, revert)."""
    with memory(root / "tmp") as con:
        index = _Index(con, parent, whole=False)
        highest = pc.max(log.column("order_after")).as_py()
        next_order = index.next_order if highest is None else max(index.next_order, highest + 1)
        return _seal_log(con, root, log, index, [], {}, next_order)


def _seal_log(
    con: duckdb.DuckDBPyConnection,
    root: Path,
    log: pa.Table,
    index: _Index,
    parts: list[Part],
    decisions: dict[str, int],
    next_order: int,
) -> Staged:
    con.register("log", log)
    changes.check(con, "SELECT * FROM log", index.sql)
    counts = changes.counts(con, "SELECT * FROM log")
    rows = index.rows + counts["add"] - counts["remove"]
    live = con.execute(
        "SELECT part, sum(n)::BIGINT FROM (SELECT part_after AS part, 1 AS n FROM log WHERE part_after IS NOT NULL "
        "UNION ALL SELECT part_before, -1 FROM log WHERE part_before IS NOT NULL) GROUP BY part ORDER BY part"
    ).fetchall()
    log_part = write_part(root, "log", log.cast(changes.LOG_SCHEMA))
    base = None
    after = log.num_rows - counts["remove"]
    if after == rows:
        base = log_part  # it gives the state of every live row
    elif index.needs_base(log.num_rows, rows):
        live_sql = changes.live(f"SELECT * FROM ({index.base_sql})", [*index.log_sqls, "SELECT * FROM log"])
        table = con.sql(
            "SELECT row_id, target, 'add' AS op, "
            + ", ".join(f"NULL AS {c}_before" for c in changes.STATE)
            + ", "
            + ", ".join(f'"{c}" AS {c}_after' for c in changes.STATE)
            + f' FROM ({live_sql}) ORDER BY "order"'
        ).to_arrow_table()
        base = write_part(root, "base", table.cast(changes.LOG_SCHEMA))
    return Staged(parts, log_part, base, counts, rows, live, decisions, next_order)


def _finish(pieces: list[pa.Table], ids: list[str]) -> pa.Table:
    if not pieces:
        return changes.LOG_SCHEMA.empty_table()
    log = pa.concat_tables(pieces)
    names = pa.array(ids, pa.string())
    place = log.schema.get_field_index("part_after")
    chunks = [names.take(chunk) for chunk in log.column(place).chunks]
    log = log.set_column(place, "part_after", pa.chunked_array(chunks, pa.string()))
    return log.select(changes.LOG_SCHEMA.names).cast(changes.LOG_SCHEMA)


class _Index:
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
        self.table = (
            self.con.sql(f'SELECT * FROM ({self.sql}) ORDER BY "order"').to_arrow_table().combine_chunks()
        )
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
        return {c: found.column(c).combine_chunks().take(rows) for c in changes.STATE}

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
        return {c: piece.column(c).combine_chunks() for c in changes.STATE}

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
