"""`recast impact`: the models that trained on a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recast.pipelines.options import RowId, Target
from recast.pipelines.terminal.text import counted, line

if TYPE_CHECKING:
    from recast.curate.store.store import Store


def job(row: RowId, *, target: Target = 0, store: Store) -> dict[str, Any]:
    """List the models that trained on row ROW, each with the version and the text that it saw.

    Models are known by their pins: `sft` sets one, `recast pin` sets one for a model that was trained elsewhere.
    """
    from recast.curate.history.lineage import impact

    models = [found.to_json() for found in impact(store, row, target)]
    return {"row_id": models[0]["row_id"] if models else row, "target": target, "models": models}


def show(result: dict[str, Any], console: Any) -> None:
    from rich.text import Text

    if not result["models"]:
        console.print(f"no pinned model trained on row {result['row_id']}", markup=False)
        return
    console.print(
        f"{counted(len(result['models']), 'model')} trained on row {result['row_id']}", markup=False
    )
    width = max(console.width, 100) if not console.is_terminal else console.width
    for found in result["models"]:
        console.print(Text().append(f"{found['model']}  ", "bold").append(found["version"], "cyan"))
        console.print(Text(f"    {line(found['completion'], width - 6)}"))
