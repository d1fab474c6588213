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

    lr: float = Field(default=1e-4, gt=0)
    """Peak learning rate."""
    epochs: int = Field(default=1, ge=1)
    """Times that every row is seen."""
    batch_size: int = Field(default=8, ge=1)
    """Pairs a step."""
    heldout: float = Field(default=0.1, ge=0, lt=1)
    """Share of the rows whose pairs are measured and not trained."""
    center: float = Field(default=0.0, ge=0)
    """Weight of (r_accepted + r_refused)^2, which keeps rewards around 0 (arXiv 2312.09244). 0: none."""
