"""Settings of rejective fine-tuning, and which of them decide what it ends in."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from recast.curate.errors import UsageError
from recast.train.sft.config import TuningConfig
from recast.train.sft.objective_names import Objective

NOT_IDENTITY = {
    "checkpoints": "how often a run can be resumed does not change what it ends in",
}

OWN = ("samples", "temperature", "max_tokens", "accept_from", "refuse_to")
"""Settings of answers that a model draws for itself, under a grader."""
LATER = dict.fromkeys((*OWN, "none_passed"), "runs of before drew no answers of their own")
RULES: dict[str, int] = {"unlikelihood_weight": 2}
"""Settings that came to decide otherwise: only tokens that no accepted text has are pushed down, where it was all that
followed the first of them; and rows with refused candidates no longer share their batches."""

ONLY_FOR = {
    "objective": ("rejective",),
    "margin": ("rejective",),
    "margin_weight": ("rejective",),
    "unlikelihood_weight": ("rejective",),
    "bounded": ("rejective",),
    "floor": ("rejective",),
    "ambiguity_weight": ("rejective",),
    "ramp": ("rejective",),
    "fall_steps": ("rejective", "nft"),
    "patience": ("rejective", "nft"),
    "beta": ("dpo", "kto"),
}
"""Settings that only some methods read."""


class CandidatesConfig(TuningConfig):
    """What is learned from candidates, accepted and refused: what `reject` and `reward-model` share."""

    accepted: int = Field(default=2, ge=1)
    """Most accepted candidates of a row, the chosen one first."""
    rejects_per_accepted: int = Field(default=2, ge=0)
    """Most rejected candidates of a row for each accepted one."""
    none_passed: Literal["expert", "drop"] = "expert"
    """Rows that no candidate passed. expert: the expert's text is the accepted one; drop: they are left out."""

    samples: int = Field(default=8, ge=2)
    """With a grader: answers of its own that the model draws to each prompt."""
    temperature: float = Field(default=1.0, gt=0)
    """With a grader: at which they are drawn."""
    max_tokens: int = Field(default=256, ge=1)
    """With a grader: longest answer in tokens. One that is cut is neither learned nor pushed away unless it passed."""
    accept_from: float = 1.0
    """With a grader: least reward of an accepted answer."""
    refuse_to: float = 0.5
    """With a grader: highest reward of a refused answer; what lies between, or has no score, is undecided."""

    @model_validator(mode="after")
    def _both_sides_of_a_gap(self) -> CandidatesConfig:
        if self.refuse_to >= self.accept_from:
            raise ValueError(f"refuse_to {self.refuse_to:g} is not below accept_from {self.accept_from:g}")
        return self

    def refuse_own(self, section: str) -> None:
        """Raise UsageError for a setting of own answers, which nothing reads without a grader that draws some."""
        for name in OWN:
            if getattr(self, name) != type(self).model_fields[name].default:
                raise UsageError(
                    f"{section}.{name} has no effect without answers of the model's own. Add --grader FILE and "
                    "--samples K, or leave it out."
                )


class RejectConfig(CandidatesConfig):
    """How one model learns from accepted and rejected candidates. Part of the run's identity but for
    `NOT_IDENTITY`.

    Rates, epochs and batches are those of `sft`, and every row is trained: with the same rows and settings accepted
    texts are learned as `sft` learns them.
    """

    heldout: float = Field(default=0.0, ge=0, lt=1)
    """Share of the rows that is measured and not trained: on them it is seen whether right and wrong come apart."""
    method: Literal["rejective", "nft", "dpo", "kto"] = "rejective"
    """rejective: likelihood of the accepted, margin, unlikelihood and ambiguity (train/rejection/losses.py). nft:
    negative-aware fine-tuning. dpo: TRL's DPO with hinge and likelihood. kto: TRL's KTO, which needs no pairs."""
    all_passed: Literal["keep", "drop"] = "keep"
    """Rows whose candidates were all accepted. keep: they hold the model where it is; drop: they teach nothing new."""
    objective: str = "nll"
    """What a token of an accepted candidate costs, as `sft.objective`."""
    margin: float = Field(default=0.2, gt=0)
    """m: nats a token by which an accepted candidate must have gained on a rejected one since training began; over a
    text of n tokens m * n nats. `apart` in loss.jsonl says how many pairs came so far (train/rejection/losses.py)."""
    margin_weight: float = Field(default=0.2, ge=0)
    """beta_m."""
    unlikelihood_weight: float = Field(default=0.05, ge=0)
    """beta_u."""
    bounded: bool = True
    """Unlikelihood as p. false: -log(1 - p), which outweighs likelihood where the model is sure of a token."""
    floor: float = Field(default=0.1, gt=0, lt=1)
    """Probability above which a token of a rejected candidate is pushed down."""
    ambiguity_weight: float = Field(default=0.01, ge=0)
    """beta_h: cost of an undecided answer where candidates disagree."""
    ramp: float = Field(default=0.2, ge=0, le=1)
    """Share of the steps over which the three weights rise from 0."""
    fall_steps: int = Field(default=50, ge=1)
    """Steps in a row with accepted candidates less likely than at the start after which the weights of what pushes
    away are halved; after the third time training stops."""
    beta: float = Field(default=0.1, gt=0)
    """Of DPO and KTO: how far the model may leave its start."""

    @field_validator("objective")
    @classmethod
    def _known_objective(cls, value: str) -> str:
        try:
            return str(Objective.parse(value))
        except UsageError as error:
            raise ValueError(str(error)) from error

    def check(self) -> None:
        """Raise UsageError for a setting that the method does not read: it must not look as if it had an effect.

        Apart from the checks of single settings, since the method may come from the command line and they from a file.
        """
        changed = {
            name for name, field in type(self).model_fields.items() if getattr(self, name) != field.default
        }
        for name in sorted(changed & ONLY_FOR.keys()):
            if self.method not in ONLY_FOR[name]:
                raise UsageError(
                    f"reject.{name} has no effect with the method {self.method}; {' and '.join(ONLY_FOR[name])} read "
                    "it. Leave it out, or choose another method."
                )
        for name in sorted(changed & {"bounded", "floor"}):
            if not self.unlikelihood_weight:
                raise UsageError(
                    f"reject.{name} has no effect with reject.unlikelihood_weight 0. Leave it out."
                )
