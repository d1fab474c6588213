"""`recast merge`: bring the row decisions of another version into a branch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from recast.pipelines.options import VersionRef, argument
from recast.pipelines.terminal.text import counted
from recast.pipelines.wiring import conflicts

if TYPE_CHECKING:
    from recast.curate.store.store import Store
    from recast.pipelines.config import Config


def job(
    into: Annotated[str, argument("The branch that is written to: NAME or NAME/BRANCH.", metavar="INTO")],
    other: VersionRef,
    *,
    settling: conflicts.Settling,
    store: Store,
    config: Config,
) -> dict[str, Any]:
    """Merge VERSION into INTO, row by row against the version that both grew from.

    A row that one side changed is taken from that side. A row that both changed, and differently, is a conflict:
    it is shown and written to a file, nothing is committed (exit code 4), and the file with a choice on every line
    settles it.
    """
    from recast.curate.history.merge import merge

    result = conflicts.settled(
        "merge",
        {"into": into, "other": other},
        settling,
        lambda take: merge(
            store, into, other, take=take, message=settling.message or "", author=config.general.author
        ),
        store,
    )
    return {"into": into, "other": other, **result}


exit_code = conflicts.exit_code


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
