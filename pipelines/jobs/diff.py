"""`recast diff`: what changed between two versions, in counts and word by word."""

from __future__ import annotations

from typing import Annotated, Any

from pipelines.jobs.options import Names, VersionRef, argument, option

DIFFERENT = 1


def job(
    a: VersionRef,
    b: Annotated[
        str, argument("A version, or a file that import could read.", metavar="OTHER"), Names.VERSION
    ],
    *,
    where: Annotated[
        str | None,
        option("--where", help="SQL over row_id, op, before, after.", metavar="SQL", show_default=False),
    ] = None,
    limit: Annotated[int, option("--limit", "-n", help="Rows shown word by word.", min=0)] = 3,
    exit_code: Annotated[bool, option("--exit-code", help="Exit 1 where they differ, as git does.")] = False,
    store: Any,
) -> dict[str, Any]:
    """Compare version `a` with `b`: counts first, then some rows with their words before and after."""
    from curate.diff import diff

    found = diff(store, a, b)
    rows = [
        {
            "row_id": row.row_id,
            "target": row.target,
            "op": row.op,
            "decision": (row.after or {}).get("decision"),
            "reason": (row.after or {}).get("reason"),
            "answer_changed": row.answer_changed,
            "before": (row.before or {}).get("completion"),
            "after": (row.after or {}).get("completion"),
            "words": [[op.kind, op.before, op.after] for op in row.words()],
        }
        for row in found.rows(ops=("add", "change", "remove"), where=where, limit=limit)
    ]
    return {
        "a": found.a.ref,
        "b": found.b.ref,
        "summary": found.summary.to_json(),
        "rows": rows,
        "exit_code": DIFFERENT if exit_code and not found.empty else 0,
    }


def exit_code(result: dict[str, Any]) -> int:
    return result["exit_code"]


def show(result: dict[str, Any], console: Any) -> None:
    from rich.text import Text

    s = result["summary"]
    console.print(Text(f"{result['a']} -> {result['b']}", style="bold"))
    counted = ("added", "removed", "changed", "rescored", "unchanged")
    console.print("  " + ", ".join(f"{s[key]} {key}" for key in counted), markup=False)
    for change, rows in s["decisions"].items():
        console.print(f"  {rows:>7} {change}", markup=False)
    if s["nll_change"] is not None:
        console.print(f"  mean NLL {s['nll_change']:+.3f} nats per token", markup=False)
    if s["length_change"] is not None:
        console.print(f"  mean length {s['length_change']:+.0f} characters", markup=False)
    if s["answers_changed"]:
        console.print(Text(f"  the final answer differs in {s['answers_changed']} rows", style="bold red"))
    for row in result["rows"]:
        words = [row["row_id"], row["op"], *(w for w in (row["decision"], row["reason"]) if w)]
        console.print(Text("\n" + "  ".join(words), style="bold"))
        if row["answer_changed"]:
            console.print(Text("the final answer changed", style="bold red"))
        console.print(inked(row["words"], coloured=not console.no_color and console.is_terminal))


def inked(ops: list[list[str]], coloured: bool) -> Any:
    """The words of both sides in one text; without colours, `[-gone-]` and `{+new+}` as git writes them."""
    from rich.text import Text

    text = Text()
    for _kind, before, after in ops:
        if before == after:
            text.append(before)
            continue
        if before:
            text.append(before if coloured else f"[-{before}-]", style="red strike")
        if after:
            text.append(after if coloured else f"{{+{after}+}}", style="green")
    return text
