"""Settings of reinforcement fine-tuning, and which of them decide what it ends in."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from recast.curate.errors import UsageError

NOT_IDENTITY = {
    "save_every": "how often a run can be resumed does not change what it ends in",
    "micro_batch": "gradients are summed over the step, whatever the pieces",
    "engine_batch": "how many answers are decoded together changes none of them",
    "kept": "how many checkpoints stay on disk does not change the best one",
}

GRPO, RLOO, PPO = "grpo", "rloo", "ppo"
ONLY_FOR: dict[str, tuple[str, ...]] = {
    "loss_type": (GRPO,),
    "scale_rewards": (GRPO,),
    "value_lr": (PPO,),
    "value_weight": (PPO,),
    "value_clip": (PPO,),
    "value_warmup": (PPO,),
    "gae_lambda": (PPO,),
    "inner_epochs": (PPO,),
    "mini_batches": (PPO,),
    "clip": (PPO,),
    "hint": (GRPO, RLOO),
}
"""Settings that only some algorithms read."""
HINTED = ("hint_steps", "hint_low", "hint_high", "hint_pieces", "hint_weight")
"""Settings that nothing reads without hints."""

PRESETS: dict[str, dict[str, Any]] = {
    "reft": {
        "algorithm": PPO, "samples": 1, "beta": 0.01, "partial": 0.1, "temperature": 1.0, "inner_epochs": 2,
        "gae_lambda": 0.95, "clip": 0.2, "value_clip": 0.2, "value_weight": 5.0, "value_warmup": 0,
        "schedule": "constant", "warmup_steps": 0, "max_grad_norm": 1.0,
    },
}  # fmt: skip
"""Settings of published methods by name. reft: arXiv 2401.08967, its program setting; the learning rate is left to the
config, since that of the paper (3e-7 for 7B, 3e-6 for 125M) is one for all weights and here a LoRA learns."""


class RlConfig(BaseModel):
    """How one model learns from graded answers. Part of the run's identity but for `NOT_IDENTITY`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    algorithm: Literal["grpo", "rloo", "ppo"] = GRPO
    """grpo and rloo: TRL's, an answer is measured against the others of its prompt. ppo: against what a value head
    expects of it (train/reinforcement/ppo.py)."""
    steps: int = Field(default=100, ge=1)
    """Times that answers are drawn and learned from."""
    prompts_per_step: int = Field(default=16, ge=1)
    """Prompts a step."""
    samples: int = Field(default=8, ge=1)
    """Answers drawn a prompt; grpo and rloo need 2 at least."""
    temperature: float = Field(default=1.0, gt=0)
    """Sampling temperature of the answers; validation answers are greedy."""
    max_tokens: int = Field(default=256, ge=1)
    """Longest answer in tokens. One that is cut is graded like any other."""
    lr: float = Field(default=1e-5, gt=0)
    """Peak learning rate. Models of a few million parameters need about 3e-4."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """Learning rate after the warm-up."""
    warmup_steps: int = Field(default=0, ge=0)
    """Steps over which the learning rate rises from 0."""
    lora_rank: int = Field(default=32, ge=1)
    """Rank of the LoRA on all linear layers that learns; it is merged into the saved weights. With it off the model is
    where it began, which KL is measured against."""
    lora_alpha: int = Field(default=32, gt=0)
    """LoRA scale is alpha / rank."""
    beta: float = Field(default=1e-3, ge=0)
    """KL coefficient towards the model at the start: in the loss of grpo, in the reward of rloo and ppo. With 0 no KL
    is measured, and its alarm is off."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """Gradients are scaled down to this norm."""
    micro_batch: int | None = Field(default=None, ge=1)
    """Answers a forward pass; must divide prompts_per_step * samples. None: all at once on a CPU, one prompt's
    answers on a GPU, or as many as fit into memory (`--memory`)."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Arithmetic of the passes that learn. auto: bf16 where it is native. The adapter stays float32."""
    engine_batch: int = Field(default=128, ge=1)
    """Answers decoded together."""
    loss_type: Literal["grpo", "dapo", "dr_grpo"] = "dapo"
    """Of grpo: how TRL sums the losses of tokens; `dapo` weighs every token of the step alike."""
    scale_rewards: Literal["batch", "group", "none"] = "group"
    """Of grpo: what advantages are divided by, the spread of the prompt's answers or of the whole step's."""

    partial: float | None = Field(default=None, ge=0, le=1)
    """Reward of an answer that is graded 0 and yet states a final answer (ReFT: 0.1). None: 0, as graded."""

    hint: Literal["none", "cosine"] = "none"
    """cosine: answers begin with a part of the row's completion, less and less of it, and the model also learns that
    part (UFT, train/reinforcement/hints.py)."""
    hint_steps: int | None = Field(default=None, ge=1)
    """Steps with hints (UFT: 300 of 500). None: three fifths of all."""
    hint_low: float = Field(default=0.05, ge=0, le=1)
    """Share of the completion that is shown at the last step with hints, on average."""
    hint_high: float = Field(default=0.95, ge=0, le=1)
    """Share at the first."""
    hint_pieces: int = Field(default=5, ge=1)
    """Most slices that a completion is cut into."""
    hint_weight: float = Field(default=1e-3, ge=0)
    """Weight of the likelihood of the hint in the loss."""

    clip: float = Field(default=0.2, gt=0, lt=1)
    """Of ppo: how far the probability of a token may move within a step and still earn."""
    inner_epochs: int = Field(default=2, ge=1)
    """Of ppo: times that the answers of a step are learned from."""
    mini_batches: int = Field(default=1, ge=1)
    """Of ppo: optimizer steps an inner epoch."""
    gae_lambda: float = Field(default=0.95, ge=0, le=1)
    """Of ppo: 1 measures an answer by its whole outcome, 0 each token by the next value alone."""
    value_lr: float | None = Field(default=None, gt=0)
    """Of ppo: learning rate of the value head. None: ten times `lr`."""
    value_weight: float = Field(default=0.1, ge=0)
    """Of ppo: weight of half the squared error of the values in the loss (ReFT: 5, at a tiny learning rate)."""
    value_clip: float | None = Field(default=0.2, gt=0)
    """Of ppo: how far a value may move within a step. None: as far as it likes."""
    value_warmup: int = Field(default=5, ge=0)
    """Of ppo: first steps in which only the value head learns."""

    heldout: float = Field(default=0.1, gt=0, lt=1)
    """Share of the prompts kept for validation, by hash of the prompt, where no validation file is given."""
    heldout_rows: int = Field(default=64, ge=1)
    """Most validation prompts that are measured."""
    eval_every: int = Field(default=10, ge=1)
    """Steps between measurements; before the first and after the last step there is always one."""
    patience: int | None = Field(default=None, ge=1)
    """Stop when the validation reward lay below its best this many measurements in a row. None: never."""
    kept: int = Field(default=3, ge=1)
    """Adapters of the best measurements that stay beside the model."""
    save_every: int = Field(default=10, ge=1)
    """Steps between points from which a killed run goes on."""
    seed: int = 0
    """Root of every seed of the run."""

    @model_validator(mode="after")
    def _fits_together(self) -> RlConfig:
        total = self.prompts_per_step * self.samples
        if self.micro_batch and total % self.micro_batch:
            raise ValueError(
                f"micro_batch {self.micro_batch} does not divide prompts_per_step * samples = {total}"
            )
        if self.hint_low > self.hint_high:
            raise ValueError(f"hint_low {self.hint_low} is above hint_high {self.hint_high}")
        return self

    def check(self) -> None:
        """Raise UsageError for what does not go with the algorithm, or has no effect under it.

        Apart from the checks of single settings, since the algorithm may come from the command line and they from a
        file.
        """
        if self.algorithm != PPO and self.samples < 2:
            raise UsageError(
                f"{self.algorithm} measures an answer against the others of its prompt, so rl.samples={self.samples} "
                "teaches nothing; set 2 or more."
            )
        changed = {
            name for name, field in type(self).model_fields.items() if getattr(self, name) != field.default
        }
        for name in sorted(changed & ONLY_FOR.keys()):
            if self.algorithm not in ONLY_FOR[name]:
                raise UsageError(
                    f"rl.{name} has no effect with {self.algorithm}; {' and '.join(ONLY_FOR[name])} read it. Leave it "
                    "out, or choose another algorithm."
                )
        if self.hint == "none" and (idle := sorted(changed & set(HINTED))):
            raise UsageError(
                f"rl.{idle[0]} has no effect without hints. Leave it out, or set rl.hint=cosine."
            )
        rows = self.prompts_per_step * self.samples
        if self.algorithm == PPO and rows % self.mini_batches:
            raise UsageError(
                f"rl.mini_batches={self.mini_batches} does not divide the {rows} answers of a step."
            )

    @property
    def hinted_steps(self) -> int:
        """Steps at which hints are shown: the first so many."""
        if self.hint == "none":
            return 0
        return self.hint_steps or max(1, round(0.6 * self.steps))
