"""`recast demo`: the whole idea on the backbone that ships with recast, in minutes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from recast.pipelines.options import Jobs, Names, option

if TYPE_CHECKING:
    from recast.pipelines.terminal.progress import Reporter

ARMS = {
    "base": "base, before SFT",
    "sft_demonstrations": "SFT on demonstrations",
    "sft_prompt_rewrites": "SFT on prompt-only rewrites",
    "sft_rewrites": "SFT on the agent's rewrites",
}
COLUMNS = {"downstream": 1, "general": 1, "forgetting": 1, "gold_loglik": 3, "start_loss": 3}


def job(
    *,
    seeds: Annotated[
        int, option("--seeds", help="Repeat over this many seeds; means and intervals.", min=1)
    ] = 1,
    rows: Annotated[
        int | None, option("--rows", help="Demonstrations to draw.", min=16, show_default=False)
    ] = None,
    style: Annotated[
        str, option("--style", help="How the demonstrations are written: latex, terse or program.")
    ] = "latex",
    out: Annotated[
        Path, option("--out", "-o", help="Folder for everything the demo makes."), Names.OUTPUT
    ] = Path("demo"),
    jobs: Jobs = None,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Run the whole job on the pocket backbone, in minutes: does SFT on rewrites forget less?

    Expert demonstrations come in a foreign style; an agent learns to rewrite them; SFT runs on both and on
    rewrites of the bare backbone; the suites say what each learned and forgot. Killed, the same command
    goes on.
    """
    from recast.pipelines.demo import demo
    from recast.pipelines.run.stages import default_jobs

    drawn: dict[str, Any] = {} if rows is None else {"rows": rows}
    return demo.run(out, seeds=seeds, style=style, jobs=jobs or default_jobs(), reporter=reporter, **drawn)


def show(result: dict[str, Any], console: Any) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for name in COLUMNS:
        table.add_column(name.replace("_", " "), justify="right")
    intervals = result.get("intervals", {})
    for arm, label in ARMS.items():
        cells = []
        for name, digits in COLUMNS.items():
            value, half = result[arm].get(name), intervals.get(arm, {}).get(name)
            cell = "" if value is None else f"{value:.{digits}f}"
            cells.append(cell if half is None else f"{cell} ± {half:.{digits}f}")
        table.add_row(label, *cells)
    console.print(table)
    before, after = result["learning"]["before"], result["learning"]["after"]
    said = ", ".join(f"{name.replace('_', ' ')} {before[name]:.3f} -> {after[name]:.3f}" for name in before)
    console.print(f"learning, held out: {said}")
    console.print(f"rows that kept the expert's text: {result['fallback_share']:.1%}")
    console.print(f"{result['seconds']:.0f} s. The report: {result['report']}", markup=False)
