"""`recast tag`: give a version a name of its own, such as `craft@ready`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from recast.curate.errors import RefusedError
from recast.pipelines.options import VersionRef, argument, option

if TYPE_CHECKING:
    from recast.curate.store.store import Store
    from recast.pipelines.config import Config


def job(
    ref: VersionRef,
    tag: Annotated[str, argument("The tag.", metavar="TAG")],
    *,
    move: Annotated[bool, option("--move", help="Take the tag from the version that has it.")] = False,
    accept_risk: Annotated[
        bool, option("--accept-risk", help="Tag a version that is less varied than its demonstrations.")
    ] = False,
    store: Store,
    config: Config,
) -> dict[str, Any]:
    """Let `NAME@TAG` name the version `ref`.

    `ready`, and whatever else `diversity.guarded_tags` holds, is refused (exit code 4) to a version that lost more
    than `diversity.max_loss` of any measure of diversity against its demonstrations: a template that took over.
    `--accept-risk` tags it all the same, and the log says so.
    """
    settings = config.section("diversity")
    version = store.resolve(ref)
    result: dict[str, Any] = {
        "version": version.ref,
        "version_id": version.id,
        "tag": f"{version.name}@{tag}",
    }
    note = ""
    if tag in settings.guarded_tags:
        from recast.pipelines.wiring.story.figures import diversity

        found = diversity(store, version, settings)
        note = "; ".join(map(str, found.losses))
        if found.losses and not accept_risk:
            raise RefusedError(
                f"{version.ref} is less varied than its demonstrations: {note}. At most {settings.max_loss:.0%} of any "
                f"measure may be lost for the tag {tag!r} (measured on {found.num_rows} rows). Look at it with `recast "
                f"show {version.ref}`; to tag it all the same, add --accept-risk, and the log will say so."
            )
        result |= {"diversity": asdict(found), "accepted_risk": note or None}
    store.tag(ref, tag, move=move, author=config.general.author, note=note)
    return result


def show(result: dict[str, Any], console: Any) -> None:
    console.print(f"{result['tag']} is {result['version']}", markup=False)
    if result.get("accepted_risk"):
        console.print(f"accepting the risk: {result['accepted_risk']}", markup=False)
