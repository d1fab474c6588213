"""Settings of reward models, and which of them decide what they end in."""

from __future__ import annotations

from pydantic import Field

from recast.train.rejection.config import LATER, CandidatesConfig

__all__ = ["LATER", "NOT_IDENTITY", "RewardModelConfig"]

NOT_IDENTITY = {
    "checkpoints": "how often a run can be resumed does not change what it ends in",
}


class RewardModelConfig(CandidatesConfig):
    """How a reward model is made of a language model. Part of the run's identity but for `NOT_IDENTITY`."""

    center: float = Field(default=0.0, ge=0)
    """Weight of (r_accepted + r_refused)^2, which keeps rewards around 0 (arXiv 2312.09244). 0: none."""
