"""`recast gc`: remove files that no version needs."""

from __future__ import annotations

from typing import Annotated, Any

from pipelines.jobs.options import option


def job(
    *,
    dry_run: Annotated[bool, option("--dry-run", help="Say what would go, remove nothing.")] = False,
    store: Any,
) -> dict[str, Any]:
    """Remove parts that no version names and what killed processes left. Versions and runs are never removed."""
    from curate.upkeep import gc

    return gc(store, dry_run=dry_run).to_json()


def show(result: dict[str, Any], console: Any) -> None:
    done = "would remove" if result["dry_run"] else "removed"
    console.print(f"{done} {len(result['files'])} files, {result['bytes'] / 1e6:.1f} MB")
    if result["kept"]:
        console.print(f"kept {result['kept']} that may belong to a commit in progress")
