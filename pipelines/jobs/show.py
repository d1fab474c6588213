"""`recast show`: rows of a version, with what was decided about each and why."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

from pipelines.jobs.options import VersionRef, option

COLUMNS = ("row_id", "target", "messages", "completion", "demonstration", "answer", "task", "decision", "reason",
           "nll_demonstration", "nll_completion")  # fmt: skip


def job(
    name: VersionRef,
    *,
    row: Annotated[
        str | None, option("--row", help="Only rows whose id starts so.", show_default=False)
    ] = None,
    decision: Annotated[
        str | None, option("--decision", help="Only these: rewrite, fallback, ...", show_default=False)
    ] = None,
    limit: Annotated[int, option("--limit", "-n", help="At most this many rows.", min=0)] = 3,
    store: Any,
) -> dict[str, Any]:
    """Show the counts of decisions and reasons of a version, and some of its rows."""
    snapshot = store.open(name)
    fates: Counter[tuple[str, str]] = Counter()
    rows: list[dict[str, Any]] = []
    for batch in snapshot.batches(["decision", "reason"]):
        fates.update(zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True))
    for each in snapshot.rows(COLUMNS) if limit else ():
        if (row is None or each["row_id"].startswith(row)) and decision in (None, each["decision"]):
            rows.append(each)
            if len(rows) == limit:
                break
    return {
        "version": snapshot.version.to_json(),
        "fates": [{"decision": d, "reason": r or "", "rows": n} for (d, r), n in fates.most_common()],
        "rows": rows,
    }


def show(result: dict[str, Any], console: Any) -> None:
    from rich.text import Text

    version = result["version"]
    console.print(Text(f"{version['ref']}  {version['rows']} rows  {version['message']}", style="bold"))
    for fate in result["fates"]:
        reason = f" ({fate['reason']})" if fate["reason"] else ""
        console.print(f"  {fate['rows']:>7} {fate['decision']}{reason}", markup=False)
    for row in result["rows"]:
        reason = f", {row['reason']}" if row["reason"] else ""
        console.print(Text(f"\n{row['row_id']}  {row['decision']}{reason}", style="bold"))
        for message in row["messages"]:
            console.print(Text(f"{message['role']}: {message.get('content')}", style="dim"))
        console.print(Text(row["completion"]))
