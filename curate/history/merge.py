"""Three-way merges of row decisions, by key; undoing a version is a merge too.

With a base and two versions that grew from it, a row that only one side changed is taken from that side. A
row whose content both changed, and differently, is a conflict, for a person to settle. No row is written:
the change log of a merge points at the rows where they lie.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, overload

import duckdb
import pyarrow as pa

from recast.curate.errors import DataError, RefusedError, UsageError
from recast.curate.history.diff import log_between
from recast.curate.history.row_diff import READ
from recast.curate.schema import decode_row
from recast.curate.store import changes, versions
from recast.curate.store.catalog import memory
from recast.curate.store.gather import fetch
from recast.curate.store.store import MovedError, Store
from recast.curate.store.versions import Version

Side = Literal["ours", "theirs"]
_ATTEMPTS = 50
_PIECE_ROWS = 1000
_SHOWN = ("completion", "answer", "decision", "reason")


@dataclass(frozen=True, slots=True)
class Conflict:
    """A row that both sides changed differently. A side is None where it removed the row (or never had it)."""

    row_id: str
    target: int
    base: dict[str, Any] | None
    ours: dict[str, Any] | None
    theirs: dict[str, Any] | None
    differs: dict[str, list[Any]]  # what the sides do not agree on, `meta` by its keys: [base, ours, theirs]

    def to_json(self) -> dict[str, Any]:
        return {
            "row_id": self.row_id, "target": self.target, "base": self.base, "ours": self.ours,
            "theirs": self.theirs, "differs": self.differs, "take": None,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge did. `version` is None where there was nothing to do."""

    version: Version | None
    base: Version | None
    taken: int  # rows taken from the other side
    settled: int  # conflicts settled by a rule or a file


class Conflicts(Sequence[Conflict]):
    """Conflicts in the order of the rows; their texts are read a piece at a time, when they are asked for."""

    def __init__(self, root: Path, places: pa.Table) -> None:
        self._root, self._places = root, places

    def __len__(self) -> int:
        return self._places.num_rows

    @overload
    def __getitem__(self, at: int) -> Conflict: ...
    @overload
    def __getitem__(self, at: slice) -> list[Conflict]: ...
    def __getitem__(self, at: int | slice) -> Conflict | list[Conflict]:
        if isinstance(at, slice):
            return self._read(self._places.take(list(range(*at.indices(len(self))))))
        return self._read(self._places.take([range(len(self))[at]]))[0]

    def __iter__(self) -> Iterator[Conflict]:
        for start in range(0, len(self), _PIECE_ROWS):
            yield from self._read(self._places.slice(start, _PIECE_ROWS))

    def _read(self, places: pa.Table) -> list[Conflict]:
        sides = (
            [
                row if part is not None else None
                for part, row in zip(
                    places.column(part).to_pylist(),
                    fetch(self._root, places.column(part), places.column(pos), READ).to_pylist(),
                    strict=True,
                )
            ]
            for part, pos in (("o_part", "o_pos"), ("ours_part", "ours_pos"), ("part_after", "pos_after"))
        )
        keys = (places.column(name).to_pylist() for name in ("row_id", "target"))
        return [_conflict(*found) for found in zip(*keys, *sides, strict=True)]


def _conflict(row_id: str, target: int, *sides: dict[str, Any] | None) -> Conflict:
    """A conflict from what people read of its three sides."""
    told = [_told(side) for side in sides]
    names = dict.fromkeys(name for side in told for name in side)
    values = {name: [side.get(name) for side in told] for name in names}
    differs = {name: found for name, found in values.items() if found[1] != found[2]}
    base, ours, theirs = ({name: side[name] for name in _SHOWN} if side else None for side in sides)
    return Conflict(row_id, target, base, ours, theirs, differs if ours and theirs else {})


def _told(row: dict[str, Any] | None) -> dict[str, Any]:
    """The columns of a row by name, and the keys of its `meta` as `meta.KEY`."""
    found = decode_row(dict(row or {}))
    return found | {f"meta.{key}": value for key, value in (found.pop("meta", None) or {}).items()}


class ConflictsError(RefusedError):
    """Rows that both sides changed differently, and nothing says which to take."""

    def __init__(self, text: str, conflicts: Conflicts, ours: Version, theirs: Version) -> None:
        super().__init__(text)
        self.conflicts, self.ours, self.theirs = conflicts, ours, theirs


def merge(
    store: Store,
    into: str,
    theirs: str,
    *,
    take: Side | Mapping[tuple[str, int], Side] | None = None,
    message: str = "",
    author: str | None = None,
) -> Merged:
    """Merge the version `theirs` into the branch `into` (`NAME` or `NAME/BRANCH`).

    `take` settles conflicts: one side for all, or a side for each key. Raises ConflictsError, which holds
    the conflicts that it leaves open; nothing is committed then.
    """
    other = store.resolve(theirs)

    def plan(ours: Version) -> tuple[Version | None, Version, str]:
        base = _common_ancestor(store, ours, other)
        return base, other, message or f"merge {other.ref} into {into}"

    return _apply(store, into, plan, take, author, parents=lambda ours: [ours, other])


def revert(
    store: Store,
    ref: str,
    *,
    into: str | None = None,
    take: Side | Mapping[tuple[str, int], Side] | None = None,
    message: str = "",
    author: str | None = None,
) -> Merged:
    """Undo what the version `ref` changed, on top of the head of its branch (or of `into`).

    Rows that changed again since are conflicts: `ours` keeps what they read now, `theirs` what they read
    before `ref`.
    """
    undone = store.resolve(ref)
    if undone.parent is None:
        raise UsageError(f"{undone.ref} is the first version; there is nothing before it to go back to.")
    before = store.resolve(undone.parent)
    target = into or (undone.name if undone.branch == versions.MAIN else f"{undone.name}/{undone.branch}")

    def plan(ours: Version) -> tuple[Version | None, Version, str]:
        return undone, before, message or f"revert {undone.ref}"

    return _apply(store, target, plan, take, author, parents=lambda ours: [ours], keep_order=into is None)


def read_choices(path: Path) -> dict[tuple[str, int], Side]:
    """Choices of a file of JSON lines, as `recast merge` writes it, with `take` filled in."""
    choices: dict[tuple[str, int], Side] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            key, side = (str(row["row_id"]), int(row.get("target", 0))), row["take"]
        except (ValueError, KeyError, TypeError) as wrong:
            raise DataError(
                f"{path.name}, line {number}: expected row_id, target and take ({wrong})."
            ) from wrong
        if side not in ("ours", "theirs"):
            raise DataError(f'{path.name}, line {number}: take is {side!r}; write "ours" or "theirs".')
        choices[key] = side
    return choices


def _apply(
    store: Store, into: str, plan: Any, take: Any, author: str | None, *, parents: Any, keep_order: bool = False
) -> Merged:  # fmt: skip
    for _ in range(_ATTEMPTS):
        name, branch = versions.parse_branch(into)
        ours = store.resolve(name if branch == versions.MAIN else f"{name}/{branch}")
        base, theirs, message = plan(ours)
        with memory(store.root / "tmp") as con:
            log, conflicts = _three_way(con, store, base, ours, theirs, take, keep_order)
        if conflicts.num_rows:
            rows = conflicts.num_rows
            keys = ", ".join(map(repr, conflicts.column("row_id").slice(0, 3).to_pylist()))
            raise ConflictsError(
                f"{rows} {'row was' if rows == 1 else 'rows were'} changed on both sides of {ours.ref} and "
                f"{theirs.ref} ({keys}{' ...' * (rows > 3)}). Settle them with --ours, --theirs or --conflicts FILE; "
                "nothing was committed.",
                Conflicts(store.root, conflicts),
                ours,
                theirs,
            )
        settled = log.column("settled").to_pylist().count(True)
        log = log.filter(log.column("op").is_valid()).drop_columns(["settled"])
        if not log.num_rows and len(parents(ours)) == 1:
            return Merged(None, base, 0, settled)
        if not log.num_rows and _is_ancestor(store, theirs, ours):
            return Merged(None, base, 0, settled)
        try:
            version = store.commit_log(log, into, parents(ours), message=message, author=author)
        except MovedError:
            continue
        return Merged(version, base, log.num_rows, settled)
    raise RefusedError(f"{into} kept moving while it was merged; try again when fewer processes write.")


def _three_way(
    con: duckdb.DuckDBPyConnection, store: Store, base: Version | None, ours: Version, theirs: Version,
    take: Side | Mapping[tuple[str, int], Side] | None, keep_order: bool,
) -> tuple[pa.Table, pa.Table]:  # fmt: skip
    """(log against `ours` with a column `settled`, conflicts that stay open)."""
    for side, version in (("o", ours), ("t", theirs)):
        log = log_between(store, base, version) if base else _from_nothing(store, version)
        con.execute(f"CREATE OR REPLACE TEMP TABLE {side} AS SELECT * FROM ({log}) WHERE op IS NOT NULL")
    rule = take if isinstance(take, str) else None
    choices = [(r, t, s) for (r, t), s in take.items()] if isinstance(take, Mapping) else []
    con.execute("CREATE OR REPLACE TEMP TABLE choice (row_id VARCHAR, target INTEGER, side VARCHAR)")
    if choices:
        con.executemany("INSERT INTO choice VALUES (?, ?, ?)", choices)
    # A side that only rescored a row does not stand against one that changed its content.
    con.execute(
        "CREATE OR REPLACE TEMP TABLE met AS SELECT t.*, o.row_id IS NOT NULL AND o.op <> 'rescore' AND "
        "t.op <> 'rescore' AND o.hash_after IS DISTINCT FROM t.hash_after AS clash, "
        "o.row_id IS NOT NULL AND (t.op = 'rescore' OR o.hash_after IS NOT DISTINCT FROM t.hash_after) AS ours_stands, "
        "o.part_before AS o_part, o.pos_before AS o_pos, o.part_after AS ours_part, o.pos_after AS ours_pos, "
        f"coalesce(c.side, {'NULL' if rule is None else repr(rule)}) AS side "
        "FROM t LEFT JOIN o ON t.row_id = o.row_id AND t.target = o.target "
        "LEFT JOIN choice c ON t.row_id = c.row_id AND t.target = c.target"
    )
    open_ = con.sql(
        "SELECT row_id, target, o_part, o_pos, ours_part, ours_pos, part_after, pos_after FROM met "
        "WHERE clash AND side IS NULL ORDER BY order_before, order_after, row_id, target"
    ).to_arrow_table()
    # New rows of the other side come after ours, unless they were ours once and keep their rank.
    new_order = "m.order_after" if keep_order else (
        f"{ours.next_order} + row_number() OVER (ORDER BY p.hash IS NULL DESC, m.order_after, m.row_id, m.target) - 1"
    )  # fmt: skip
    before = ", ".join(f'p."{c}" AS {c}_before' for c in changes.STATE)
    log = con.sql(
        "SELECT m.row_id, m.target, CASE "
        "WHEN m.clash AND m.side = 'ours' OR p.hash IS NULL AND m.hash_after IS NULL THEN NULL "
        "WHEN p.hash IS NULL THEN 'add' WHEN m.hash_after IS NULL THEN 'remove' "
        "WHEN p.hash <> m.hash_after THEN 'change' WHEN p.score <> m.score_after THEN 'rescore' END AS op, "
        f"{before}, m.hash_after, m.score_after, m.part_after, m.pos_after, "
        'CASE WHEN m.hash_after IS NULL THEN NULL WHEN p.hash IS NOT NULL THEN p."order" '
        f"ELSE {new_order} END AS order_after, m.clash AS settled "
        f"FROM met m LEFT JOIN ({store.open(ours).live_sql()}) p ON m.row_id = p.row_id AND m.target = p.target "
        "WHERE NOT m.ours_stands ORDER BY order_after, m.row_id, m.target"
    ).to_arrow_table()
    schema = changes.LOG_SCHEMA.append(pa.field("settled", pa.bool_()))
    return log.select(schema.names).cast(schema), open_


def _from_nothing(store: Store, version: Version) -> str:
    return changes.unrelated(changes.live(None, []), store.open(version).live_sql())


def _is_ancestor(store: Store, older: Version, newer: Version) -> bool:
    with store.catalog.reading() as con:
        return older.id in versions.ancestors(versions.family(con), newer.id)


def _common_ancestor(store: Store, a: Version, b: Version) -> Version | None:
    """The nearest version that both descend from; of several (a criss-cross), the newest."""
    with store.catalog.reading() as con:
        family = versions.family(con)
        common = versions.ancestors(family, a.id) & versions.ancestors(family, b.id)
        nearest = common - {parent for id_ in common for parent in family[id_]}
        found = versions.select(con, "v.id IN (SELECT unnest(?::VARCHAR[]))", [sorted(nearest)])
        return found[-1] if found else None
