"""`recast log`: the versions of a name, newest first, or the names of the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from recast.pipelines.options import Limit, argument, option
from recast.pipelines.terminal.text import unwrapped

if TYPE_CHECKING:
    from recast.curate.store.store import Store


def job(
    name: Annotated[str | None, argument("A name or version. None: every name.", metavar="[NAME]")] = None,
    *,
    graph: Annotated[
        bool, option("--graph", help="Draw branches and merges, with the versions they grew from.")
    ] = False,
    limit: Limit = None,
    store: Store,
) -> dict[str, Any]:
    """List the versions of NAME, newest first, with branches, tags and the risks that were accepted.

    Without a name, the newest version of every name. A version that a gate has audited says so, with what is known
    of the gate's own errors.
    """
    from recast.curate.gate import gate_files
    from recast.curate.store import versions

    if name is None and not store.catalog.exists():
        return {"versions": [], "graph": graph}
    with store.catalog.reading() as con:  # opened once: that is most of what this verb costs
        names = [name] if name else versions.names(con)
        if graph:
            every = {v.id: v for each in names for v in versions.past(con, each)}
            found = sorted(every.values(), key=lambda v: (v.created_at, v.number), reverse=True)
        else:
            found = versions.log(con, name) if name else [versions.resolve(con, each) for each in names]
        tags, labels = versions.taggings(con), versions.labels(con)
    branches: dict[str, list[str]] = {}
    for label in labels:
        if label.kind == "branch":
            branches.setdefault(label.version, []).append(label.ref)
    listed = [
        {
            **v.to_json(),
            "branches": branches.get(v.id, []),
            "tags": tags.get(v.id, []),
            "audits": [
                {**audit, "measured": gate_files.measured(store.root, audit["gate_id"])}
                for audit in gate_files.audits(store.root, v.id)
            ],
        }
        for v in found[:limit]
    ]
    return {"versions": listed, "graph": graph}


def show(result: dict[str, Any], console: Any) -> None:
    if not result["versions"]:
        console.print("the store is empty. Start with: recast import FILE --as NAME")
    elif result["graph"]:
        _show_graph(result["versions"], console)
    else:
        _show_table(result["versions"], console)


def _show_table(versions: list[dict[str, Any]], console: Any) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("version", "rows", "change", "when", "by", "message"):
        table.add_column(head, justify="right" if head == "rows" else "left", no_wrap=head != "message")
    for v in versions:
        apart = [b for b in v["branches"] if b != v["name"]]
        ref = Text(v["ref"]).append("".join(f" {b}" for b in apart), "cyan")
        table.add_row(ref, str(v["rows"]), _change(v), _when(v), Text(v["author"]), Text(v["message"]))
        for given in v["tags"]:
            risk = f", accepting the risk: {given['note']}" if given["note"] else ""
            past = "" if given["current"] else " (moved on since)"
            said = Text(f"tagged {given['tag']}{past}{risk}", "red" if risk else "")
            table.add_row("", "", "", "", Text(given["author"]), said)
    unwrapped(console).print(table)
    for v in versions:
        for audit in v["audits"]:
            counts = ", ".join(f"{audit[key]} {key}" for key in ("accepted", "rejected", "unverifiable"))
            known = f"; {audit['measured']}" if audit["measured"] else ""
            said = f"{v['ref']} audited by gate {audit['gate']} ({audit['gate_id']}): {counts}{known}"
            console.print(said, markup=False, soft_wrap=True)


def _show_graph(versions: list[dict[str, Any]], console: Any) -> None:
    from rich.text import Text

    from recast.pipelines.terminal.history_graph import drawn

    by_id = {v["id"]: v for v in versions}
    lines = drawn({v["id"]: v["parents"] for v in versions})
    width = max(len(graph) for graph, _ in lines) + 2
    for graph, node in lines:
        text = Text(f"{graph:<{width}}", "dim")
        if node is not None:
            v = by_id[node]
            names = [*v["branches"], *(f"@{t['tag']}" for t in v["tags"] if t["current"])]
            text = Text().append(f"{graph:<{width}}", "yellow").append(v["ref"], "bold")
            text.append(f" ({', '.join(names)})" if names else "", "cyan")
            text.append(f"  {_change(v)}  {_when(v)}  {v['author']}  ", "dim").append(v["message"])
            if console.is_terminal:
                text.truncate(console.width, overflow="ellipsis")
        text.rstrip()
        console.print(text)


def _change(v: dict[str, Any]) -> str:
    return f"+{v['added']} ~{v['changed']} -{v['removed']}"


def _when(v: dict[str, Any]) -> str:
    return v["created_at"][:16].replace("T", " ")
