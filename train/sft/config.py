"""Settings of fine-tuning, and which of them decide what it ends in; what other tunings share with it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from recast.curate.errors import UsageError
from recast.train.sft.objective_names import Objective

NOT_IDENTITY = {
    "checkpoints": "how often a run can be resumed does not change what it ends in",
    "telemetry_tokens": "what is measured of a model does not change it",
}


class TuningConfig(BaseModel):
    """How weights are moved, whatever the loss: what `sft` and `reject` share."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lr: float = Field(default=3e-4, gt=0)
    """Peak learning rate. 3e-4 suits models of a few million parameters; 1e-5 to 5e-5 those of billions."""
    epochs: int = Field(default=3, ge=1)
    """Times that every row is seen."""
    batch_size: int = Field(default=16, ge=1)
    """Rows a step."""
    micro_batch_size: int | None = Field(default=None, ge=1)
    """Rows a forward pass, a divisor of `batch_size`; gradients accumulate. None: the batch at once, or in the largest
    equal parts that fit into memory (`--memory`)."""
    lora_rank: int | None = Field(default=None, ge=1)
    """Rank of a LoRA on all linear layers, merged into the saved weights. None: all weights are trained."""
    lora_alpha: float | None = Field(default=None, gt=0)
    """LoRA scale is alpha / rank. None: alpha = rank, a scale of 1."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout of the LoRA, or of the architecture's own places (attention, in a Llama) where all weights train."""
    max_length: int = Field(default=2048, ge=8)
    """Longest row in tokens, prompt included. Longer rows are left out and counted, never cut."""
    warmup: float = Field(default=0.05, ge=0, lt=1)
    """Share of the steps over which the learning rate rises from 0."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """Learning rate after the warm-up."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled weight decay of AdamW; biases and norms are spared."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """Gradients are clipped to this norm."""
    heldout: float = Field(default=0.0, ge=0, lt=1)
    """Share of the first version's rows that is not trained but measured: mean NLL over the run."""
    evaluations: int = Field(default=8, ge=1)
    """Times over the run that the held-out NLL is measured."""
    patience: int | None = Field(default=None, ge=1)
    """Measurements without a new lowest held-out NLL after which training stops; the weights of the lowest are
    kept. None: all steps are made and the last weights kept."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Arithmetic of the forward and backward pass. auto: bf16 where it is native. Weights stay float32."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, slower."""
    checkpoints: int = Field(default=4, ge=0)
    """Points over the run from which it can be resumed. 0: a killed run begins anew."""
    seed: int = 0
    """Seeds the order of the rows, what a mixture draws, dropout and the LoRA initialisation."""

    @model_validator(mode="after")
    def _options_have_an_effect(self) -> TuningConfig:
        if self.micro_batch_size and self.batch_size % self.micro_batch_size:
            raise ValueError(
                f"batch_size {self.batch_size} is no multiple of micro_batch_size {self.micro_batch_size}"
            )
        if self.lora_alpha is not None and self.lora_rank is None:
            raise ValueError("lora_alpha has no effect without lora_rank")
        if self.patience is not None and not self.heldout:
            raise ValueError("patience has no effect without heldout, a share of the rows such as 0.1")
        return self


class SftConfig(TuningConfig):
    """How one model is fine-tuned on one data set. Part of the run's identity but for `NOT_IDENTITY`."""

    objective: str = "nll"
    """What a token costs: nll, p, dft, general:ALPHA, tsallis:Q, cayley, deft or eaft (train/sft/objectives.py)."""
    telemetry_tokens: int = Field(default=20_000, ge=0)
    """Trained tokens measured before and after, for the figures of the gate. 0: none."""

    @field_validator("objective")
    @classmethod
    def _known_objective(cls, value: str) -> str:
        try:
            return str(Objective.parse(value))
        except UsageError as error:
            raise ValueError(str(error)) from error
