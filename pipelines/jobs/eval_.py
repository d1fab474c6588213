"""`recast eval`: every question of some suites, asked of one model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pipelines.jobs.options import Names, OutFile, argument, option


def job(
    model: Annotated[
        str | None,
        argument("Model folder, hub id or `pocket`.", metavar="[MODEL]"),
        Names.MODEL,
    ] = None,
    *,
    suite: Annotated[
        list[Path],
        option("--suite", help="JSONL of questions with answers; repeat for more.", metavar="FILE"),
        Names.FILE,
    ],
    agent: Annotated[
        Path | None,
        option(
            "--agent", help="An adapter to measure on top of the model.", metavar="DIR", show_default=False
        ),
        Names.ADAPTER,
    ] = None,
    label: Annotated[
        str | None, option("--label", help="How comparisons call the model.", show_default=False)
    ] = None,
    out: OutFile = None,
    max_tokens: Annotated[int, option("--max-tokens", help="Longest answer.", min=1)] = 256,
    batch_size: Annotated[int, option("--batch-size", help="Sequences decoded together.", min=1)] = 64,
    run: Any,
    progress: Any = None,
) -> dict[str, Any]:
    """Answer every question greedily and measure the likelihood of the reference answers.

    Accuracies are in [0, 1], per suite and task. The items go to `out`, which `recast compare` reads.
    """
    from pipelines.jobs import models
    from train.evaluate import evaluate

    engine = models.engine(str(model), agent, batch_size=batch_size)
    generate, loglik = models.answering(engine, max_tokens)
    result = evaluate(suite, generate, loglik, model=label or Path(str(model)).name, progress=progress)
    file = Path(out or run.folder / "results.jsonl")
    result.save(file)
    return {"out": str(file), **result.to_dict()}


def show(result: dict[str, Any], console: Any) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("suite", "task", "questions", "right", "no answer", "gold log-lik."):
        table.add_column(head, justify="left" if head in ("suite", "task") else "right")
    for suite, figures in result["suites"].items():
        rows = [(suite, "", figures), *(("", task, f) for task, f in figures["tasks"].items())]
        for name, task, f in rows if len(rows) > 2 else rows[:1]:
            gold = "" if f["gold_loglik"] is None else f"{f['gold_loglik']:.3f}"
            table.add_row(
                name, task, str(f["num"]), f"{f['right'] / f['num']:.1%}", str(f["format_failures"]), gold
            )
    console.print(table)
    console.print(result["out"], markup=False)
