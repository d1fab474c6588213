"""Lines into files: JSON lines or Parquet, one file or shards, in constant memory, in place only when all is written.

with contextlib.ExitStack() as stack:                     # what raises in here leaves every old file as it was
    with Sink(stack, folder / "train.jsonl") as sink:
        sink.write(lines)
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from recast.curate.export.formats import Line
from recast.curate.files import whole

GROUP_ROWS = 16_384
# what `str.splitlines` takes for the end of a line and JSON does not escape: readers that cut files so break in them
_BREAKS = str.maketrans({"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"})
_encode = json.JSONEncoder(ensure_ascii=False).encode


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
        """`schema`: columns of a Parquet file, JSON lines without one. `shard_rows`: `path` is NAME.SUFFIX of shards
        NAME-00000.SUFFIX and so on, each of at most so many rows."""
        self.path, self.files = path, list[Written]()
        self._stack, self._schema, self._shard_rows = stack, schema, shard_rows
        self._held: list[Line] = []
        self._open: tuple[Path, Path, Callable[[list[Line]], None], Callable[[], None]] | None = None
        self._lines = 0
        self.columns: list[str] = schema.names if schema is not None else []

    @property
    def lines(self) -> int:
        return sum(file.lines for file in self.files) + self._lines + len(self._held)

    def write(self, lines: Sequence[Line]) -> None:
        self._held += lines
        while len(self._held) >= GROUP_ROWS:
            self._flush(GROUP_ROWS)

    def close(self) -> None:
        """Write what is held and end the file; it is still under another name."""
        if self._held:
            self._flush(len(self._held))
        self._end()

    def _flush(self, count: int) -> None:
        while count:
            room = self._shard_rows - self._lines if self._shard_rows else count
            piece, self._held = self._held[: min(room, count)], self._held[min(room, count) :]
            put = (self._open or self._begin(piece))[2]
            put(piece)
            count -= len(piece)
            self._lines += len(piece)
            if self._lines == self._shard_rows:
                self._end()

    def _begin(
        self, first: list[Line]
    ) -> tuple[Path, Path, Callable[[list[Line]], None], Callable[[], None]]:
        path = self.path
        if self._shard_rows:
            path = path.with_name(f"{path.stem}-{len(self.files):05d}{path.suffix}")
        temporary = self._stack.enter_context(whole(path))
        if self._schema is None:
            self.columns = self.columns or list(first[0])
            file = self._stack.enter_context(temporary.open("w", encoding="utf-8", newline="\n"))
            self._open = path, temporary, lambda lines: file.writelines(map(as_line, lines)), file.close
        else:
            schema = self._schema
            writer = self._stack.enter_context(pq.ParquetWriter(temporary, schema, compression="zstd"))
            self._open = (
                path,
                temporary,
                lambda lines: writer.write_batch(table_of(lines, schema)),
                writer.close,
            )
        return self._open

    def _end(self) -> None:
        if self._open is not None:
            path, temporary, _, close = self._open
            close()
            self.files.append(measured(path, temporary, self._lines))
            self._open, self._lines = None, 0


def table_of(lines: Sequence[Line], schema: pa.Schema) -> pa.RecordBatch:
    """`lines` as columns. Several times faster than `from_pylist` where turns are nested."""
    return pa.RecordBatch.from_arrays(
        [column_of([line.get(field.name) for line in lines], field.type) for field in schema], schema=schema
    )


def column_of(values: list[Any], kind: pa.DataType) -> pa.Array:
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
