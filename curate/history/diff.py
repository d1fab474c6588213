"""What differs between two versions: counts from the change logs, texts from the parts.

Two versions of one history are compared through the logs that lead from their nearest common ancestor, so
the cost follows what changed; two unrelated ones through their indexes. A row without an id of its own that changed
is a changed row: what its texts were is found among the rows that went (curate.history.pairing).
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recast.curate.errors import UsageError
from recast.curate.history import pairing
from recast.curate.history.column_answers import answers_changed
from recast.curate.history.pairing import Text
from recast.curate.history.row_diff import RowDiff, Summary
from recast.curate.history.user_sql import one_expression, select
from recast.curate.schema import KEY, VERSION_SCHEMA, decode_row, literal
from recast.curate.store import changes, versions
from recast.curate.store.catalog import memory
from recast.curate.store.gather import fetch
from recast.curate.store.parts import part_path, verified
from recast.curate.store.versions import Version

if TYPE_CHECKING:
    from recast.curate.ingest.importer import Ingest
    from recast.curate.store.store import Store

SIDES = ("before", "after")
_ORDER = "coalesce(order_after, order_before), row_id, target"
_CHUNK_ROWS = 16_384
_PAIRED_ROWS = 200_000  # that came or went; their texts are in memory while pairs are looked for
__all__ = ["COMPARED", "Diff", "RowDiff", "Summary", "diff", "log_between"]

COMPARED = tuple(n for n in VERSION_SCHEMA.names if n not in KEY)


class Diff:
    """The difference from version `a` to version `b`."""

    def __init__(self, root: Path, a: Version, b: Version, log: str, kept: str) -> None:
        """`log`: SQL of the change log that leads from `a` to `b`; `kept`: of the texts that logs keep."""
        self.root, self.a, self.b = root, a, b
        self._log = f"SELECT * FROM ({log}) WHERE op IS NOT NULL"
        self._kept = kept

    @cached_property
    def changes(self) -> pa.Table:
        """Keys, ops, hashes and places of every row that differs (changes.LOG_SCHEMA; `was`, the id before where it
        was another), in row order."""
        with memory(self.root / "tmp") as con:
            return con.sql(self._ordered(con)).to_arrow_table()

    @cached_property
    def counts(self) -> dict[str, int]:
        """Number of rows added, changed, removed and rescored; reads the change logs, and of rows that came or went
        under an id made of their texts, these."""
        found, moved = self._ops, len(self.pairs)
        return {
            "added": found["add"] - moved, "removed": found["remove"] - moved, "changed": found["change"] + moved,
            "rescored": found["rescore"],
        }  # fmt: skip

    @cached_property
    def _ops(self) -> dict[str, int]:
        """Rows of the change log by op, before any are paired."""
        with memory(self.root / "tmp") as con:
            return changes.counts(con, self._log)

    @cached_property
    def pairs(self) -> list[tuple[Text, Text]]:
        """Rows without ids of their own that changed, as (what was, what is)."""
        if not (self._ops["add"] and self._ops["remove"]):
            return []
        with memory(self.root / "tmp") as con:
            sides = [
                con.sql(
                    f"SELECT row_id, target, part_{side} AS part, pos_{side} AS pos FROM ({self._log}) "
                    f"WHERE op = '{op}' AND regexp_full_match(row_id, '{pairing.MADE_ID}') ORDER BY order_{side}"
                ).to_arrow_table()
                for op, side in (("remove", "before"), ("add", "after"))
            ]
        if not all(0 < side.num_rows <= _PAIRED_ROWS for side in sides):
            return []
        removed, added = (
            [
                Text(*row)
                for row in zip(
                    *(side.column(name).to_pylist() for name in ("row_id", "target")),
                    *(
                        column.to_pylist()
                        for column in fetch(
                            self.root, side.column("part"), side.column("pos"), ("messages", "completion")
                        ).columns
                    ),
                    strict=True,
                )
            ]
            for side in sides
        )
        return list(pairing.pairs(removed, added))

    @property
    def empty(self) -> bool:
        """Whether the two versions hold the same rows (scores included)."""
        return not any(self.counts.values())

    @cached_property
    def summary(self) -> Summary:
        """Counts and means; reads both sides of every changed row once."""
        columns = dict.fromkeys(COMPARED, 0)
        decisions: Counter[str] = Counter()
        changed = nll_rows = length_rows = 0
        nll_sum = length_sum = 0.0
        with memory() as con:
            for keys, before, after in self.batches(COMPARED, ops=("change", "rescore")):
                different = {name: _different(before.column(name), after.column(name)) for name in COMPARED}
                for name in COMPARED:
                    columns[name] += int(different[name].sum())
                flipped = pa.array(different["decision"])
                flips = (side.column("decision").filter(flipped) for side in (before, after))
                for flip in pc.value_counts(pc.binary_join_element_wise(*flips, " -> ")).to_pylist():
                    decisions[flip["values"]] += flip["counts"]
                nll = pc.subtract(after.column("nll_completion"), _nll_before(before, after))
                nll_rows += keys.num_rows - nll.null_count
                nll_sum += pc.sum(nll).as_py() or 0.0
                was, now = (
                    pc.sum(pc.utf8_length(side.column("completion"))).as_py() for side in (before, after)
                )
                length_rows += keys.num_rows
                length_sum += now - was
                touched = pa.array(different["completion"] | different["answer"])
                changed += answers_changed(con, before.filter(touched), after.filter(touched))
        counts = self.counts
        return Summary(
            counts["added"], counts["removed"], counts["changed"], counts["rescored"],
            unchanged=self.b.rows - counts["added"] - counts["changed"] - counts["rescored"],
            columns={n: c for n, c in columns.items() if c},
            decisions=dict(decisions.most_common()),
            answers_changed=changed,
            gate_pass_to_fail=sum(decisions[f"{was} -> fallback"] for was in ("rewrite", "repair")),
            nll_change=nll_sum / nll_rows if nll_rows else None,
            length_change=length_sum / length_rows if length_rows else None,
        )  # fmt: skip

    def rows(
        self,
        columns: Sequence[str] | None = None,
        *,
        ops: Sequence[str] | None = None,
        where: str | None = None,
        limit: int | None = None,
    ) -> Iterator[RowDiff]:
        """Yield the rows that differ, in row order, with both sides.

        `columns`: what to read of them (default all). `ops`: which of add, change, remove, rescore. `where`: SQL
        over `row_id, target, op, before, after` (structs), as in `after.decision = 'rewrite'`.
        """
        names = tuple(columns) if columns is not None else COMPARED
        left = limit
        for keys, before, after in self.batches(names, ops=ops):
            chosen: Sequence[int] = range(keys.num_rows)
            if where is not None:
                chosen = _matching(keys, before, after, where)
            ids, targets, kinds, was = (keys.column(c).to_pylist() for c in ("row_id", "target", "op", "was"))
            picked = pa.array(chosen, pa.int64())
            sides = (before.take(picked).to_pylist(), after.take(picked).to_pylist())
            for n, old, new in zip(chosen, *sides, strict=True):
                if left is not None and left <= 0:
                    return
                left = left - 1 if left is not None else None
                yield RowDiff(
                    ids[n], targets[n], kinds[n],
                    None if kinds[n] == "add" else decode_row(old),
                    None if kinds[n] == "remove" else decode_row(new),
                    was[n],
                )  # fmt: skip

    def batches(
        self, columns: Sequence[str], ops: Sequence[str] | None = None
    ) -> Iterator[tuple[pa.Table, pa.Table, pa.Table]]:
        """Yield (change log, before, after) in row order, a piece at a time; the missing side of a row is null."""
        with memory(self.root / "tmp") as con:
            ordered = self._ordered(con, ops)
            if text := "completion" in columns:
                con.execute(f"CREATE TEMP TABLE kept AS {self._kept}")
                joined = (
                    f"LEFT JOIN kept k{side} ON part_{side} = k{side}.part AND pos_{side} = k{side}.pos"
                    for side in SIDES
                )
                found = ", ".join(f"k{side}.completion AS kept_{side}" for side in SIDES)
                ordered = f"SELECT l.*, {found} FROM ({ordered}) l {' '.join(joined)} ORDER BY {_ORDER}"
            for batch in con.sql(ordered).to_arrow_reader(_CHUNK_ROWS):
                piece = pa.Table.from_batches([batch])
                before, after = (self._side(piece, side, columns) for side in SIDES)
                yield piece.drop_columns([f"kept_{side}" for side in SIDES]) if text else piece, before, after

    def _side(self, piece: pa.Table, side: str, columns: Sequence[str]) -> pa.Table:
        """`columns` of the rows of a change log on one side; completions that a log keeps come from there."""
        part, pos = piece.column(f"part_{side}"), piece.column(f"pos_{side}")
        if "completion" not in columns or (kept := piece.column(f"kept_{side}")).null_count == len(kept):
            return fetch(self.root, part, pos, columns)
        elsewhere = pc.and_(pc.is_null(kept), pc.is_valid(part))
        if pc.any(elsewhere).as_py():
            part_left = pc.if_else(elsewhere, part, pa.scalar(None, part.type))
            pos_left = pc.if_else(elsewhere, pos, pa.scalar(None, pos.type))
            kept = pc.coalesce(kept, fetch(self.root, part_left, pos_left, ["completion"]).column(0))
        others = [c for c in columns if c != "completion"]
        found = fetch(self.root, part, pos, others) if others else pa.table({})
        return pa.table({c: kept if c == "completion" else found.column(c) for c in columns})

    def _ordered(self, con: duckdb.DuckDBPyConnection, ops: Sequence[str] | None = None) -> str:
        listed = "" if ops is None else f" WHERE op IN ({', '.join(literal(op) for op in ops) or 'NULL'})"
        log = f"SELECT *, NULL::VARCHAR AS was FROM ({self._log})"
        if self.pairs:
            names = ("was", "was_target", "row_id", "target")
            keys = [(old.row_id, old.target, new.row_id, new.target) for old, new in self.pairs]
            con.register("pairs", pa.table(dict(zip(names, zip(*keys, strict=True), strict=True))))
            before = ", ".join(f"r.{c}_before" for c in changes.STATE)
            after = ", ".join(f"a.{c}_after" for c in changes.STATE)
            log = (
                f"SELECT l.* FROM ({log}) l ANTI JOIN pairs p ON l.row_id = p.row_id AND l.target = p.target "
                "AND l.op = 'add' OR l.row_id = p.was AND l.target = p.was_target AND l.op = 'remove' "
                f"UNION ALL SELECT a.row_id, a.target, 'change', {before}, {after}, p.was FROM pairs p "
                f"JOIN ({log}) a ON a.row_id = p.row_id AND a.target = p.target "
                f"JOIN ({log}) r ON r.row_id = p.was AND r.target = p.was_target"
            )
        return f"SELECT * FROM ({log}){listed} ORDER BY {_ORDER}"


def _nll_before(before: pa.Table, after: pa.Table) -> pa.ChunkedArray:
    """NLL of the text that was: its own, else what the rewriting of that very text measured (as RowDiff.nll)."""
    rewritten = pc.equal(after.column("demonstration"), before.column("completion"))
    measured = pc.if_else(rewritten, after.column("nll_demonstration"), pa.scalar(None, pa.float32()))
    return pc.coalesce(before.column("nll_completion"), measured)


def _different(a: pa.ChunkedArray, b: pa.ChunkedArray) -> np.ndarray:
    """bool[rows]: IS DISTINCT FROM."""
    equal = pc.fill_null(pc.equal(a, b), False).to_numpy(zero_copy_only=False)
    both_null = pc.and_(pc.is_null(a), pc.is_null(b)).to_numpy(zero_copy_only=False)
    return ~(equal | both_null)


def _matching(keys: pa.Table, before: pa.Table, after: pa.Table, where: str) -> list[int]:
    table = keys.select(["row_id", "target", "op"])
    for name, side in (("before", before), ("after", after)):
        table = table.append_column(name, pa.chunked_array(side.to_struct_array()))
    table = table.append_column("slot", pa.array(range(table.num_rows)))

    def prepare(con: duckdb.DuckDBPyConnection) -> set[str]:
        con.register("rows", table)
        return {"rows"}

    try:
        found = select(f"SELECT slot FROM rows WHERE {one_expression(where)} ORDER BY slot", prepare)
    except UsageError as wrong:
        raise UsageError(
            f"--where {where!r} is not a condition over row_id, target, op, before and after: {wrong}"
        ) from wrong
    return found["slot"].to_pylist()


def diff(store: Store, a: str | Version, b: str | Version | Path | Ingest) -> Diff:
    """Compare two versions of `store`, or a version with a file or folder that `ingest` can read.

    A `b` that names no version but exists on disk is taken for a file.
    """
    from recast.curate.ingest import importer

    with store.catalog.reading() as con:
        left = a if isinstance(a, Version) else versions.resolve(con, a)
        if isinstance(b, str | Version):
            try:
                right = b if isinstance(b, Version) else versions.resolve(con, b)
                return Diff(store.root, left, right, *_between(store, con, left, right))
            except UsageError:
                if not Path(str(b)).exists():
                    raise
    return _against_file(store, left, b if isinstance(b, importer.Ingest) else importer.read(str(b)))


def _against_file(store: Store, left: Version, file: Ingest) -> Diff:
    """Stage the file as if it were to be committed on `left`: the change log of that is the diff.

    What is written for it is named by no version; it goes when the diff does, at the latest with `gc`.
    """
    from recast.curate.store.staging import stage

    with store.catalog.reading() as con:
        kept = {p for (p,) in con.execute("SELECT id FROM parts").fetchall()}
    staged = stage(store.root, file.batches(), store.open(left), patch=False)
    right = replace(
        left, id="", name=file.path.name, number=0, rows=staged.rows, parents=(left.id,), log=staged.log.id
    )
    log = str(verified(store.root, staged.log.id))
    found = Diff(store.root, left, right, changes.read(log), changes.texts([log]))
    files = [part_path(store.root, p.id) for p in (*staged.parts, staged.log) if p.id not in kept]
    weakref.finalize(found, _remove, files)
    return found


def _remove(files: list[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)


def log_between(store: Store, a: Version, b: Version) -> str:
    """SQL of the change log that leads from `a` to `b`, by the shortest way that history knows."""
    with store.catalog.reading() as con:
        return _between(store, con, a, b)[0]


def _between(store: Store, con: duckdb.DuckDBPyConnection, a: Version, b: Version) -> tuple[str, str]:
    """SQL of the change log between two versions, and of the texts that the logs on the way keep."""
    found = versions.path(con, a, b)
    if found is None:
        unrelated = changes.unrelated(store.snapshot(con, a).live_sql(), store.snapshot(con, b).live_sql())
        return unrelated, changes.texts([])
    logs = [[str(verified(store.root, v.log)) for v in reversed(newest_first)] for newest_first in found]
    to_a, to_b = ([changes.read(log) for log in line] for line in logs)
    if not to_a:
        log = changes.fold(to_b)
    elif not to_b:
        log = changes.reverse(changes.fold(to_a))
    else:
        log = changes.between(changes.fold(to_a), changes.fold(to_b))
    return log, changes.texts([*logs[0], *logs[1]])
