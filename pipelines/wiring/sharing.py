"""What a job needs to share its run with other processes, in the agent's own terms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recast.pipelines.run.runs import Run

if TYPE_CHECKING:
    from recast.agent.batches.job import Sharing


def sharing(run: Run) -> Sharing | None:
    """None: this process has the run for itself."""
    from recast.agent.batches.job import Sharing

    return Sharing(run.leases, run.turn) if run.leases else None
