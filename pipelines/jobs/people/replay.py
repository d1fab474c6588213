"""`recast replay`: a row made again from what is recorded: the same, or different and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from recast.curate.errors import MissingDependencyError
from recast.pipelines.options import RowId, Target, VersionRef, option
from recast.pipelines.terminal.text import visible

if TYPE_CHECKING:
    from recast.curate.store.store import Store

DIFFERENT = 1
STYLES = {"same": "bold green", "different": "bold red", "cannot": "bold yellow", "nothing": "bold"}
HEADS = {
    "same": "came out the same",
    "different": "came out different",
    "cannot": "cannot be made again here",
    "nothing": "was made by no model",
}


def job(
    name: VersionRef,
    row: RowId,
    *,
    target: Target = 0,
    exit_code: Annotated[bool, option("--exit-code", help="Exit 1 where it is different.")] = False,
    store: Store,
) -> dict[str, Any]:
    """Sample row ROW of VERSION again, with the model, agent, prompts, seeds and batch that its run recorded.

    All candidates are compared, byte for byte, and where they differ it is said why: another backbone or agent, an
    engine that promises no bytes, another machine. What is missing (a run folder, an agent) is named, with exit code 6.
    """
    from recast.pipelines.wiring.story.replay import replay

    found = replay(store, name, row, target).to_json()
    return {**found, "exit_code": DIFFERENT if exit_code and found["outcome"] == "different" else 0}


def exit_code(result: dict[str, Any]) -> int:
    return MissingDependencyError.exit_code if result["outcome"] == "cannot" else result["exit_code"]


def show(result: dict[str, Any], console: Any) -> None:
    from rich.text import Text

    from recast.curate.history.word_diff import phrases
    from recast.pipelines.terminal import row_text

    head = Text(f"Row {visible(result['row_id'], 100)} of {result['version']} ").append(
        HEADS[result["outcome"]], STYLES[result["outcome"]]
    )
    console.print(head)
    console.print(
        Text(f"  {result['decision']} in {result['made_in']}, engine {result['engine'] or 'none'}", "dim")
    )
    for why in result["why"]:
        console.print(Text(f"  {visible(why)}"))
    for candidate in result["candidates"]:
        if candidate["same"]:
            continue
        attempt = f", repair {candidate['attempt']}" if candidate["attempt"] else ""
        kept = ", the one that was kept" if candidate["chosen"] else ""
        console.print(Text(f"  candidate {candidate['k']}{attempt}, seed {candidate['seed']}{kept}", "bold"))
        if candidate["made"] is None:
            console.print("    sampling it raised an error")
            continue
        ops = phrases(candidate["kept"], candidate["made"])
        row_text.printed([[op.kind, op.before, op.after] for op in ops], console)
