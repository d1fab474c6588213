"""`recast gc`: remove files that no version needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from recast.pipelines.options import option
from recast.pipelines.terminal.text import counted

if TYPE_CHECKING:
    from recast.curate.store.store import Store

SHOWN = 20


def job(
    *,
    dry_run: Annotated[bool, option("--dry-run", help="Say what would go, remove nothing.")] = False,
    grace: Annotated[
        float,
        option("--grace", help="Minutes that a file is left alone: a commit may be about to name it.", min=0),
    ] = 60.0,
    store: Store,
) -> dict[str, Any]:
    """Remove parts that no version names and what killed processes left. Versions and runs are never removed."""
    from recast.curate.store.maintenance import gc

    return gc(store, grace_s=60 * grace, dry_run=dry_run).to_json()


def show(result: dict[str, Any], console: Any) -> None:
    done = "would remove" if result["dry_run"] else "removed"
    console.print(f"{done} {counted(len(result['files']), 'file')}, {result['bytes'] / 1e6:,.1f} MB")
    for file in result["files"][:SHOWN] if result["dry_run"] else ():
        console.print(f"  {file}", markup=False)
    if result["dry_run"] and (more := len(result["files"]) - SHOWN) > 0:
        console.print(f"  and {more:,} more; --json lists them")
    if result["kept"]:
        console.print(
            f"kept {counted(result['kept'], 'file')} that may belong to a commit in progress (--grace)"
        )
