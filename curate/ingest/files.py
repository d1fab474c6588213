"""Rows of a file, one dict at a time, with the place each came from.

JSON lines and JSON lists, CSV (all also as .gz and .zst), Parquet, a saved `datasets` folder, or a folder of such
files. A row that cannot be parsed is yielded as a reason, never skipped. Memory holds one line or batch.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from recast.curate.errors import DataError
from recast.curate.ingest.json_list import elements
from recast.curate.ingest.streams import LINE_BYTES, Meter, open_stream

BATCH_ROWS, BATCH_BYTES = 1024, 16 << 20
SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
_DESCRIPTIONS = ("dataset_info.json", "dataset_infos.json")  # of the data beside them, no data
_SHOWN = 500


@dataclass(frozen=True, slots=True)
class Raw:
    """One row as found. `row` is None where it could not be parsed, and `reason` says why."""

    file: str
    line: int  # 1-based; the row number in CSV (its last line), Parquet and JSON lists
    row: dict[str, Any] | None
    reason: str = ""
    text: str = ""  # the start of what could not be parsed


def read(path: Path, meter: Meter | None = None) -> Iterator[Raw]:
    """Yield the rows of a file or folder. Raises DataError for what is no such thing."""
    if not path.exists():
        raise DataError(f"{path} does not exist.")
    meter = meter or Meter()
    files = _files(path) if path.is_dir() else [path]
    meter.total, meter.done = _size(path), 0
    for file in files:
        yield from _saved(file, meter) if file.is_dir() else _file(file, meter)


def _files(folder: Path) -> list[Path]:
    if (folder / "state.json").exists() or (folder / "dataset_dict.json").exists():
        return [folder]
    files = sorted(
        file
        for file in folder.rglob("*")
        if file.is_file()
        and _suffix(file) in SUFFIXES
        and not file.name.startswith(".")
        and file.name not in _DESCRIPTIONS
    )
    if not files:
        raise DataError(f"{folder} holds no file that can be read ({', '.join(SUFFIXES)}).")
    return files


def _size(path: Path) -> int:
    return (
        sum(f.stat().st_size for f in path.rglob("*") if f.is_file())
        if path.is_dir()
        else path.stat().st_size
    )


def _file(path: Path, meter: Meter) -> Iterator[Raw]:
    suffix = _suffix(path)
    if suffix == ".parquet":
        yield from _parquet(path, meter)
    elif suffix in (".csv", ".tsv"):
        yield from _csv(path, "\t" if suffix == ".tsv" else ",", meter)
    elif suffix in SUFFIXES:
        yield from _json(path, meter)
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


# JSON


def _json(path: Path, meter: Meter) -> Iterator[Raw]:
    with open_stream(path, Meter()) as file:
        first = _first_sign(file)
    if first == b"[":
        yield from _json_list(path, meter)
        return
    with open_stream(path, meter) as file:
        number = 0
        while line := file.readline(LINE_BYTES):
            number += 1
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if len(line) >= LINE_BYTES and not line.endswith(b"\n"):
                shown = line[:_SHOWN].decode("utf-8", "replace")
                while line and not line.endswith(b"\n"):
                    line = file.readline(LINE_BYTES)
                yield Raw(path.name, number, None, f"a line longer than {LINE_BYTES >> 20} MiB", shown)
            elif text := line.strip():
                yield _line(path.name, number, text)


def _first_sign(file: IO[bytes]) -> bytes:
    while piece := file.read(4096):
        if text := piece.removeprefix(b"\xef\xbb\xbf").strip():
            return text[:1]
    return b""


def _line(file: str, number: int, line: bytes) -> Raw:
    shown = line[:_SHOWN].decode("utf-8", "replace")
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
    return _object(file, number, row, shown)


def _object(file: str, number: int, row: Any, shown: str) -> Raw:
    if not isinstance(row, dict):
        return Raw(file, number, None, f"a JSON {type(row).__name__}, expected an object", shown)
    return Raw(file, number, row)


def _json_list(path: Path, meter: Meter) -> Iterator[Raw]:
    with io.TextIOWrapper(open_stream(path, meter), "utf-8-sig") as text:
        for number, row in enumerate(elements(text, path.name), 1):
            yield _object(path.name, number, row, "" if isinstance(row, dict) else str(row)[:_SHOWN])


# tables


def _csv(path: Path, separator: str, meter: Meter) -> Iterator[Raw]:
    csv.field_size_limit(LINE_BYTES)
    with io.TextIOWrapper(
        open_stream(path, meter), "utf-8-sig", errors="surrogateescape", newline=""
    ) as text:
        rows = csv.DictReader(text, delimiter=separator, strict=True)
        names = rows.fieldnames or []
        if len(set(names)) < len(names):
            twice = next(n for n in names if list(names).count(n) > 1)
            raise DataError(
                f"{path.name}: the column {twice!r} occurs twice in the header; rename one of them."
            )
        while True:
            try:
                row = next(rows)
            except StopIteration:
                return
            except csv.Error as wrong:
                raise DataError(
                    f"{path.name}, line {rows.reader.line_num}: not valid CSV ({wrong})."
                ) from wrong
            if None in row or None in row.values():
                cells = (
                    len(row[None]) + len(names) if None in row else sum(v is not None for v in row.values())
                )
                reason = f"{cells} cells, expected {len(names)}"
            elif any(map(_escaped, row.values())):
                reason = "not valid UTF-8"
            else:
                yield Raw(path.name, rows.line_num, {k: v for k, v in row.items() if v != ""})
                continue
            shown = str(row)[:_SHOWN].encode("utf-8", "replace").decode()
            yield Raw(path.name, rows.line_num, None, reason, shown)


def _escaped(cell: str) -> bool:
    """Whether bytes that are no UTF-8 were read as halves of surrogate pairs."""
    return not cell.isascii() and any("\udc80" <= c <= "\udcff" for c in cell)


def _parquet(path: Path, meter: Meter) -> Iterator[Raw]:
    number, before = 0, meter.done
    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            facts = file.metadata
            size = sum(facts.row_group(n).total_byte_size for n in range(facts.num_row_groups))
            rows = max(1, min(BATCH_ROWS, BATCH_BYTES * facts.num_rows // max(size, 1)))
            for batch in file.iter_batches(batch_size=rows):
                yield from _batch(batch, path.name, number)
                number += batch.num_rows
                meter.done = before + path.stat().st_size * number // max(facts.num_rows, 1)
    except (pa.ArrowException, OSError) as wrong:
        raise DataError(f"{path.name}: not a readable Parquet file ({wrong}).") from wrong


def _saved(path: Path, meter: Meter) -> Iterator[Raw]:
    """Rows of a folder that `Dataset.save_to_disk` or `DatasetDict.save_to_disk` wrote."""
    import datasets

    try:
        loaded = datasets.load_from_disk(str(path))
    except (pa.ArrowException, OSError, ValueError, KeyError) as wrong:
        raise DataError(f"{path}: not a readable folder of `datasets` ({wrong}).") from wrong
    splits = loaded if isinstance(loaded, datasets.DatasetDict) else {"": loaded}
    total = sum(len(rows) for rows in splits.values())
    seen = 0
    for split, rows in splits.items():
        file, number = f"{path.name}/{split}" if split else path.name, 0
        for table in rows.with_format("arrow").iter(batch_size=256):  # pyright: ignore
            for batch in table.to_batches():  # pyright: ignore
                yield from _batch(batch, file, number)
                number += batch.num_rows
                seen += batch.num_rows
            meter.done = meter.total * seen // max(total, 1)


def _batch(batch: pa.RecordBatch, file: str, before: int) -> Iterator[Raw]:
    try:
        rows = batch.to_pylist()
    except UnicodeDecodeError:  # Arrow does not check what it reads
        rows = [_checked(batch.slice(n, 1)) for n in range(batch.num_rows)]
    for number, row in enumerate(rows, before + 1):
        if row is None:
            yield Raw(file, number, None, "not valid UTF-8")
        else:
            yield Raw(file, number, _padding_dropped(row))


def _checked(row: pa.RecordBatch) -> dict[str, Any] | None:
    try:
        return row.to_pylist()[0]
    except UnicodeDecodeError:
        return None


def _padding_dropped(value: Any) -> Any:
    """Drop the None members that Arrow structs invent inside lists of objects."""
    if isinstance(value, dict):
        return {k: _padding_dropped(v) for k, v in value.items() if v is not None or k == "content"}
    if isinstance(value, list):
        return [_padding_dropped(v) for v in value]
    return value
