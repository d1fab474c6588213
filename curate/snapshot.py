"""Reading one version: Arrow, DuckDB, `datasets`, or plain dicts. Needs the parts, never the catalog."""

from __future__ import annotations

import json
import uuid
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curate import changes
from curate.catalog import memory
from curate.errors import IntegrityError, UsageError
from curate.parts import require
from curate.schema import CANDIDATE_SCHEMA, VERSION_SCHEMA, decode_row, identifiers, literal
from curate.versions import Version

if TYPE_CHECKING:
    import datasets

READ_ROWS = 16_384
_CACHED_GROUPS = 6  # row groups are bounded in bytes, see parts.py


class Snapshot:
    """The rows of one version, in order."""

    def __init__(self, root: Path, version: Version, base: str, logs: Sequence[str]) -> None:
        """`base` and `logs` (oldest first) are part ids that together give the live rows."""
        self.root, self.version = root, version
        self._base, self._logs = base, list(logs)

    def __len__(self) -> int:
        return self.version.rows

    def live_sql(self) -> str:
        """SQL of the live rows: row_id, target, hash, score, part, pos, order."""
        base, logs = self.base_and_logs()
        return changes.live(base, logs)

    def base_and_logs(self) -> tuple[str, list[str]]:
        """SQL of the base and of the logs since, oldest first."""
        return changes.read(str(require(self.root, self._base))), [
            changes.read(str(require(self.root, log))) for log in self._logs
        ]

    def live(self) -> pa.Table:
        """The live rows as a table sorted by order."""
        with memory(self.root / "tmp") as con:
            return con.sql(f'SELECT * FROM ({self.live_sql()}) ORDER BY "order"').to_arrow_table()

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows in order, in batches of at most READ_ROWS; memory holds a few row groups."""
        names = _known(columns)
        schema = pa.schema([VERSION_SCHEMA.field(n) for n in names])
        with memory(self.root / "tmp") as con:
            places = con.sql(f'SELECT part, pos FROM ({self.live_sql()}) ORDER BY "order"').to_arrow_table()
        if places.num_rows != self.version.rows:
            raise IntegrityError(
                f"{self.version.ref} has {self.version.rows} rows in the catalog and {places.num_rows} in its index; "
                "run `recast verify`."
            )
        part_of = places.column("part").combine_chunks().dictionary_encode()
        position = places.column("pos").to_numpy()
        code, ids = part_of.indices.to_numpy(), part_of.dictionary.to_pylist()
        groups = _Groups(self.root, ids, names)
        for start in range(0, len(code), READ_ROWS):
            rows = slice(start, start + READ_ROWS)
            gathered = groups.gather(code[rows], position[rows])
            yield from (pa.RecordBatch.from_arrays(b.columns, schema=schema) for b in gathered.to_batches())

    def reader(self, columns: Sequence[str] | None = None) -> pa.RecordBatchReader:
        """The rows as an Arrow reader."""
        schema = pa.schema([VERSION_SCHEMA.field(n) for n in _known(columns)])
        return pa.RecordBatchReader.from_batches(schema, self.batches(columns))

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows as one Arrow table of VERSION_SCHEMA (`messages` and `meta` are JSON text)."""
        return self.reader(columns).read_all()

    def rows(self, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
        """The rows as dicts, `messages` and `meta` decoded."""
        for batch in self.batches(columns):
            for row in batch.to_pylist():
                yield decode_row(row)

    def relation(self, con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyRelation:
        """The rows as a relation of `con`, with column and filter push-down; order is not kept."""
        return con.sql(self.sql(con))

    def sql(self, con: duckdb.DuckDBPyConnection) -> str:
        """SQL of the rows, usable while `con` lives."""
        name = f"live_{self.version.id[:16]}"
        con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT part, pos FROM ({self.live_sql()})")
        found = con.execute(f"SELECT part, count(*) FROM {name} GROUP BY part ORDER BY part").fetchall()
        if not found:
            return f"SELECT {_typed_nulls()} WHERE false"
        whole, partial = [], []
        for part, rows in found:
            path = require(self.root, part)
            (whole if pq.ParquetFile(path).metadata.num_rows == rows else partial).append((part, path))
        columns = identifiers(VERSION_SCHEMA.names)
        pieces = []
        if whole:
            listed = ", ".join(literal(str(path)) for _, path in whole)
            pieces.append(f"SELECT {columns} FROM read_parquet([{listed}])")
        for part, path in partial:
            pieces.append(
                f"SELECT {columns} FROM read_parquet({literal(str(path))}, file_row_number = true) p "
                f"SEMI JOIN {name} l ON l.part = {literal(part)} AND l.pos = p.file_row_number"
            )
        return " UNION ALL ".join(pieces)

    def candidates(self) -> pa.Table:
        """Every candidate kept beside this version, chosen or not; empty where there was no rewriting."""
        tables = [pq.read_table(require(self.root, part)) for part in self.version.candidates_parts]
        return pa.concat_tables([CANDIDATE_SCHEMA.empty_table(), *tables])

    def dataset(self) -> datasets.Dataset:
        """A memory-mapped `datasets.Dataset`; `messages` is a list of {role, content}.

        The Arrow file behind it is made once for a version, in `cache/`. Members of a message other than
        its role and content (tool calls, names) appear as string columns of the same struct where a
        version has any.
        """
        import datasets

        path = self.root / "cache" / f"{self.version.id[:32]}.arrow"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_suffix(f".{uuid.uuid4().hex}")
            try:
                self._write_arrow(temporary)
                temporary.rename(path)
            finally:
                temporary.unlink(missing_ok=True)
        return datasets.Dataset.from_file(str(path))

    def _write_arrow(self, path: Path) -> None:
        members = ["role", "content"]
        while True:
            kind = pa.list_(pa.struct([pa.field(m, pa.string()) for m in members]))
            # nullable throughout: `datasets` would otherwise cast (and copy) the whole file on opening it
            schema = pa.schema(
                [pa.field(f.name, kind if f.name == "messages" else f.type) for f in VERSION_SCHEMA]
            )
            unknown: set[str] = set()
            with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, schema) as stream:
                if not self.version.rows:
                    stream.write_table(schema.empty_table().combine_chunks())
                for batch in self.batches():
                    decoded = [json.loads(text) for text in batch.column("messages").to_pylist()]
                    unknown |= {key for row in decoded for message in row for key in message} - set(members)
                    if unknown:
                        break
                    messages = pa.array([[_plain(m, members) for m in row] for row in decoded], kind)
                    columns = [messages if n == "messages" else batch.column(n) for n in schema.names]
                    stream.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
            if not unknown:
                return
            members += sorted(unknown)


def _plain(message: dict[str, Any], members: list[str]) -> dict[str, str | None]:
    out: dict[str, str | None] = {}
    for name in members:
        value = message.get(name)
        out[name] = (
            value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        )
    return out


def _known(columns: Sequence[str] | None) -> list[str]:
    names = list(columns) if columns is not None else VERSION_SCHEMA.names
    if unknown := [n for n in names if n not in VERSION_SCHEMA.names]:
        raise UsageError(f"a version has no column {unknown[0]!r}; it has {', '.join(VERSION_SCHEMA.names)}.")
    return names


def _typed_nulls() -> str:
    types = {pa.string(): "VARCHAR", pa.int32(): "INTEGER", pa.int64(): "BIGINT", pa.float32(): "FLOAT"}
    return ", ".join(f'NULL::{types[f.type]} AS "{f.name}"' for f in VERSION_SCHEMA)


class _Groups:
    """Row groups of several parts, decoded when first needed; the last few are kept."""

    def __init__(self, root: Path, parts: list[str], columns: list[str]) -> None:
        self.root, self.parts, self.columns = root, parts, columns
        self.files: dict[int, tuple[pq.ParquetFile, np.ndarray]] = {}
        self.cache: OrderedDict[tuple[int, int], pa.Table] = OrderedDict()

    def gather(self, code: np.ndarray, position: np.ndarray) -> pa.Table:
        """Rows at `position` of part `code`, in the given order."""
        group = np.empty(len(code), np.int64)
        for part in np.unique(code):
            _, starts = self._file(int(part))
            mine = code == part
            group[mine] = np.searchsorted(starts, position[mine], side="right") - 1
        key = code.astype(np.int64) << 32 | group
        pieces, where = [], []
        for value in np.unique(key):
            rows = np.flatnonzero(key == value)
            part, number = int(value >> 32), int(value & 0xFFFFFFFF)
            table = self._group(part, number)
            offset = position[rows] - self.files[part][1][number]
            contiguous = len(offset) == offset[-1] - offset[0] + 1 and bool((np.diff(offset) == 1).all())
            pieces.append(table.slice(offset[0], len(offset)) if contiguous else table.take(pa.array(offset)))
            where.append(rows)
        gathered = pa.concat_tables(pieces).combine_chunks()
        order = np.concatenate(where)
        if (np.diff(order) == 1).all():
            return gathered
        back = np.empty(len(order), np.int64)
        back[order] = np.arange(len(order))
        return gathered.take(pa.array(back))

    def _file(self, part: int) -> tuple[pq.ParquetFile, np.ndarray]:
        if part not in self.files:
            path = require(self.root, self.parts[part])
            try:
                file = pq.ParquetFile(path)
            except (pa.ArrowException, OSError) as error:
                raise damaged(self.parts[part], error) from error
            sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
            self.files[part] = file, np.concatenate([[0], np.cumsum(sizes)])[:-1]
        return self.files[part]

    def _group(self, part: int, number: int) -> pa.Table:
        key = part, number
        if key in self.cache:
            self.cache.move_to_end(key)
            return self.cache[key]
        try:
            table = self._file(part)[0].read_row_group(number, columns=self.columns).select(self.columns)
        except (pa.ArrowException, OSError) as error:
            raise damaged(self.parts[part], error) from error
        self.cache[key] = table
        while len(self.cache) > _CACHED_GROUPS:
            self.cache.popitem(last=False)
        return table


def damaged(part: str, error: Exception) -> IntegrityError:
    """The error for a part that cannot be read."""
    return IntegrityError(
        f"part {part} is damaged and cannot be read ({error}); `recast verify` names the versions and rows it holds. "
        "Restore the file from a copy of the store."
    )


def fetch(root: Path, part: pa.ChunkedArray, pos: pa.ChunkedArray, columns: Sequence[str]) -> pa.Table:
    """Rows at the given places, in that order; a null place gives a row of nulls."""
    schema = pa.schema([VERSION_SCHEMA.field(c).with_nullable(True) for c in columns])
    there = np.flatnonzero(pc.is_valid(part).to_numpy())
    if not len(there):
        return pa.table([pa.nulls(len(part), f.type) for f in schema], schema=schema)
    places = pa.table({"part": part, "pos": pos}).take(pa.array(there)).combine_chunks()
    ids = pc.unique(places.column("part")).to_pylist()
    held = sum(pq.ParquetFile(require(root, p)).metadata.num_rows for p in ids)
    found = (
        _scattered(root, places, ids, columns) if len(there) * 20 < held else _dense(root, places, columns)
    )
    slot = np.full(len(part), -1, np.int64)
    slot[there] = np.arange(len(there))
    return (
        found.take(pa.array(slot, mask=slot < 0)).cast(schema)
        if len(there) < len(part)
        else found.cast(schema)
    )


def _dense(root: Path, places: pa.Table, columns: Sequence[str]) -> pa.Table:
    coded = places.column("part").combine_chunks().dictionary_encode()
    groups = _Groups(root, coded.dictionary.to_pylist(), list(columns))
    return groups.gather(coded.indices.to_numpy(), places.column("pos").to_numpy())


def _scattered(root: Path, places: pa.Table, parts: list[str], columns: Sequence[str]) -> pa.Table:
    """DuckDB decodes only the pages' values that the join asks for."""
    wanted = ", ".join(f'p."{c}"' for c in columns)
    with memory(root / "tmp") as con:
        con.register("places", places.append_column("slot", pa.array(np.arange(places.num_rows))))
        pieces = [
            f"SELECT l.slot, {wanted} FROM read_parquet({literal(str(require(root, p)))}, file_row_number = true) p "
            f"JOIN (SELECT slot, pos FROM places WHERE part = {literal(p)}) l ON l.pos = p.file_row_number"
            for p in parts
        ]
        try:
            found = con.sql(" UNION ALL ".join(pieces)).to_arrow_table()
        except duckdb.Error as error:
            raise damaged(", ".join(parts), error) from error
    if found.num_rows != places.num_rows:
        raise damaged(
            ", ".join(parts), ValueError(f"{places.num_rows} rows asked for, {found.num_rows} found")
        )
    back = np.empty(found.num_rows, np.int64)
    back[found.column("slot").to_numpy()] = np.arange(found.num_rows)
    return found.drop_columns(["slot"]).take(pa.array(back))
