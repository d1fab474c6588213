"""Supervised fine-tuning on the completions of a version, with TRL's SFTTrainer.

Rows are tokenised by `curate.chat.encode`, so the tokens trained are the tokens scored and evaluated:
the completion and its end of turn carry the loss, the prompt never does. Weights are trained in float32
(bf16 autocast where the machine has it) and saved in the dtype of the model that came in.

The order of the rows is drawn once, before training, and belongs to the job rather than to the trainer
(`training_order`): a run killed at any moment and resumed from its last checkpoint sees the same batches
and ends in the same weights. This module does not choose rows, weigh mixtures or judge the outcome.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from curate.chat import encode, template_id
from curate.errors import DataError, UsageError
from curate.fingerprint import fingerprint
from train.model import default_device, has_fast_bf16, load, weights_fingerprint

MANIFEST = "manifest.json"
CURVE = "loss.jsonl"
IGNORED = -100  # the label that torch's cross-entropy skips
# Rows are sorted by length inside runs of this many batches: enough for padding under a few percent, few
# enough that a batch is still a random draw of rows (see tests).
GROUPED_BATCHES = 16

Progress = Callable[[Mapping[str, Any]], None]


class SftConfig(BaseModel):
    """How one model is fine-tuned on one data set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lr: float = Field(3e-4, gt=0)
    """Peak learning rate. 3e-4 suits models of a few million parameters; 1e-5 to 5e-5 those of billions."""
    epochs: int = Field(3, ge=1)
    """Times that every row is seen."""
    batch_size: int = Field(16, ge=1)
    """Rows a step."""
    micro_batch_size: int | None = Field(None, ge=1)
    """Rows a forward pass; gradients accumulate up to `batch_size`. None: the whole batch at once."""
    lora_rank: int | None = Field(None, ge=1)
    """Rank of a LoRA on all linear layers, merged into the saved weights. None: all weights are trained."""
    lora_alpha: float | None = Field(None, gt=0)
    """LoRA scale numerator. None: the rank, which makes the scale 1."""
    max_length: int = Field(2048, ge=8)
    """Longest row in tokens, prompt included. Longer rows are left out and counted, never cut."""
    warmup: float = Field(0.05, ge=0, lt=1)
    """Share of the steps over which the learning rate rises from 0."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """Learning rate after the warm-up."""
    weight_decay: float = Field(0.0, ge=0)
    """Decoupled weight decay of AdamW, on matrices only."""
    max_grad_norm: float = Field(1.0, gt=0)
    """Gradients are clipped to this norm."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Arithmetic of the forward and backward pass. auto: bf16 where it is native. Weights stay float32."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, about a fifth slower."""
    checkpoints: int = Field(4, ge=0)
    """Resume points over the run. 0: none, a killed run begins anew."""
    seed: int = 0
    """Seeds the order of the rows and the LoRA initialisation."""


@dataclass(frozen=True, slots=True)
class SftResult:
    """What a finished run says about itself; the same as its manifest."""

    out: str
    fingerprint: str  # identity of data, model and config: the same fingerprint is the same run
    data: str | None  # version ref of the rows
    data_fingerprint: str  # of the token ids and labels
    model: str
    model_fingerprint: str
    template_id: str
    config: dict[str, Any]
    num_rows: int
    num_too_long: int
    num_tokens: int  # trained tokens in one epoch: completions and ends of turn
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
    """Fine-tune the model at `model_path` on `rows` and save it to `out`; return the figures.

    `rows` is a datasets.Dataset, a pyarrow table or an iterable of mappings with `messages` and
    `completion`. A finished `out` of the same data, model and config is returned as it is; an unfinished
    one goes on from its last checkpoint; one of another job raises UsageError. `progress` gets
    `{"step", "steps", "loss", "seconds"}` as training goes. Raises DataError where no row can be trained.
    """
    started = time.monotonic()
    out = Path(out)
    device = default_device()
    bf16 = config.precision == "bf16" or (config.precision == "auto" and has_fast_bf16(device))
    model, tokenizer = load(model_path, dtype="auto", device="cpu")
    stored_dtype = model.dtype
    examples, num_too_long = tokenize(rows, tokenizer, config.max_length)
    identity = {
        "config": config.model_dump(mode="json"),
        "data_fingerprint": fingerprint([[e["input_ids"], e["num_prompt"]] for e in examples])[:16],
        "model_fingerprint": weights_fingerprint(model_path) if Path(model_path).is_dir() else str(model_path),
        "template_id": template_id(tokenizer),
        "precision": "bf16" if bf16 else "fp32",
    }
    job = fingerprint(identity)[:16]
    if finished := _claim(out, job):
        return finished

    model = model.float().to(device)  # master weights: bf16 would round small updates away
    start_loss = _load_or(out / "start_loss.json", lambda: mean_loss(model, examples, tokenizer, config, bf16))
    order = training_order([len(e["input_ids"]) for e in examples], config)
    steps = math.ceil(len(order) / config.batch_size)
    trainer = _trainer(model, tokenizer, examples, order, steps, config, out, bf16, device, progress)
    trainer.train(resume_from_checkpoint=_last_checkpoint(out / "checkpoints"))

    _save(trainer.model, tokenizer, stored_dtype, config, out)
    curve = [json.loads(line) for line in (out / CURVE).read_text().splitlines()]
    last_epoch = [p["loss"] for p in curve if p["epoch"] > config.epochs - 1] or [curve[-1]["loss"]]
    result = SftResult(
        out=str(out),
        fingerprint=job,
        data=data_ref,
        data_fingerprint=identity["data_fingerprint"],
        model=str(model_path),
        model_fingerprint=identity["model_fingerprint"],
        template_id=identity["template_id"],
        config=identity["config"],
        num_rows=len(examples),
        num_too_long=num_too_long,
        num_tokens=sum(len(e["input_ids"]) - e["num_prompt"] for e in examples),
        steps=steps,
        start_loss=start_loss,
        final_loss=float(np.mean(last_epoch)),
        dtype=str(stored_dtype).removeprefix("torch."),
        precision=identity["precision"],
        seconds=round(time.monotonic() - started, 2),
    )
    _write_json(out / MANIFEST, asdict(result))  # last: its presence means complete
    shutil.rmtree(out / "checkpoints", ignore_errors=True)
    return result


def tokenize(rows: Any, tokenizer: Any, max_length: int) -> tuple[list[dict[str, Any]], int]:
    """Return `(examples, number of rows longer than max_length)`.

    An example is `{"input_ids": prompt + completion + end of turn, "num_prompt": prompt tokens}`. A row
    that is too long is left out: cut at the end it would teach the model not to stop.
    """
    examples, num_too_long, num_rows = [], 0, 0
    for row in _mappings(rows):
        num_rows += 1
        prompt, completion = encode(tokenizer, _messages(row), row["completion"])
        if len(prompt) + len(completion) > max_length:
            num_too_long += 1
            continue
        examples.append({"input_ids": [*prompt, *completion], "num_prompt": len(prompt)})
    if not num_rows:
        raise DataError("there are no rows to train on: the version is empty.")
    if not examples:
        raise DataError(
            f"all {num_rows} rows are longer than max_length={max_length} tokens. Raise it, or filter the version."
        )
    return examples, num_too_long


def training_order(lengths: list[int], config: SftConfig) -> list[int]:
    """Return the row index of every training position: each row `epochs` times, batches of like length.

    Epochs are shuffled one after the other into one stream, so only the very last batch may be partial
    and no batch of an epoch is smaller than its neighbours.
    """
    rng = np.random.default_rng(config.seed)
    stream = np.concatenate([rng.permutation(len(lengths)) for _ in range(config.epochs)])
    size, group = config.batch_size, config.batch_size * GROUPED_BATCHES
    order: list[int] = []
    for first in range(0, len(stream), group):
        block = stream[first : first + group]
        block = block[np.argsort(-np.asarray(lengths)[block], kind="stable")]
        batches = [block[i : i + size] for i in range(0, len(block), size)]
        partial = [batches.pop()] if len(batches[-1]) < size else []
        rng.shuffle(batches)
        order.extend(int(i) for batch in [*batches, *partial] for i in batch)
    return order


def mean_loss(model: Any, examples: list[dict[str, Any]], tokenizer: Any, config: SftConfig, bf16: bool) -> float:
    """Mean nats per completion token (end of turn included) over all examples, as one global token mean."""
    import torch
    import torch.nn.functional as F

    model.eval()
    by_length = sorted(examples, key=lambda e: len(e["input_ids"]))
    size = config.micro_batch_size or config.batch_size
    total, count = 0.0, 0
    for first in range(0, len(by_length), size):
        batch = by_length[first : first + size]
        width = len(batch[-1]["input_ids"])
        ids = torch.full((len(batch), width), tokenizer.pad_token_id)
        labels = torch.full((len(batch), width), IGNORED)
        mask = torch.zeros((len(batch), width), dtype=torch.long)
        for i, e in enumerate(batch):
            n = len(e["input_ids"])
            ids[i, :n] = torch.tensor(e["input_ids"])
            labels[i, e["num_prompt"] : n] = ids[i, e["num_prompt"] : n]
            mask[i, :n] = 1
        with torch.inference_mode(), torch.autocast(model.device.type, torch.bfloat16, enabled=bf16):
            logits = model(input_ids=ids.to(model.device), attention_mask=mask.to(model.device)).logits
        # position t predicts token t + 1; only trained positions go through the float32 softmax
        targets = labels[:, 1:].to(model.device)
        kept = targets != IGNORED
        total += F.cross_entropy(logits[:, :-1][kept].float(), targets[kept], reduction="sum").item()
        count += int(kept.sum())
    return total / count


def _trainer(
    model: Any,
    tokenizer: Any,
    examples: list[dict[str, Any]],
    order: list[int],
    steps: int,
    config: SftConfig,
    out: Path,
    bf16: bool,
    device: str,
    progress: Progress | None,
) -> Any:
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    dataset = Dataset.from_dict(
        {
            "input_ids": [e["input_ids"] for e in examples],
            "labels": [[IGNORED] * e["num_prompt"] + e["input_ids"][e["num_prompt"] :] for e in examples],
        }
    ).select(order)
    micro = min(config.micro_batch_size or config.batch_size, config.batch_size)
    if config.batch_size % micro:
        raise UsageError(f"batch_size {config.batch_size} is not a multiple of micro_batch_size {micro}.")
    args = SFTConfig(
        output_dir=str(out / "checkpoints"),
        num_train_epochs=1,  # the order holds all epochs
        train_sampling_strategy="sequential",
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=config.batch_size // micro,
        learning_rate=config.lr,
        lr_scheduler_type=config.schedule if config.schedule != "constant" else "constant_with_warmup",
        warmup_steps=math.ceil(config.warmup * steps),
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_grad_norm,
        max_length=None,  # `tokenize` has left out what is too long
        # "nll" is TRL's token-mean NLL on a fused head; "chunked_nll", its default until 1.16, is the same
        # loss under a deprecated name. Labels are given, so nothing is tokenised or masked again.
        loss_type="nll",
        dataset_kwargs={"skip_prepare_dataset": True},
        bf16=bf16,
        use_cpu=device == "cpu",
        gradient_checkpointing=config.gradient_checkpointing,
        logging_strategy="steps",
        logging_steps=max(1, steps // 200),
        save_strategy="steps" if config.checkpoints else "no",
        save_steps=max(1, math.ceil(steps / (config.checkpoints + 1))),
        save_total_limit=1,
        seed=config.seed,
        data_seed=config.seed,
        report_to="none",
        disable_tqdm=True,
        log_level="error",
        dataloader_num_workers=0,
        dataloader_pin_memory=device != "cpu",
    )
    from transformers.trainer_callback import PrinterCallback

    trainer = SFTTrainer(
        model=model,
        args=args,
        train_dataset=dataset,
        processing_class=tokenizer,
        peft_config=_lora(config),
        callbacks=[_curve_writer(out / CURVE, steps, config, progress)],
    )
    trainer.remove_callback(PrinterCallback)  # words go to `progress`, not to stdout
    return trainer


def _lora(config: SftConfig) -> Any:
    if config.lora_rank is None:
        return None
    from peft import LoraConfig

    return LoraConfig(
        r=config.lora_rank,
        lora_alpha=config.lora_alpha or config.lora_rank,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def _curve_writer(path: Path, steps: int, config: SftConfig, progress: Progress | None) -> Any:
    from transformers import TrainerCallback

    started = time.monotonic()

    class CurveWriter(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            # a resumed run repeats the steps after its checkpoint: drop their points
            kept = [p for p in _points(path) if p["step"] <= state.global_step]
            path.write_text("".join(json.dumps(p) + "\n" for p in kept))

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            if not logs or "loss" not in logs:
                return
            point = {
                "step": state.global_step,
                "epoch": round(state.global_step / steps * config.epochs, 4),
                "loss": logs["loss"],
                "lr": logs.get("learning_rate"),
                "grad_norm": logs.get("grad_norm"),
                "entropy": logs.get("entropy"),
            }
            with path.open("a") as file:
                file.write(json.dumps(point) + "\n")
            if progress:
                seconds = time.monotonic() - started
                progress({"step": state.global_step, "steps": steps, "loss": logs["loss"], "seconds": seconds})

    return CurveWriter()


def _points(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    lines = path.read_text().split("\n")
    return [json.loads(line) for line in lines[:-1]]  # a line without its newline was cut by a kill


def _claim(out: Path, job: str) -> SftResult | None:
    """Take `out` for `job`: return its result if it is finished, raise UsageError if another job owns it."""
    if (out / MANIFEST).exists():
        manifest = json.loads((out / MANIFEST).read_text())
        if manifest.get("fingerprint") == job:
            shutil.rmtree(out / "checkpoints", ignore_errors=True)
            return SftResult(**manifest)
        raise UsageError(
            f"{out} holds the finished run {manifest.get('fingerprint')} of other data, model or config; this "
            f"one is {job}. Choose another output folder, or remove that one."
        )
    claim = out / "job.json"
    if claim.exists() and (owner := json.loads(claim.read_text())["fingerprint"]) != job:
        raise UsageError(
            f"{out} holds the unfinished run {owner} of other data, model or config; this one is {job}. Choose "
            "another output folder, or remove that one."
        )
    out.mkdir(parents=True, exist_ok=True)
    _write_json(claim, {"fingerprint": job})
    return None


def _last_checkpoint(folder: Path) -> str | None:
    """The newest complete checkpoint. The trainer writes trainer_state.json last; a folder without it is torn."""
    if not folder.exists():
        return None
    found = sorted(folder.glob("checkpoint-*"), key=lambda p: int(p.name.rpartition("-")[2]))
    complete = [p for p in found if _is_json(p / "trainer_state.json")]
    for torn in set(found) - set(complete):
        shutil.rmtree(torn)
    return str(complete[-1]) if complete else None


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_text())
    except (OSError, ValueError):
        return False
    return True


def _save(model: Any, tokenizer: Any, dtype: Any, config: SftConfig, out: Path) -> None:
    if config.lora_rank is not None:
        model.save_pretrained(out / "adapter")
        model = model.merge_and_unload()
    model.to(dtype).save_pretrained(out)
    tokenizer.save_pretrained(out)


def _load_or(path: Path, compute: Callable[[], float]) -> float:
    """A figure of the untouched model is measured once and survives a kill."""
    if _is_json(path):
        return json.loads(path.read_text())["value"]
    value = compute()
    _write_json(path, {"value": value})
    return value


def _write_json(path: Path, value: Any) -> None:
    tmp = path.with_suffix(".tmp")
    with tmp.open("w") as file:
        json.dump(value, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    tmp.replace(path)


def _mappings(rows: Any) -> Iterable[Mapping[str, Any]]:
    if hasattr(rows, "to_batches"):  # a pyarrow table
        return (row for batch in rows.to_batches() for row in batch.to_pylist())
    return rows


def _messages(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The prompt as a template takes it: Arrow gives every struct every key, so absent ones are dropped."""
    messages = row["messages"]
    if isinstance(messages, str):
        messages = json.loads(messages)
    return [{key: value for key, value in m.items() if value is not None} for m in messages]
