"""What the backbone is asked, from the section `prompts`; worked examples come from the store."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recast.agent.prompts.config import PromptsConfig
    from recast.agent.prompts.prompts import Prompts
    from recast.curate.store.store import Store

READ = ("row_id", "target", "messages", "demonstration", "completion", "decision")


def open_prompts(settings: PromptsConfig, store: Store) -> Prompts:
    """The prompts of `settings`, with the rewrites that examples are drawn from. Raises UsageError, DataError."""
    from recast.agent.prompts.prompts import Prompts, worked_of

    if settings.draw_from is None:
        return Prompts(settings)
    rows: list[dict[str, Any]] = []
    for batch in store.open(store.resolve(settings.draw_from)).batches():
        rows += [{**row, "messages": json.loads(row["messages"])} for row in batch.select(READ).to_pylist()]
    return Prompts(settings, worked_of(rows))
