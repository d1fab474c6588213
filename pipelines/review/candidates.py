"""What else was sampled for a row: the candidates beside the version, or beside the nearest one before it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from recast.curate.store import versions
from recast.curate.store.catalog import memory
from recast.curate.store.snapshot import candidates_sql
from recast.curate.store.store import Store
from recast.curate.store.versions import Version
from recast.pipelines.review.decisions import Key

MOST = 24  # candidates of a row that are shown


@dataclass(frozen=True, slots=True)
class Sampled:
    """One candidate of a row."""

    text: str
    status: str  # records.VerdictStatus
    reason: str
    checks: list[dict[str, Any]]  # of records.Check
    nll: float | None  # nats a token
    attempt: int
    chosen: bool


def keeper(store: Store, version: Version) -> Version | None:
    """The version that keeps candidates of this one's rows: itself, or the nearest first parent that has some."""
    with store.catalog.reading() as con:
        line = versions.chain(con, version)
    return next((each for each in line if each.candidates_parts), None)


def of_row(store: Store, kept: Version | None, key: Key) -> list[Sampled]:
    """The candidates of a row, the chosen one first, then by attempt and place in the group."""
    if kept is None:
        return []
    with memory() as con:
        found = con.execute(
            "SELECT text, coalesce(status, ''), coalesce(reason, ''), coalesce(checks, '[]'), nll, "
            f"coalesce(attempt, 0), coalesce(chosen, false) FROM ({candidates_sql(store.root, kept.candidates_parts)}) "
            f"WHERE row_id = ? AND target = ? ORDER BY coalesce(chosen, false) DESC, attempt, k LIMIT {MOST}",
            list(key),
        ).fetchall()
    return [
        Sampled(text, status, reason, json.loads(checks), nll, attempt, chosen)
        for text, status, reason, checks, nll, attempt, chosen in found
    ]
