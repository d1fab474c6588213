"""When a job stops before its end: the options in the agent's own terms."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recast.agent.batches.job import Budget


def budget(minutes: float | None, max_candidates: int | None = None) -> Budget:
    """The budget of a job that begins now. None: without that bound."""
    from recast.agent.batches.job import Budget

    deadline = time.monotonic() + 60 * minutes if minutes is not None else None
    return Budget(deadline, max_candidates)
