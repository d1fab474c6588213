"""`recast doctor`: what this machine has and lacks."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from recast.pipelines.options import option

if TYPE_CHECKING:
    from recast.curate.store.store import Store

COLOURS = {"ok": "green", "note": "yellow", "problem": "bold red"}
MISSING = 6


def job(
    *,
    model: Annotated[
        str | None,
        option(
            "--model", "-m", help="Also look at this model's tokenizer and chat template.", show_default=False
        ),
    ] = None,
    store: Store,
) -> dict[str, Any]:
    """Look at Python, packages, CPU, GPU, disk, store and, if named, a model. Every line ends with the fix."""
    from recast.pipelines.doctor import examine

    findings = examine(store.root, model)
    return {
        "problems": sum(f.state == "problem" for f in findings),
        "findings": [asdict(f) for f in findings],
    }


def exit_code(result: dict[str, Any]) -> int:
    return MISSING if result["problems"] else 0


def show(result: dict[str, Any], console: Any) -> None:
    from rich.text import Text

    for f in result["findings"]:
        line = Text(f"{f['state']:8}", style=COLOURS[f["state"]])
        line.append(f"{f['topic']:22}", style="bold")
        line.append(f"{f['found']}; ", style="default")
        line.append(f["fix"], style="dim" if f["state"] == "ok" else "default")
        console.print(line)
