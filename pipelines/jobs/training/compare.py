"""`recast compare`: what tuning gained on the task and forgot elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from recast.pipelines.options import Names, OutFile, argument, option


def job(
    base: Annotated[Path, argument("Evaluation of the model before tuning.", metavar="BASE"), Names.FILE],
    others: Annotated[
        list[str],
        argument(
            "Evaluations of tuned models: FILE, or ARM=FILE; an arm given several times has a seed each.",
            metavar="[ARM=]TUNED...",
        ),
        Names.NAMED_FILE,
    ],
    *,
    target: Annotated[
        list[str] | None,
        option(
            "--target", help="Suite or task that the tuning was for; repeat for more.", show_default=False
        ),
    ] = None,
    out: OutFile = None,
    picture: Annotated[
        Path | None,
        option("--picture", help="SVG of gain against forgetting.", metavar="FILE", show_default=False),
        Names.OUTPUT,
    ] = None,
) -> dict[str, Any]:
    """Compare evaluations of the same questions, pairwise, with 95 % intervals in points of 100.

    Intervals are over questions, and over seeds where an arm has several evaluations. Forgetting is the mean over all
    general tasks, which weigh alike; below it stands that of every suite by itself, with the questions that went wrong
    (lost) and right (won) and the task that changed for the worst.
    """
    from recast.curate.files import write_json, write_text
    from recast.train.evaluation.compare import compare
    from recast.train.evaluation.results import EvalResult

    before = EvalResult.load(base)
    arms = _arms(others)
    result = compare(before, arms, target=target or ()).to_dict()
    if picture:
        from recast.pipelines.report.picture import gain_and_forgetting
        from recast.pipelines.report.sources.evaluations import arms as drawn

        write_text(picture, gain_and_forgetting(drawn({before.model: before, **arms}, target=target or ())))
        result["picture"] = str(picture)
    if out:
        write_json(out, result)
        result["out"] = str(out)
    return result


def _arms(others: list[str]) -> dict[str, Any]:
    """Arm -> its evaluations. A file without a name is an arm by itself, called as its model."""
    from recast.pipelines.run.identity import named_file
    from recast.train.evaluation.results import EvalResult

    arms: dict[str, list[Any]] = {}
    for name, path in map(named_file, others):
        found = EvalResult.load(path)
        label = name or (found.model if found.model not in arms else path)
        arms.setdefault(label, []).append(found)
    return arms


def show(result: dict[str, Any], console: Any) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    with_kl = any(change["kl"] is not None for change in result["changes"])
    for head in ("model", "downstream", "gain", "general", "forgetting", *(["KL"] if with_kl else [])):
        table.add_column(head, justify="left" if head == "model" else "right")
    table.add_row(result["base"], _points(result["base_downstream"]), "", _points(result["base_general"]), "")
    for change in result["changes"]:
        seeds = f" ({change['num_runs']} seeds)" if change["num_runs"] > 1 else ""
        table.add_row(
            change["model"] + seeds,
            _points(change["downstream"]),
            _interval(change["gain"]),
            _points(change["general_accuracy"]),
            _interval(change["forgetting"]),
            *([] if not with_kl else ["" if change["kl"] is None else f"{change['kl']:.3f}"]),
        )
    console.print(table)
    if any(change["suites"] for change in result["changes"]):
        console.print()
        console.print(_suites(result["changes"]))
    for change in [*result["changes"], *result["pairs"]]:
        console.print(change["verdict"], markup=False)
    for change in result["changes"]:
        if change["worst"] and change["worst"]["accuracy"] < change["worst"]["base_accuracy"]:
            w = change["worst"]
            moved = f"{change['right_to_wrong']:.0f} went wrong and {change['wrong_to_right']:.0f} right"
            lost = f"{w['base_accuracy']:.1f} -> {w['accuracy']:.1f}"
            console.print(
                f"{change['model']} lost most on {w['task']}: {lost}; of all general questions {moved}.",
                markup=False,
            )
    for key in ("picture", "out"):
        if key in result:
            console.print(result[key], markup=False)


def _suites(changes: list[dict[str, Any]]) -> Any:
    """What each model forgot of each suite, a line each."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("model", "suite", "tasks", "forgetting", "lost", "won", "worst task"):
        table.add_column(head, justify="left" if head in ("model", "suite", "worst task") else "right")
    for change in changes:
        for suite in change["suites"]:
            worst = suite["worst"]
            table.add_row(
                change["model"],
                suite["suite"],
                str(suite["num_tasks"]),
                _interval(suite["forgetting"]),
                f"{suite['right_to_wrong']:.0f}",
                f"{suite['wrong_to_right']:.0f}",
                f"{worst['task']} {worst['accuracy'] - worst['base_accuracy']:+.1f}",
            )
    return table


def _points(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _interval(value: dict[str, float] | None) -> str:
    return "" if value is None else f"{value['value']:+.1f} ({value['low']:+.1f} to {value['high']:+.1f})"
