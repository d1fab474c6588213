"""What a card says beside the rows: where they come from, how good their gate is, how varied they are."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recast.curate.store.store import Store

SAMPLED = 5000  # completions that diversity is measured on


def card_facts(store: Store, ref: str, licence: str | None) -> dict[str, Any]:
    """Facts for `curate.export.trainers.hub.card`."""
    from recast.curate.curation.diversity import distinct_n, length_entropy, opening_entropy
    from recast.curate.gate.gate_files import measured

    snapshot = store.open(ref)
    ids: dict[str, None] = {}
    for batch in snapshot.batches(["gate_id"]):
        ids |= dict.fromkeys(gate for gate in batch.column(0).unique().to_pylist() if gate)
    gates = [f"`{gate}`" + (f": {said}" if (said := measured(store.root, gate)) else "") for gate in ids]
    texts = [row["completion"] for row in islice(snapshot.rows(["completion"]), SAMPLED)]
    return {
        "license": licence,
        "message": snapshot.version.message,
        "gates": gates,
        "diversity": {
            "distinct 2-grams (share)": round(distinct_n(texts, 2), 3),
            "distinct 3-grams (share)": round(distinct_n(texts, 3), 3),
            "entropy of openings (nats)": round(opening_entropy(texts), 2),
            "entropy of lengths (nats)": round(length_entropy(texts), 2),
        },
    }
