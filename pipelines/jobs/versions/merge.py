"""`recast merge`: bring the row decisions of another version into a branch."""

from __future__ import annotations

from typing import Annotated, Any

from recast.pipelines.options import VersionRef, argument, option
from recast.pipelines.terminal.text import counted
from recast.pipelines.wiring import conflicts


def job(
    into: Annotated[str, argument("The branch that is written to: NAME or NAME/BRANCH.", metavar="INTO")],
    other: VersionRef,
    *,
    ours: conflicts.Ours = False,
    theirs: conflicts.Theirs = False,
    conflicts_file: conflicts.File = None,
    message: Annotated[
        str | None, option("--message", help="Why; stands in the log.", show_default=False)
    ] = None,
    store: Any,
    config: Any,
) -> dict[str, Any]:
    """Merge VERSION into INTO, row by row against the version that both grew from.

    A row that one side changed is taken from that side. A row that both changed, and differently, is a conflict:
    it is shown and written to a file, nothing is committed (exit code 4), and the file with a choice on every line
    settles it.
    """
    from recast.curate.history.merge import merge

    result = conflicts.settled(
        lambda take: merge(
            store, into, other, take=take, message=message or "", author=config.general.author
        ),
        ours=ours,
        theirs=theirs,
        file=conflicts_file,
        again=f"recast merge {into} {other}",
    )
    return {"into": into, "other": other, **result}


def exit_code(result: dict[str, Any]) -> int:
    return conflicts.REFUSED if result["num_conflicts"] else 0


def show(result: dict[str, Any], console: Any) -> None:
    if result["num_conflicts"]:
        conflicts.show(result, console)
    elif result["version"] is None:
        console.print(f"{result['into']} holds all of {result['other']} already", markup=False)
    else:
        how = f", {counted(result['settled'], 'conflict')} settled" if result["settled"] else ""
        base = f" since {result['base']}" if result["base"] else ""
        said = f"{counted(result['taken'], 'row')} taken from {result['other']}{base}{how}"
        console.print(f"{result['version']}: {counted(result['rows'], 'row')}; {said}", markup=False)
