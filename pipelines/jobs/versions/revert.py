"""`recast revert`: undo what one version changed, and keep what came after it."""

from __future__ import annotations

from typing import Annotated, Any

from recast.pipelines.options import VersionRef, option
from recast.pipelines.terminal.text import counted
from recast.pipelines.wiring import conflicts


def job(
    ref: VersionRef,
    *,
    into: Annotated[
        str | None,
        option(
            "--into",
            help="Branch to write to. Default: that of VERSION.",
            metavar="BRANCH",
            show_default=False,
        ),
    ] = None,
    ours: conflicts.Ours = False,
    theirs: conflicts.Theirs = False,
    conflicts_file: conflicts.File = None,
    message: Annotated[
        str | None, option("--message", help="Why; stands in the log.", show_default=False)
    ] = None,
    store: Any,
    config: Any,
) -> dict[str, Any]:
    """Commit the opposite of what VERSION changed, on top of its branch. No version goes away.

    Rows that changed again since are conflicts (exit code 4): `ours` keeps what they read now, `theirs` goes back to
    what they read before VERSION.
    """
    from recast.curate.history.merge import revert

    undone = store.resolve(ref)
    target = into or (undone.name if undone.branch == "main" else f"{undone.name}/{undone.branch}")
    result = conflicts.settled(
        lambda take: revert(
            store, ref, into=into, take=take, message=message or "", author=config.general.author
        ),
        ours=ours,
        theirs=theirs,
        file=conflicts_file,
        again=f"recast revert {ref}" + (f" --into {into}" if into else ""),
    )
    return {"reverted": undone.ref, "into": target, **result}


def exit_code(result: dict[str, Any]) -> int:
    return conflicts.REFUSED if result["num_conflicts"] else 0


def show(result: dict[str, Any], console: Any) -> None:
    if result["num_conflicts"]:
        conflicts.show(result, console)
    elif result["version"] is None:
        console.print(f"nothing of {result['reverted']} is left in {result['into']} to undo", markup=False)
    else:
        rows = counted(result["taken"], "row")
        console.print(f"{result['version']}: {rows} back to before {result['reverted']}", markup=False)
