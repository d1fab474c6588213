"""`recast log`: the versions of a name, newest first, or the names of the store."""

from __future__ import annotations

from typing import Annotated, Any

from pipelines.jobs.options import Limit, argument


def job(
    name: Annotated[str | None, argument("A name or version. None: every name.", metavar="[NAME]")] = None,
    *,
    limit: Limit = None,
    store: Any,
) -> dict[str, Any]:
    """List the versions of `name`, newest first, with the tags they were given and the risks that were accepted.

    Without a name, the newest version of every name.
    """
    versions = store.log(name) if name else [store.resolve(each) for each in store.names()]
    tags = store.taggings() if versions else {}
    return {"versions": [{**v.to_json(), "tags": tags.get(v.id, [])} for v in versions[:limit]]}


def show(result: dict[str, Any], console: Any) -> None:
    from rich.table import Table

    if not result["versions"]:
        console.print("the store is empty. Start with: recast import FILE --as NAME")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("version", "rows", "change", "when", "by", "message"):
        table.add_column(
            head, justify="right" if head == "rows" else "left", no_wrap=head in ("version", "rows")
        )
    for v in result["versions"]:
        change = f"+{v['added']} ~{v['changed']} -{v['removed']}"
        table.add_row(
            v["ref"],
            str(v["rows"]),
            change,
            v["created_at"][:16].replace("T", " "),
            v["author"],
            v["message"],
        )
        for given in v["tags"]:
            risk = f", accepting the risk: {given['note']}" if given["note"] else ""
            past = "" if given["current"] else " (moved on since)"
            table.add_row("", "", "", "", given["author"], f"tagged {given['tag']}{past}{risk}")
    console.print(table)
