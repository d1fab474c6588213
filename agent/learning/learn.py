"""Learning the rewriting agent: GRPO on a LoRA over the frozen backbone, rewarded by gate and alignment.

    result = learn(rows, model, tokenizer, load_gate("auto"), LearnConfig(steps=40), Path("runs/agent"))

Owns the configuration, the split into training and held-out rows, the schedule of held-out measurements, the
folder and its resume. TRL's trainer is wired in `agent.learning.session`, the reward in `agent.reward.scorer`. Killed
at any moment, the same call goes on from the last complete checkpoint.

    out/adapter/        best adapter by held-out reward (safetensors), what `recast rewrite --agent` loads
    out/last/           the adapter of the last step
    out/metrics.jsonl   one line a step; held-out figures in an object `heldout`
    out/manifest.json   backbone, prompt, gate, data, configuration, figures; written last
    out/checkpoints/    what a resume needs
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import math
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from recast.agent.prompts import templates
from recast.curate import chat
from recast.curate.errors import DataError, MissingDependencyError, UsageError
from recast.curate.fingerprint import fingerprint

if TYPE_CHECKING:
    from recast.agent.learning.session import Session
    from recast.agent.reward.scorer import Weights

MANIFEST, METRICS, JOB = "manifest.json", "metrics.jsonl", "job.json"
COLUMNS = ("row_id", "messages", "demonstration", "answer", "task")
NOT_IDENTITY = {
    "save_every": "how often a run can be resumed does not change what it ends in",
    "micro_batch": "gradients are summed over the batch, whatever the pieces",
    "trackers": "where figures are shown as well changes none",
    "vllm_server": "the same server may move",
    "vllm_memory": "how much is cached changes no sample",
}

Progress = Callable[[Mapping[str, Any]], None]


class LearnConfig(BaseModel):
    """How an agent learns. Defaults are those of the published method (arXiv 2602.11220) or say why not."""

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
    """KL coefficient towards the backbone (paper: 1e-3, k3 estimator). 0 saves a forward pass a step; no KL is
    measured then, and the alarm that ends a run by it is off."""
    lora_rank: int = Field(default=64, ge=1)
    """LoRA rank (paper: 64), on all linear layers."""
    lora_alpha: int = Field(default=32, gt=0)
    """LoRA scale is alpha / rank (paper: 32)."""
    max_tokens: int = Field(default=512, ge=1)
    """Longest rewrite in tokens (paper: 4096). A truncated rewrite fails the gate."""
    temperature: float = Field(default=1.0, gt=0)
    """Sampling temperature of the candidates."""
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
    prompt's candidates on a GPU."""
    engine_batch: int = Field(default=128, ge=1)
    """Rows that the engine decodes or scores together."""

    mode: Literal["anchored", "paper", "typical"] = "typical"
    """Reward mode (`agent.reward.formula`). `typical` alone ends in the backbone's own style where another is
    likelier per token (`tests/bench/agent_trap.py`)."""
    lambda_dist: float | None = Field(default=None, ge=0)
    """Weight of alignment. None: 0.35 as in the paper, 1 in mode `typical` (`agent.reward.formula.weights_of`)."""
    lambda_div: float | None = Field(default=None, ge=0)
    """Weight of diversity. None: 0.15 on the repaired scale, 0.5 in mode `paper`."""
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
    """Sentence-transformers model for the diversity term. None: the backbone's mean-pooled hidden state."""

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

    @property
    def weights(self) -> Weights:
        """Mode and weights of the reward, those that are None filled in."""
        from recast.agent.reward.scorer import Weights

        return Weights.of(
            self.mode,
            self.lambda_dist,
            self.lambda_div,
            lambda_copy=self.lambda_copy,
            soft_gate=self.soft_gate,
            scored_under=self.scored_under,
        )


@dataclass(frozen=True, slots=True)
class LearnResult:
    """Figures of a finished run. `before`, `after` and `best` are held-out figures of greedy rewrites."""

    steps: int
    best_step: int
    before: dict[str, Any]
    after: dict[str, Any]
    best: dict[str, Any]
    rows: int
    heldout_rows: int
    skipped: dict[str, int]
    stopped: str
    seconds: float
    backbone: str
    gate_id: str
    prompt_id: str
    template_id: str
    alarms: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def learn(
    rows: Sequence[Mapping[str, Any]] | Any,
    model: Any,
    tokenizer: Any,
    gate: Any,
    config: LearnConfig,
    out: Path | str,
    *,
    source: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> LearnResult:
    """Train a rewriting agent on `rows` (mappings with at least row_id, messages, demonstration).

    `model` is the plain backbone; it comes back as it was. `source` says where the rows come from (a version's
    name and id) and stands in the manifest. In several processes (`accelerate launch`, `torchrun`) every one
    makes the same call. Raises UsageError where `out` holds another run or the model has an adapter already,
    DataError where too few rows can be used, MissingDependencyError for a tracker that is not installed.
    """
    for tracker in config.trackers:
        if importlib.util.find_spec(tracker) is None:
            raise MissingDependencyError(
                f"learn.trackers names {tracker}, which is not installed; run `pip install {tracker}`, or leave it "
                f"out: all figures are in {METRICS} anyway."
            )
    if hasattr(model, "peft_config"):
        raise UsageError("the backbone given to learn has an adapter already; pass the plain model.")
    chat.require_template(tokenizer)
    out = Path(out)
    usable, skipped = _usable(rows, model, tokenizer, config)
    train, heldout = split(usable, config.heldout)
    if len(train) < config.prompts_per_step:
        raise DataError(
            f"{len(train)} rows to learn from, fewer than the {config.prompts_per_step} prompts of one step "
            f"({len(heldout)} are held out, skipped: {skipped or 'none'}). Give more rows or set "
            "learn.prompts_per_step lower."
        )
    from recast.agent.learning.processes import Processes
    from recast.agent.learning.session import Session

    processes = Processes()
    out.mkdir(parents=True, exist_ok=True)
    kept = heldout[: config.heldout_rows]
    with Session(model, tokenizer, gate, config, train, kept, out, processes) as session:
        job = _job(session, usable, config)
        with processes.first_alone():
            finished = _claim(out, job)
        if finished is not None:
            return LearnResult(**finished)
        started = time.monotonic()
        session.run(progress)
        result = _result(session, job, skipped, len(train), time.monotonic() - started)
        if processes.first:
            _finish(out, {**job, "source": dict(source or {})}, result)
        processes.wait()
        return result


def split(rows: Sequence[dict[str, Any]], share: float) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Training and held-out rows, by the hash of the row id: adding rows moves none from one side to the other.

    Both keep the order of the input; at least one row is held out.
    """
    digests = [hashlib.sha256(str(row["row_id"]).encode("utf-8", "surrogatepass")).digest() for row in rows]
    places = [int.from_bytes(digest[:8], "big") / 2**64 for digest in digests]
    held = [place < share for place in places]
    if places and not any(held):
        held[places.index(min(places))] = True
    return [r for r, h in zip(rows, held, strict=True) if not h], [
        r for r, h in zip(rows, held, strict=True) if h
    ]


def _usable(
    rows: Any, model: Any, tokenizer: Any, config: LearnConfig
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Rows that can be learnt from, and how many were left out for which reason."""
    longest = getattr(model.config.get_text_config(), "max_position_embeddings", None) or math.inf
    kept: list[dict[str, Any]] = []
    skipped: dict[str, int] = {}
    for row in rows:
        reason = ""
        if not row.get("messages") or not row.get("demonstration"):
            reason = "no_demonstration"
        else:
            asked = chat.prompt_ids(tokenizer, templates.rewrite(row["messages"], row["demonstration"]))
            if len(asked) + config.max_tokens > longest:
                reason = "too_long"
        if reason:
            skipped[reason] = skipped.get(reason, 0) + 1
        else:
            kept.append({name: row.get(name) for name in COLUMNS})
    return kept, skipped


def _job(session: Session, rows: Sequence[Mapping[str, Any]], config: LearnConfig) -> dict[str, Any]:
    """Identity of a run: what, changed, would make it another one."""
    return {
        "backbone": session.engine.fingerprint,
        "template_id": chat.template_id(session.tokenizer),
        "prompt_id": templates.REWRITE_ID,
        "gate_id": session.gate.id,
        "data": fingerprint(list(rows)),
        "config": config.model_dump(mode="json", exclude=set(NOT_IDENTITY)),
    }


def _claim(out: Path, job: dict[str, Any]) -> dict[str, Any] | None:
    """Refuse a folder of another run; return the result of a finished one."""
    marker = out / JOB
    if marker.exists():
        found = json.loads(marker.read_text())
        if found != job:
            changed = sorted(k for k in job if found.get(k) != job[k])
            raise UsageError(
                f"{out} holds another learning run (different: {', '.join(changed)}). Choose another folder, or "
                "remove that one."
            )
    else:
        write_json(marker, job)
    manifest = out / MANIFEST
    return json.loads(manifest.read_text())["result"] if manifest.exists() else None


def _result(
    session: Session, job: dict[str, Any], skipped: dict[str, int], num_train: int, seconds: float
) -> LearnResult:
    measured = session.heldout_figures
    first, last, best = min(measured), max(measured), session.best_step
    return LearnResult(
        steps=last,
        best_step=best,
        before=measured[first],
        after=measured[last],
        best=measured[best],
        rows=num_train,
        heldout_rows=len(session.heldout),
        skipped=skipped,
        stopped=session.stopped,
        seconds=round(session.seconds_before + seconds, 3),
        backbone=job["backbone"],
        gate_id=job["gate_id"],
        prompt_id=job["prompt_id"],
        template_id=job["template_id"],
        alarms=session.alarms,
    )


def _finish(out: Path, job: dict[str, Any], result: LearnResult) -> None:
    """Write the manifest; what only a resume needs goes."""
    adapters = {
        "best": {"folder": "adapter", "step": result.best_step, "heldout": result.best},
        "last": {"folder": "last", "step": result.steps, "heldout": result.after},
    }
    write_json(out / MANIFEST, {**job, "result": result.to_dict(), "adapters": adapters})
    shutil.rmtree(out / "checkpoints", ignore_errors=True)


def write_json(path: Path, value: Any) -> None:
    """Write all of `value` or nothing: a reader never sees half a file."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8") as file:
        json.dump(value, file, indent=1, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
