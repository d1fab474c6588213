"""Reading one version: Arrow, DuckDB, `datasets`, or plain dicts. Needs the parts, never the catalog."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recast.curate.errors import IntegrityError, UsageError
from recast.curate.files import whole, write_text
from recast.curate.fingerprint import canonical_json
from recast.curate.schema import CANDIDATE_SCHEMA, VERSION_SCHEMA, decode_row, identifiers, literal
from recast.curate.store import changes, turns
from recast.curate.store.catalog import memory
from recast.curate.store.gather import Gatherer
from recast.curate.store.parts import verified
from recast.curate.store.turns import DATASET_COLUMNS, TURNS, Format
from recast.curate.store.versions import Version

if TYPE_CHECKING:
    import datasets  # pyright: ignore[reportMissingTypeStubs]

READ_ROWS = 16_384


class Snapshot:
    """The rows of one version, in order."""

    def __init__(self, root: Path, version: Version, base: str, logs: Sequence[str]) -> None:
        """`base` and `logs` (oldest first) are part ids that together give the live rows."""
        self.root, self.version = root, version
        self._base, self._logs = base, list(logs)

    def __len__(self) -> int:
        return self.version.rows

    def __bool__(self) -> bool:
        return True  # an empty version is a version

    def live_sql(self) -> str:
        """SQL of the live rows: row_id, target, hash, score, part, pos, order."""
        base, logs = self.base_and_logs()
        return changes.live(base, logs)

    def base_and_logs(self) -> tuple[str, list[str]]:
        """SQL of the base and of the logs since, oldest first."""
        base, *logs = (changes.read(str(verified(self.root, p))) for p in (self._base, *self._logs))
        return base, logs

    def live(self) -> pa.Table:
        """The live rows as a table sorted by order."""
        with memory(self.root / "tmp") as con:
            return con.sql(f'SELECT * FROM ({self.live_sql()}) ORDER BY "order"').to_arrow_table()

    def places(self, con: duckdb.DuckDBPyConnection) -> tuple[list[str], Iterator[pa.RecordBatch]]:
        """The parts of the version, and where each row lies, in order.

        Batches of at most READ_ROWS rows have `part` (int32, into the parts) and `pos` (int64). `con`, a connection of
        `memory`, must stay open for them; what does not fit its memory goes to disk.
        """
        con.execute(
            f'CREATE OR REPLACE TEMP TABLE places AS SELECT part, pos, "order" FROM ({self.live_sql()})'
        )
        con.execute(
            "CREATE OR REPLACE TEMP TABLE parts AS SELECT part, count(*) AS num_rows, "
            "(row_number() OVER (ORDER BY part) - 1)::INTEGER AS code FROM places GROUP BY part"
        )
        found = con.execute("SELECT part, num_rows FROM parts ORDER BY code").fetchall()
        rows = sum(num_rows for _, num_rows in found)
        if rows != self.version.rows:
            raise IntegrityError(
                f"{self.version.ref} has {self.version.rows} rows in the catalog and {rows} in its index; "
                "run `recast verify`."
            )
        ordered = 'SELECT code AS part, pos FROM places JOIN parts USING (part) ORDER BY "order"'
        return [part for part, _ in found], con.sql(ordered).to_arrow_reader(READ_ROWS)

    def batches(
        self, columns: Sequence[str] | None = None, at_a_time: int = READ_ROWS
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows in order, in batches of at most `at_a_time`; memory holds a few row groups."""
        names = _known(columns)
        schema = pa.schema([VERSION_SCHEMA.field(n) for n in names])
        with memory(self.root / "tmp") as con:
            parts, places = self.places(con)
            gatherer = Gatherer(self.root, parts, names)
            for place in places:
                # not `to_numpy`: the first call of a process imports pandas, which takes longer than `recast show` may
                code, position = (np.from_dlpack(cast(Any, column)) for column in place.columns)
                for start in range(0, len(code), at_a_time):
                    rows = slice(start, start + at_a_time)
                    gathered = gatherer.gather(code[rows], position[rows])
                    yield from (
                        pa.RecordBatch.from_arrays(b.columns, schema=schema) for b in gathered.to_batches()
                    )

    def reader(self, columns: Sequence[str] | None = None) -> pa.RecordBatchReader:
        """The rows as an Arrow reader."""
        schema = pa.schema([VERSION_SCHEMA.field(n) for n in _known(columns)])
        return pa.RecordBatchReader.from_batches(schema, self.batches(columns))

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows as one Arrow table of VERSION_SCHEMA (`messages` and `meta` are JSON text)."""
        return self.reader(columns).read_all()

    def rows(
        self, columns: Sequence[str] | None = None, at_a_time: int = READ_ROWS
    ) -> Iterator[dict[str, Any]]:
        """The rows as dicts, `messages` and `meta` decoded."""
        for batch in self.batches(columns, at_a_time):
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
            return f"SELECT {_typed_nulls(VERSION_SCHEMA)} WHERE false"
        whole: list[tuple[str, Path]] = []
        partial: list[tuple[str, Path]] = []
        for part, rows in found:
            path = verified(self.root, part)  # DuckDB does not look at page checksums
            (whole if pq.ParquetFile(path).metadata.num_rows == rows else partial).append((part, path))
        columns = identifiers(VERSION_SCHEMA.names)
        pieces: list[str] = []
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
        tables = [pq.read_table(verified(self.root, part)) for part in self.version.candidates_parts]
        return pa.concat_tables([CANDIDATE_SCHEMA.empty_table(), *tables], promote_options="default")

    def dataset(self, format: Format = "rows") -> datasets.Dataset:
        """A memory-mapped `datasets.Dataset` of the rows, in order.

        `rows`: the columns of a version; `messages` is the prompt, a list of {role, content}. `messages`: the
        conversation with its completion as the last turn. `prompt_completion`: both as lists of turns, as TRL reads
        them. The latter two keep `answer`, `task` and `row_id` beside.

        The Arrow file behind it is made once for a version and format, in `cache/`. Members of a message other than
        its role and content (tool calls, names) appear as string columns of the same struct where a version has any.
        Its `info` names the version, and what `datasets` makes of it (`map`, `select`, `save_to_disk`) goes on to:
        `info.dataset_name` the data set, `info.config_name` the version's id, `info.description` its ref and message.
        Raises UsageError for another format.
        """
        import datasets  # pyright: ignore[reportMissingTypeStubs]

        turns.require(format)
        version = self.version
        of_format = "" if format == "rows" else f".{format}"
        path = self.root / "cache" / f"{version.id[:32]}{of_format}.arrow"
        info = datasets.DatasetInfo(
            dataset_name=version.name,
            config_name=version.id,
            description=f"{version.ref} ({version.id}): {version.message}",
        )
        checksum = path.with_name(f"{path.name}.xxh3")
        for _ in range(2):
            # an Arrow stream that was cut reads as a shorter one, and one with a flipped bit as another text
            if not path.exists() or not checksum.exists() or checksum.read_text() != _xxh3(path):
                with whole(path) as temporary:
                    self._write_arrow(temporary, format)
                write_text(checksum, _xxh3(path))
            with contextlib.suppress(pa.ArrowException, OSError):
                found = datasets.Dataset.from_file(str(path), info=info)
                if found.num_rows == version.rows:
                    return found
            path.unlink()
        raise IntegrityError(
            f"{path} cannot be read, though it was just written; look at the disk of {self.root}."
        )

    def _write_arrow(self, path: Path, format: Format) -> None:
        names = DATASET_COLUMNS[format]
        members = ["role", "content"]
        while True:
            kind = pa.list_(pa.struct([pa.field(m, pa.string()) for m in members]))
            # nullable throughout: `datasets` would otherwise cast (and copy) the whole file on opening it
            schema = pa.schema(
                [pa.field(n, kind if n in TURNS[format] else VERSION_SCHEMA.field(n).type) for n in names]
            )
            unknown: set[str] = set()
            with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, schema) as stream:
                if not self.version.rows:
                    stream.write_table(schema.empty_table().combine_chunks())
                for batch in self.batches(turns.columns(format)):
                    decoded = turns.prompts(batch)
                    unknown |= {key for row in decoded for message in row for key in message} - set(members)
                    if unknown:
                        break
                    made = turns.turns(format, decoded, batch.column("completion").to_pylist())
                    arrays = {
                        n: pa.array([[_plain(m, members) for m in row] for row in made[n]], kind)
                        for n in made
                    }
                    columns = [arrays[n] if n in arrays else batch.column(n) for n in names]
                    stream.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
            if not unknown:
                return
            members += sorted(unknown)


def _xxh3(path: Path) -> str:
    import xxhash  # ten times as fast as sha256: every byte is read each time a data set is opened

    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while data := file.read(1 << 20):
            digest.update(data)
    return digest.hexdigest()


def candidates_sql(root: Path, parts: Sequence[str]) -> str:
    """SQL of candidates in `parts`: all columns of CANDIDATE_SCHEMA, null where a part was written before there was
    the column."""
    pieces = [f"SELECT {_typed_nulls(CANDIDATE_SCHEMA)} WHERE false"]
    if parts:
        listed = ", ".join(literal(str(verified(root, part))) for part in parts)
        pieces.append(f"SELECT * FROM read_parquet([{listed}], union_by_name = true)")
    return " UNION ALL BY NAME ".join(pieces)


def _plain(message: dict[str, Any], members: list[str]) -> dict[str, str | None]:
    out: dict[str, str | None] = {}
    for name in members:
        value = message.get(name)
        out[name] = value if value is None or isinstance(value, str) else canonical_json(value)
    return out


def _known(columns: Sequence[str] | None) -> list[str]:
    names = list(columns) if columns is not None else VERSION_SCHEMA.names
    if unknown := [n for n in names if n not in VERSION_SCHEMA.names]:
        raise UsageError(f"a version has no column {unknown[0]!r}; it has {', '.join(VERSION_SCHEMA.names)}.")
    return names


def _typed_nulls(schema: pa.Schema) -> str:
    types = {
        pa.string(): "VARCHAR", pa.int32(): "INTEGER", pa.int64(): "BIGINT", pa.float32(): "FLOAT",
        pa.bool_(): "BOOLEAN",
    }  # fmt: skip
    return ", ".join(f'NULL::{types[f.type]} AS "{f.name}"' for f in schema)
