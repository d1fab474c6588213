"""Which accepted candidate a row keeps, and why a row that keeps its demonstration does.

Pure functions over `curate.records.Candidate`; no engine, no gate. The rule is the same for every agent,
the bare backbone included: otherwise part of what an agent seems to gain is selection.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from agent.embedding import Embed
from curate.records import Candidate, CheckStatus, VerdictStatus

UNVERIFIABLE = "unverifiable"
ERROR = "error"


def choose(
    accepted: Sequence[Candidate], tie_nats: float, embed: Embed | None, chosen: Sequence[np.ndarray]
) -> tuple[Candidate, np.ndarray | None]:
    """The candidate to keep and its embedding.

    Among those within `tie_nats` of the lowest NLL, the one whose nearest neighbour in `chosen` is
    farthest, by (1 - cos)/2; the likeliest where there is nothing to compare with. Ties go to the lower
    (attempt, k).
    """
    ranked = sorted((_nll(c), c.attempt, c.k, i) for i, c in enumerate(accepted))
    near = [accepted[i] for nll, _, _, i in ranked if nll - ranked[0][0] <= tie_nats]
    if embed is None:
        return near[0], None
    embeddings = embed([c.text for c in near])
    if not chosen or len(near) == 1:
        return near[0], embeddings[0]
    distance = ((1 - embeddings @ np.stack(chosen).T) / 2).min(axis=1)
    best = int(distance.argmax())  # the first of equals: the likelier
    return near[best], embeddings[best]


def fallback_reason(candidates: Sequence[Candidate]) -> str:
    """The commonest reason why candidates failed; `unverifiable` counts as one reason, whatever the check."""
    verdicts = [c.verdict for c in candidates]
    labels = [UNVERIFIABLE if v.status is VerdictStatus.UNVERIFIABLE else v.reason for v in verdicts]
    return Counter(labels).most_common(1)[0][0] if labels else ERROR


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
