"""Is there anything to learn? The first step's candidates say, before hours pass.

GRPO moves a candidate by how it differs from the others of its prompt. Where none passes the gate, or all earn the
same, a step costs what it costs and teaches nothing. (`train.reinforcement.signal` asks this of graded answers.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from recast.agent.learning.config import LearnConfig
from recast.agent.reward.scorer import ScoredGroup
from recast.curate.groups import FEW, differ
from recast.curate.intervals import share_over_rows

SHOWN_REASONS = 3
COOL = 0.6
"""Temperature up to which small models keep to what they are asked (agent/README.md, Prompts)."""
ALIKE = 0.5
"""Share of different texts in a group below which the temperature is too low to tell anything apart."""


@dataclass(frozen=True, slots=True)
class Signal:
    """What a step's candidates say of a run that goes on so. `advice` empty: it teaches enough."""

    prompts: int
    candidates: int
    accepted: dict[
        str, float
    ]  # share of the candidates with its 95 % interval over prompts: value, low, high
    teaching: int  # prompts whose candidates earn differently
    reasons: dict[str, int]  # why candidates were refused, commonest first
    advice: list[str]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def words(self) -> str:
        """In one line."""
        value, low, high = (f"{self.accepted[name]:.0%}" for name in ("value", "low", "high"))
        refused = ", ".join(f"{count} {reason}" for reason, count in self.reasons.items())
        return (
            f"{value} of {self.candidates} candidates passed the gate ({low} to {high}), and {self.teaching} of "
            f"{self.prompts} prompts teach something" + (f"; refused for {refused}" if refused else "")
        )


def signal(groups: Sequence[ScoredGroup], config: LearnConfig, *, warm: bool, plain_prompt: bool) -> Signal:
    """What `groups`, those of a step, say. `warm`: the adapter had a warm start; `plain_prompt`: asked by `default`."""
    verdicts = [v for group in groups for v in group.verdicts]
    refused = Counter(v.reason for v in verdicts if not v.accepted and v.reason)
    teaching = sum(differ(group.rewards) for group in groups)
    shares = [sum(group.accepted) / len(group.accepted) for group in groups]
    return Signal(
        prompts=len(groups),
        candidates=len(verdicts),
        accepted=share_over_rows(shares),
        teaching=teaching,
        reasons=dict(refused.most_common(SHOWN_REASONS)),
        advice=_advice(groups, teaching, refused, config, warm=warm, plain_prompt=plain_prompt),
    )


def _advice(
    groups: Sequence[ScoredGroup],
    teaching: int,
    refused: Counter[str],
    config: LearnConfig,
    *,
    warm: bool,
    plain_prompt: bool,
) -> list[str]:
    """What to change, the surest first. Nothing where more than a few prompts teach."""
    if teaching / len(groups) >= FEW and teaching > 1:
        return []
    num = sum(len(group.texts) for group in groups)
    different = sum(len(set(group.texts)) / len(group.texts) for group in groups) / len(groups)
    passed = any(any(group.accepted) for group in groups)
    advice: list[str] = []
    if refused["truncated"] > num / 4:
        advice.append(f"many were cut: --set learn.max_tokens={2 * config.max_tokens}")
    if different < ALIKE:
        advice.append(
            "candidates of a prompt are alike: a higher temperature, "
            f"--set learn.temperature={config.temperature + 0.3:g}"
        )
    if all(all(group.accepted) for group in groups):
        return advice or ["all pass and earn the same: there is nothing left to learn from these rows"]
    if not warm:
        advice.append("begin with what passes at all: --set warm_start.rows=64")
    if config.temperature > COOL and not passed:
        advice.append(
            f"a small model says more that is right at a lower temperature: --set learn.temperature={COOL:g}"
        )
    if plain_prompt:
        advice.append("another prompt: --set prompts.preset=math (recast plan --prompts measures which)")
    if not config.redraws and config.vllm == "off":
        advice.append("ask other rows in place of those that teach nothing: --set learn.redraws=2")
    advice.append("easier rows, a larger model, or no learning: recast rewrite --method has published ones")
    return advice
