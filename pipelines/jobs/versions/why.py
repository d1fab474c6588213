"""`recast why`: one sentence on why a row reads as it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recast.pipelines.options import RowId, Target, VersionRef
from recast.pipelines.terminal.text import visible

if TYPE_CHECKING:
    from recast.curate.store.store import Store


def job(name: VersionRef, row: RowId, *, target: Target = 0, store: Store) -> dict[str, Any]:
    """Say in one sentence why row ROW reads as it does in version `name`, and what became of its candidates."""
    from recast.curate.history.lineage import why

    return {"row_id": row, "why": why(store, name, row, target)}


def show(result: dict[str, Any], console: Any) -> None:
    console.print(visible(result["why"]), markup=False)
