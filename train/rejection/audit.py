"""What became of every candidate: how likely it was before and after, and whether right and wrong came apart.

    audit.parquet   a row a candidate: key, right or why it was refused, nats a token before and after, whether held out
    audit.json      sums of it by reason, and `discrimination` on the held-out rows, before and after

Discrimination compares candidates of one row, so that easy and hard questions do not mix:

    auroc     share of pairs (right, wrong) of a row in which the right one has the higher mean log-probability, ties
              half; rows weigh alike
    mass      P(correct): of the probability that the model gives to a row's candidates, the part on right ones
    error     expected calibration error of these parts: |mean part - share right| over ten bins of candidates
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recast.curate.files import whole, write_json
from recast.curate.intervals import mean_of_shares
from recast.train.rejection.groups import Encoded

AUDIT, SUMMARY = "audit.parquet", "audit.json"
BINS = 10


def discrimination(
    right: Sequence[np.ndarray], total: Sequence[np.ndarray], mean: Sequence[np.ndarray]
) -> dict[str, Any] | None:
    """`auroc`, `mass` and `error` over rows; None where no row has both kinds.

    For each row: `right` (n,) bool, `total` and `mean` (n,) log-probabilities of its candidates, nats. Intervals are
    Student's, over rows.
    """
    both = [i for i, r in enumerate(right) if r.any() and not r.all()]
    if not both:
        return None
    ordered, parts = [], []
    for i in both:
        r, s = right[i], mean[i]
        difference = s[r][:, None] - s[~r][None, :]
        ordered.append(float(((difference > 0) + 0.5 * (difference == 0)).mean()))
        weight = np.exp(total[i] - total[i].max())
        parts.append(weight / weight.sum())
    mass = [float(part[right[i]].sum()) for i, part in zip(both, parts, strict=True)]
    said, true = np.concatenate(parts), np.concatenate([right[i] for i in both])
    place = np.minimum((said * BINS).astype(int), BINS - 1)
    error = sum(
        (place == b).sum() * abs(said[place == b].mean() - true[place == b].mean()) for b in np.unique(place)
    ) / len(said)
    return {
        "rows": len(both),
        "candidates": len(said),
        "auroc": mean_of_shares(ordered),
        "mass": mean_of_shares(mass),
        "error": round(float(error), 4),
    }


def write(
    out: Path,
    encoded: Sequence[Encoded],
    heldout: Sequence[int],
    before: Sequence[Sequence[np.ndarray]],
    after: Sequence[Sequence[np.ndarray]],
) -> dict[str, Any]:
    """Write the audit of a run to `out` and return its summary.

    `before` and `after` have the log-probabilities (T,) of the tokens of every candidate of every group.
    """
    held = set(heldout)
    columns: dict[str, list[Any]] = defaultdict(list)
    for i, (group, b, a) in enumerate(zip(encoded, before, after, strict=True)):
        for said, was, now in zip(group.said, b, a, strict=True):
            refused = said.refused
            for name, value in {
                "row_id": group.group.row_id, "target": group.group.target, "right": said.right,
                "by_expert": group.group.by_expert and said.right, "reason": refused.reason if refused else "",
                "k": refused.k if refused else None, "attempt": refused.attempt if refused else None,
                "num_tokens": len(was), "before": float(was.mean()), "after": float(now.mean()), "heldout": i in held,
            }.items():  # fmt: skip
                columns[name].append(value)
    table = pa.table(
        {
            **columns,
            "k": pa.array(columns["k"], pa.int32()),
            "attempt": pa.array(columns["attempt"], pa.int32()),
        }
    )
    with whole(out / AUDIT) as temporary:
        pq.write_table(table, temporary, compression="zstd")
    summary = {
        "trained": _moved(table.filter(pa.compute.invert(table["heldout"]))),
        "heldout": _moved(table.filter(table["heldout"])),
        "discrimination": {
            name: discrimination(
                [np.array([s.right for s in encoded[i].said]) for i in heldout],
                [np.array([x.sum() for x in found[i]]) for i in heldout],
                [np.array([x.mean() for x in found[i]]) for i in heldout],
            )
            for name, found in (("before", before), ("after", after))
        },
    }
    write_json(out / SUMMARY, summary)
    return summary


def _moved(table: pa.Table) -> list[dict[str, Any]]:
    """Of each kind of candidate (right, or the reason of its refusal): how many, and mean nats a token."""
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for row in table.select(["right", "by_expert", "reason", "before", "after"]).to_pylist():
        kind = ("expert" if row["by_expert"] else "accepted") if row["right"] else row["reason"]
        found[kind].append((row["before"], row["after"]))
    return [
        {
            "kind": kind,
            "candidates": len(values),
            "before": round(float(np.mean([b for b, _ in values])), 4),
            "after": round(float(np.mean([a for _, a in values])), 4),
            "fell": sum(a < b for b, a in values),
        }
        for kind, values in sorted(found.items(), key=lambda item: -len(item[1]))
    ]
