"""Keeping a store: removing what nothing needs, and proving that what is needed is whole."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from recast.curate.errors import IntegrityError, RecastError, UsageError
from recast.curate.schema import HASH_SQL, literal
from recast.curate.store import changes, manifests, versions
from recast.curate.store.catalog import GRACE_S, memory, one, tables
from recast.curate.store.parts import flaw, part_path
from recast.curate.store.store import Store
from recast.curate.store.versions import Version


@dataclass(frozen=True, slots=True)
class Swept:
    """What `gc` removed (or would remove)."""

    files: tuple[Path, ...]
    bytes: int
    kept: int  # orphans younger than the grace period
    dry_run: bool

    def to_json(self) -> dict[str, Any]:
        return {
            "files": [str(f) for f in self.files], "bytes": self.bytes, "kept": self.kept, "dry_run": self.dry_run,
        }  # fmt: skip


def gc(store: Store, *, grace_s: float = GRACE_S, dry_run: bool = False) -> Swept:
    """Remove parts that no version names, unfinished files, and cached reads that no version has.

    Holds the catalog, so that no commit can name a part while it goes. Versions are never removed. Raises
    IntegrityError, and removes nothing, where the catalog is lost or older than the manifests beside it.
    """
    if not store.catalog.exists():
        raise UsageError(f"no store at {store.root}.")
    limit = time.time() - grace_s
    with store.catalog.writing() as change:
        con = change.con
        needed = {p for (p,) in con.execute(_NEEDED).fetchall()}
        ids = {i for (i,) in con.execute("SELECT id FROM versions").fetchall()}
        gone: list[Path] = []
        size = kept = 0
        for file in _files(store.root):
            if _wanted(file, needed, ids):
                continue
            try:
                facts = file.stat()
            except FileNotFoundError:
                continue
            if facts.st_mtime > limit:
                kept += 1
                continue
            gone.append(file)
            size += facts.st_size
        if any(file.suffix == ".parquet" for file in gone):
            store.catalog.all_known(con, grace_s)
        for file in gone if not dry_run else ():
            file.unlink(missing_ok=True)
    return Swept(tuple(gone), size, kept, dry_run)


# every part that reading some version needs: its live rows, its logs, its base, its candidates
_NEEDED = (
    "SELECT part FROM live UNION SELECT log FROM versions UNION SELECT base FROM versions WHERE base IS NOT NULL "
    "UNION SELECT unnest(candidates) FROM versions"
)


def _files(root: Path) -> Iterator[Path]:
    for folder in ("parts", "tmp", "cache"):
        if (root / folder).is_dir():
            yield from sorted(f for f in (root / folder).rglob("*") if f.is_file())
    yield from sorted((root / "manifests").glob(".*.tmp"))  # of killed writers; manifests themselves stay


def _wanted(file: Path, needed: set[str], versions_: set[str]) -> bool:
    if file.suffix == ".parquet" and file.parent.parent.name == "parts":
        return file.stem in needed
    cached = file.parent.name == "cache" and file.name.removesuffix(".xxh3").endswith(".arrow")
    return cached and file.name.partition(".")[0] in versions_


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it should be, and whom it touches."""

    what: str
    versions: tuple[str, ...] = ()
    rows: int = 0  # rows of those versions that are affected, each counted once
    examples: tuple[str, ...] = ()  # a few of their ids

    def __str__(self) -> str:
        touched = f"; touches {', '.join(self.versions)}" if self.versions else ""
        rows = f" ({self.rows} rows, such as {', '.join(self.examples)})" if self.rows else ""
        return f"{self.what}{touched}{rows}"


@dataclass(slots=True)
class Verified:
    """What `verify` looked at and found."""

    versions: int = 0
    parts: int = 0
    bytes: int = 0
    manifests: int = 0
    rows_hashed: int = 0
    problems: list[Problem] = field(default_factory=list[Problem])

    @property
    def ok(self) -> bool:
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        return {
            "ok": self.ok, "versions": self.versions, "parts": self.parts, "bytes": self.bytes,
            "manifests": self.manifests, "rows_hashed": self.rows_hashed,
            "problems": [
                {"what": p.what, "versions": list(p.versions), "rows": p.rows, "examples": list(p.examples)}
                for p in self.problems
            ],
        }  # fmt: skip


def verify(store: Store, *, deep: bool = False) -> Verified:
    """Hash every part again and check the catalog against itself; with `deep`, hash every row again too.

    Never raises for damage: what is damaged is named in `problems`, with the versions and rows it touches.
    """
    found = Verified()
    if missing := store.catalog.missing_bytes():
        name = store.catalog.path.name
        found.problems.append(Problem(f"the catalog {name} was cut short: its last {missing} bytes are gone"))
    try:
        with store.catalog.reading() as con:
            line = versions.select(con, "true")
            _check_catalog(con, line, found)
            _check_manifests(store, con, found)
            if wrong := store.catalog.broken_index():
                what = f"the catalog {store.catalog.path.name} has a damaged index ({wrong}); run `recast rebuild`"
                found.problems.append(Problem(what))
            facts = con.execute("SELECT id, kind, rows, bytes FROM parts ORDER BY id").fetchall()
            needed = {p for (p,) in con.execute(_NEEDED).fetchall()}
            holders = _holders(line, con.execute("SELECT version, part FROM live").fetchall())
    except (duckdb.Error, IntegrityError) as broken:
        found.problems.append(
            Problem(f"the catalog {store.catalog.path.name} cannot be read: {_short(broken)}")
        )
        found.problems += [Problem(flaw) for flaw in manifests.read(store.root).flaws]
        return found
    found.versions = len(line)
    whole: set[str] = set()
    unlisted = needed - {part for part, *_ in facts}
    for part in sorted(unlisted):
        found.problems.append(
            Problem(f"part {part} is needed but not listed in the catalog", _held(holders, part))
        )
    for part, kind, rows, size in facts:
        if part not in needed:
            continue
        if wrong := _check_part(part_path(store.root, part), part, rows, size):
            touched, examples = _touched(store, line, part) if kind == "rows" else (0, ())
            found.problems.append(
                Problem(f"part {part} ({kind}) {wrong}", _held(holders, part), touched, examples)
            )
        else:
            whole.add(part)
        found.parts += 1
        found.bytes += size
    for version in line:
        _check_version(store, version, whole, found, deep)
    if deep:
        logs = [v.log for v in line if v.log in whole]
        _check_rows(store, logs, [p for p, kind, *_ in facts if kind == "rows" and p in whole], found)
    return found


def _holders(line: list[Version], live: list[tuple[str, str]]) -> dict[str, list[str]]:
    """Refs of the versions that cannot be read whole without a part, by part."""
    by_id = {v.id: v for v in line}
    needs: dict[str, set[str]] = {v.id: set(v.candidates_parts) for v in line}
    for id_, part in live:
        needs.setdefault(id_, set()).add(part)
    for version in line:
        at: Version | None = version
        while at is not None and at.base is None:  # logs down to the nearest base
            needs[version.id].add(at.log)
            at = by_id.get(at.parents[0]) if at.parents else None
        needs[version.id] |= {version.log, at.base} if at is not None and at.base else {version.log}
    holders: dict[str, list[str]] = {}
    for version in line:
        for part in needs[version.id]:
            holders.setdefault(part, []).append(version.ref)
    return holders


def _held(holders: dict[str, list[str]], part: str) -> tuple[str, ...]:
    return tuple(holders.get(part, ()))


def _check_catalog(con: duckdb.DuckDBPyConnection, line: list[Version], found: Verified) -> None:
    """Ids, parents, counts and refs."""
    by_id = {v.id: v for v in line}
    for version in line:
        if versions.identity(version.facts) != version.id:
            what = f"the catalog's facts of {version.ref} do not give its id"
            found.problems.append(Problem(what, (version.ref,)))
        if lost := [p for p in version.parents if p not in by_id]:
            found.problems.append(
                Problem(f"{version.ref} has a parent {lost[0]} that does not exist", (version.ref,))
            )
            continue
        before = by_id[version.parents[0]].rows if version.parents else 0
        (live,) = one(con, "SELECT coalesce(sum(rows), 0) FROM live WHERE version = ?", [version.id]) or (0,)
        if before + version.added != version.rows + version.removed or live != version.rows:
            found.problems.append(
                Problem(
                    f"{version.ref} breaks the conservation law: {before} + {version.added} added against "
                    f"{version.rows} + {version.removed} removed, {live} live in its parts",
                    (version.ref,),
                )
            )
        if (
            versions.resolve(con, version.ref).id != version.id
        ):  # by an index, which reading all does not touch
            found.problems.append(Problem(f"{version.ref} names another version", (version.ref,)))
    for table in ("heads", "tags"):
        for name, label, id_ in con.execute(f"SELECT * FROM {table}").fetchall():
            if id_ not in by_id:
                found.problems.append(
                    Problem(f"{table[:-1]} {name}/{label} names a version that does not exist")
                )


def _check_manifests(store: Store, con: duckdb.DuckDBPyConnection, found: Verified) -> None:
    """The manifests are those that the catalog's transactions wrote, and would give the same catalog again."""
    newest = store.catalog.newest(con)
    if newest is None:  # a store made before there were manifests: the next write adds them
        return
    read = manifests.read(store.root, newest)
    again = "`recast rebuild` writes them anew from the catalog"
    found.problems += [Problem(f"{flaw}; {again}") for flaw in read.flaws]
    found.manifests = len(read.line)
    if not read.flaws and (other := manifests.same(tables(con), manifests.replay(read.line))):
        found.problems.append(Problem(f"the catalog's {', '.join(other)} are not what the manifests give"))


def _check_part(path: Path, part: str, rows: int, size: int) -> str:
    """What is wrong with a part's file; empty where nothing is."""
    if not path.exists():
        return "is missing"
    if path.stat().st_size != size:
        return f"has {path.stat().st_size} bytes, {size} were written"
    if wrong := flaw(path, part):
        return f"is damaged: {wrong}"
    if pq.read_metadata(path).num_rows != rows:
        return f"does not hold the {rows} rows that were written"
    return ""


def _check_version(store: Store, version: Version, whole: set[str], found: Verified, deep: bool) -> None:
    """The log says what the catalog counts, and (deep) the live rows are as many as the version has."""
    if version.log not in whole:
        return
    with memory() as con:
        log = changes.read(str(part_path(store.root, version.log)))
        counts = changes.counts(con, log)
        said = {
            "add": version.added, "change": version.changed, "remove": version.removed, "rescore": version.rescored,
        }  # fmt: skip
        if counts != said:
            found.problems.append(
                Problem(
                    f"the change log of {version.ref} holds {counts}, the catalog says {said}", (version.ref,)
                )
            )
        if not deep:
            return
        try:
            live = store.open(version).live_sql()
            rows, keys = one(con, f"SELECT count(*), count(DISTINCT (row_id, target)) FROM ({live})") or (
                0,
                0,
            )
        except RecastError:
            return  # a part that its index needs is damaged, and named already
        if rows != version.rows or keys != version.rows:
            found.problems.append(
                Problem(
                    f"{version.ref} has {version.rows} rows, its index gives {rows} with {keys} keys",
                    (version.ref,),
                )
            )


def _check_rows(store: Store, logs: list[str], parts: list[str], found: Verified) -> None:
    """Hash the rows of every whole part and compare with what the whole logs recorded of them."""
    if not logs:
        return
    with memory(store.root / "tmp") as con:
        listed = ", ".join(literal(str(part_path(store.root, log))) for log in logs)
        con.execute(
            "CREATE TEMP TABLE recorded AS SELECT DISTINCT part_after AS part, pos_after AS pos, hash_after AS hash, "
            f"row_id FROM read_parquet([{listed}]) WHERE part_after IS NOT NULL ORDER BY part"
        )
        for part in parts:
            path = literal(str(part_path(store.root, part)))
            recorded = f"SELECT * FROM recorded WHERE part = {literal(part)}"
            wrong = con.execute(
                f"SELECT r.row_id FROM (SELECT file_row_number AS pos, row_id, {HASH_SQL} AS hash "
                f"FROM read_parquet({path}, file_row_number = true)) p JOIN ({recorded}) r ON p.pos = r.pos "
                "WHERE p.hash <> r.hash OR p.row_id <> r.row_id ORDER BY r.row_id"
            ).fetchall()
            (rows,) = one(con, f"SELECT count(*) FROM ({recorded})") or (0,)
            found.rows_hashed += rows
            if wrong:
                examples = tuple(repr(r) for (r,) in wrong[:3])
                what = f"part {part} holds rows whose content does not give their hash"
                found.problems.append(Problem(what, (), len(wrong), examples))


def _touched(store: Store, line: list[Version], part: str) -> tuple[int, tuple[str, ...]]:
    """Rows that lie in a part, from the change logs that can still be read."""
    logs = [p for v in line if (p := part_path(store.root, v.log)).exists() and not flaw(p, v.log)]
    if not logs:
        return 0, ()
    with memory() as con:
        listed = ", ".join(literal(str(p)) for p in logs)
        rows = con.execute(
            f"SELECT DISTINCT row_id, target FROM read_parquet([{listed}]) "
            f"WHERE part_after = {literal(part)} ORDER BY ALL"
        ).fetchall()
    return len(rows), tuple(repr(r) for r, _ in rows[:3])


def _short(error: Exception) -> str:
    return str(error).splitlines()[0][:200]
