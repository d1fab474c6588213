"""`recast sql`: a query over the versions of the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from recast.pipelines.options import argument
from recast.pipelines.terminal.text import unwrapped, visible

if TYPE_CHECKING:
    from recast.curate.store.store import Store

SHOWN = 1000  # characters of one value


def job(
    query: Annotated[str, argument("One statement of DuckDB SQL.", metavar="QUERY")], *, store: Store
) -> dict[str, Any]:
    """Query versions by name, as in `SELECT decision, count(*) FROM "craft@v2" GROUP BY ALL`.

    `versions`, `changes`, `candidates` and `lineage` are tables, too. The query sees the store and nothing else.
    """
    from recast.curate.history.query import query as run_query

    table = run_query(store, query)
    return {"columns": table.column_names, "rows": table.to_pylist()}


def show(result: dict[str, Any], console: Any) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in result["columns"]:
        table.add_column(visible(name))
    for row in result["rows"]:
        table.add_row(*(Text("" if value is None else visible(str(value), SHOWN)) for value in row.values()))
    unwrapped(console).print(table)
