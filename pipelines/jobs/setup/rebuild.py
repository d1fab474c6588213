"""`recast rebuild`: the catalog from manifests and parts, and the manifests where those are lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from recast.pipelines.options import option
from recast.pipelines.terminal.text import counted

if TYPE_CHECKING:
    from recast.curate.store.store import Store

DAMAGED = 5


def job(
    *,
    dry_run: Annotated[bool, option("--dry-run", help="Say what would be made, write nothing.")] = False,
    store: Store,
) -> dict[str, Any]:
    """Make the catalog again where it is lost, unreadable or an older copy, from the manifests beside the parts.

    Versions, branches, tags, pins and what was said of them are as they were. Where manifests are lost, damaged, or
    were never written (stores of before), it writes those from the catalog. A wrong catalog is kept beside the new.
    """
    from recast.curate.store.rebuild import rebuild

    return rebuild(store, dry_run=dry_run).to_json()


def exit_code(result: dict[str, Any]) -> int:
    return DAMAGED if result["missing_parts"] else 0


def show(result: dict[str, Any], console: Any) -> None:
    holds = ", ".join(counted(result[key], key[:-1]) for key in ("versions", "refs", "pins"))
    made = f"{'would make' if result['dry_run'] else 'made'} the catalog again from "
    made += "the manifests" if result["made_from"] == "manifests" else "its own rows, with new manifests"
    why = f"because {result['why']}" if result["why"] else "nothing was found wrong"
    console.print(f"{made} ({holds}); {why}", markup=False, soft_wrap=True)
    if result["aside"]:
        console.print(f"the old catalog is kept as {result['aside']}", markup=False, soft_wrap=True)
    if lost := result["missing_parts"]:
        console.print(
            f"{counted(len(lost), 'part')} of its versions missing, such as {lost[0]}: restore them from a copy; "
            "`recast verify` names the versions and rows",
            markup=False,
        )
