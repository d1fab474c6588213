"""Lines into files: JSON lines or Parquet, one file or shards, in constant memory, in place only when all is written.

with contextlib.ExitStack() as stack:                     # what raises in here leaves every old file as it was
    with Sink(stack, folder / "train.jsonl") as sink:
        sink.write(lines)
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from recast.curate.export.formats import Line
from recast.curate.export.slots import BREAKS
from recast.curate.files import whole

GROUP_ROWS = 16_384
_BREAKS = str.maketrans({sign: f"\\u{ord(sign):04x}" for sign in BREAKS})
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def as_line(line: Line) -> str:
    """A line of a JSON lines file, with its end."""
    text = _encode(line)
    return (text if text.isascii() else text.translate(_BREAKS)) + "\n"


@dataclass(frozen=True, slots=True)
class Written:
    """A file that was written."""

    path: Path
    lines: int
    bytes: int
    sha256: str

    def to_json(self) -> dict[str, Any]:
        return {"path": str(self.path), "lines": self.lines, "bytes": self.bytes, "sha256": self.sha256}


def measured(path: Path, temporary: Path, lines: int) -> Written:
    with temporary.open("rb") as file:
        return Written(path, lines, temporary.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


class Sink:
    """Writes lines to `path`, which appears when `stack` closes without an error; where no line is written, nothing."""

    def __init__(
        self,
        stack: contextlib.ExitStack,
        path: Path,
        schema: pa.Schema | None = None,
        shard_rows: int | None = None,
    ) -> None:
        """`schema`: columns of a Parquet file, JSON lines without one. `shard_rows`: `path` is NAME.parquet of shards
        NAME-00000.parquet and so on, each of at most so many rows."""
        self.path, self.schema, self.files = path, schema, list[Written]()
        self.columns: list[str] = schema.names if schema is not None else []
        self._stack, self._shard_rows = stack, shard_rows
        self._temporary: Path | None = None
        self._file: Any = None
        self._lines = 0  # of the open file, with those held
        self._held: list[pa.RecordBatch] = []

    @property
    def lines(self) -> int:
        return sum(file.lines for file in self.files) + self._lines

    def write(self, lines: Sequence[Line]) -> None:
        if not lines:
            return
        self.columns = self.columns or list(lines[0])
        if self.schema is not None:
            self.write_table(table_of(lines, self.schema))
        else:
            self.write_text("".join(map(as_line, lines)).encode(), len(lines))

    def write_text(self, text: bytes | memoryview, count: int) -> None:
        """Whole lines of UTF-8."""
        self._opened().write(text)
        self._lines += count

    def write_table(self, rows: pa.RecordBatch) -> None:
        while rows.num_rows:
            room = self._shard_rows - self._lines if self._shard_rows else rows.num_rows
            piece, rows = rows.slice(0, room), rows.slice(room)
            self._held.append(piece)
            self._lines += piece.num_rows
            if sum(batch.num_rows for batch in self._held) >= GROUP_ROWS:
                self._put_held()
            if self._lines == self._shard_rows:
                self._end()

    def close(self) -> None:
        """End the file; it is still under another name."""
        self._end()

    def _put_held(self) -> None:
        if self._held:
            self._opened().write_table(pa.Table.from_batches(self._held, self.schema))
            self._held = []

    def _opened(self) -> Any:
        if self._file is None:
            self._temporary = self._stack.enter_context(whole(self._path()))
            if self.schema is None:
                self._file = self._stack.enter_context(self._temporary.open("wb"))
            else:
                self._file = self._stack.enter_context(
                    pq.ParquetWriter(self._temporary, self.schema, compression="zstd")
                )
        return self._file

    def _path(self) -> Path:
        if not self._shard_rows:
            return self.path
        return self.path.with_name(f"{self.path.stem}-{len(self.files):05d}{self.path.suffix}")

    def _end(self) -> None:
        self._put_held()
        if self._file is not None and self._temporary is not None:
            self._file.close()
            self.files.append(measured(self._path(), self._temporary, self._lines))
            self._file, self._lines = None, 0


def table_of(lines: Sequence[Line], schema: pa.Schema) -> pa.RecordBatch:
    """`lines` as columns. Several times faster than `from_pylist` where turns are nested."""
    return pa.RecordBatch.from_arrays(
        [column_of([line.get(field.name) for line in lines], field.type) for field in schema], schema=schema
    )


def column_of(values: list[Any], kind: Any) -> pa.Array:
    if not (pa.types.is_list(kind) and pa.types.is_struct(kind.value_type)):
        return pa.array(values, kind)
    ends, flat, end = [0], [], 0
    for value in values:
        flat += value
        end += len(value)
        ends.append(end)
    members = [kind.value_type.field(n) for n in range(kind.value_type.num_fields)]
    turns = pa.StructArray.from_arrays(
        [pa.array([turn.get(m.name) for turn in flat], m.type) for m in members], fields=members
    )
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), turns, type=kind)
