"""Immutable Parquet parts, named by their content.

The footer of a part holds the sha256 of all bytes before it, and the part's id is the sha256 (32 hex digits)
of the footer: to know that a part is the one that was written, its footer is enough; the pages it leads to
carry checksums that are tested when they are read. A part is written under `tmp/`, fsynced, and renamed to
`parts/<2 hex>/<id>.parquet`. A crash leaves at worst a file that no version names, which `gc` removes. Row
groups are bounded in bytes, so that reading a version needs memory for a few of them, whatever its size.
"""

from __future__ import annotations

import errno
import hashlib
import os
import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from recast.curate.errors import IntegrityError
from recast.curate.files import fsync_folder
from recast.curate.store.catalog import DiskFullError

ID_DIGITS = 32
_BODY = b"recast.body"
GROUP_BYTES = 16 << 20
GROUP_ROWS = 131_072
PART_BYTES = 512 << 20  # of Arrow data, before compression
_PLAIN = {"row_id", "messages", "completion", "demonstration", "meta", "text", "checks", "scores", "cut"} | {
    "hash_before", "hash_after", "completion_before",
}  # fmt: skip  # columns of distinct values: trying a dictionary first only costs time


@dataclass(frozen=True, slots=True)
class Part:
    """One immutable file."""

    id: str
    kind: str  # "rows", "log", "base" or "candidates"
    rows: int
    bytes: int


def part_path(root: Path, part: str) -> Path:
    """Where the part with this id lies."""
    return root / "parts" / part[:2] / f"{part}.parquet"


def require(root: Path, part: str) -> Path:
    """Return the part's path. Raises IntegrityError where the file is gone."""
    path = part_path(root, part)
    if not path.exists():
        raise IntegrityError(
            f"part {part} is missing from {root / 'parts'}; `recast verify` names the versions and rows it held. "
            "Restore the file from a copy of the store."
        )
    return path


_verified: set[tuple[str, int, int]] = set()


def verified(root: Path, part: str) -> Path:
    """Return the part's path once every byte of it has been tested, which a process does once for each file.

    For readers that test no page checksums (DuckDB). Raises IntegrityError where the part is damaged.
    """
    path = require(root, part)
    facts = path.stat()
    seen = str(path), facts.st_size, facts.st_mtime_ns
    if seen not in _verified:
        if wrong := flaw(path, part):
            raise damaged(part, wrong)
        _verified.add(seen)
    return path


def footer(root: Path, part: str) -> pq.FileMetaData:
    """The part's footer, tested against its id. Raises IntegrityError where it is not what was written."""
    path = require(root, part)
    try:
        tail = _tail(path)
        if _id_of(tail) != part:
            raise ValueError("its footer does not give the hash that is its name")
        return pq.read_metadata(pa.BufferReader(tail))
    except (pa.ArrowException, OSError, ValueError) as wrong:
        raise damaged(part, wrong) from wrong


def flaw(path: Path, part: str) -> str:
    """What is wrong with a part's bytes, all of which are read; empty where nothing is."""
    try:
        tail = _tail(path)
        if _id_of(tail) != part:
            return "its footer does not give the hash that is its name"
        said = (pq.read_metadata(path).metadata or {}).get(_BODY, b"").decode()
    except (pa.ArrowException, OSError, ValueError) as wrong:
        return str(wrong)
    digest, left = hashlib.sha256(), path.stat().st_size - len(tail)
    with path.open("rb") as file:
        while left and (data := file.read(min(left, 1 << 20))):
            digest.update(data)
            left -= len(data)
    return "" if digest.hexdigest() == said else "its bytes do not give the hash that its footer holds"


def _tail(path: Path) -> bytes:
    """Everything after the pages: the footer, its length, and the magic number."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - 8, 0))
        end = file.read(8)
        length = int.from_bytes(end[:4], "little") + 8
        if end[4:] != b"PAR1" or length > size:
            raise ValueError("it does not end as a Parquet file does")
        file.seek(size - length)
        return file.read(length)


def _id_of(tail: bytes | bytearray) -> str:
    return hashlib.sha256(tail).hexdigest()[:ID_DIGITS]


def damaged(part: str, why: object) -> IntegrityError:
    """The error for a part that cannot be read."""
    return IntegrityError(
        f"part {part} is damaged and cannot be read ({why}); `recast verify` names the versions and rows it holds. "
        "Restore the file from a copy of the store."
    )


class _HashingFile:
    """A sequential binary file that hashes its pages and keeps what follows them."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("wb")
        self.body = hashlib.sha256()
        self.tail: bytearray | None = None
        self.size = 0
        self.closed = False

    def write(self, data: Any) -> int:
        view = memoryview(data)
        if self.tail is None:
            self.body.update(view)
        else:
            self.tail += view
        self.size += view.nbytes
        self.file.write(view)
        return view.nbytes

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        self.file.flush()

    def close(self) -> None:
        """Arrow closes its files itself; ours stays open until it has been fsynced."""

    def seal(self) -> None:
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        self.closed = True


class PartWriter:
    """Writes rows of one schema into as many parts as their size asks for, compressing in a thread of its own.

    Use as a context manager: leaving it with an exception removes what was written and not yet renamed.
    """

    def __init__(self, root: Path, kind: str, schema: pa.Schema, *, one_file: bool = False) -> None:
        """`one_file`: a single part however large, written even where it is empty (`close_one`)."""
        self.root, self.kind, self.schema, self.one_file = root, kind, schema, one_file
        self.parts: list[Part] = []
        self._buffer: list[pa.RecordBatch] = []
        self._buffered_rows = self._buffered_bytes = 0
        self._part_rows = self._part_bytes = 0
        self._file: _HashingFile | None = None
        self._writer: pq.ParquetWriter | None = None
        self._path: Path | None = None
        self._pool = ThreadPoolExecutor(1)
        self._pending: Future[None] | None = None
        self._dictionary = [f.name for f in schema if f.name not in _PLAIN]

    def __enter__(self) -> PartWriter:
        return self

    def __exit__(self, kind: object, error_: BaseException | None, _: object) -> None:
        try:
            if kind is None:
                self.close()
            else:
                self._abandon()
        except OSError as error:
            self._abandon()
            raise _full(error, self.root) from error
        finally:
            self._pool.shutdown()
        if isinstance(error_, OSError):
            raise _full(error_, self.root) from error_

    def write(self, batch: pa.RecordBatch) -> tuple[int, int]:
        """Append `batch`; return (index into `parts` once closed, position of its first row in that part)."""
        if self._part_bytes > PART_BYTES and not self.one_file:
            self._roll()
        place = len(self.parts), self._part_rows
        self._buffer.append(batch)
        self._buffered_rows += batch.num_rows
        self._buffered_bytes += batch.nbytes
        self._part_rows += batch.num_rows
        self._part_bytes += batch.nbytes
        if self._buffered_bytes >= GROUP_BYTES or self._buffered_rows >= GROUP_ROWS:
            self._flush()
        return place

    def write_table(self, table: pa.Table) -> None:
        """Append a table, cast to the schema."""
        for batch in table.cast(self.schema).to_batches(max_chunksize=GROUP_ROWS):
            self.write(batch)

    def close_one(self) -> Part:
        """Finish the one part and return it."""
        if not self._part_rows:
            self._buffer.append(empty_batch(self.schema))
        self._roll()
        return self.parts[0]

    def close(self) -> list[Part]:
        """Finish the last part; return all of them."""
        if self._part_rows:
            self._roll()
        return self.parts

    def _flush(self) -> None:
        if not self._buffer:
            return
        group = pa.Table.from_batches(self._buffer, self.schema)
        self._buffer, self._buffered_rows, self._buffered_bytes = [], 0, 0
        if self._pending is not None:
            self._pending.result()
        self._pending = self._pool.submit(self._compress, group)

    def _compress(self, group: pa.Table) -> None:
        if self._writer is None:
            folder = self.root / "tmp"
            folder.mkdir(parents=True, exist_ok=True)
            self._path = folder / f"{uuid.uuid4().hex}.parquet"
            self._file = _HashingFile(self._path)
            self._writer = pq.ParquetWriter(
                pa.PythonFile(self._file, mode="w"),
                self.schema,
                compression="zstd",
                # pyarrow takes column names in both places; what it declares is a bool
                use_dictionary=self._dictionary,  # pyright: ignore[reportArgumentType]
                write_statistics=[n for n in self.schema.names if n not in _PLAIN],  # pyright: ignore[reportArgumentType]
                write_page_checksum=True,
            )
        self._writer.write_table(group, row_group_size=max(group.num_rows, 1))

    def _roll(self) -> None:
        self._flush()
        if self._pending is not None:
            self._pending.result()
            self._pending = None
        assert self._writer is not None and self._file is not None and self._path is not None
        self._writer.add_key_value_metadata({_BODY: self._file.body.hexdigest()})
        self._file.tail = bytearray()
        self._writer.close()
        self._file.seal()
        part = Part(_id_of(self._file.tail), self.kind, self._part_rows, self._file.size)
        target = part_path(self.root, part.id)
        if not target.parent.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            fsync_folder(target.parent.parent)
        self._path.rename(target)
        fsync_folder(target.parent)
        self.parts.append(part)
        self._writer = self._file = self._path = None
        self._part_rows = self._part_bytes = 0

    def _abandon(self) -> None:
        if self._pending is not None:
            self._pending.exception()
        if self._file is not None:
            self._file.file.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def _full(error: OSError, root: Path) -> Exception:
    """The error to raise for one of the file system: a full disk gets its own."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return error
    return DiskFullError(
        f"no space left on the disk of {root}; nothing was committed and the unfinished file is removed. Free some "
        "space (`recast gc` removes what no version needs) and repeat the command."
    )


def empty_batch(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([], f.type) for f in schema], schema=schema)
