"""Held-out figures of a learning run: what is measured, which adapter is the best, when the reward has fallen.

Measured are greedy rewrites of rows that no step has seen, gated and scored as in the reward, and scored where the
gate refuses them, too: an NLL that hangs on the gate would rise when the gate passes more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from recast.agent.engines.protocol import Sampling
from recast.agent.learning.processes import Processes
from recast.agent.reward.ledger import mean_or_none
from recast.agent.reward.scorer import Scorer

KEPT = ("reward", "pass_rate", "unverifiable_frac", "nll", "alignment")


def figures(
    scorer: Scorer, rows: Sequence[dict[str, Any]], *, max_tokens: int, processes: Processes
) -> dict[str, Any]:
    """Figures of the greedy rewrites of `rows`, shared among the processes; the same in all of them."""
    ours = rows[processes.rank :: processes.count]
    scored, lengths, cut = [], [], []
    if ours:
        asked = [scorer.prompts.rewrite(row) for row in ours]
        greedy = Sampling(temperature=0.0, max_tokens=max_tokens)
        drawn = scorer.engine.sample(asked, 1, greedy, seeds=[[0]] * len(asked), adapter=True)
        scored = scorer.score(
            ours, [[g[0].text] for g in drawn], [[g[0].finish_reason] for g in drawn], score_rejected=True
        )
        lengths = [len(g[0].token_ids) for g in drawn]
        cut = [g[0].finish_reason == "length" for g in drawn]
    levels = processes.gathered(scorer.anchors.of([scorer.anchored(row) for row in ours]))
    scored, lengths, cut = (processes.gathered(part) for part in (scored, lengths, cut))
    found = scorer.figures(scored)
    return {
        **{name: found[name] for name in KEPT},
        "nll_accepted": mean_or_none([g.nll[0] for g in scored if g.accepted[0]]),
        "nll_demonstration": mean_or_none([a.nll_demonstration for a in levels]),
        "nll_self": mean_or_none([a.nll_self for a in levels]),
        "mean_tokens": mean_or_none(lengths),
        "truncated_frac": mean_or_none(cut),
    }


def best_step(measured: dict[int, dict[str, Any]]) -> int:
    """The first step of the highest reward; of equal rewards a learned one, and that of the lowest NLL.

    Greedy rewrites that were good from the start stay what they are while the sampled ones come to pass: with the
    same reward the untrained adapter (step 0) is the worse one. And a group of one has no spread, so in mode `paper`
    every accepted rewrite has the same reward.
    """

    def rank(step: int) -> tuple[float, bool, float]:
        nll = measured[step]["nll"]
        return (
            round(measured[step]["reward"] or 0.0, 6),
            step > 0,
            -(nll if nll is not None else float("inf")),
        )

    return max(sorted(measured), key=rank)


def has_fallen(measured: dict[int, dict[str, Any]], patience: int | None) -> bool:
    """Whether the last `patience` measurements all lie below the best reward."""
    if patience is None or len(measured) <= patience:
        return False
    rewards = [round(measured[step]["reward"] or 0.0, 6) for step in sorted(measured)]
    return all(reward < max(rewards) for reward in rewards[-patience:])
