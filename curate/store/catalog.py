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
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from recast.curate.errors import IntegrityError, RecastError, UsageError
from recast.curate.store.locks import TimeoutHolder, turn

FORMAT = 1
DEADLINE_S = 60.0
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
"""

# DuckDB allows one configuration per file and process; threads of one process take turns here.
_turns: dict[Path, threading.RLock] = {}
_turns_guard = threading.Lock()

_CONFIG: dict[str, Any] = {
    "autoinstall_known_extensions": "false",  # would reach for the network
    "autoload_known_extensions": "false",
}


# what DuckDB raises over a file that it cannot read or write, as opposed to a wrong statement
_DAMAGE = (duckdb.IOException, duckdb.FatalException, duckdb.InternalException, duckdb.SerializationException)


class DiskFullError(RecastError):
    """There is no room for what was to be written."""


class LockedError(RecastError):
    """Another process holds the catalog beyond the deadline."""


_engines: dict[tuple[int, Path | None], duckdb.DuckDBPyConnection] = {}


def memory(temp: Path | None = None) -> duckdb.DuckDBPyConnection:
    """Return a private connection to an in-memory DuckDB that never reaches for the network.

    What does not fit its memory goes to `temp`. Connections share an engine (starting one costs more than
    a small commit does) but neither tables nor views; close them after use.
    """
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


class Catalog:
    """The catalog of one store."""

    def __init__(self, path: Path, deadline_s: float = DEADLINE_S) -> None:
        self.path = path
        self.deadline_s = deadline_s
        with _turns_guard:
            self._turn = _turns.setdefault(path.absolute(), threading.RLock())

    @contextmanager
    def reading(self) -> Generator[duckdb.DuckDBPyConnection]:
        """Open for a look-up. Raises UsageError where there is no store."""
        if not self.path.exists():
            raise UsageError(
                f"no store at {self.path.parent} (looked for {self.path.name}); import something first with "
                "`recast import FILE --as NAME`, or set RECAST_HOME to the folder of an existing store."
            )
        with self._turn, self._open(read_only=True) as con:
            yield con

    @contextmanager
    def writing(self) -> Generator[duckdb.DuckDBPyConnection]:
        """Open, begin, yield, commit; anything raised inside rolls back."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._turn, self._open(read_only=False) as con:
            con.execute("BEGIN")
            try:
                self._prepare(con)
                yield con
                con.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(duckdb.Error):  # a broken file rolls back by itself
                    con.execute("ROLLBACK")
                raise

    @contextmanager
    def _open(self, read_only: bool) -> Generator[duckdb.DuckDBPyConnection]:
        deadline = time.monotonic() + self.deadline_s
        with contextlib.ExitStack() as held:
            try:
                held.enter_context(turn(self.path, exclusive=not read_only, deadline=deadline))
            except TimeoutHolder as late:
                raise LockedError(self._held(f"process {late.holder}" if late.holder else "")) from None
            con = self._connect(read_only, deadline)
            try:
                yield con
            except _DAMAGE as error:
                if "No space left" in str(error):
                    raise DiskFullError(
                        f"the disk is full: {_first_line(error)}. Nothing was changed."
                    ) from error
                raise self._unreadable(error) from error
            finally:
                con.close()
                if not read_only:
                    self._note_size()

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
                if "lock" not in text.lower():
                    raise self._unreadable(error) from error
                if time.monotonic() > deadline:
                    holder = re.search(
                        r"held in (.*?)(?: by user \S+?)?[.\s]*(?:See|$)", text.replace("\n", " ")
                    )
                    raise LockedError(self._held(holder.group(1).strip() if holder else "")) from error
            time.sleep(_PAUSE_S * (0.5 + random.random()))

    def _unreadable(self, error: duckdb.Error) -> IntegrityError:
        return IntegrityError(
            f"the catalog {self.path} cannot be read: {_first_line(error)}. If it was cut short or overwritten, "
            "restore it from a copy; the parts beside it are untouched."
        )

    def _held(self, holder: str) -> str:
        who = holder or "another process"
        return (
            f"the catalog {self.path} was locked by {who} for longer than {self.deadline_s:.0f} s. Wait for that "
            "process or end it, then repeat the command; nothing was changed."
        )

    def _prepare(self, con: duckdb.DuckDBPyConnection) -> None:
        if not one(con, "SELECT 1 FROM information_schema.tables WHERE table_name = 'format'"):
            con.execute(_TABLES)
            con.execute("INSERT INTO format VALUES (?)", [FORMAT])
        found = one(con, "SELECT version FROM format")
        if found != (FORMAT,):
            raise IntegrityError(
                f"the store {self.path.parent} has format {found and found[0]}, this version of recast writes "
                f"{FORMAT}; use the version of recast that wrote it."
            )
