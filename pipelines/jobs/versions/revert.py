"""`recast revert`: undo what one version changed, and keep what came after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from recast.pipelines.options import VersionRef, option
from recast.pipelines.terminal.text import counted
from recast.pipelines.wiring import conflicts

if TYPE_CHECKING:
    from recast.curate.store.store import Store
    from recast.pipelines.config import Config


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
    settling: conflicts.Settling,
    store: Store,
    config: Config,
) -> dict[str, Any]:
    """Commit the opposite of what VERSION changed, on top of its branch. No version goes away.

    Rows that changed again since are conflicts (exit code 4): `ours` keeps what they read now, `theirs` goes back to
    what they read before VERSION.
    """
    from recast.curate.history.merge import revert

    undone = store.resolve(ref)
    target = into or (undone.name if undone.branch == "main" else f"{undone.name}/{undone.branch}")
    result = conflicts.settled(
        "revert",
        {"ref": ref, "into": into},
        settling,
        lambda take: revert(
            store, ref, into=into, take=take, message=settling.message or "", author=config.general.author
        ),
        store,
    )
    return {"reverted": undone.ref, "into": target, **result}


exit_code = conflicts.exit_code


def show(result: dict[str, Any], console: Any) -> None:
    if result["num_conflicts"]:
        conflicts.show(result, console)
    elif result["version"] is None:
        console.print(f"nothing of {result['reverted']} is left in {result['into']} to undo", markup=False)
    else:
        rows = counted(result["taken"], "row")
        console.print(f"{result['version']}: {rows} back to before {result['reverted']}", markup=False)
