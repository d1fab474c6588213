"""Lines into files: JSON lines or Parquet, in constant memory, in place only when all is written.

with contextlib.ExitStack() as stack:                     # what raises in here leaves every old file as it was
    sink = Sink(stack, folder / "train.jsonl")
    sink.write(lines)
    sink.close()
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

from recast.curate.export.destination import Place, whole
from recast.curate.export.formats import Line
from recast.curate.export.slots import BREAKS

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

    path: Place
    lines: int
    bytes: int
    sha256: str

    def to_json(self) -> dict[str, Any]:
        return {"path": str(self.path), "lines": self.lines, "bytes": self.bytes, "sha256": self.sha256}


def measured(path: Place, temporary: Path, lines: int) -> Written:
    with temporary.open("rb") as file:
        return Written(path, lines, temporary.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


class Sink:
    """Writes lines to a file, which is in place when `stack` closes without an error. No line, no file."""

    def __init__(
        self,
        stack: contextlib.ExitStack,
        path: Place,
        schema: pa.Schema | None = None,
        *,
        staged: Place | None = None,
    ) -> None:
        """`schema`: columns of a Parquet file, JSON lines without one. `staged`: where it waits to become `path`."""
        self.path, self.schema, self.lines = path, schema, 0
        self.columns: list[str] = schema.names if schema is not None else []
        self._stack, self._place = stack, staged or path
        self._temporary: Path | None = None
        self._file: Any = None
        self._held: list[pa.RecordBatch] = []

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
        self.lines += count

    def write_table(self, rows: pa.RecordBatch) -> None:
        self._held.append(rows)
        self.lines += rows.num_rows
        if sum(batch.num_rows for batch in self._held) >= GROUP_ROWS:
            self._put_held()

    def close(self) -> list[Written]:
        """End the file, if there is one, and say what it holds; it is still under another name."""
        self._put_held()
        if self._file is None or self._temporary is None:
            return []
        self._file.close()
        return [measured(self.path, self._temporary, self.lines)]

    def _put_held(self) -> None:
        if self._held:
            self._opened().write_table(pa.Table.from_batches(self._held, self.schema))
            self._held = []

    def _opened(self) -> Any:
        if self._file is None:
            self._temporary = self._stack.enter_context(whole(self._place))
            if self.schema is None:
                self._file = self._stack.enter_context(self._temporary.open("wb"))
            else:
                self._file = self._stack.enter_context(
                    pq.ParquetWriter(self._temporary, self.schema, compression="zstd")
                )
        return self._file


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
