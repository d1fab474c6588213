"""Where a job over batches stops, and with whom it shares its run: the options in the agent's own terms."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from recast.pipelines.run.runs import Run

if TYPE_CHECKING:
    from recast.agent.batches.job import Budget, Sharing


def budget(minutes: float | None, max_candidates: int | None = None) -> Budget:
    """The budget of a job that begins now. None: without that bound."""
    from recast.agent.batches.job import Budget

    deadline = time.monotonic() + 60 * minutes if minutes is not None else None
    return Budget(deadline, max_candidates)


def sharing(run: Run) -> Sharing | None:
    """None: this process has the run for itself."""
    from recast.agent.batches.job import Sharing

    return Sharing(run.leases, run.turn) if run.leases else None
