"""What a reward model is worth on pairs that it has not seen: accuracy, calibration, and whether it likes length.

accuracy      share of pairs whose accepted text has the higher reward, ties half; rows weigh alike
calibration   the model says sigma(r_a - r_b) that text a is the better one. Every pair is asked once each way
              round; the expected calibration error over ten bins
length        accuracy where the accepted text is the longer and where it is the shorter one: a model that likes
              length is right in the first and wrong in the second; and the correlation of reward and length within
              rows, over all texts
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from recast.curate.intervals import mean_of_shares

BINS = 10


def measures(
    rows: Sequence[str], accepted: np.ndarray, refused: np.ndarray, longer: np.ndarray
) -> dict[str, Any]:
    """Measures of pairs: `rows` (N,) are their row ids, `accepted` and `refused` (N,) rewards, `longer` (N,) by how
    many tokens the accepted text is longer. Intervals are Student's, over rows."""
    gap = accepted - refused
    right = (gap > 0) + 0.5 * (gap == 0)
    found: dict[str, Any] = {
        "pairs": len(gap),
        "accuracy": _by_rows(rows, right),
        "calibration_error": _calibration(gap),
        "mean_gap": round(float(gap.mean()), 4),
    }
    for name, where in (("accepted_longer", longer > 0), ("accepted_shorter", longer < 0)):
        chosen = [row for row, here in zip(rows, where, strict=True) if here]
        found[name] = _by_rows(chosen, right[where]) | {"pairs": len(chosen)} if chosen else None
    found["length_correlation"] = (
        round(float(np.corrcoef(gap, longer)[0, 1]), 4) if gap.std() and longer.std() else None
    )
    return found


def _by_rows(rows: Sequence[str], values: np.ndarray) -> dict[str, Any]:
    of_row: dict[str, list[float]] = defaultdict(list)
    for row, value in zip(rows, values.tolist(), strict=True):
        of_row[row].append(value)
    return mean_of_shares([sum(v) / len(v) for v in of_row.values()])


def _calibration(gap: np.ndarray) -> float:
    both = np.concatenate([gap, -gap])
    said = 1 / (1 + np.exp(-np.clip(both, -50, 50)))
    true = np.repeat([1.0, 0.0], len(gap))
    place = np.minimum((said * BINS).astype(int), BINS - 1)
    error = sum(
        (place == b).sum() * abs(said[place == b].mean() - true[place == b].mean()) for b in np.unique(place)
    )
    return round(float(error / len(both)), 4)
