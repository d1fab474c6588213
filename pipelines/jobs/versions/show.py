"""`recast show`: rows of a version, with what was decided about each and why."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

from recast.pipelines.options import VersionRef, option
from recast.pipelines.terminal.text import counted, line, visible

if TYPE_CHECKING:
    from recast.curate.store.store import Store

SHOWN = 4000  # characters of one text

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
    store: Store,
) -> dict[str, Any]:
    """Show the counts of decisions and reasons of a version, and some of its rows."""
    from recast.curate.store.snapshot import READ_ROWS

    snapshot = store.open(name)
    fates: Counter[tuple[str, str]] = Counter()
    rows: list[dict[str, Any]] = []
    for batch in snapshot.batches(["decision", "reason"]):
        fates.update(zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True))
    # the first rows are the ones shown, unless others are looked for
    at_a_time = READ_ROWS if row is not None or decision is not None else max(limit, 1)
    for each in snapshot.rows(COLUMNS, at_a_time) if limit else ():
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

    from recast.pipelines.terminal import row_text

    version = result["version"]
    head = Text().append(version["ref"], "bold").append(f"  {counted(version['rows'], 'row')}  ")
    console.print(head.append(visible(version["message"]), "dim"))
    for fate in result["fates"]:
        reason = f" ({visible(fate['reason'])})" if fate["reason"] else ""
        console.print(Text(f"  {fate['rows']:>9,} {fate['decision']}{reason}"))
    for row in result["rows"]:
        said = [row["decision"], row["reason"], row["task"], row["answer"] and f"answer {row['answer']}"]
        head = Text().append(f"\n{line(row['row_id'], 80)}", "bold")
        console.print(head.append("".join(f"   {line(word, 80)}" for word in said if word), "dim"))
        for message in row["messages"]:
            content = message.get("content")
            text = content if isinstance(content, str) else json.dumps(content or message, ensure_ascii=False)
            shown = (
                Text()
                .append(f"{visible(str(message.get('role')))}: ", "dim")
                .append(visible(text, SHOWN), "dim")
            )
            row_text.indented(shown, console, "    ")
        row_text.indented(Text(visible(row["completion"], SHOWN)), console, "    ")
