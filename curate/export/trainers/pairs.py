"""Chosen and rejected: the completion of a row against candidates that the gate refused for it.

A candidate is text alone, so a completion with calls or thoughts has no fair counterpart and is refused.
"""

from __future__ import annotations

from recast.curate.export.formats import Asked, Refusal
from recast.curate.export.rows import Row
from recast.curate.records import Message


def refused(row: Row) -> Message:
    """The first rejected candidate as a turn."""
    return {"role": "assistant", "content": row.rejected[0]}


def comparable(row: Row, asked: Asked) -> Refusal | None:
    """A row whose completion is text alone, as its candidates are."""
    if len(row.said) > 2:
        more = ", ".join(sorted(set(row.said) - {"role", "content"}))
        return Refusal(
            "not_comparable", f"has a completion with {more}", "a rejected candidate is text alone"
        )
    return None
