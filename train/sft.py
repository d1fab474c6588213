"""Supervised fine-tuning on the completions of a version, with TRL's SFTTrainer.

The tokens trained are the tokens scored and evaluated: the completion and its end of turn carry the loss,
the prompt never does (`train.examples`). Weights are trained in float32, with bf16 arithmetic where the
machine has it, and saved in the dtype of the model that came in. A run killed at any moment and started
again goes on from its last checkpoint and, on a CPU, ends in the same weights. This module does not choose
rows, weigh mixtures or judge the outcome.

    out/model.safetensors ...   the tuned model, LoRA merged (the adapter itself in out/adapter)
    out/loss.jsonl              the curve
    out/manifest.json           SftResult; written last, its presence means complete
"""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from curate.chat import template_id
from curate.errors import UsageError
from curate.fingerprint import fingerprint
from train.examples import order, tokenize
from train.model import default_device, has_fast_bf16, identify, load
from train.trainer import Progress, last_checkpoint, mean_nll, prepare, read_curve, sft_trainer

MANIFEST = "manifest.json"
CURVE = "loss.jsonl"
JOB = "job.json"  # whose folder an unfinished run is, and what was measured before training


NOT_IDENTITY = {"checkpoints": "how often a run can be resumed does not change what it ends in"}


class SftConfig(BaseModel):
    """How one model is fine-tuned on one data set. Part of the run's identity but for `NOT_IDENTITY`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lr: float = Field(3e-4, gt=0)
    """Peak learning rate. 3e-4 suits models of a few million parameters; 1e-5 to 5e-5 those of billions."""
    epochs: int = Field(3, ge=1)
    """Times that every row is seen."""
    batch_size: int = Field(16, ge=1)
    """Rows a step."""
    micro_batch_size: int | None = Field(None, ge=1)
    """Rows a forward pass, a divisor of `batch_size`; gradients accumulate. None: the batch at once."""
    lora_rank: int | None = Field(None, ge=1)
    """Rank of a LoRA on all linear layers, merged into the saved weights. None: all weights are trained."""
    lora_alpha: float | None = Field(None, gt=0)
    """LoRA scale is alpha / rank. None: alpha = rank, a scale of 1."""
    max_length: int = Field(2048, ge=8)
    """Longest row in tokens, prompt included. Longer rows are left out and counted, never cut."""
    warmup: float = Field(0.05, ge=0, lt=1)
    """Share of the steps over which the learning rate rises from 0."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """Learning rate after the warm-up."""
    weight_decay: float = Field(0.0, ge=0)
    """Decoupled weight decay of AdamW; biases and norms are spared."""
    max_grad_norm: float = Field(1.0, gt=0)
    """Gradients are clipped to this norm."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Arithmetic of the forward and backward pass. auto: bf16 where it is native. Weights stay float32."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, slower."""
    checkpoints: int = Field(4, ge=0)
    """Points over the run from which it can be resumed. 0: a killed run begins anew."""
    seed: int = 0
    """Seeds the order of the rows and the LoRA initialisation."""

    @model_validator(mode="after")
    def _options_have_an_effect(self) -> SftConfig:
        if self.micro_batch_size and self.batch_size % self.micro_batch_size:
            raise ValueError(
                f"batch_size {self.batch_size} is no multiple of micro_batch_size {self.micro_batch_size}"
            )
        if self.lora_alpha is not None and self.lora_rank is None:
            raise ValueError("lora_alpha has no effect without lora_rank")
        return self


@dataclass(frozen=True, slots=True)
class SftResult:
    """What a finished run says about itself; the same as its manifest."""

    out: str
    fingerprint: str  # of data, model and config: the same fingerprint is the same run
    data: str | None  # version ref of the rows
    data_fingerprint: str  # of the token ids and what of them is trained
    model: str
    model_fingerprint: str
    template_id: str
    config: dict[str, Any]
    num_rows: int
    num_too_long: int  # left out
    num_tokens: int  # trained in one epoch: completions and ends of turn
    steps: int
    start_loss: float  # mean nats per trained token of the data under the untouched model
    final_loss: float  # mean training loss over the last epoch
    dtype: str  # of the saved weights
    precision: str  # of the arithmetic
    seconds: float  # of the process that finished the run


def sft(
    rows: Any,
    model_path: str | Path,
    config: SftConfig,
    out: str | Path,
    progress: Progress | None = None,
    *,
    data_ref: str | None = None,
) -> SftResult:
    """Fine-tune the model at `model_path` on `rows` (see `train.examples.tokenize`) and save it to `out`.

    A finished `out` of the same data, model and config is returned as it is; an unfinished one goes on
    from its last checkpoint; one of another run raises UsageError. `progress` gets `{"step", "steps",
    "loss", "seconds"}` as training goes. Raises DataError where no row can be trained, ModelError where
    the model cannot be loaded.
    """
    started = time.monotonic()
    out = Path(out)
    device = default_device()
    model, tokenizer = load(model_path, device=device)
    dtype = model.dtype
    examples, num_too_long = tokenize(rows, tokenizer, config.max_length)
    bf16 = config.precision == "bf16" or (config.precision == "auto" and has_fast_bf16(device))
    identity = {
        "data_fingerprint": fingerprint([[e.num_prompt, *e.ids] for e in examples])[:16],
        "model_fingerprint": identify(model_path),
        "template_id": template_id(tokenizer),
        "precision": "bf16" if bf16 else "fp32",
    }
    settings = config.model_dump(mode="json", exclude=set(NOT_IDENTITY))
    run = fingerprint({**identity, "config": settings})[:16]
    if finished := _finished(out, run):
        return finished

    model = prepare(model, examples, bf16=bf16)
    measured = _claim(out, run)
    if measured is None:
        pad_id, batch_size = tokenizer.pad_token_id, config.micro_batch_size or config.batch_size
        measured = mean_nll(model, examples, pad_id=pad_id, batch_size=batch_size, bf16=bf16)
        _write_json(out / JOB, {"fingerprint": run, "start_loss": measured})
    positions = order(
        [len(e.ids) for e in examples], epochs=config.epochs, batch_size=config.batch_size, seed=config.seed
    )
    trainer = sft_trainer(
        model,
        tokenizer,
        examples,
        positions,
        config,
        checkpoints=out / "checkpoints",
        curve=out / CURVE,
        bf16=bf16,
        progress=progress,
    )
    trainer.train(resume_from_checkpoint=last_checkpoint(out / "checkpoints"))

    _save(trainer.model, tokenizer, dtype, config, out)
    curve = read_curve(out / CURVE)
    last_epoch = [p["loss"] for p in curve if p["epoch"] > config.epochs - 1]
    result = SftResult(
        out=str(out),
        fingerprint=run,
        data=data_ref,
        model=str(model_path),
        config=config.model_dump(mode="json"),
        **identity,
        num_rows=len(examples),
        num_too_long=num_too_long,
        num_tokens=sum(e.num_trained for e in examples),
        steps=math.ceil(len(positions) / config.batch_size),
        start_loss=measured,
        final_loss=float(np.mean(last_epoch or [curve[-1]["loss"]])),
        dtype=str(dtype).removeprefix("torch."),
        seconds=round(time.monotonic() - started, 2),
    )
    _write_json(out / MANIFEST, asdict(result))
    shutil.rmtree(out / "checkpoints", ignore_errors=True)
    return result


def _finished(out: Path, run: str) -> SftResult | None:
    """The result in `out` if it is this run's. Raises UsageError where `out` belongs to another run."""
    for name, state in ((MANIFEST, "finished"), (JOB, "unfinished")):
        if not (out / name).exists():
            continue
        found = json.loads((out / name).read_text())
        if found["fingerprint"] != run:
            raise UsageError(
                f"{out} holds the {state} run {found['fingerprint']} of other data, model or config; this one "
                f"is {run}. Choose another output folder, or remove that one."
            )
        if name == MANIFEST:
            shutil.rmtree(out / "checkpoints", ignore_errors=True)  # a kill may have come before this
            return SftResult(**found)
    return None


def _claim(out: Path, run: str) -> float | None:
    """Make `out` this run's, and return its start loss where an earlier process has measured it."""
    if (out / JOB).exists():
        return json.loads((out / JOB).read_text())["start_loss"]
    out.mkdir(parents=True, exist_ok=True)
    _write_json(out / JOB, {"fingerprint": run, "start_loss": None})
    return None


def _save(model: Any, tokenizer: Any, dtype: Any, config: SftConfig, out: Path) -> None:
    if config.lora_rank is not None:
        model.save_pretrained(out / "adapter")
        model = model.merge_and_unload()
    model.to(dtype).save_pretrained(out)
    tokenizer.save_pretrained(out)


def _write_json(path: Path, value: Any) -> None:
    tmp = path.with_name(path.name + ".tmp")
    with tmp.open("w") as file:
        json.dump(value, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    tmp.replace(path)
