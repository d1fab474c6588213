"""One version a run: a job that is killed between its commit and its result does not commit again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from recast.pipelines.run.runs import Run

if TYPE_CHECKING:
    from recast.curate.store.store import Store


def once(store: Store, name: str, run: Run | None, commit: Callable[[str | None], Any]) -> Any:
    """The version of `name` that this run has committed, else that of `commit(run id)`."""
    if run is None:
        return commit(None)
    if not run.fresh and store.has(name):
        committed = next((v for v in store.log(name) if v.run_id == run.id), None)
        if committed is not None:
            return committed
    return commit(run.id)
