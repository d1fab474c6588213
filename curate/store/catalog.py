"""The DuckDB catalog: opened for the length of one transaction or look-up, then closed.

DuckDB lets one process write and an open reader blocks it, so nobody keeps the file open. Processes queue for
it (`locks`) until a deadline and then name the holder. Only small facts live here
(versions, refs, parts); rows, change logs and indexes are Parquet parts, which readers open without it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Generator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from recast.curate.errors import IntegrityError, RecastError, UsageError
from recast.curate.files import whole as whole_file
from recast.curate.store import manifests
from recast.curate.store.locks import TimeoutHolder, turn
from recast.curate.store.manifests import Manifest, Row

FORMAT = 1
DEADLINE_S = 60.0
GRACE_S = 3600.0
"""A commit in progress writes its parts before any version names them: younger ones may be its own."""
_PAUSE_S = 0.05
MEMORY_LIMIT = "1536MB"
HEADER_BYTES = 3 * 4096
"""Of a DuckDB file: its main header and the two that checkpoints write in turn."""

_TABLES = """
CREATE TABLE IF NOT EXISTS format (version INTEGER);
CREATE TABLE IF NOT EXISTS versions (
    id VARCHAR PRIMARY KEY, name VARCHAR NOT NULL, number INTEGER NOT NULL, branch VARCHAR NOT NULL,
    parents VARCHAR[] NOT NULL, created_at TIMESTAMPTZ NOT NULL, author VARCHAR, message VARCHAR,
    run_id VARCHAR, meta VARCHAR, rows BIGINT, added BIGINT, changed BIGINT, removed BIGINT, rescored BIGINT,
    log VARCHAR NOT NULL, base VARCHAR, candidates VARCHAR[], pending BIGINT, depth INTEGER, next_order BIGINT,
    UNIQUE (name, number));
CREATE TABLE IF NOT EXISTS heads (name VARCHAR, branch VARCHAR, version VARCHAR, PRIMARY KEY (name, branch));
CREATE TABLE IF NOT EXISTS tags (name VARCHAR, tag VARCHAR, version VARCHAR, PRIMARY KEY (name, tag));
CREATE TABLE IF NOT EXISTS parts (id VARCHAR PRIMARY KEY, kind VARCHAR, rows BIGINT, bytes BIGINT);
CREATE TABLE IF NOT EXISTS consumed_by (version VARCHAR, model VARCHAR, pinned_at TIMESTAMPTZ, author VARCHAR,
    PRIMARY KEY (version, model));
CREATE TABLE IF NOT EXISTS live (version VARCHAR, part VARCHAR, rows BIGINT);
CREATE TABLE IF NOT EXISTS taggings (
    name VARCHAR, tag VARCHAR, version VARCHAR, tagged_at TIMESTAMPTZ, author VARCHAR, note VARCHAR);
CREATE TABLE IF NOT EXISTS manifest (number BIGINT NOT NULL, hash VARCHAR NOT NULL);
"""
_INDEXED = (
    "SELECT DISTINCT table_name FROM duckdb_constraints() WHERE constraint_type IN ('PRIMARY KEY', 'UNIQUE')"
)
REBUILD = "Run `recast rebuild`, which makes the catalog from the manifests and parts; nothing was changed."

# DuckDB allows one configuration per file and process; threads of one process take turns here.
_turns: dict[Path, threading.RLock] = {}
_turns_guard = threading.Lock()

_CONFIG: dict[str, Any] = {
    "autoinstall_known_extensions": "false",  # would reach for the network
    "autoload_known_extensions": "false",
}


# what DuckDB raises over a file that it cannot read or write, as opposed to a wrong statement
_DAMAGE = (duckdb.IOException, duckdb.FatalException, duckdb.InternalException, duckdb.SerializationException)
_CORRUPT = "Corrupt database file"  # of no class of its own


class DiskFullError(RecastError):
    """There is no room for what was to be written."""


class LockedError(RecastError):
    """Another process holds the catalog beyond the deadline."""


_engines: dict[tuple[int, Path | None], duckdb.DuckDBPyConnection] = {}


@contextmanager
def memory(temp: Path | None = None) -> Generator[duckdb.DuckDBPyConnection]:
    """A private connection to an in-memory DuckDB that never reaches for the network, closed afterwards.

    What does not fit its memory goes to `temp`. Connections share an engine (starting one costs more than
    a small commit does) but neither tables nor views. Raises IntegrityError for a part that was damaged after it was
    tested.
    """
    con = _cursor(temp)
    try:
        yield con
    except duckdb.Error as error:
        if (
            isinstance(error, _DAMAGE) or type(error) is duckdb.Error
        ):  # Thrift's come without a class of their own
            raise IntegrityError(
                f"a part cannot be read: {_first_line(error)}. `recast verify` names it; restore the file from a copy."
            ) from error
        raise
    finally:
        con.close()


def _cursor(temp: Path | None) -> duckdb.DuckDBPyConnection:
    with _turns_guard:
        key = os.getpid(), temp  # the threads of an engine do not survive a fork
        if key not in _engines:
            config = {**_CONFIG, "memory_limit": MEMORY_LIMIT, "preserve_insertion_order": "true"}
            if temp is not None:
                config["temp_directory"] = str(temp)
            _engines[key] = duckdb.connect(":memory:", config=config)
        return _engines[key].cursor()


def one(con: duckdb.DuckDBPyConnection, sql: str, params: list[Any] | None = None) -> tuple[Any, ...] | None:
    """The first row of a result, or None. (`fetchone` would leave the connection busy until drained.)"""
    rows = con.execute(sql, params or []).fetchall()
    return rows[0] if rows else None


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:300]


@dataclass(frozen=True, slots=True)
class Change:
    """A transaction of the catalog, and what its manifest will say of it."""

    con: duckdb.DuckDBPyConnection
    rows: dict[str, list[Row]] = field(default_factory=dict[str, list[Row]])

    def put(self, table: str, *rows: Row) -> None:
        """Insert rows, which replace others of the same key (but versions, which never change); all of one shape."""
        self.note(table, *rows)
        if rows:
            _insert(self.con, table, rows)

    def note(self, table: str, *rows: Row) -> None:
        """Say what the caller put into the catalog by SQL."""
        if rows:
            self.rows.setdefault(table, []).extend(rows)


def _insert(con: duckdb.DuckDBPyConnection, table: str, rows: Sequence[Row]) -> None:
    replacing = table != "versions" and bool(manifests.KEYS[table])
    columns = list(rows[0])
    con.executemany(
        f"INSERT {'OR REPLACE ' if replacing else ''}INTO {table} ({', '.join(columns)}) "
        f"VALUES ({', '.join('?' * len(columns))})",
        [[row[c] for c in columns] for row in rows],
    )


def tables(con: duckdb.DuckDBPyConnection) -> dict[str, list[Row]]:
    """All that a catalog holds, as `manifests.replay` has it: parents before children, times as ISO text in UTC."""
    there = _names(con)
    found: dict[str, list[Row]] = {}
    for table in manifests.KEYS:
        if table not in there:  # stores made before taggings were kept
            found[table] = []
            continue
        about = con.execute(f"SELECT * FROM {table} LIMIT 0").description or []
        times = [name for name, kind, *_ in about if str(kind).startswith("TIMESTAMP")]
        columns = ", ".join(f"{name}::VARCHAR AS {name}" if name in times else name for name, *_ in about)
        order = "number" if table == "versions" else "ALL"
        rows = con.execute(f"SELECT {columns} FROM {table} ORDER BY {order}").fetchall()
        found[table] = [dict(zip((name for name, *_ in about), row, strict=True)) for row in rows]
        for row in found[table]:
            for name in times:
                if row[name] is not None:
                    row[name] = datetime.fromisoformat(row[name]).astimezone(UTC).isoformat()
    found["versions"] = _parents_first(found["versions"])
    return found


def _parents_first(versions: list[Row]) -> list[Row]:
    """Numbers grow from parent to child within a data set only; a parent may be of another."""
    by_id = {row["id"]: row for row in versions}
    found: dict[str, Row] = {}
    for row in versions:
        line: list[Row] = []
        at = row
        while at["id"] not in found:
            line.append(at)
            if not at["parents"] or at["parents"][0] not in by_id:
                break
            at = by_id[at["parents"][0]]
        found.update((each["id"], each) for each in reversed(line))
    return list(found.values())


def _names(con: duckdb.DuckDBPyConnection) -> set[str]:
    # `information_schema` says the same and costs a look-up twenty times as much
    return {n for (n,) in con.execute("SELECT table_name FROM duckdb_tables()").fetchall()}


def _has(con: duckdb.DuckDBPyConnection, table: str) -> bool:
    """Whether there is such a table: where there is, for a tenth of what all names cost."""
    try:
        con.execute(f'SELECT 1 FROM "{table}" LIMIT 0')
    except duckdb.CatalogException:
        return False
    return True


class Catalog:
    """The catalog of one store."""

    def __init__(self, path: Path, deadline_s: float = DEADLINE_S) -> None:
        self.path = path
        self.root = path.parent
        self.deadline_s = deadline_s
        with _turns_guard:
            self._turn = _turns.setdefault(path.absolute(), threading.RLock())

    def exists(self) -> bool:
        """Whether there is a store. Raises IntegrityError where there are parts, or manifests, and no catalog."""
        if self.path.exists():
            return True
        known = manifests.numbers(self.root)
        orphaned = not known and next((self.root / "parts").glob("*/*.parquet"), None) is not None
        if self.path.exists() or not (orphaned or any(known)):  # another process may have made it just now
            return self.path.exists()
        if orphaned:
            raise IntegrityError(
                f"{self.root / 'parts'} holds parts and there is neither a catalog ({self.path.name}) nor a manifest "
                "that knows them. Restore the catalog from a copy. If a first import was killed here and nothing else "
                f"was ever stored, remove {self.root / 'parts'}. Nothing was changed."
            )
        raise IntegrityError(f"the catalog {self.path} is lost, the parts beside it are there. {REBUILD}")

    def begin(self) -> None:
        """Mark a new store before its first part is written.

        Raises IntegrityError where the catalog is lost, or may be an older copy (`all_known`).
        """
        if not self.exists():
            if not manifests.path(self.root, 0).exists():
                manifests.begin(self.root)
        elif not any(manifests.numbers(self.root)):
            with (
                contextlib.suppress(UsageError),
                self.reading() as con,
            ):  # a first writer may have been killed
                self.all_known(con)

    def all_known(self, con: duckdb.DuckDBPyConnection, grace_s: float = GRACE_S) -> None:
        """Raise IntegrityError where no manifest tells whether a catalog is an older copy, and it lacks parts."""
        if any(manifests.numbers(self.root)):
            return
        known = {part for (part,) in con.execute("SELECT id FROM parts").fetchall()}
        limit = time.time() - grace_s
        files = (self.root / "parts").glob("*/*.parquet")
        if unknown := [file for file in files if file.stem not in known and file.stat().st_mtime <= limit]:
            raise IntegrityError(
                f"{len(unknown)} parts, such as {unknown[0].name}, are not in {self.path}. A commit that was "
                "killed leaves such, and so does an older copy of the catalog, which a store made before there were "
                "manifests cannot tell. Look at `recast log`: where the newest version is there, run `recast rebuild`, "
                "which writes manifests; else restore the newer catalog. Nothing was changed."
            )

    @contextmanager
    def reading(self) -> Generator[duckdb.DuckDBPyConnection]:
        """Open for a look-up. Raises UsageError where there is no store, IntegrityError for an older catalog."""
        if not self.exists():
            raise self._nothing()
        with self._turn, self._open(read_only=True) as con:
            there = {table for table in ("manifest", "versions") if _has(con, table)}
            self._current(con, there)
            if "versions" not in there:  # the first writer was killed
                raise self._nothing()
            yield con

    @contextmanager
    def writing(self) -> Generator[Change]:
        """Open, begin, yield, commit; anything raised inside rolls back.

        Raises IntegrityError for a catalog that is lost or older than its manifests.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        self.exists()
        with self._turn, self._open(read_only=False) as con:
            con.execute("BEGIN")
            try:
                number, before = self._current(con, _names(con))
                self._prepare(con)
                change = Change(con)
                yield change
                # without the one before, a change would stand on nothing
                whole = not number or manifests.said(manifests.path(self.root, number)) != before
                last, hash_ = None, ""
                if change.rows or whole:
                    last = Manifest(number + 1, before, rows=change.rows)
                    if whole:
                        last = manifests.whole(number + 1, tables(con), before)
                    hash_ = manifests.announce(self.root, last)
                    con.execute("DELETE FROM manifest")
                    con.execute("INSERT INTO manifest VALUES (?, ?)", [last.number, hash_])
                con.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(duckdb.Error):  # a broken file rolls back by itself
                    con.execute("ROLLBACK")
                raise
            if last is not None:
                manifests.settle(self.root, last.number, hash_)

    @contextmanager
    def alone(self, *, exclusive: bool = True) -> Generator[None]:
        """Keep writers out, and readers too if `exclusive`, without opening the file."""
        with self._turn, contextlib.ExitStack() as held:
            self._queue(held, exclusive=exclusive, deadline=time.monotonic() + self.deadline_s)
            yield

    @contextmanager
    def peeking(self) -> Generator[duckdb.DuckDBPyConnection]:
        """Open for a look-up while `alone`."""
        con = self._connect(True, time.monotonic() + self.deadline_s)
        try:
            self._current(con, _names(con))
            yield con
        finally:
            con.close()

    def broken_index(self) -> str:
        """What is wrong with the indexes, whose pages reading every row does not touch; empty where nothing is.

        A new key beside every old one is put into a copy of the file, so call it while the file is open for reading.
        """
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / self.path.name
            for end in ("", ".wal"):
                if self._beside(end).exists():
                    shutil.copyfile(self._beside(end), copy.with_name(copy.name + end))
            try:
                with duckdb.connect(str(copy), config=dict(_CONFIG)) as con:
                    for (table,) in con.execute(_INDEXED).fetchall():
                        con.execute("BEGIN")
                        key = manifests.KEYS[table][-1]
                        other = f"{key} || '~' AS {key}" + (
                            ", -number AS number" if table == "versions" else ""
                        )
                        con.execute(f"INSERT INTO {table} SELECT * REPLACE ({other}) FROM {table}")
                        con.execute("ROLLBACK")
            except duckdb.Error as wrong:
                return _first_line(wrong)
        return ""

    def remake(self, rows: Mapping[str, list[Row]], newest: Manifest, *, keep: bool) -> Path | None:
        """Put a catalog with these rows in the place of the file, while `alone`.

        With `keep` the old one, where there is one, goes aside; returns where.
        """
        import pyarrow as pa

        hash_ = manifests.hash_of(newest.text)
        aside = self.path.with_name("catalog.before-rebuild.duckdb")
        kept = [
            (p, aside.with_name(aside.name + end))
            for end in ("", ".wal")
            if keep and (p := self._beside(end)).exists()
        ]
        with whole_file(self.path) as fresh:
            con = duckdb.connect(str(fresh), config=dict(_CONFIG))
            try:
                con.execute("BEGIN")
                self._prepare(con)
                for table, held in rows.items():
                    if held:
                        con.register("held", pa.Table.from_pylist(held))
                        con.execute(f"INSERT INTO {table} BY NAME SELECT * FROM held")
                        con.unregister("held")
                con.execute("INSERT INTO manifest VALUES (?, ?)", [newest.number, hash_])
                con.execute("COMMIT")
            finally:
                con.close()
            for old, new in kept:
                shutil.copyfile(old, new)
            self._beside(".wal").unlink(missing_ok=True)  # it belongs to the old file
        manifests.settle(self.root, newest.number, hash_)
        self._note_size()
        return aside if kept else None

    def _beside(self, end: str) -> Path:
        return self.path.with_name(self.path.name + end)

    def _nothing(self) -> UsageError:
        return UsageError(
            f"no store at {self.root} (looked for {self.path.name}); import something first with "
            "`recast import FILE --as NAME`, or set RECAST_HOME to the folder of an existing store."
        )

    def newest(self, con: duckdb.DuckDBPyConnection) -> tuple[int, str] | None:
        """Number and hash of the newest manifest that an open catalog knows; None in one made before they were kept."""
        return one(con, "SELECT number, hash FROM manifest") if "manifest" in _names(con) else None

    def _current(self, con: duckdb.DuckDBPyConnection, there: Set[str]) -> tuple[int, str]:
        """Number and hash of the newest manifest that the catalog knows, 0 where it knows none.

        Raises IntegrityError where there are newer ones, or that number is another's.
        """
        number, hash_ = (one(con, "SELECT number, hash FROM manifest") if "manifest" in there else None) or (
            0,
            "",
        )
        manifests.settle(self.root, number, hash_)
        # not only the next one: it may have been lost, and a whole one written after it
        if manifests.newest(self.root) > number:
            raise IntegrityError(
                f"the catalog {self.path} is an older copy: it knows {number} transactions, and there is a manifest "
                f"of a later one in {self.root / 'manifests'}. {REBUILD}"
            )
        file = manifests.path(self.root, number)
        if number and manifests.said(file) not in ("", hash_) and manifests.load(file) is not None:
            raise IntegrityError(
                f"the catalog {self.path} is not the one that belongs to {self.root / 'manifests'}: transaction "
                f"{number} is another in {file.name}. {REBUILD}"
            )
        return number, hash_

    @contextmanager
    def _open(self, read_only: bool) -> Generator[duckdb.DuckDBPyConnection]:
        deadline = time.monotonic() + self.deadline_s
        with contextlib.ExitStack() as held:
            self._queue(held, exclusive=not read_only, deadline=deadline)
            con = self._connect(read_only, deadline)
            try:
                yield con
            except duckdb.Error as error:
                if not isinstance(error, _DAMAGE) and not str(error).startswith(_CORRUPT):
                    raise
                if "No space left" in str(error):
                    raise DiskFullError(
                        f"the disk is full: {_first_line(error)}. Nothing was changed."
                    ) from error
                raise self._unreadable(error) from error
            finally:
                con.close()
                if not read_only:
                    self._note_size()

    def _queue(self, held: contextlib.ExitStack, *, exclusive: bool, deadline: float) -> None:
        try:
            held.enter_context(turn(self.path, exclusive=exclusive, deadline=deadline))
        except TimeoutHolder as late:
            raise LockedError(self._held(f"process {late.holder}" if late.holder else "")) from None

    def missing_bytes(self) -> int:
        """How much shorter the file is than its last writer left it.

        DuckDB itself ends the file after the last block in use and counts more of them, so that only whoever wrote
        last knows its size. A note that is of another state of the file, since a writer was killed, says nothing.
        """
        try:
            state, size = self._size_note.read_text(encoding="ascii").split()
            return max(0, int(size) - self.path.stat().st_size) if state == self._state() else 0
        except (OSError, ValueError):
            return 0

    @property
    def _size_note(self) -> Path:
        return self.path.with_suffix(".size")

    def _state(self) -> str:
        """The headers of the file, which every checkpoint changes."""
        with self.path.open("rb") as file:
            return hashlib.sha256(file.read(HEADER_BYTES)).hexdigest()

    def _note_size(self) -> None:
        with contextlib.suppress(OSError):  # a note that cannot be written is no reason to fail a commit
            fresh = self._size_note.with_suffix(".size.tmp")
            fresh.write_text(f"{self._state()} {self.path.stat().st_size}\n", encoding="ascii")
            fresh.replace(self._size_note)

    def _connect(self, read_only: bool, deadline: float) -> duckdb.DuckDBPyConnection:
        """Open the file; a program that does not queue as we do may hold it, so try until the deadline."""
        while True:
            try:
                return duckdb.connect(str(self.path), read_only=read_only, config=dict(_CONFIG))
            except duckdb.Error as error:
                text = str(error)
                if not re.search(r"\block\b", text, re.IGNORECASE):  # a damaged "block" is no lock
                    raise self._unreadable(error) from error
                if time.monotonic() > deadline:
                    holder = re.search(
                        r"held in (.*?)(?: by user \S+?)?[.\s]*(?:See|$)", text.replace("\n", " ")
                    )
                    raise LockedError(self._held(holder.group(1).strip() if holder else "")) from error
            time.sleep(_PAUSE_S * (0.5 + random.random()))

    def _unreadable(self, error: duckdb.Error) -> IntegrityError:
        return IntegrityError(
            f"the catalog {self.path} cannot be read: {_first_line(error)}. If it was cut short or overwritten: the "
            "parts beside it are untouched, and `recast rebuild` makes the catalog from them and their manifests."
        )

    def _held(self, holder: str) -> str:
        who = holder or "another process"
        return (
            f"the catalog {self.path} was locked by {who} for longer than {self.deadline_s:.0f} s. Wait for that "
            "process or end it, then repeat the command; nothing was changed."
        )

    def _prepare(self, con: duckdb.DuckDBPyConnection) -> None:
        there = _names(con)
        if "manifest" not in there:  # a new store, or one made before there were manifests
            con.execute(_TABLES)
        if "format" not in there:
            con.execute("INSERT INTO format VALUES (?)", [FORMAT])
        found = one(con, "SELECT version FROM format")
        if found != (FORMAT,):
            raise IntegrityError(
                f"the store {self.path.parent} has format {found and found[0]}, this version of recast writes "
                f"{FORMAT}; use the version of recast that wrote it."
            )
