"""`recast recall`: a version without a row, the models that learned from it, and how to make them anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from recast.pipelines.options import Message, Names, RowId, option
from recast.pipelines.terminal.text import counted, line

if TYPE_CHECKING:
    from recast.curate.store.store import Store
    from recast.pipelines.config import Config


def job(
    row: RowId,
    *,
    name: Annotated[
        str,
        option("--from", help="Name or branch to take the row from.", metavar="NAME", show_default=False),
        Names.VERSION,
    ],
    dry_run: Annotated[bool, option("--dry-run", help="Say what would be done, and commit nothing.")] = False,
    message: Message = None,
    store: Store,
    config: Config,
) -> dict[str, Any]:
    """Commit the next version of NAME without row ROW (all its targets), and list who learned from it.

    With every model comes the command that trains it anew without the row. Other names and branches that hold the row
    are listed, too, each with its own recall. Versions of before keep the row: they never change.
    """
    from recast.curate.history.recall import recall
    from recast.pipelines.run.arguments import command_line
    from recast.pipelines.wiring.story.anew import training

    found = recall(store, row, name, message=message or "", author=config.general.author, dry_run=dry_run)
    new = found.version.ref if found.version else name
    return {
        "row_id": found.row_id,
        "targets": list(found.targets),
        "before": found.before.ref,
        "version": found.version.ref if found.version else None,
        "version_id": found.version.id if found.version else None,
        "elsewhere": [
            {"ref": ref, "next": command_line("recall", {"row": found.row_id, "name": ref}, store=store.root)}
            for ref in found.elsewhere
        ],
        "generated": found.generated,
        "models": [
            {**each.to_json(), **training(store, each.model, each.version, found.before, new)}
            for each in found.impacts
        ],
    }


def show(result: dict[str, Any], console: Any) -> None:
    from rich.text import Text

    made = result["version"] or f"{result['before']} (--dry-run)"
    targets = f", {counted(len(result['targets']), 'target')}" if len(result["targets"]) > 1 else ""
    console.print(Text(f"{made}: without row {line(result['row_id'], 100)}{targets}", "bold"))
    for other in result["elsewhere"]:
        console.print(Text(f"  {other['ref']} holds it, too: {other['next']}"))
    for ref, rows in result["generated"].items():
        console.print(
            f"  {counted(rows, 'row')} of {ref} {'was' if rows == 1 else 'were'} generated from it",
            markup=False,
        )
    if not result["models"]:
        console.print("  no pinned model learned from it")
    for model in result["models"]:
        console.print(
            Text().append(f"  {model['model']}", "bold").append(f" learned it from {model['version']}", "dim")
        )
        if model["note"]:
            console.print(Text(f"    {model['note']}", "dim"))
        console.print(Text(f"    {model['next']}"))
