"""`recast export`: a version as files that trainers read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from recast.pipelines.options import Names, VersionRef, option

if TYPE_CHECKING:
    from recast.curate.store.store import Store


def job(
    name: VersionRef,
    *,
    to: Annotated[Literal["jsonl", "trl", "parquet"], option("--to", help="Format.")] = "jsonl",
    out: Annotated[Path, option("--out", "-o", help="File to write.", show_default=False), Names.OUTPUT],
    store: Store,
) -> dict[str, Any]:
    """Write version `name` to `out`: every column (jsonl, parquet), or what TRL's trainers take (trl)."""
    from recast.curate.store.export import export

    written = export(store, name, to, out)
    return {
        "version": written.ref,
        "format": written.format,
        "rows": written.rows,
        "columns": list(written.columns),
        "out": str(written.path),
    }


def show(result: dict[str, Any], console: Any) -> None:
    console.print(
        f"{result['out']}: {result['rows']} rows of {result['version']} as {result['format']}", markup=False
    )
