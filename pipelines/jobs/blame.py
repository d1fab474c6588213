"""`recast blame`: every text that a row has had, newest first."""

from __future__ import annotations

from typing import Any

from pipelines.jobs.options import RowId, Target, VersionRef


def job(name: VersionRef, row: RowId, *, target: Target = 0, store: Any) -> dict[str, Any]:
    """List every text that row ROW has had on the way to version `name`, with who brought it and when."""
    from curate.lineage import blame

    return {"row_id": row, "events": [event.to_json() for event in blame(store, name, row, target)]}


def show(result: dict[str, Any], console: Any) -> None:
    from rich.text import Text

    for event in result["events"]:
        said = [event["version"], event["op"], event.get("decision"), event.get("reason"), event["author"]]
        console.print(Text("  ".join(word for word in said if word), style="bold"))
        if event.get("completion"):
            console.print(Text(f"{event['completion']}\n"))
