"""`recast demo`: the whole idea on the backbone that ships with recast, in minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pipelines.jobs.options import Names, option


def job(
    *,
    seeds: Annotated[
        int, option("--seeds", help="Repeat over this many seeds; means and intervals.", min=1)
    ] = 1,
    rows: Annotated[int, option("--rows", help="Demonstrations to draw.", min=16)] = 600,
    style: Annotated[
        str, option("--style", help="Style of the demonstrations: latex, terse or program.")
    ] = "latex",
    out: Annotated[
        Path, option("--out", "-o", help="Folder for everything the demo makes."), Names.OUTPUT
    ] = Path("demo"),
    jobs: Annotated[
        int | None,
        option("--jobs", "-j", help="Stages at a time. Default: 2 where there are 2 cores.", min=1),
    ] = None,
    reporter: Any = None,
) -> dict[str, Any]:
    """Demonstrations in a foreign style, an agent that learns to rewrite them, SFT on both, and what is forgotten."""
    from pipelines.demo import demo
    from pipelines.jobs.run import default_jobs

    return demo.run(out, seeds=seeds, rows=rows, style=style, jobs=jobs or default_jobs(), reporter=reporter)


def show(result: dict[str, Any], console: Any) -> None:
    from rich.table import Table

    rows = (
        ("backbone, before", "base"),
        ("SFT on the demonstrations", "sft_demonstrations"),
        ("SFT on prompt-only rewrites", "sft_prompt_rewrites"),
        ("SFT on the agent's rewrites", "sft_rewrites"),
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    heads = ("downstream", "general", "forgetting", "gold_loglik", "start_loss")
    table.add_column("")
    for head in heads:
        table.add_column(head.replace("_", " "), justify="right")
    widths = result.get("intervals", {})
    for label, key in rows:
        cells = []
        for head in heads:
            value, half = result[key].get(head), widths.get(key, {}).get(head)
            digits = 1 if head in heads[:3] else 3
            text = "" if value is None else f"{value:.{digits}f}"
            cells.append(f"{text} ± {half:.{digits}f}" if half is not None else text)
        table.add_row(label, *cells)
    console.print(table)
    before, after = (result["learning"][when] for when in ("before", "after"))
    console.print(
        f"learning, held-out rows: reward {before['reward']:.2f} -> {after['reward']:.2f}, "
        f"gate pass rate {before['pass_rate']:.0%} -> {after['pass_rate']:.0%}, "
        f"NLL {before['nll']:.3f} -> {after['nll']:.3f} nats per token"
    )
    console.print(
        f"{result['fallback_share']:.1%} of the rows kept the expert's text; {result['seconds']:.0f} s"
    )
    console.print(f"the page: {result['report']}", markup=False)
