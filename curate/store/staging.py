"""From rows to parts and a change log, without the catalog.

`stage` reads the rows once, batch by batch: hashes them column-wise, compares them with the parent's index,
writes only what is new or different, and returns the change log. Nothing it writes is visible until the
store seals a version that names it.
"""

from __future__ import annotations

import contextlib
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recast.curate.errors import IntegrityError
from recast.curate.schema import HASH_SQL, VERSION_SCHEMA, score_hash
from recast.curate.store import changes
from recast.curate.store.catalog import memory
from recast.curate.store.gather import fetch
from recast.curate.store.index import Index
from recast.curate.store.parts import GROUP_ROWS, Part, PartWriter, verified
from recast.curate.store.snapshot import Snapshot

_SHORT = 0.05  # of the parent's rows: a log of so many at most keeps the texts that were
_SHORT_ROWS = 100_000  # and no longer than this, since it waits in memory


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
    with (
        contextlib.ExitStack() as stack,
        memory(root / "tmp") as con,
        PartWriter(root, "rows", VERSION_SCHEMA) as rows,
    ):
        index = Index(con, parent, whole=not patch)
        log = stack.enter_context(_Log(root, index.rows))
        waiting: deque[tuple[int, pa.Table]] = deque()  # log rows whose part is still being written
        decisions: Counter[str] = Counter()
        next_order = index.next_order

        def write_log() -> None:
            while waiting and waiting[0][0] < len(rows.parts):
                number, piece = waiting.popleft()
                part = pa.repeat(rows.parts[number].id, piece.num_rows)
                log.write(piece.append_column("part_after", part).select(changes.LOG_SCHEMA.names))

        for batch in batches:
            for kind in pc.value_counts(batch.column("decision")).to_pylist():
                decisions[kind["values"]] += kind["counts"]
            hashes, scores = _hashes(con, batch), score_hash(batch)
            before = index.match(batch)
            known = pc.is_valid(before["hash"]).to_numpy(zero_copy_only=False)
            same_text = pc.fill_null(pc.equal(hashes, before["hash"]), False).to_numpy(zero_copy_only=False)
            same_score = scores == pc.fill_null(before["score"], 0).to_numpy(zero_copy_only=False)
            order = pc.fill_null(before["order"], -1).to_numpy(zero_copy_only=False).copy()
            kept = np.flatnonzero(~(known & same_text & same_score))
            if not len(kept):
                continue
            order[~known] = next_order + np.arange(int((~known).sum()))
            next_order += int((~known).sum())
            written = batch if len(kept) == batch.num_rows else batch.take(pa.array(kept))
            number, position = rows.write(written)
            op = np.where(~known, "add", np.where(same_text, "rescore", "change"))[kept]
            piece = {
                "row_id": written.column("row_id"),
                "target": written.column("target"),
                "op": pa.array(op, pa.string()),
                **{f"{c}_before": before[c].take(pa.array(kept)) for c in changes.STATE},
                "hash_after": hashes.take(pa.array(kept)),
                "score_after": pa.array(scores[kept]),
                "pos_after": pa.array(np.arange(position, position + len(kept), dtype=np.int64)),
                "order_after": pa.array(order[kept]),
            }
            waiting.append((number, pa.table(piece)))
            write_log()
        parts = rows.close()
        write_log()
        log.write(index.named(remove) if patch else index.unseen())
        return _sealed(con, root, log.close(), index, parts, dict(decisions), next_order)


class _Log:
    """The change log of a commit. It waits while it is short beside the parent, and then keeps the texts that were."""

    def __init__(self, root: Path, parent_rows: int) -> None:
        self.root = root
        self._most = min(int(parent_rows * _SHORT), _SHORT_ROWS)
        self._waiting: list[pa.Table] = []
        self._rows = 0
        self._writer: PartWriter | None = None

    def __enter__(self) -> _Log:
        return self

    def __exit__(self, *raised: Any) -> None:
        if self._writer is not None:
            self._writer.__exit__(*raised)

    def write(self, piece: pa.Table) -> None:
        self._waiting.append(piece.cast(changes.LOG_SCHEMA))
        self._rows += piece.num_rows
        if self._rows > self._most:
            self._flush(changes.LOG_SCHEMA)

    def close(self) -> Part:
        if self._writer is None:
            self._waiting = [self._with_texts(pa.concat_tables(self._waiting))]
            self._flush(self._waiting[0].schema)
        assert self._writer is not None
        return self._writer.close_one()

    def _flush(self, schema: pa.Schema) -> None:
        if self._writer is None:
            self._writer = PartWriter(self.root, "log", schema, one_file=True)
        for piece in self._waiting:
            self._writer.write_table(piece)
        self._waiting = []

    def _with_texts(self, log: pa.Table) -> pa.Table:
        """`log` with the completions of rows that are changed or removed, as far as they can be read."""
        gone = pc.is_in(log.column("op"), pa.array(["change", "remove"]))
        part, pos = (
            pc.if_else(gone, log.column(f"{c}_before"), pa.scalar(None, log.schema.field(f"{c}_before").type))
            for c in ("part", "pos")
        )
        try:
            texts = fetch(self.root, part, pos, ["completion"]).column(0)
        except (
            IntegrityError
        ):  # a damaged part is named by who reads the row; it does not stop the next version
            return log
        if texts.null_count == log.num_rows:
            return log
        return log.append_column(changes.KEPT_SCHEMA.field("completion_before"), texts)


def _hashes(con: duckdb.DuckDBPyConnection, batch: pa.RecordBatch) -> pa.Array:
    """Content hash of each row of `batch`."""
    con.register("batch", pa.Table.from_batches([batch]))
    hashes = con.sql(f"SELECT {HASH_SQL} AS h FROM batch").to_arrow_table().column("h").combine_chunks()
    con.unregister("batch")
    return hashes


def stage_log(root: Path, log: pa.Table, parent: Snapshot) -> Staged:
    """Write a change log whose rows all lie in parts that exist already (merge, revert)."""
    with memory(root / "tmp") as con, PartWriter(root, "log", changes.LOG_SCHEMA, one_file=True) as writer:
        index = Index(con, parent, whole=False)
        highest = pc.max(log.column("order_after")).as_py()
        next_order = index.next_order if highest is None else max(index.next_order, highest + 1)
        writer.write_table(log)
        return _sealed(con, root, writer.close_one(), index, [], {}, next_order)


def _sealed(
    con: duckdb.DuckDBPyConnection, root: Path, log: Part, index: Index, parts: list[Part], decisions: dict[str, int],
    next_order: int,
) -> Staged:  # fmt: skip
    """Check the conservation law over a log that is written, count, and write a base where one is due."""
    sql = changes.read(str(verified(root, log.id)))
    changes.check(con, sql, index.sql)
    counts = changes.counts(con, sql)
    rows = index.rows + counts["add"] - counts["remove"]
    live = con.execute(
        f"SELECT part, sum(n)::BIGINT FROM (SELECT part_after AS part, 1 AS n FROM ({sql}) UNION ALL "
        f"SELECT part_before, -1 FROM ({sql})) WHERE part IS NOT NULL GROUP BY part ORDER BY part"
    ).fetchall()
    base = None
    if log.rows - counts["remove"] == rows:
        base = log  # it gives the state of every live row
    elif index.needs_base(log.rows, rows):
        base = _write_base(con, root, changes.live(index.base_sql, [*index.log_sqls, sql]))
    return Staged(parts, log, base, counts, rows, live, decisions, next_order)


def _write_base(con: duckdb.DuckDBPyConnection, root: Path, live: str) -> Part:
    before = ", ".join(f"NULL AS {c}_before" for c in changes.STATE)
    after = ", ".join(f'"{c}" AS {c}_after' for c in changes.STATE)
    found = con.sql(
        f"SELECT row_id, target, 'add' AS op, {before}, {after} FROM ({live}) ORDER BY order_after"
    )
    with PartWriter(root, "base", changes.LOG_SCHEMA, one_file=True) as writer:
        for batch in found.to_arrow_reader(GROUP_ROWS):
            writer.write_table(pa.Table.from_batches([batch]))
        return writer.close_one()
