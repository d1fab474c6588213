"""Which accepted candidates a row keeps, and why a row that keeps its demonstration does.

Of the accepted candidates, those within a tolerance of the likeliest count as equally well aligned
(`aligned`); of these the ones farthest from what is already chosen are kept, one after another (`spread`). Pure
functions; no engine, no gate. C candidates, D dimensions, M texts chosen so far. The rule is the same for every
agent, the bare backbone included: otherwise part of what an agent seems to gain is selection.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from curate.records import Candidate, CheckStatus, VerdictStatus

UNVERIFIABLE = "unverifiable"
ERROR = "error"
TOO_LONG_TO_SCORE = "too_long_to_score"


def aligned(accepted: Sequence[Candidate], tie_nats: float) -> list[Candidate]:
    """Candidates within `tie_nats` of the lowest NLL, likeliest first; equals by (attempt, k).

    Of candidates with one text only the first is kept. Raises ValueError for one without an NLL.
    """
    ranked = sorted((_nll(c), c.attempt, c.k, i) for i, c in enumerate(accepted))
    near = [accepted[i] for nll, _, _, i in ranked if nll - ranked[0][0] <= tie_nats]
    return distinct(near)


def distinct(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The first candidate of each text, in order."""
    first: dict[str, Candidate] = {}
    for candidate in candidates:
        first.setdefault(candidate.text, candidate)
    return list(first.values())


def farthest(embeddings_CD: np.ndarray, chosen: Sequence[np.ndarray]) -> int:
    """Index of the row whose nearest neighbour in `chosen` is farthest, by (1 - cos)/2; 0 where none is chosen.

    Rows have length 1. The first of equals wins.
    """
    if not chosen:
        return 0
    distance_CM = (1 - embeddings_CD @ np.stack(chosen).T) / 2
    return int(distance_CM.min(axis=1).argmax())


def spread(embeddings_CD: np.ndarray, chosen: Sequence[np.ndarray], num: int) -> list[int]:
    """Indices of at most `num` rows, each the farthest from `chosen` and from those before it."""
    left, taken = list(range(len(embeddings_CD))), list(chosen)
    kept: list[int] = []
    while left and len(kept) < num:
        kept.append(left.pop(farthest(embeddings_CD[left], taken)))
        taken.append(embeddings_CD[kept[-1]])
    return kept


def reasons(candidates: Sequence[Candidate]) -> Counter[str]:
    """Why candidates failed, and how many; `unverifiable` counts as one reason, whatever the check."""
    verdicts = (c.verdict for c in candidates if not c.verdict.accepted)
    return Counter(UNVERIFIABLE if v.status is VerdictStatus.UNVERIFIABLE else v.reason for v in verdicts)


def fallback_reason(candidates: Sequence[Candidate]) -> str:
    """The commonest reason why candidates failed, the earliest of equals."""
    found = reasons(candidates)
    return found.most_common(1)[0][0] if found else ERROR


def failure_message(candidates: Sequence[Candidate]) -> str:
    """The sentence of the check that failed most often, for the repair prompt."""
    messages = []
    for verdict in (c.verdict for c in candidates):
        failed = (check.message for check in verdict.checks if check.status is not CheckStatus.PASS)
        messages.append(next(failed, verdict.reason))
    return Counter(messages).most_common(1)[0][0]


def _nll(candidate: Candidate) -> float:
    if candidate.nll is None:
        raise ValueError(f"candidate {candidate.k} of row {candidate.row_id} has no NLL to be chosen by")
    return candidate.nll
