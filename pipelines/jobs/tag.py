"""`recast tag`: give a version a name of its own, such as `craft@ready`."""

from __future__ import annotations

from typing import Annotated, Any

from pipelines.jobs.options import VersionRef, argument, option


def job(
    ref: VersionRef,
    tag: Annotated[str, argument("The tag.", metavar="TAG")],
    *,
    move: Annotated[bool, option("--move", help="Take the tag from the version that has it.")] = False,
    store: Any,
) -> dict[str, Any]:
    """Let `NAME@TAG` name the version `ref`."""
    version = store.tag(ref, tag, move=move)
    return {"version": version.ref, "version_id": version.id, "tag": f"{version.name}@{tag}"}


def show(result: dict[str, Any], console: Any) -> None:
    console.print(f"{result['tag']} is {result['version']}", markup=False)
