"""`recast compare`: what tuning gained on the task and forgot elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from pipelines.jobs.options import Names, OutFile, argument, option


def job(
    base: Annotated[Path, argument("Evaluation of the model before tuning.", metavar="BASE"), Names.FILE],
    others: Annotated[list[Path], argument("Evaluations of tuned models.", metavar="TUNED..."), Names.FILE],
    *,
    target: Annotated[
        list[str] | None,
        option(
            "--target", help="Suite or task that the tuning was for; repeat for more.", show_default=False
        ),
    ] = None,
    out: OutFile = None,
) -> dict[str, Any]:
    """Compare evaluations of the same questions, pairwise, with 95 % intervals in points of 100."""
    from pipelines.runs import write_whole
    from train.compare import compare
    from train.evaluate import EvalResult

    results = [EvalResult.load(path) for path in others]
    labels = [result.model for result in results]
    if len(set(labels)) < len(labels):
        labels = [str(path) for path in others]
    result = compare(
        EvalResult.load(base), dict(zip(labels, results, strict=True)), target=target or ()
    ).to_dict()
    if out:
        write_whole(out, json.dumps(result, indent=1) + "\n")
        result["out"] = str(out)
    return result


def show(result: dict[str, Any], console: Any) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("model", "downstream", "gain", "general", "forgetting"):
        table.add_column(head, justify="left" if head == "model" else "right")
    table.add_row(result["base"], _points(result["base_downstream"]), "", _points(result["base_general"]), "")
    for change in result["changes"]:
        table.add_row(
            change["model"],
            _points(change["downstream"]),
            _interval(change["gain"]),
            _points(change["general_accuracy"]),
            _interval(change["forgetting"]),
        )
    console.print(table)
    for change in [*result["changes"], *result["pairs"]]:
        console.print(change["verdict"], markup=False)


def _points(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _interval(value: dict[str, float] | None) -> str:
    return "" if value is None else f"{value['value']:+.1f} ({value['low']:+.1f} to {value['high']:+.1f})"
