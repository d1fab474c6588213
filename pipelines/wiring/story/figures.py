"""What a version's rows say of themselves: acceptance, reviews, diversity. Counted in SQL, not row by row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recast.curate.history.reviews import ACTIONS
from recast.curate.store.catalog import memory
from recast.curate.store.snapshot import candidates_sql
from recast.curate.store.store import Store
from recast.curate.store.versions import Version

if TYPE_CHECKING:
    from recast.curate.curation.collapse import DiversityConfig, Flattening

WRONG = (ACTIONS["expert"], ACTIONS["edit"])
"""What `recast review` writes into a row's `meta` where a person did not let the text stand."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts of one version."""

    rows: int
    decisions: dict[str, int]
    candidates: int
    accepted: int  # of the candidates
    reviewed: int  # rows that a person let stand, edited, or took back
    corrected: int  # of them, those that were edited or taken back
    gate_ids: tuple[str, ...]
    nll_gain: float | None  # nats per token by which rewritten rows are likelier than their demonstrations

    @property
    def rewritten(self) -> int:
        return self.decisions.get("rewrite", 0) + self.decisions.get("repair", 0)

    @property
    def tried(self) -> int:
        """Rows that a rewriting job worked on."""
        return self.rewritten + self.decisions.get("fallback", 0)


def figures(store: Store, version: Version) -> Figures:
    """Count a version; reads a few columns of its parts."""
    with memory(store.root / "tmp") as con:
        con.execute(f"CREATE TEMP VIEW v AS {store.open(version).sql(con)}")
        decisions = con.execute("SELECT decision, count(*) FROM v GROUP BY ALL ORDER BY 2 DESC, 1").fetchall()
        gates = con.execute("SELECT DISTINCT gate_id FROM v WHERE gate_id IS NOT NULL ORDER BY 1").fetchall()
        gain = con.execute(
            "SELECT avg(nll_demonstration - nll_completion) FROM v WHERE decision IN ('rewrite', 'repair')"
        ).fetchone()
        reviewed = con.execute(
            "SELECT count(*), count(*) FILTER (said IN (SELECT unnest(?::VARCHAR[]))) FROM (SELECT "
            "json_extract_string(meta, '$.review.decision') AS said FROM v WHERE meta LIKE '%\"review\"%') "
            "WHERE said IS NOT NULL",
            [list(WRONG)],
        ).fetchone()
        candidates = con.execute(
            "SELECT count(*), count(*) FILTER (status = 'accepted') FROM "
            f"({candidates_sql(store.root, version.candidates_parts)})"
        ).fetchone()
    assert gain is not None and reviewed is not None and candidates is not None  # aggregates have a row each
    return Figures(
        rows=version.rows,
        decisions=dict(decisions),
        candidates=candidates[0],
        accepted=candidates[1],
        reviewed=reviewed[0],
        corrected=reviewed[1],
        gate_ids=tuple(gate for (gate,) in gates),
        nll_gain=gain[0],
    )


def diversity(store: Store, version: Version, settings: DiversityConfig) -> Flattening:
    """A version beside its demonstrations."""
    from recast.curate.curation.collapse import COLUMNS, measure

    embed: Any = None
    if settings.embedding is not None:
        from recast.agent.engines.embedding import sentence_embedder

        embed = sentence_embedder(settings.embedding)
    return measure(store.open(version).rows(COLUMNS), settings, embed=embed)
