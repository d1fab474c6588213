"""Rows of a file, one dict at a time, with the place each came from.

JSON lines and JSON lists (also .gz and .zst), CSV, Parquet, a saved `datasets` folder, or a folder of such
files. A row that cannot be parsed is yielded as a reason, never skipped. Memory holds one line or batch.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from curate.errors import DataError

LINE_BYTES = 256 << 20
EXPANDED_BYTES = 1 << 30  # from here on a compressed file must not expand more than EXPANSION times
EXPANSION = 200
SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")


@dataclass(frozen=True, slots=True)
class Raw:
    """One row as found. `row` is None where it could not be parsed, and `reason` says why."""

    file: str
    line: int  # 1-based; the row number in CSV (its last line), Parquet and JSON lists
    row: dict[str, Any] | None
    reason: str = ""
    text: str = ""  # the start of what could not be parsed


def read(path: Path) -> Iterator[Raw]:
    """Yield the rows of a file or folder. Raises DataError for what is no such thing."""
    if not path.exists():
        raise DataError(f"{path} does not exist.")
    if path.is_dir():
        yield from _folder(path)
        return
    suffix = _suffix(path)
    if suffix == ".parquet":
        yield from _parquet(path)
    elif suffix in (".csv", ".tsv"):
        yield from _csv(path, "\t" if suffix == ".tsv" else ",")
    elif suffix in (".jsonl", ".ndjson", ".json"):
        yield from _json(path)
    else:
        raise DataError(
            f"{path.name}: unknown kind of file; expected one of {', '.join(SUFFIXES)} (JSON and CSV also as .gz or "
            ".zst), or a folder of them, or a folder saved by `datasets`."
        )


def _suffix(path: Path) -> str:
    suffixes = [s.lower() for s in path.suffixes]
    if suffixes and suffixes[-1] in (".gz", ".zst"):
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def _folder(path: Path) -> Iterator[Raw]:
    if (path / "state.json").exists() or (path / "dataset_dict.json").exists():
        import datasets

        loaded = datasets.load_from_disk(str(path))
        splits = loaded if isinstance(loaded, datasets.DatasetDict) else {"": loaded}
        for split, rows in splits.items():
            file = f"{path.name}/{split}" if split else path.name
            for n, row in enumerate(rows, 1):  # pyright: ignore
                yield Raw(file, n, _padding_dropped(dict(row)))
        return
    files = sorted(
        f for f in path.rglob("*") if f.is_file() and _suffix(f) in SUFFIXES and not f.name.startswith(".")
    )
    if not files:
        raise DataError(f"{path} holds no file that can be read ({', '.join(SUFFIXES)}).")
    for file in files:
        yield from read(file)


def _open(path: Path) -> IO[bytes]:
    if path.suffix.lower() == ".gz":
        return _Guarded(gzip.open(path, "rb"), path)  # pyright: ignore
    if path.suffix.lower() == ".zst":
        return _Guarded(io.BufferedReader(_Zstd(path)), path)  # pyright: ignore
    return path.open("rb")


class _Zstd(io.RawIOBase):
    def __init__(self, path: Path) -> None:
        self.stream = pa.input_stream(str(path), compression="zstd")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self.stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class _Guarded:
    """Lines of a compressed file, refusing one that is built to expand without end."""

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        self.stream, self.path, self.bytes = stream, path, 0
        self.allowed = max(EXPANDED_BYTES, EXPANSION * path.stat().st_size)

    def readline(self, limit: int = -1) -> bytes:
        return self._counted(lambda: self.stream.readline(limit))

    def read(self, size: int = -1) -> bytes:
        return self._counted(lambda: self.stream.read(size))

    def _counted(self, get: Any) -> bytes:
        try:
            data = get()
        except (OSError, EOFError, pa.ArrowException) as broken:
            raise DataError(
                f"{self.path.name}: the compressed data is damaged or cut short ({broken})."
            ) from broken
        self.bytes += len(data)
        if self.bytes > self.allowed:
            raise DataError(
                f"{self.path.name}: {self.path.stat().st_size} bytes expand to more than {self.allowed}, over "
                f"{EXPANSION} times their size; refused as a decompression bomb. Decompress it yourself if it is real."
            )
        return data

    def __enter__(self) -> _Guarded:
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()


def _json(path: Path) -> Iterator[Raw]:
    with _open(path) as file:
        first = _first_sign(file)
    if first == b"[":
        yield from _json_list(path)
        return
    with _open(path) as file:
        number = 0
        while line := file.readline(LINE_BYTES):
            number += 1
            if len(line) >= LINE_BYTES:
                raise DataError(
                    f"{path.name}, line {number}: longer than {LINE_BYTES} bytes; is this JSON lines?"
                )
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if text := line.strip():
                yield _line(path.name, number, text)


def _first_sign(file: IO[bytes]) -> bytes:
    while piece := file.read(4096):
        if text := piece.removeprefix(b"\xef\xbb\xbf").strip():
            return text[:1]
    return b""


def _line(file: str, number: int, line: bytes) -> Raw:
    shown = line[:500].decode("utf-8", "replace")
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as wrong:
        return Raw(file, number, None, f"not valid UTF-8 (byte {wrong.start} of the line)", shown)
    except json.JSONDecodeError as wrong:
        return Raw(file, number, None, f"not valid JSON: {wrong.msg} at column {wrong.colno}", shown)
    except RecursionError:
        return Raw(file, number, None, "JSON nested too deeply", shown)
    except ValueError as wrong:  # a whole number of more digits than Python converts
        return Raw(file, number, None, f"not readable as JSON: {wrong}", shown)
    if not isinstance(row, dict):
        return Raw(file, number, None, f"a JSON {type(row).__name__}, expected an object", shown)
    return Raw(file, number, row)


def _json_list(path: Path) -> Iterator[Raw]:
    with _open(path) as file:
        data = file.read()
    try:
        rows = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as wrong:
        raise DataError(f"{path.name}: begins like a JSON list but cannot be read ({wrong}).") from wrong
    for n, row in enumerate(rows, 1):
        if isinstance(row, dict):
            yield Raw(path.name, n, row)
        else:
            yield Raw(path.name, n, None, f"a JSON {type(row).__name__}, expected an object", str(row)[:500])


def _csv(path: Path, separator: str) -> Iterator[Raw]:
    csv.field_size_limit(LINE_BYTES)
    with _open(path) as binary:
        data = io.TextIOWrapper(binary, "utf-8-sig", errors="surrogateescape", newline="") if not isinstance(
            binary, _Guarded
        ) else io.StringIO(binary.read().decode("utf-8-sig", "surrogateescape"), newline="")  # fmt: skip
        rows = csv.DictReader(data, delimiter=separator, strict=True)
        while True:
            try:
                row = next(rows)
            except StopIteration:
                return
            except csv.Error as wrong:
                raise DataError(f"{path.name}, line {rows.line_num}: not valid CSV ({wrong}).") from wrong
            if None in row or None in row.values():
                yield Raw(
                    path.name,
                    rows.line_num,
                    None,
                    f"expected {len(rows.fieldnames or [])} cells",
                    str(row)[:500],
                )
            else:
                yield Raw(path.name, rows.line_num, {k: v for k, v in row.items() if v != ""})


def _parquet(path: Path) -> Iterator[Raw]:
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as wrong:
        raise DataError(f"{path.name}: not a readable Parquet file ({wrong}).") from wrong
    number = 0
    for batch in file.iter_batches(batch_size=1024):
        for row in batch.to_pylist():
            number += 1
            yield Raw(path.name, number, _padding_dropped(row))


def _padding_dropped(value: Any) -> Any:
    """Drop the None members that Arrow structs invent inside lists of objects."""
    if isinstance(value, dict):
        return {k: _padding_dropped(v) for k, v in value.items() if v is not None or k == "content"}
    if isinstance(value, list):
        return [_padding_dropped(v) for v in value]
    return value
