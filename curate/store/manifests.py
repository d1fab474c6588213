"""Manifests: what each transaction of the catalog wrote, as small files beside the parts, to make the catalog from.

    manifests/000000000042.json      the hash of the second line; what transaction 42 put into which table
    manifests/next.json              one that is written and waits for its transaction

A catalog holds the number and hash of its newest manifest, written in the transaction that the manifest tells of.
Under the catalog's exclusive lock a writer (1) writes and fsyncs `next.json`, (2) commits, (3) renames it to its
number. Killed before (2): the catalog says 41, `next.json` is of a commit that did not happen, and the next writer
replaces it. Killed between (2) and (3): the catalog says 42 with the hash of `next.json`, so whoever opens the
catalog next, reader or writer, renames it first, and nobody has seen version 42 without its manifest lying there. So
a numbered manifest is always of a transaction that happened, and is there before anybody is told of it; rebuilding
reads numbered ones only. A catalog beside a manifest with a higher number than its own is an older copy. Each
manifest holds the hash of the one before, so one that is lost, cut, changed or replaced is named. A *whole* manifest
holds all tables, not a change: replay begins at the newest. It is written where there is none before (stores made
earlier) or where the one before is lost. Number 0 is empty: it marks a new store, whose first parts are written
before there is a catalog.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from recast.curate.files import write_text
from recast.curate.fingerprint import canonical_json

Row = dict[str, Any]
KEYS: dict[str, tuple[str, ...]] = {
    "versions": ("id",),
    "heads": ("name", "branch"),
    "tags": ("name", "tag"),
    "taggings": (),
    "parts": ("id",),
    "consumed_by": ("version", "model"),
    "live": ("version", "part"),
}
"""Table of the catalog -> what names a row of it; nothing: rows are only ever added.

`live` holds the live rows of a version by part. A manifest holds the difference from the first parent instead, so that
it costs what changed.
"""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one transaction put into the catalog, or (`whole`) all that the catalog held after it."""

    number: int
    before: str = ""  # hash of the manifest with the number before
    whole: bool = False
    rows: Mapping[str, list[Row]] = field(default_factory=dict[str, list[Row]])  # by table

    @property
    def text(self) -> str:
        return canonical_json(asdict(self))


def whole(number: int, rows: Mapping[str, list[Row]], before: str = "") -> Manifest:
    """The manifest of all that a catalog holds; `rows` have `live` as the catalog has it."""
    return Manifest(number, before, True, {**rows, "live": differences(rows["versions"], rows["live"])})


def path(root: Path, number: int) -> Path:
    return root / "manifests" / f"{number:012d}.json"


def _waiting(root: Path) -> Path:
    return root / "manifests" / "next.json"


def begin(root: Path) -> None:
    """Mark a new store, before its first part is written."""
    _write(path(root, 0), Manifest(0, whole=True))


def announce(root: Path, manifest: Manifest) -> str:
    """Write, durably, the manifest of the transaction that commits next; returns its hash."""
    return _write(_waiting(root), manifest)


def settle(root: Path, number: int, hash_: str) -> None:
    """Give the manifest that waits its number, where the catalog says that its transaction happened."""
    waiting = _waiting(root)
    if said(waiting) == hash_:
        # what cannot be renamed now (a store that is read-only) is renamed by whoever opens the catalog next
        with contextlib.suppress(OSError):
            waiting.replace(path(root, number))


def _write(file: Path, manifest: Manifest) -> str:
    text = manifest.text
    write_text(file, f"{hash_of(text)}\n{text}\n")
    return hash_of(text)


def hash_of(text: str) -> str:
    """The hash of a manifest, from its text."""
    return hashlib.sha256(text.encode()).hexdigest()


def said(file: Path) -> str:
    """The hash in the first line of a manifest; empty where there is no file."""
    try:
        with file.open("rb") as opened:
            return opened.readline(80).decode("ascii", "replace").rstrip("\n")
    except FileNotFoundError:
        return ""


def load(file: Path) -> Manifest | None:
    """The manifest in `file`, or None where it is not what was written."""
    try:
        hash_, text, end = file.read_text(encoding="utf-8").split("\n")
        return Manifest(**json.loads(text)) if hash_of(text) == hash_ and not end else None
    except (OSError, ValueError, TypeError):
        return None


def numbers(root: Path) -> list[int]:
    """Numbers of the manifests that there are, lowest first."""
    with contextlib.suppress(FileNotFoundError):
        names = [
            name.removesuffix(".json") for name in os.listdir(root / "manifests") if name.endswith(".json")
        ]
        return sorted(int(name) for name in names if name.isdecimal())
    return []


def newest(root: Path) -> int:
    """The highest number of a manifest that there is; 0 where there is none."""
    return max(numbers(root), default=0)


@dataclass(frozen=True, slots=True)
class Found:
    """The manifests from the newest whole one on, and what is wrong with them."""

    line: tuple[Manifest, ...]  # oldest first; without gaps where there are no flaws
    flaws: tuple[str, ...]

    @property
    def last(self) -> int:
        return self.line[-1].number if self.line else 0


def read(root: Path, newest: tuple[int, str] | None = None) -> Found:
    """Read the manifests that replaying needs; `newest` is the number and hash that a catalog says.

    The newest file's word is taken where no catalog says what it should be.
    """
    there = [n for n in numbers(root) if n]
    line: list[Manifest] = []
    flaws: list[str] = []
    number, hash_ = newest if newest is not None else (there[-1] if there else 0, "")
    number = max([number, *there])
    while number > 0:
        file = path(root, number)
        found = load(file)
        if found is None or found.number != number or (hash_ and said(file) != hash_):
            what = "is not the one that was written" if file.exists() else "is missing"
            flaws.append(f"manifest {file.name} {what}")
            hash_ = ""
        else:
            line.append(found)
            if found.whole:
                break
            hash_ = found.before
        number -= 1
    else:
        if there and not flaws:
            flaws.append(f"no manifest up to {path(root, there[-1]).name} holds the whole catalog")
    return Found(tuple(line[::-1]), tuple(flaws[::-1]))


def replay(line: Iterable[Manifest]) -> dict[str, list[Row]]:
    """The rows of every table after the last of `line`, which begins with a whole one. `live` as the catalog has it."""
    tables: dict[str, dict[Any, Row]] = {table: {} for table in KEYS}
    for manifest in line:
        for table, rows in manifest.rows.items():
            for row in rows:
                held = tables[table]
                held[tuple(row[k] for k in KEYS[table]) or len(held)] = row
    found = {table: list(held.values()) for table, held in tables.items()}
    return {**found, "live": _summed(found["versions"], found["live"])}


def _summed(versions: list[Row], changes: list[Row]) -> list[Row]:
    """Live rows by version and part, from their differences; `versions` have parents before children."""
    change: dict[str, dict[str, int]] = defaultdict(dict)
    for row in changes:
        change[row["version"]][row["part"]] = row["rows"]
    live: dict[str, dict[str, int]] = {}
    for version in versions:
        at = dict(live[version["parents"][0]]) if version["parents"] else {}
        for part, rows in change[version["id"]].items():
            at[part] = at.get(part, 0) + rows
        live[version["id"]] = {part: rows for part, rows in at.items() if rows}
    return [
        {"version": id_, "part": part, "rows": rows} for id_, at in live.items() for part, rows in at.items()
    ]


def differences(versions: list[Row], live: list[Row]) -> list[Row]:
    """The reverse: what a manifest holds of `live` as the catalog has it."""
    at: dict[str, dict[str, int]] = defaultdict(dict)
    for row in live:
        at[row["version"]][row["part"]] = row["rows"]
    found: list[Row] = []
    for version in versions:
        now = at[version["id"]]
        before = at[version["parents"][0]] if version["parents"] else {}
        for part in sorted({*now, *before}):
            if rows := now.get(part, 0) - before.get(part, 0):
                found.append({"version": version["id"], "part": part, "rows": rows})
    return found


def same(a: Mapping[str, list[Row]], b: Mapping[str, list[Row]]) -> list[str]:
    """Names of the tables in which two catalogs differ, whatever the order of their rows."""
    return [t for t in KEYS if sorted(map(canonical_json, a[t])) != sorted(map(canonical_json, b[t]))]
