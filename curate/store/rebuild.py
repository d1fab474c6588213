"""Making each of the two that say what a store holds, its catalog and its manifests, from the other.

A catalog that is lost, unreadable, older than the manifests or not theirs is made again from them; manifests that are
lost or damaged, or were never written (stores made before there were any), from the catalog. What both have lost is
lost: then nothing is changed and the files that a copy must bring back are named.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import duckdb

from recast.curate.errors import IntegrityError, RecastError, UsageError
from recast.curate.store import manifests
from recast.curate.store.catalog import tables
from recast.curate.store.parts import part_path
from recast.curate.store.store import Store


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What `rebuild` made (or would make)."""

    made: Literal["catalog", "manifests", "nothing"]
    why: str
    versions: int
    refs: int  # branches and tags
    pins: int
    manifests: int
    missing_parts: tuple[str, ...]  # named by versions, and not there
    dry_run: bool
    aside: str | None = None  # where the old catalog went

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "missing_parts": list(self.missing_parts)}


def rebuild(store: Store, *, dry_run: bool = False) -> Rebuilt:
    """Make the catalog from manifests and parts, or the manifests from the catalog; nothing where both are whole.

    Raises UsageError where there is no store, IntegrityError where neither gives the other.
    """
    catalog, root = store.catalog, store.root
    if not catalog.path.exists() and not manifests.numbers(root):
        catalog.exists()  # names parts without anything that knows them
        raise UsageError(f"no store at {root}.")
    aside: Path | None = None
    with catalog.alone(exclusive=not dry_run):
        held, why = _standing(store)
        newest, rows = held if held else (None, None)
        found = manifests.read(root, newest)
        replayed = manifests.replay(found.line) if found.line and not found.flaws else None
        if rows is None:
            if replayed is None:
                raise _both(store, why, found.flaws)
            made, rows = "catalog", replayed
        elif replayed is None:
            made = "manifests"
            why = "; ".join(found.flaws) or "there were none: the store was made before manifests were kept"
        elif other := manifests.same(rows, replayed):
            more = {row["id"] for row in rows["versions"]} - {row["id"] for row in replayed["versions"]}
            # versions that only the catalog knows were written by a version of recast without manifests
            made = "manifests" if more else "catalog"
            why = f"they differ in {', '.join(other)}"
            rows = rows if more else replayed
        else:
            made, why = "nothing", "the catalog and the manifests are whole"
        if made == "catalog" and not dry_run:
            aside = catalog.remake(rows, found.line[-1])
    if made == "manifests" and not dry_run:
        with catalog.writing(whole=True):
            pass
    missing = sorted(row["id"] for row in rows["parts"] if not part_path(root, row["id"]).exists())
    return Rebuilt(
        made, why, len(rows["versions"]), len(rows["heads"]) + len(rows["tags"]), len(rows["consumed_by"]),
        len(found.line), tuple(missing), dry_run, str(aside) if aside else None,
    )  # fmt: skip


def _standing(store: Store) -> tuple[tuple[tuple[int, str] | None, dict[str, Any]] | None, str]:
    """Newest manifest and rows of a catalog that is to be believed, else None and why it is not."""
    if not store.catalog.path.exists():
        return None, "the catalog is lost"
    try:
        with store.catalog.peeking() as con:
            return (store.catalog.newest(con), tables(con)), ""
    except (duckdb.Error, RecastError) as wrong:
        return None, str(wrong).splitlines()[0]


def _both(store: Store, why: str, flaws: tuple[str, ...]) -> IntegrityError:
    said = "; ".join(flaws) or f"{store.root / 'manifests'} holds no manifest"
    return IntegrityError(
        f"{why}, and the catalog cannot be made again: {said}. Restore either the catalog or these manifests from a "
        "copy of the store, then repeat `recast rebuild`; nothing was changed."
    )
