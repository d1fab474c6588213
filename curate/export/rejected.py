"""Candidates that the gate refused, by row: the other half of pairs and labels.

A candidate that was cut at its length is left out: trainers put an end after it that the model never wrote. So are
those that the gate could not judge, and texts that are the row's completion all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from recast.curate.errors import UsageError
from recast.curate.export.rows import Row
from recast.curate.schema import literal
from recast.curate.store.catalog import memory
from recast.curate.store.parts import verified
from recast.curate.store.snapshot import Snapshot


class Rejected:
    """The rejected candidates of a version, asked for by batches of rows; never are all of them in memory."""

    def __init__(self, con: duckdb.DuckDBPyConnection, paths: list[str]) -> None:
        self._con = con
        self._parts = ", ".join(literal(path) for path in paths)

    def beside(self, rows: list[Row]) -> list[Row]:
        """`rows` with their rejected texts: distinct, first by attempt and then by place in the group."""
        asked = pa.table(
            {"row_id": [row.row_id for row in rows], "target": pa.array([r.target for r in rows], pa.int32())}
        )
        self._con.register("asked", asked)
        found = self._con.execute(
            f"SELECT c.row_id, c.target, c.text FROM read_parquet([{self._parts}]) c SEMI JOIN asked a "
            "ON a.row_id = c.row_id AND a.target = c.target WHERE c.status = 'rejected' "
            "AND NOT coalesce(c.chosen, false) AND c.finish_reason IS DISTINCT FROM 'length' AND trim(c.text) <> '' "
            "ORDER BY c.row_id, c.target, c.attempt, c.k"
        ).fetchall()
        self._con.unregister("asked")
        texts: dict[tuple[str, int], dict[str, None]] = {}
        for row_id, target, text in found:
            texts.setdefault((row_id, target), {})[text] = None
        return [
            row._replace(
                rejected=tuple(t for t in texts.get((row.row_id, row.target), ()) if t != row.said["content"])
            )
            for row in rows
        ]


@contextmanager
def rejected(snapshot: Snapshot) -> Iterator[Rejected]:
    """The rejected candidates of a version. Raises UsageError where it keeps none at all."""
    parts = snapshot.version.candidates_parts
    if not parts:
        raise UsageError(
            f"{snapshot.version.ref} keeps no candidates, and a rejected one is the other half of a pair. They stand "
            "beside a version that `recast rewrite` made."
        )
    with memory(snapshot.root / "tmp") as con:
        yield Rejected(con, [str(verified(snapshot.root, part)) for part in parts])
