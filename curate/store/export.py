"""Versions in the exact formats that trainers read. Plain Arrow types only, written whole or not at all.

`jsonl` is everything a version holds, one object a line, and imports again as it was. `parquet` is the same
as a table. `trl` is TRL's conversational prompt-completion format with the columns that reward functions
ask for; tools and what else the assistant's turn has (thoughts, calls) need JSON lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from recast.curate.errors import UsageError
from recast.curate.files import whole, write_lines
from recast.curate.schema import VERSION_SCHEMA
from recast.curate.store.snapshot import Snapshot
from recast.curate.store.store import Store

Format = Literal["jsonl", "trl", "parquet"]
FORMATS: tuple[Format, ...] = ("jsonl", "trl", "parquet")
_TURN = pa.struct([pa.field("role", pa.string()), pa.field("content", pa.string())])
TRL_SCHEMA = pa.schema(
    [
        pa.field("prompt", pa.list_(_TURN)),
        pa.field("completion", pa.list_(_TURN)),
        pa.field("answer", pa.string()),
        pa.field("task", pa.string()),
        pa.field("row_id", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    path: Path
    format: Format
    ref: str
    rows: int
    columns: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "path": str(self.path),
            "format": self.format,
            "ref": self.ref,
            "rows": self.rows,
            "columns": list(self.columns),
        }


def export(store: Store, ref: str, to: str, path: str | Path) -> Exported:
    """Write the version `ref` as `to` ("jsonl", "trl" or "parquet") and return what was written.

    `path` is a file, or a folder (existing, or a name without suffix) that gets NAME-vN.SUFFIX. `trl` is
    written as Parquet, or as JSON lines where `path` ends in .jsonl.
    """
    if to not in FORMATS:
        raise UsageError(f"unknown export format {to!r}; known are {', '.join(FORMATS)}.")
    snapshot = store.open(ref)
    lines = to == "jsonl" or (to == "trl" and Path(path).suffix in (".jsonl", ".json"))
    target = _target(Path(path), snapshot, ".jsonl" if lines else ".parquet")
    schema = TRL_SCHEMA if to == "trl" else VERSION_SCHEMA
    if lines:
        rows = trl_rows(snapshot) if to == "trl" else snapshot.rows()
        write_lines(target, ({k: v for k, v in r.items() if v is not None or k == "answer"} for r in rows))
    else:
        batches = _trl_batches(snapshot) if to == "trl" else snapshot.batches()
        with whole(target) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
            for batch in batches:
                writer.write_batch(batch)
    return Exported(target, to, snapshot.version.ref, snapshot.version.rows, tuple(schema.names))  # pyright: ignore


def trl_rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    """Rows as TRL's prompt-completion examples, with `tools` where a row has some."""
    for row in snapshot.rows(["messages", "completion", "demonstration", "answer", "task", "row_id", "meta"]):
        meta: dict[str, Any] = row["meta"] or {}
        said: dict[str, Any] = {"role": "assistant", "content": row["completion"]}
        if row["completion"] == row["demonstration"] and isinstance(meta.get("completion_turn"), dict):
            said |= {k: v for k, v in meta["completion_turn"].items() if k != "content"}  # of this text only
        yield {
            "prompt": row["messages"],
            "completion": [said],
            "answer": row["answer"],
            "task": row["task"],
            "row_id": row["row_id"],
        } | ({"tools": meta["tools"]} if meta.get("tools") else {})


def _trl_batches(snapshot: Snapshot) -> Iterator[pa.RecordBatch]:
    rows: list[dict[str, Any]] = []
    for row in trl_rows(snapshot):
        if "tools" in row:
            raise _needs_lines(row, "tools")
        for turn in (*row["prompt"], *row["completion"]):
            if set(turn) - {"role", "content"} or not isinstance(turn.get("content"), str):
                raise _needs_lines(row, f"a turn with {', '.join(sorted(turn))}")
        rows.append(row)
        if len(rows) == 4096:
            yield pa.RecordBatch.from_pylist(rows, TRL_SCHEMA)
            rows = []
    if rows:
        yield pa.RecordBatch.from_pylist(rows, TRL_SCHEMA)


def _needs_lines(row: dict[str, Any], what: str) -> UsageError:
    return UsageError(
        f"row {row['row_id']!r} has {what}, which a plain Parquet column cannot hold for all readers; export it as "
        "JSON lines (a path ending in .jsonl)."
    )


def _target(path: Path, snapshot: Snapshot, suffix: str) -> Path:
    if path.is_dir() or not path.suffix:
        return path / f"{snapshot.version.name}-v{snapshot.version.number}{suffix}"
    return path
