"""A row taken back: the version without it, and who else holds it.

Versions never change, so those of before keep the row; `recast gc` frees what no name leads to. What was made of it
stands elsewhere: the same id in other names and branches, and rows that were generated from it.
"""

from __future__ import annotations

from dataclasses import dataclass

from recast.curate.errors import UsageError
from recast.curate.history.lineage import Impact, impact
from recast.curate.store import versions
from recast.curate.store.catalog import memory
from recast.curate.store.store import Store
from recast.curate.store.versions import Version


@dataclass(frozen=True, slots=True)
class Recalled:
    """What became of a row that was taken back, and what is left of it."""

    row_id: str
    targets: tuple[int, ...]  # that the version before held
    before: Version
    version: Version | None  # without the row; None where nothing was to be committed
    elsewhere: tuple[str, ...]  # heads of other names and branches that hold the row
    generated: dict[str, int]  # heads with rows that were generated from it, and how many
    impacts: tuple[Impact, ...]  # the models that learned from it, each once


def recall(
    store: Store, row: str, name: str, *, message: str = "", author: str | None = None, dry_run: bool = False
) -> Recalled:
    """Commit `name` without the row, all its targets, and tell who else holds it.

    `row` may be the start of an id that fits one row of the version only. Raises UsageError where it fits none.
    """
    versions.parse_branch(name)  # an older version cannot be committed to
    before = store.resolve(name)
    row_id, targets = _whole(store, before, row)
    made = None
    if not dry_run:
        made = store.commit(
            [],
            name,
            parent=before,
            expect_parent=before.ref,
            mode="patch",
            remove=[(row_id, target) for target in targets],
            message=message or f"without row {row_id}",
            author=author,
            meta={"recalled": [row_id]},
        )
    with store.catalog.reading() as con:
        heads = [label for label in versions.labels(con) if label.kind == "branch"]
    held = {label.ref: _held(store, label.version, row_id) for label in heads}
    own = {label.ref for label in heads if label.version in (before.id, made.id if made else before.id)}
    elsewhere = tuple(ref for ref, (rows, _) in held.items() if rows and ref not in own)
    generated = {ref: rows for ref, (_, rows) in held.items() if rows}
    found: dict[tuple[str, str], Impact] = {}
    for target in range(max(targets) + 1):
        for each in impact(store, row_id, target):
            found.setdefault((each.model, each.version), each)
    return Recalled(row_id, targets, before, made, elsewhere, generated, tuple(found.values()))


def _whole(store: Store, version: Version, start: str) -> tuple[str, tuple[int, ...]]:
    with memory(store.root / "tmp") as con:
        found = con.execute(
            f"SELECT row_id, list(target ORDER BY target) FROM ({store.open(version).live_sql()}) "
            "WHERE starts_with(row_id, ?) GROUP BY row_id ORDER BY row_id LIMIT 9",
            [start],
        ).fetchall()
    by_id = {row_id: tuple(targets) for row_id, targets in found}
    if start in by_id:
        return start, by_id[start]
    if not by_id:
        raise UsageError(f"no row of {version.ref} has an id that begins with {start!r}: nothing to recall.")
    if len(by_id) > 1:
        shown = ", ".join(list(by_id)[:5])
        raise UsageError(f"{start!r} is the start of {len(by_id)} row ids or more: {shown}. Give more of it.")
    return next(iter(by_id.items()))


def _held(store: Store, version_id: str, row_id: str) -> tuple[int, int]:
    """Rows of a version that are the row, and rows that were generated from it."""
    with memory(store.root / "tmp") as con:
        rows = store.open(store.resolve(version_id)).sql(con)
        found = con.execute(
            "SELECT count(*) FILTER (row_id = $1), count(*) FILTER (decision = 'generated' AND "
            f"json_extract_string(meta, '$.from.row_id') = $1) FROM ({rows})",
            [row_id],
        ).fetchone()
    assert found is not None  # an aggregate has a row
    return found
