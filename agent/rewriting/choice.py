"""Which accepted candidates a row keeps, and why a row that keeps its demonstration does.

Of a batch's accepted candidates those that were written with the most hesitation are not kept (`doubted_from`), and of
a row's the surer half may be (`surer_half`). Of these the ones within a tolerance of the best aligned one count as
equally well aligned (`aligned`).
Of these a batch keeps the ones whose phrases its other rows say least (`varied`), or, where embeddings are asked for,
the farthest from what is already chosen (`spread`). Pure functions; no engine, no gate. C candidates, D dimensions, M
texts chosen so far. The rule is the same for every agent, the bare backbone included: otherwise part of what an agent
seems to gain is selection.

Alignment is measured by excess surprisal at the temperature of sampling (`agent.reward.formula`, mode `typical`)
where the engine tells entropies, else by the mean NLL, which prefers predictable padding: in the world of
`tests/fakes/trap.py`, where 50 of 112 first accepted rewrites of the bare backbone were long-winded, 79 of the
likeliest by NLL were, and 24 of those of the least excess. As in the reward, excess below 0 counts as 0: what is
likelier than the backbone's own speech is no better than it, and leaves the choice to what is said seldom.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np

from recast.agent.batches.isolation import ERROR
from recast.curate.curation.diversity import Phrases
from recast.curate.records import HESITANT, Candidate, CheckStatus, VerdictStatus

REVISION = 2
"""Of the choice, part of what a job is. 1: excess at temperature 1, the lower the better, compared by hidden states."""
ROUNDS = 3
"""Times that a batch goes through its rows: what a row keeps hangs on the others', of which the first knew none."""
LEAST_LIKELY = 8
"""Tokens of a text that its hesitation is the mean of."""
UNVERIFIABLE = "unverifiable"
COPY = "copy"  # the reason of a candidate that says the demonstration again
HESITATION = "hesitation"  # the score of a candidate
TOO_LONG_TO_SCORE = "too_long_to_score"


Alignment = Literal["excess", "nll"]


def hesitation(logprobs: Sequence[float]) -> float:
    """How unsure a model was of what it wrote: the mean surprisal (nats) of its `LEAST_LIKELY` least likely tokens.

    `logprobs` are those of the tokens as they were drawn, under the prompt that asked for them and at temperature 1. Of
    a shorter text all tokens count; of none, as of an engine that tells no log-probabilities, it is NaN. A slip of the
    pen is a few tokens long, and a mean over the whole text drowns it.
    """
    least = sorted(logprobs)[:LEAST_LIKELY]
    return -math.fsum(least) / len(least) if least else math.nan


def hesitation_of(candidate: Candidate) -> float:
    """Its hesitation in nats, NaN where nothing is known of it."""
    return candidate.scores.get(HESITATION, math.nan)


def doubted_from(candidates: Sequence[Candidate], doubt: float) -> float:
    """The hesitation (nats) above which none of a batch's accepted `candidates` is kept; infinity where all may be.

    Of A accepted ones beside R refused ones the floor(doubt A R / (A + R)) most hesitant are above it, fewer where
    others are as hesitant. What a gate wrongly accepts is a share of what is wrong, and the gate's own refusals say how
    much that is: where it refuses little there is little to doubt. Copies are not counted, which are refused for being
    no rewrites. `doubt` 0 doubts none.
    """
    accepted = [c for c in candidates if c.verdict.accepted]
    refused = sum(not c.verdict.accepted and c.verdict.reason != COPY for c in candidates)
    known = _known(accepted)
    num = math.floor(doubt * len(accepted) * refused / max(1, len(accepted) + refused))
    return known[-1 - num] if 0 < num < len(known) else math.inf


def surer_half(accepted: Sequence[Candidate], least: int = 1) -> list[Candidate]:
    """Of a row's accepted candidates the half (rounded up) that was drawn with the less hesitation, `least` at least.

    Equals of the last one stay with it, and so does one of which nothing is known.
    """
    known = _known(distinct(accepted))
    num = max(least, math.ceil(len(known) / 2))
    limit = known[num - 1] if num < len(known) else math.inf
    return [c for c in accepted if not hesitation_of(c) > limit]


def aligned(
    accepted: Sequence[Candidate], tie_nats: float, alignment: Alignment, own: float = 0.0
) -> list[Candidate]:
    """Candidates within `tie_nats` (nats per token) of the best aligned one, best first; equals by (attempt, k).

    `nll` ranks by the mean NLL, `excess` by the excess surprisal, which is a sum: its tolerance is `tie_nats` for every
    token of the best one, and candidates at `own`, the level of own samples, and below it are equals. Of candidates
    with one text only the first is kept. Raises ValueError for one without scores.
    """
    if not accepted:
        return []
    least = own if alignment == "excess" else 0.0
    ranked = sorted((max(least, _misfit(c, alignment)), c.attempt, c.k, i) for i, c in enumerate(accepted))
    best, _, _, first = ranked[0]
    per_token = accepted[first].scores.get("num_tokens", 1.0) if alignment == "excess" else 1.0
    tolerance = tie_nats * per_token
    return distinct([accepted[i] for misfit, _, _, i in ranked if misfit - best <= tolerance])


def distinct(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The first candidate of each text, in order."""
    first: dict[str, Candidate] = {}
    for candidate in candidates:
        first.setdefault(candidate.text, candidate)
    return list(first.values())


def varied(groups: Sequence[Sequence[str]], num: int = 1) -> list[list[int]]:
    """Indices of the at most `num` texts that each group keeps: those of which the other groups say the least.

    Group after group the most novel text is taken (`curate.curation.diversity.Phrases`), the earlier of equals, and put
    back to be chosen again once the others are known, at most `ROUNDS` times. Depends on the groups and their order
    alone.
    """
    kept = Phrases()
    picked: list[list[int]] = [[] for _ in groups]
    for _ in range(ROUNDS):
        before = [list(p) for p in picked]
        for group, chosen in zip(groups, picked, strict=True):
            if len(group) <= num and chosen:
                continue  # there is nothing to choose
            for i in chosen:
                kept.remove(group[i])
            chosen.clear()
            while len(chosen) < min(num, len(group)):
                left = [i for i in range(len(group)) if i not in chosen]
                best = max(left, key=lambda i, group=group: (kept.novelty(group[i]), -i))
                chosen.append(best)
                kept.add(group[best])
        if picked == before:
            break
    return picked


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
    """`HESITANT` where one was accepted, else the commonest reason why candidates failed, the earliest of equals."""
    if any(c.verdict.accepted for c in candidates):
        return HESITANT
    found = reasons(candidates)
    return found.most_common(1)[0][0] if found else ERROR


def failure_message(candidates: Sequence[Candidate]) -> str:
    """The sentence of the check that failed most often, for the repair prompt."""
    messages = []
    for verdict in (c.verdict for c in candidates):
        failed = (check.message for check in verdict.checks if check.status is not CheckStatus.PASS)
        messages.append(next(failed, verdict.reason))
    return Counter(messages).most_common(1)[0][0]


def _known(candidates: Sequence[Candidate]) -> list[float]:
    """The hesitations that are known, the lowest first."""
    return sorted(h for c in candidates if not math.isnan(h := hesitation_of(c)))


def _misfit(candidate: Candidate, alignment: Alignment) -> float:
    """What is lowest for the best aligned: nats per token, or nats."""
    found = candidate.nll if alignment == "nll" else candidate.scores.get("excess")
    if found is None:
        raise ValueError(
            f"candidate {candidate.k} of row {candidate.row_id} has no {alignment} to be chosen by"
        )
    return found
