"""Rows of a file, one dict at a time, with the place each came from.

JSON lines and JSON lists, CSV (all also as .gz and .zst), Parquet, a saved `datasets` folder, or a folder of such
files. A row that cannot be parsed is yielded as a reason, never skipped. Memory holds one line or batch.
"""

from __future__ import annotations

import csv
import io
import json
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from recast.curate.errors import DataError
from recast.curate.ingest.decoding import Decoder
from recast.curate.ingest.json_list import elements, one_after_another
from recast.curate.ingest.streams import EXPANDED_BYTES, EXPANSION, LINE_BYTES, Meter, open_stream

BATCH_ROWS, BATCH_BYTES = 1024, 16 << 20
BLANK_BYTES, BLANK_LINES = 64 << 20, 1_000_000  # a file of line breaks says nothing, however long it is read
EMPTY_ROWS = 10_000_000  # from here on a Parquet file must not have more rows than bytes
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
    try:
        if not path.exists():
            raise DataError(f"{path} does not exist.")
        meter = meter or Meter()
        files = _files(path) if path.is_dir() else [_regular(path)]
        meter.total, meter.done = _size(path), 0
    except OSError as wrong:
        raise DataError(f"{path} cannot be read: {wrong.strerror or wrong}.") from wrong
    for file in files:
        yield from _saved(file, meter) if file.is_dir() else _file(file, meter)


def _files(folder: Path) -> list[Path]:
    if (folder / "state.json").exists() or (folder / "dataset_dict.json").exists():
        return [folder]
    files = sorted(
        file
        for file in folder.rglob("*")
        if _suffix(file) in SUFFIXES
        and not file.is_dir()
        and not file.name.startswith(".")
        and file.name not in _DESCRIPTIONS
    )
    if not files:
        raise DataError(f"{folder} holds no file that can be read ({', '.join(SUFFIXES)}).")
    return [_regular(_inside(folder, file)) for file in files]


def _inside(folder: Path, file: Path) -> Path:
    """`file`, which must lie in `folder` once every link is followed: a folder of data names no other file of yours.

    A snapshot in a cache of the hub is links into the `blobs` of its own repository, which are as good.
    """
    try:
        real, own = file.resolve(), folder.resolve()
    except RuntimeError:  # what Python 3.11 raises
        raise DataError(f"{file} is a link that leads back to itself.") from None
    snapshots = next((above for above in (own, *own.parents) if above.name == "snapshots"), None)
    blobs = snapshots.with_name("blobs") if snapshots is not None and own != snapshots else own
    if not real.is_relative_to(own) and not real.is_relative_to(blobs):
        raise DataError(
            f"{file} leads out of {folder}, to {file.resolve()}; copy it there, or import it by itself."
        )
    return file


def _regular(file: Path) -> Path:
    """`file`, which must be one: a pipe or a device may never end, and reading it takes from who else reads it."""
    try:
        mode = file.stat().st_mode
    except OSError as wrong:
        if not isinstance(wrong, FileNotFoundError):
            raise DataError(f"{file} cannot be read: {wrong.strerror or wrong}.") from wrong
        what = (
            f"is a link to {file.readlink()}, which does not exist" if file.is_symlink() else "does not exist"
        )
        raise DataError(f"{file} {what}.") from None
    if not stat.S_ISREG(mode):
        kinds = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFDIR: "a folder"}
        kind = kinds.get(stat.S_IFMT(mode), "a device")
        cure = "" if kind == "a folder" else " Write what it gives to a file first."
        raise DataError(f"{file} is {kind}; expected a file.{cure}")
    return file


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
        first = _first_line(file, path.name)
    if first.startswith(b"["):
        yield from _values(elements, path, meter)
        return
    if first.rstrip() == b"{":  # written for people, an object over several lines
        yield from _values(one_after_another, path, meter)
        return
    decoder = Decoder()
    with open_stream(path, meter) as file:
        number = blank = 0
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
                blank = 0
                yield _line(decoder, path.name, number, text)
            else:
                blank += 1
                if blank > BLANK_LINES:
                    raise _blank(path.name, f"more than {BLANK_LINES} blank lines end with line {number}")


def _first_line(file: IO[bytes], name: str) -> bytes:
    """The first line that is not blank, without blanks before it; at most LINE_BYTES of it."""
    head = file.read(4)
    _check_encoding(head, name)
    head = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    passed = 0
    while not head and (piece := file.read(1 << 16)):
        head = piece.lstrip()
        passed += len(piece)
        if passed > BLANK_BYTES and not head:
            raise _blank(name, f"its first {passed >> 20} MiB are")
    if b"\n" in head or head.startswith(b"["):
        return head.partition(b"\n")[0]
    return head + file.readline(LINE_BYTES)


def _check_encoding(head: bytes, name: str) -> None:
    """Raise DataError where the first bytes of a text are of UTF-16 or UTF-32."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or (len(head) > 1 and 0 in head[:2] and any(head)):
        wide = (
            "UTF-32"
            if head[:3] in (b"\xff\xfe\0", b"\0\0\xfe", b"\0\0\0") or head[1:] == b"\0\0\0"
            else "UTF-16"
        )
        raise DataError(
            f"{name} is {wide}; expected UTF-8. Save it as UTF-8, for instance with iconv -f {wide} -t UTF-8."
        )


def _blank(name: str, what: str) -> DataError:
    return DataError(
        f"{name}: {what} blank; expected a row. Remove the blank lines, or look whether it is whole."
    )


def _line(decoder: Decoder, file: str, number: int, line: bytes) -> Raw:
    shown = line[:_SHOWN].decode("utf-8", "replace")
    try:
        row = decoder.decode(line.decode("utf-8"))
    except UnicodeDecodeError as wrong:
        return Raw(file, number, None, f"not valid UTF-8 (byte {wrong.start} of the line)", shown)
    except json.JSONDecodeError as wrong:
        return Raw(file, number, None, f"not valid JSON: {wrong.msg} at column {wrong.colno}", shown)
    except RecursionError:
        return Raw(file, number, None, "JSON nested too deeply", shown)
    except ValueError as wrong:  # a whole number of more digits than Python converts
        return Raw(file, number, None, f"not readable as JSON: {wrong}", shown)
    return _object(file, number, row, decoder.twice, shown)


def _object(file: str, number: int, row: Any, twice: str | None, shown: str) -> Raw:
    if not isinstance(row, dict):
        return Raw(file, number, None, f"a JSON {type(row).__name__}, expected an object", shown)
    if twice is not None:
        return Raw(file, number, None, f"the key {twice!r} occurs twice in an object", shown)
    return Raw(file, number, row)


def _values(decode: Any, path: Path, meter: Meter) -> Iterator[Raw]:
    with io.TextIOWrapper(open_stream(path, meter), "utf-8-sig") as text:
        for number, (row, twice) in enumerate(decode(text, path.name), 1):
            shown = "" if isinstance(row, dict) and twice is None else str(row)[:_SHOWN]
            yield _object(path.name, number, row, twice, shown)


# tables


def _csv(path: Path, separator: str, meter: Meter) -> Iterator[Raw]:
    csv.field_size_limit(LINE_BYTES)
    with open_stream(path, Meter()) as file:
        head = file.peek(1 << 16)[: 1 << 16]
    _check_encoding(head[:4], path.name)
    separator = _separator(
        head.removeprefix(b"\xef\xbb\xbf").lstrip().partition(b"\n")[0].decode("latin-1"), separator
    )
    with io.TextIOWrapper(
        open_stream(path, meter), "utf-8-sig", errors="surrogateescape", newline=""
    ) as text:
        rows = csv.DictReader(_csv_lines(text, path.name), delimiter=separator, strict=True)
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


def _separator(header: str, usual: str) -> str:
    """What separates the columns of a header: `usual`, or where that gives one column, what gives more."""
    counts = {
        sign: len(next(csv.reader([header], delimiter=sign), ())) for sign in (usual, ";", "\t", ",", "|")
    }
    return usual if counts[usual] > 1 else max(counts, key=lambda sign: counts[sign])


def _csv_lines(text: io.TextIOWrapper, name: str) -> Iterator[str]:
    """The lines of a table, refusing one that never ends and blank ones that never do."""
    blank = 0
    while line := text.readline(LINE_BYTES):
        if len(line) >= LINE_BYTES:
            raise DataError(f"{name}: a line longer than {LINE_BYTES >> 20} MiB; is it a table of text?")
        blank = blank + 1 if line.isspace() else 0
        if blank > BLANK_LINES:
            raise _blank(name, f"more than {BLANK_LINES} lines in a row are")
        yield line


def _escaped(cell: str) -> bool:
    """Whether bytes that are no UTF-8 were read as halves of surrogate pairs."""
    return not cell.isascii() and any("\udc80" <= c <= "\udcff" for c in cell)


def _parquet(path: Path, meter: Meter) -> Iterator[Raw]:
    number, before = 0, meter.done
    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            facts = file.metadata
            size = sum(facts.row_group(n).total_byte_size for n in range(facts.num_row_groups))
            _check_table(file.schema_arrow.names, path.name)
            _check_bomb(path, facts.num_rows, size)
            rows = max(1, min(BATCH_ROWS, BATCH_BYTES * facts.num_rows // max(size, 1)))
            for batch in file.iter_batches(batch_size=rows):
                yield from _batch(batch, path.name, number)
                number += batch.num_rows
                meter.done = before + path.stat().st_size * number // max(facts.num_rows, 1)
    except (pa.ArrowException, OSError) as wrong:
        raise DataError(f"{path.name}: not a readable Parquet file ({wrong}).") from wrong


def _check_table(names: list[str], where: str) -> None:
    if len(set(names)) < len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise DataError(f"{where}: the column {twice!r} occurs twice in the header; rename one of them.")


def _check_bomb(path: Path, rows: int, size: int) -> None:
    """Raise DataError for a small file that stands for more than it can say: no two of its rows could differ."""
    packed = path.stat().st_size
    if rows > EMPTY_ROWS and rows > packed:
        raise DataError(
            f"{path.name}: {rows} rows in {packed} bytes cannot all be different; refused as a bomb."
        )
    if size > max(EXPANDED_BYTES, EXPANSION * packed):
        raise DataError(
            f"{path.name}: {packed} bytes expand to {size}, over {EXPANSION} times their size; refused as a "
            "decompression bomb."
        )


def _saved(path: Path, meter: Meter) -> Iterator[Raw]:
    """Rows of a folder that `Dataset.save_to_disk` or `DatasetDict.save_to_disk` wrote: Arrow streams, and JSON that
    names them. Names that lead out of the folder are refused."""
    splits = [""]
    if (path / "dataset_dict.json").exists():
        splits = _listed(path / "dataset_dict.json", lambda found: found["splits"])
    before = meter.done
    for split in splits:
        folder = _inside(path, path / split)
        file, number = f"{path.name}/{split}" if split else path.name, 0
        for name in _listed(
            folder / "state.json", lambda found: [f["filename"] for f in found["_data_files"]]
        ):
            part = _regular(_inside(folder, folder / name))
            try:
                for batch in _arrow(part):
                    _check_table(batch.schema.names, part.name)
                    for start in range(0, batch.num_rows, 256):
                        piece = batch.slice(start, 256)
                        yield from _batch(piece, file, number)
                        number += piece.num_rows
            except (pa.ArrowException, OSError) as wrong:
                raise DataError(f"{path}: not a readable folder of `datasets` ({wrong}).") from wrong
            before += part.stat().st_size
            meter.done = min(before, meter.total)
    meter.done = meter.total


def _listed(path: Path, names: Any) -> list[str]:
    """What a JSON file of a saved folder lists. Raises DataError where it is no such file."""
    try:
        found = names(json.loads(path.read_text(encoding="utf-8")))
        if not isinstance(found, list) or not all(
            isinstance(name, str) and name and "\0" not in name for name in found
        ):
            raise TypeError("expected a list of names")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as wrong:
        raise DataError(f"{path}: not a readable folder of `datasets` ({wrong}).") from wrong
    return found


def _arrow(path: Path) -> Iterator[pa.RecordBatch]:
    with pa.memory_map(str(path)) as file:
        try:
            reader = pa.ipc.open_stream(file)
        except pa.ArrowInvalid:
            table = pa.ipc.open_file(file)
            yield from (table.get_batch(n) for n in range(table.num_record_batches))
            return
        yield from reader


def _batch(batch: pa.RecordBatch, file: str, before: int) -> Iterator[Raw]:
    try:
        rows: list[Any] = batch.to_pylist()
    except _UNREADABLE:  # Arrow does not check what it reads
        rows = [_checked(batch.slice(n, 1)) for n in range(batch.num_rows)]
    for number, row in enumerate(rows, before + 1):
        if isinstance(row, str):
            yield Raw(file, number, None, row)
        else:
            yield Raw(file, number, _padding_dropped(row))


_UNREADABLE = (ValueError, OverflowError, KeyError, TypeError, pa.ArrowException)


def _checked(row: pa.RecordBatch) -> dict[str, Any] | str:
    """One row, or why it is none: bytes that are no text, a time beyond the year 9999, a zone that is none."""
    found: dict[str, Any] = {}
    for name, column in zip(row.schema.names, row.columns, strict=True):
        try:
            (found[name],) = column.to_pylist()
        except UnicodeDecodeError:
            return "not valid UTF-8"
        except _UNREADABLE as wrong:
            return f"the column {name!r} holds a {column.type} that Python cannot ({wrong})"
    return found


def _padding_dropped(value: Any) -> Any:
    """Drop the None members that Arrow structs invent inside lists of objects."""
    if isinstance(value, dict):
        return {k: _padding_dropped(v) for k, v in value.items() if v is not None or k == "content"}
    if isinstance(value, list):
        return [_padding_dropped(v) for v in value]
    return value
