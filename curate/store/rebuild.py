"""Making the two that say what a store holds, its catalog and its manifests, from the one that is whole.

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

    made_from: Literal["manifests", "catalog"]
    why: str  # what was wrong with the other; empty where nothing was
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
    """Make the catalog again, from the manifests or, where those are not whole, from its own rows with new manifests.

    It is made again in any case: a file of DuckDB has pages, of its indexes, that reading every row does not touch.
    Raises UsageError where there is no store, IntegrityError where neither is whole.
    """
    catalog, root = store.catalog, store.root
    if not catalog.path.exists() and not any(manifests.numbers(root)):
        catalog.exists()  # names parts without anything that knows them
        raise UsageError(f"no store at {root}.")
    with catalog.alone(exclusive=not dry_run):
        held, wrong = _standing(store)
        newest, rows = held if held else (None, None)
        found = manifests.read(root, newest)
        replayed = manifests.replay(found.line) if found.line and not found.flaws else None
        if rows is None and replayed is None:
            raise _both(store, wrong, found.flaws)
        made_from, why = "manifests", wrong
        if replayed is None:
            made_from = "catalog"
            why = (
                "; ".join(found.flaws) or "there were no manifests: the store was made before they were kept"
            )
        elif rows is not None and (other := manifests.same(rows, replayed)):
            why = f"the two differ in {', '.join(other)}"
            if {row["id"] for row in rows["versions"]} - {row["id"] for row in replayed["versions"]}:
                made_from = "catalog"  # a version of recast that knows no manifests has written
        chosen = rows if made_from == "catalog" else replayed
        assert chosen is not None
        aside: Path | None = None
        if not dry_run:
            if made_from == "catalog":
                last = manifests.whole(max([0, *manifests.numbers(root)]) + 1, chosen)
                manifests.announce(root, last)  # the catalog that follows makes it count
            else:
                last = found.line[-1]
            aside = catalog.remake(chosen, last, keep=bool(why))
    missing = sorted(row["id"] for row in chosen["parts"] if not part_path(root, row["id"]).exists())
    return Rebuilt(
        made_from, why, len(chosen["versions"]), len(chosen["heads"]) + len(chosen["tags"]),
        len(chosen["consumed_by"]), len(found.line), tuple(missing), dry_run, str(aside) if aside else None,
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
