"""Versions and the refs that name them.

A ref reads like git: `gsm8k` (head of its main branch), `gsm8k@v3` (third version), `gsm8k@ready` (tag),
`gsm8k/shorter` (head of a branch), or a version id of at least 8 hex digits. Versions of one data set are
numbered in the order of their commits, over all its branches.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import duckdb

from recast.curate.errors import RefusedError, UsageError
from recast.curate.fingerprint import canonical_json, fingerprint
from recast.curate.store.catalog import Change, one

MAIN = "main"
_WORD = r"[^\W_][\w.+-]{0,119}"
_REF = re.compile(rf"(?P<name>{_WORD})(?:/(?P<branch>{_WORD}))?(?:@(?P<at>{_WORD}))?")
_ID = re.compile(r"[0-9a-f]{8,64}")


@dataclass(frozen=True, slots=True)
class Version:
    """One sealed set of rows. Row counts are against the first parent."""

    id: str
    name: str
    number: int
    branch: str
    parent: str | None  # ref of the first parent
    parents: tuple[str, ...]  # ids
    rows: int
    added: int
    changed: int
    removed: int
    rescored: int  # content equal, scores not
    author: str
    message: str
    created_at: datetime
    run_id: str | None
    meta: dict[str, Any] = field(default_factory=dict[str, Any])
    log: str = ""  # part id of the change log
    base: str | None = None  # part id of a base, where this version has one
    candidates_parts: tuple[str, ...] = ()
    pending: int = 0  # log rows since the last base
    depth: int = 0  # logs since the last base
    next_order: int = 0  # above the order of every row

    @property
    def ref(self) -> str:
        return f"{self.name}@v{self.number}" if self.number else self.name  # a file has no number

    @property
    def facts(self) -> dict[str, Any]:
        """What `identity` is made of."""
        return {
            "name": self.name, "number": self.number, "branch": self.branch, "parents": list(self.parents),
            "created_at": self.created_at.isoformat(), "author": self.author, "message": self.message,
            "run_id": self.run_id, "meta": canonical_json(self.meta), "rows": self.rows, "added": self.added,
            "changed": self.changed, "removed": self.removed, "rescored": self.rescored, "log": self.log,
            "candidates": list(self.candidates_parts),
        }  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """What `recast log --json` prints."""
        return {
            "ref": self.ref, "id": self.id, "name": self.name, "number": self.number, "branch": self.branch,
            "parent": self.parent, "parents": list(self.parents), "rows": self.rows, "added": self.added,
            "changed": self.changed, "removed": self.removed, "rescored": self.rescored, "author": self.author,
            "message": self.message, "created_at": self.created_at.isoformat(), "run_id": self.run_id,
            "meta": self.meta,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Label:
    """A branch or a tag, and the id of the version that it names."""

    kind: Literal["branch", "tag"]
    name: str  # of the data set
    word: str
    version: str

    @property
    def ref(self) -> str:
        if self.kind == "tag":
            return f"{self.name}@{self.word}"
        return self.name if self.word == MAIN else f"{self.name}/{self.word}"


@dataclass(frozen=True, slots=True)
class Ref:
    """A parsed reference. `at` is "v3", a tag, or None for the head of the branch."""

    name: str
    branch: str | None
    at: str | None

    @property
    def number(self) -> int | None:
        return int(self.at[1:]) if self.at and re.fullmatch(r"v\d{1,9}", self.at) else None


def parse(text: str) -> Ref:
    """Parse a reference. Raises UsageError that shows the four forms."""
    match = _REF.fullmatch(text)
    if not match:
        raise UsageError(
            f"{text!r} is not a reference; write NAME, NAME@v3, NAME@TAG or NAME/BRANCH. Names start with a letter or "
            "digit and hold letters, digits, '.', '_', '-' and '+' (at most 120)."
        )
    return Ref(match["name"], match["branch"], match["at"])


def parse_branch(text: str) -> tuple[str, str]:
    """Parse the name to commit to, `NAME` or `NAME/BRANCH`, into (name, branch)."""
    ref = parse(text)
    if ref.at is not None:
        raise UsageError(
            f"{text!r} names a version, and versions never change; commit to {ref.name!r} instead."
        )
    return ref.name, ref.branch or MAIN


def identity(facts: Mapping[str, Any]) -> str:
    """Id of a version: what it holds (its log), where it comes from (parents), who made it, when and why."""
    facts = {k: v for k, v in facts.items() if k not in _NOT_IDENTITY}
    return fingerprint(facts)[:32]


# how a version is stored, not what it is
_NOT_IDENTITY = ("id", "base", "pending", "depth", "next_order")


_SELECT = """
SELECT v.id, v.name, v.number, v.branch, p.name || '@v' || p.number AS parent, v.parents, v.rows, v.added, v.changed,
       v.removed, v.rescored, v.author, v.message, v.created_at::VARCHAR, v.run_id, v.meta, v.log, v.base,
       v.candidates, v.pending, v.depth, v.next_order
FROM versions v LEFT JOIN versions p ON p.id = v.parents[1]
"""


def _version(row: tuple[Any, ...]) -> Version:
    (id_, name, number, branch, parent, parents, rows, added, changed, removed, rescored, author, message, created,
     run_id, meta, log, base, candidates, pending, depth, next_order) = row  # fmt: skip
    return Version(
        id_, name, number, branch, parent, tuple(parents), rows, added, changed, removed, rescored, author, message,
        datetime.fromisoformat(created).astimezone(UTC), run_id, json.loads(meta or "{}"), log, base,
        tuple(candidates or ()), pending, depth, next_order,
    )  # fmt: skip


def select(con: duckdb.DuckDBPyConnection, where: str, params: list[Any] | None = None) -> list[Version]:
    """Versions for which the SQL condition `where` on `v` holds, oldest first."""
    rows = con.execute(f"{_SELECT} WHERE {where} ORDER BY v.created_at, v.number", params or []).fetchall()
    return [_version(row) for row in rows]


def names(con: duckdb.DuckDBPyConnection) -> list[str]:
    """Every data set in the store."""
    return [n for (n,) in con.execute("SELECT DISTINCT name FROM versions ORDER BY name").fetchall()]


def labels(con: duckdb.DuckDBPyConnection) -> list[Label]:
    """Every branch and tag of the store, by name."""
    rows = con.execute(
        "SELECT 'branch', * FROM heads UNION ALL SELECT 'tag', * FROM tags ORDER BY ALL"
    ).fetchall()
    return [Label(*row) for row in rows]


def head(con: duckdb.DuckDBPyConnection, name: str, branch: str = MAIN) -> Version | None:
    """Newest version of a branch, or None."""
    found = one(con, "SELECT version FROM heads WHERE name = ? AND branch = ?", [name, branch])
    return select(con, "v.id = ?", [found[0]])[0] if found else None


def resolve(con: duckdb.DuckDBPyConnection, text: str) -> Version:
    """The version that `text` names. Raises UsageError that lists what there is."""
    if _ID.fullmatch(text) and (found := select(con, "starts_with(v.id, ?)", [text])):
        if len(found) > 1:
            raise UsageError(f"{text!r} is the start of {len(found)} version ids; give more digits.")
        return found[0]
    ref = parse(text)
    if ref.number is not None:
        found = select(con, "v.name = ? AND v.number = ?", [ref.name, ref.number])
    elif ref.at is not None:
        tagged = "v.id = (SELECT version FROM tags WHERE name = ? AND tag = ?)"
        found = select(con, tagged, [ref.name, ref.at])
    else:
        newest = "v.id = (SELECT version FROM heads WHERE name = ? AND branch = ?)"
        found = select(con, newest, [ref.name, ref.branch or MAIN])
    if not found:
        raise _unresolved(con, ref)
    return found[0]


def _unresolved(con: duckdb.DuckDBPyConnection, ref: Ref) -> UsageError:
    """Say what there is instead of what was named."""
    known = names(con)
    if ref.name not in known:
        return UsageError(
            f"no data set {ref.name!r} in this store; there is {_listed(known) or 'nothing yet'}."
        )
    if ref.number is not None:
        return UsageError(f"{ref.name!r} has no version {ref.number}; it has {_span(con, ref.name)}.")
    if ref.at is not None:
        tags = con.execute("SELECT tag FROM tags WHERE name = ? ORDER BY tag", [ref.name]).fetchall()
        return UsageError(
            f"{ref.name!r} has no tag {ref.at!r}; its tags are {_listed([t for (t,) in tags]) or 'none'}, its versions "
            f"{_span(con, ref.name)}."
        )
    branches = con.execute("SELECT branch FROM heads WHERE name = ? ORDER BY branch", [ref.name]).fetchall()
    return UsageError(
        f"{ref.name!r} has no branch {ref.branch or MAIN!r}; it has {_listed([b for (b,) in branches])}."
    )


def _listed(words: list[str], limit: int = 12) -> str:
    return ", ".join(words[:limit]) + (f" and {len(words) - limit} more" if len(words) > limit else "")


def _span(con: duckdb.DuckDBPyConnection, name: str) -> str:
    low, high = one(con, "SELECT min(number), max(number) FROM versions WHERE name = ?", [name]) or (0, 0)
    return f"v{low}" if low == high else f"v{low} to v{high}"


def chain(con: duckdb.DuckDBPyConnection, version: Version, to_base: bool = False) -> list[Version]:
    """`version` and its first parents, newest first; with `to_base` only as far as the nearest base."""
    if to_base and version.base is not None:
        return [version]
    facts = con.execute("SELECT id, parents[1], base IS NOT NULL FROM versions").fetchall()
    step = {id_: (parent, based) for id_, parent, based in facts}
    ids: list[str] = []
    at: str | None = version.id
    while at is not None and at in step:
        ids.append(at)
        at = None if to_base and step[at][1] else step[at][0]
    return _in_order(con, ids)


def log(con: duckdb.DuckDBPyConnection, name: str) -> list[Version]:
    """History of a data set, branch or version, newest first: every version of a name, or the first parents of a
    version or branch."""
    ref, version = parse(name), resolve(con, name)
    if ref.branch is None and ref.at is None:
        return select(con, "v.name = ?", [ref.name])[::-1]
    return chain(con, version)


def past(con: duckdb.DuckDBPyConnection, name: str) -> list[Version]:
    """The log of a name with all that its versions descend from, through every parent, newest first."""
    parents = family(con)
    ids = set[str]().union(*(ancestors(parents, version.id) for version in log(con, name)))
    return select(con, "v.id IN (SELECT unnest(?::VARCHAR[]))", [sorted(ids)])[::-1]


def path(
    con: duckdb.DuckDBPyConnection, a: Version, b: Version
) -> tuple[list[Version], list[Version]] | None:
    """Versions from `a` and from `b` down to, but without, their nearest common first parent; newest first.

    None where they have none. Reads the facts of the versions between the two only.
    """
    parent = dict(con.execute("SELECT id, parents[1] FROM versions").fetchall())

    def line(id_: str | None) -> list[str]:
        ids: list[str] = []
        while id_ is not None:
            ids.append(id_)
            id_ = parent.get(id_)
        return ids

    line_a, line_b = line(a.id), line(b.id)
    at_b = {id_: n for n, id_ in enumerate(line_b)}
    common = next((n for n, id_ in enumerate(line_a) if id_ in at_b), None)
    if common is None:
        return None
    return _in_order(con, line_a[:common]), _in_order(con, line_b[: at_b[line_a[common]]])


def _in_order(con: duckdb.DuckDBPyConnection, ids: list[str]) -> list[Version]:
    if not ids:
        return []
    place = {id_: n for n, id_ in enumerate(ids)}
    return sorted(select(con, "v.id IN (SELECT unnest(?::VARCHAR[]))", [ids]), key=lambda v: place[v.id])


def family(con: duckdb.DuckDBPyConnection) -> dict[str, list[str]]:
    """Parents of every version, by id."""
    return dict(con.execute("SELECT id, parents FROM versions").fetchall())


def ancestors(family: Mapping[str, list[str]], id_: str) -> set[str]:
    """Ids of a version and of everything it descends from, through every parent."""
    found, left = {id_}, [id_]
    while left:
        new = [p for p in family.get(left.pop(), []) if p not in found]
        found.update(new)
        left += new
    return found


def set_tag(
    change: Change,
    version: Version,
    tag: str,
    move: bool = False,
    author: str = "",
    note: str = "",
) -> None:
    """Name `version` `NAME@TAG`. Raises RefusedError where the tag names another version and `move` is off.

    Who did so, when, and `note` (a risk that was accepted) stay in the log though the tag may move on.
    """
    ref = parse(f"{version.name}@{tag}")
    if ref.number is not None:
        raise UsageError(f"a tag may not look like a version number: {tag!r}.")
    con = change.con
    found = one(con, "SELECT version FROM tags WHERE name = ? AND tag = ?", [version.name, tag])
    if found and found[0] != version.id and not move:
        other = select(con, "v.id = ?", [found[0]])[0]
        raise RefusedError(f"the tag {version.name}@{tag} already names {other.ref}; move it with --move.")
    named = {"name": version.name, "tag": tag, "version": version.id}
    change.put("tags", named)
    tagged_at = datetime.now(UTC).isoformat()
    change.put("taggings", {**named, "tagged_at": tagged_at, "author": author, "note": note})


def taggings(con: duckdb.DuckDBPyConnection) -> dict[str, list[dict[str, Any]]]:
    """Every tag that was ever given, by version id, oldest first; `current` where it still names that version."""
    if not one(con, "SELECT 1 FROM information_schema.tables WHERE table_name = 'taggings'"):
        given = con.execute("SELECT version, tag, NULL, '', '', true FROM tags").fetchall()
    else:
        given = con.execute(
            "SELECT g.version, g.tag, g.tagged_at::VARCHAR, g.author, g.note, t.version IS NOT NULL FROM taggings g "
            "LEFT JOIN tags t ON t.name = g.name AND t.tag = g.tag AND t.version = g.version ORDER BY g.tagged_at"
        ).fetchall()
    found: dict[str, list[dict[str, Any]]] = {}
    for version, tag, at, author, note, current in given:
        entry = {"tag": tag, "tagged_at": at, "author": author, "note": note, "current": current}
        found.setdefault(version, []).append(entry)
    return found


def set_branch(change: Change, version: Version, branch: str) -> None:
    """Start the branch `NAME/BRANCH` at `version`. Raises RefusedError where it exists."""
    parse(f"{version.name}/{branch}")
    if found := head(change.con, version.name, branch):
        raise RefusedError(
            f"the branch {version.name}/{branch} exists and is at {found.ref}; choose another name."
        )
    change.put("heads", {"name": version.name, "branch": branch, "version": version.id})
