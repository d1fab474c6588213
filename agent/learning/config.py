"""Settings of learning an agent, and which of them decide what it ends in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    from recast.agent.reward.scorer import Weights

NOT_IDENTITY = {
    "save_every": "how often a run can be resumed does not change what it ends in",
    "micro_batch": "gradients are summed over the batch, whatever the pieces",
    "trackers": "where figures are shown as well changes none",
    "vllm_server": "the same server may move",
    "vllm_memory": "how much is cached changes no sample",
}

LATER = {
    "precision": "the same command finds a run of before, which had the dtype of the backbone",
    "redraws": "runs of before learnt from the prompts that came, whatever their candidates earned",
}
"""Settings that came later: with their default they do not change which run a command finds."""

COLUMNS = ("row_id", "messages", "demonstration", "answer", "task")
"""What of a row reaches the reward."""


class LearnConfig(BaseModel):
    """How an agent learns. Defaults are those of the published method (arXiv 2602.11220) or say why not.

    Reward and held-out figures are of texts as they were sampled. `rewrite.clean` has no part in it: an agent whose
    junk were cut for it would never learn to leave it out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(default=120, ge=1)
    """Optimizer steps. The paper's Mistral checkpoint is of step 120."""
    prompts_per_step: int = Field(default=64, ge=1)
    """Prompts a step (paper: 504 on 8 GPUs)."""
    candidates: int = Field(default=8, ge=2)
    """K, rewrites sampled a prompt (paper script 5, note on the paper 10)."""
    lr: float = Field(default=3e-6, gt=0)
    """Peak learning rate (paper: 3e-6). Models of a few million parameters need about 1e-3."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """Learning rate after the warm-up (paper: constant). AdamW makes steps of one size however small gradients are, so
    once all candidates pass, a constant rate keeps moving by noise; a falling one comes to rest."""
    warmup_steps: int = Field(default=0, ge=0)
    """Steps over which the learning rate rises from 0."""
    beta: float = Field(default=1e-3, ge=0)
    """KL coefficient towards the backbone (paper: 1e-3, k3 estimator). 0 saves a forward pass a step, and the
    training pass over candidates without an advantage; no KL is measured then, and the alarm that ends a run by it is
    off."""
    lora_rank: int = Field(default=64, ge=1)
    """LoRA rank (paper: 64), on all linear layers."""
    lora_alpha: int = Field(default=32, gt=0)
    """LoRA scale is alpha / rank (paper: 32)."""
    max_tokens: int = Field(default=512, ge=1)
    """Longest rewrite in tokens (paper: 4096). A truncated rewrite fails the gate."""
    temperature: float = Field(default=1.0, gt=0)
    """Sampling temperature of the candidates."""
    redraws: int = Field(default=0, ge=0, le=8)
    """Rounds in which prompts whose candidates all earned the same are replaced by other rows' ahead of a step
    (dynamic sampling, arXiv 2503.14476). A round draws as many prompts as teach nothing yet, so that a step costs at
    most so many times its candidates more. Figures of the step are of what was asked first."""
    loss_type: Literal["grpo", "dapo", "dr_grpo"] = "dapo"
    """TRL's aggregation of the token losses; `dapo` weighs every token of the batch alike. None of them depends on
    `micro_batch`."""
    scale_rewards: Literal["batch", "group", "none"] = "none"
    """What advantages are divided by. `group` blows a small bonus up to
    unit variance in every group where all pass, `batch` does so once all pass everywhere: the pocket's
    gradients then grew fivefold and undid what the gate had taught. `none` is Dr. GRPO's choice."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """Gradients are scaled down to this norm."""
    micro_batch: int | None = Field(default=None, ge=1)
    """Candidates a forward pass; must divide prompts_per_step * candidates. None: all at once on a CPU, one
    prompt's candidates on a GPU, or as many as fit into memory (`--memory`)."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Arithmetic of the passes that learn. auto: bf16 where it is native. The adapter's weights stay float32."""
    engine_batch: int = Field(default=128, ge=1)
    """Rows that the engine decodes or scores together."""

    mode: Literal["anchored", "paper", "typical"] = "typical"
    """Reward mode (`agent.reward.formula`). `typical` alone ends in the backbone's own style where another is
    likelier per token (`tests/bench/agent_trap.py`); it is measured at `temperature`."""
    lambda_dist: float | None = Field(default=None, ge=0)
    """Weight of alignment. None: 0.35 as in the paper, 1 in mode `typical` (`agent.reward.formula.Weights.of`)."""
    lambda_div: float | None = Field(default=None, ge=0)
    """Weight of diversity. None: 0.25, 0.5 in mode `paper` (`agent.reward.formula.Weights.of`)."""
    lambda_copy: float = Field(default=0.1, ge=0, le=2)
    """Weight of the copy penalty (above 2.5 a copy that passed would be worse than one refused). Mode `paper`
    has none."""
    soft_gate: bool = False
    """For ablation: pay half for a right answer alone, and shaping outside the gate (`agent.reward.scorer.Weights`)."""
    scored_under: Literal["question", "rewriting"] = "question"
    """For ablation: `rewriting` scores under the rewriting prompt, as methods before arXiv 2602.11220 did."""
    own_samples: int = Field(default=2, ge=1)
    """Backbone's own answers a prompt, the upper anchor of mode `anchored`; the others have none."""
    embedding: str | None = None
    """What the diversity term compares candidates by: a sentence-transformers model, or `backbone`, its mean-pooled
    hidden state. None: their phrases (`curate.curation.diversity.Phrases`)."""

    heldout: float = Field(default=0.1, gt=0, lt=1)
    """Share of the rows kept out of training, by hash of their id."""
    heldout_rows: int = Field(default=64, ge=1)
    """Most held-out rows that are measured."""
    eval_every: int = Field(default=20, ge=1)
    """Steps between held-out measurements; before the first and after the last step there is always one."""
    patience: int | None = Field(default=3, ge=1)
    """Stop when the held-out reward lay below its best this many measurements in a row. None: never."""
    save_every: int = Field(default=10, ge=1)
    """Steps between checkpoints."""
    seed: int = 0
    """Root of every seed of the run."""

    trackers: tuple[Literal["tensorboard", "trackio", "wandb"], ...] = ()
    """Where TRL logs besides `metrics.jsonl`. None by default: nothing leaves the machine unasked."""
    vllm: Literal["off", "colocate", "server"] = "off"
    """Generate candidates with vLLM inside TRL, on the training GPU or on a server (`trl vllm-serve`)."""
    vllm_server: str | None = None
    """Address of that server, which `server` needs."""
    vllm_memory: float = Field(default=0.3, gt=0, lt=1)
    """Share of the GPU's memory that vLLM takes with `colocate`."""

    @model_validator(mode="after")
    def _fits_together(self) -> LearnConfig:
        total = self.prompts_per_step * self.candidates
        if self.micro_batch and total % self.micro_batch:
            raise ValueError(
                f"micro_batch {self.micro_batch} does not divide prompts_per_step * candidates = {total}"
            )
        if self.vllm != "off" and self.redraws:
            raise ValueError(
                f"redraws has no effect where vllm is {self.vllm}: TRL draws and learns in one go there"
            )
        if self.vllm == "server" and not self.vllm_server:
            raise ValueError("vllm `server` needs its address, vllm_server")
        idle = {
            "own_samples": self.mode != "anchored" and f"in mode {self.mode}, which is not anchored by them",
            "lambda_copy": self.mode == "paper" and "in mode paper, which has no copy term",
            "vllm_server": self.vllm != "server" and f"where vllm is {self.vllm}",
            "vllm_memory": self.vllm != "colocate" and f"where vllm is {self.vllm}",
        }
        for name, where in idle.items():
            if where and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} has no effect {where}")
        return self

    def measured_at(self, revision: int | None = None) -> float:
        """Temperature of the distribution that excess is measured by, at a revision of the reward (None: today)."""
        return self.temperature if self.mode == "typical" and revision != 1 else 1.0

    def weights(self, revision: int | None = None) -> Weights:
        """Mode and weights of the reward, those that are None filled in as they are at its `revision` (None: today)."""
        from recast.agent.reward.formula import REVISION, Weights

        return Weights.of(
            self.mode,
            self.lambda_dist,
            self.lambda_div,
            revision=REVISION if revision is None else revision,
            lambda_copy=self.lambda_copy,
            soft_gate=self.soft_gate,
            scored_under=self.scored_under,
        )
