"""`recast branch`: start a line of versions of its own, or list those of a name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from recast.pipelines.options import VersionRef, argument

if TYPE_CHECKING:
    from recast.curate.store.store import Store


def job(
    ref: VersionRef,
    branch: Annotated[str | None, argument("The new branch. None: list them.", metavar="[BRANCH]")] = None,
    *,
    store: Store,
) -> dict[str, Any]:
    """Start the branch NAME/BRANCH at VERSION; commits, imports and merges take it as a name.

    Without BRANCH, list the branches of the name.
    """
    version = store.branch(ref, branch) if branch else store.resolve(ref)
    branches = [
        {"branch": label.ref, "version": store.resolve(label.version).ref}
        for label in store.labels()
        if label.kind == "branch" and label.name == version.name
    ]
    return {
        "started": f"{version.name}/{branch}" if branch else None,
        "version": version.ref,
        "version_id": version.id,
        "branches": branches,
    }


def show(result: dict[str, Any], console: Any) -> None:
    if result["started"]:
        console.print(f"{result['started']} starts at {result['version']}", markup=False)
        return
    width = max(len(each["branch"]) for each in result["branches"])
    for each in result["branches"]:
        console.print(f"{each['branch']:<{width}}  {each['version']}", markup=False)
