"""`recast jobs cancel`: ask everybody who is at work on a run to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from recast.curate.errors import UsageError
from recast.pipelines.options import argument

if TYPE_CHECKING:
    from recast.curate.store.store import Store


def job(
    name: Annotated[str, argument("A run, or how its name begins.", metavar="RUN")],
    *,
    store: Store,
) -> dict[str, Any]:
    """Ask all processes that are at work on a run, on whatever machine, to stop.

    Each stops when it next says how far it is, at the end of a batch or a step, with exit code 130. What is finished
    stands. Nobody who begins later is stopped: the same command goes on.
    """
    from recast.pipelines.run import overview, runs

    folder = overview.find(store.root, name)
    asked = [hand for hand in overview.overview(folder).hands if hand.alive]
    if not asked:
        raise UsageError(f"nobody is at work on {folder.name}; `recast jobs` says who is at work on what.")
    runs.cancel(folder)
    return {"run": folder.name, "asked": [{"host": hand.host, "pid": hand.pid} for hand in asked]}


def show(result: dict[str, Any], console: Any) -> None:
    who = ", ".join(f"process {one['pid']} on {one['host']}" for one in result["asked"])
    console.print(f"asked to stop {result['run']}: {who}", markup=False)
    console.print(f"see how far that is: recast jobs {result['run']}", markup=False)
