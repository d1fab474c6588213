"""TRL's SFTTrainer as this project runs it: given token ids in a given order, a curve file, safe resume.

Owns the loss on completion positions, the loss curve on disk and which checkpoint may be resumed from. It
is built by `sft_trainer` because TRL and torch take seconds to import. Hyper-parameters come from
`train.sft.SftConfig`; rows and their order from `train.examples`.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from train.examples import IGNORED, Example, collate

if TYPE_CHECKING:
    from train.sft import SftConfig

Progress = Callable[[Mapping[str, Any]], None]

LOGIT_BUDGET = 2**26
"""Most logits of a batch that are held at once (256 MiB in float32); beyond it TRL's tiled head is used."""
EAGER_LENGTH = 512
"""Longest sequences for which plain attention beats torch's fused one in bf16 on a CPU (measured: a step of
16 x 150 tokens takes 0.26 s against 0.38 s, because the fused backward emulates bf16)."""


def prepare(model: Any, examples: Sequence[Example], *, bf16: bool) -> Any:
    """Return `model` in float32 with the attention that is fastest for these examples on its device."""
    longest = max(len(e.ids) for e in examples)
    if bf16 and model.device.type == "cpu" and longest <= EAGER_LENGTH:
        model.set_attn_implementation("eager")
    return model.float()  # master weights: bf16 would round small updates away


def summed_nll(model: Any, batch: Mapping[str, Any]) -> Any:
    """Sum of -log p (nats, float32) over the trained tokens of `batch`, from the logits that predict them.

    Position t predicts token t + 1, so logits are needed from the one before the first trained token of
    any row; the prompts' are never computed.
    """
    import torch.nn.functional as F

    labels = batch["labels"]
    first = int((labels != IGNORED).int().argmax(dim=1).min())
    keep = labels.shape[1] - first + 1
    logits = model(
        input_ids=batch["input_ids"],
        attention_mask=batch["attention_mask"],
        use_cache=False,
        logits_to_keep=keep,
    ).logits
    return F.cross_entropy(
        logits[:, :-1].flatten(0, 1).float(),
        labels[:, first:].flatten(),
        ignore_index=IGNORED,
        reduction="sum",
    )


def mean_nll(model: Any, examples: Sequence[Example], *, pad_id: int, batch_size: int, bf16: bool) -> float:
    """Mean nats per trained token over all examples: one global token mean, whatever the batches."""
    import torch

    model.eval()
    by_length = sorted(examples, key=lambda e: len(e.ids))
    total = 0.0
    for first in range(0, len(by_length), batch_size):
        batch = {
            k: v.to(model.device) for k, v in collate(by_length[first : first + batch_size], pad_id).items()
        }
        with torch.inference_mode(), torch.autocast(model.device.type, torch.bfloat16, enabled=bf16):
            total += summed_nll(model, batch).item()
    return total / sum(e.num_trained for e in examples)


def sft_trainer(
    model: Any,
    tokenizer: Any,
    examples: Sequence[Example],
    order: Sequence[int],
    config: SftConfig,
    *,
    checkpoints: Path,
    curve: Path,
    bf16: bool,
    progress: Progress | None,
) -> Any:
    """Build the trainer that sees `examples` in `order`, `config.batch_size` a step, once through."""
    from datasets import Dataset
    from transformers.trainer_callback import PrinterCallback
    from trl import SFTConfig, SFTTrainer

    class CompletionTrainer(SFTTrainer):
        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            # Without Triton, TRL's tiled head scores every position, prompts included, and their entropies.
            # The logits of the completions alone are a third of a small model's step faster.
            logits = inputs["labels"].numel() * model.config.get_text_config().vocab_size
            if inputs["labels"].is_cuda or logits > LOGIT_BUDGET or return_outputs:
                return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
            return summed_nll(model, inputs) / num_items_in_batch

        def _send_telemetry(self) -> None:
            """Nothing leaves the machine."""

    steps = math.ceil(len(order) / config.batch_size)
    micro = min(config.micro_batch_size or config.batch_size, config.batch_size)
    on_cpu = model.device.type == "cpu"
    args = SFTConfig(
        output_dir=str(checkpoints),
        num_train_epochs=1,  # the order holds all epochs
        train_sampling_strategy="sequential",
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=config.batch_size // micro,
        learning_rate=config.lr,
        lr_scheduler_type=config.schedule if config.schedule != "constant" else "constant_with_warmup",
        warmup_steps=math.ceil(config.warmup * steps),
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_grad_norm,
        # Token ids and labels are given: nothing is tokenised, masked, cut or shuffled again.
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
        loss_type="nll",  # the token mean; TRL up to 1.15 defaulted to "chunked_nll", a head patched in place
        bf16=bf16,
        use_cpu=on_cpu,
        gradient_checkpointing=config.gradient_checkpointing,
        logging_strategy="steps",
        logging_steps=max(1, steps // 200),
        save_strategy="steps" if config.checkpoints else "no",
        save_steps=max(1, math.ceil(steps / (config.checkpoints + 1))),
        save_total_limit=1,
        seed=config.seed,
        report_to="none",
        disable_tqdm=True,
        log_level="error",
        dataloader_pin_memory=not on_cpu,
    )
    trainer = CompletionTrainer(
        model=model,
        args=args,
        train_dataset=Dataset.from_dict(
            {"input_ids": [e.ids for e in examples], "labels": [e.labels for e in examples]}
        ).select(order),
        processing_class=tokenizer,
        peft_config=_lora(config),
        callbacks=[_curve_writer(curve, steps, config.epochs, progress)],
    )
    trainer.remove_callback(PrinterCallback)  # words go to `progress`, never to stdout
    return trainer


def last_checkpoint(folder: Path) -> str | None:
    """The newest complete checkpoint; torn ones are removed.

    The trainer writes trainer_state.json last, so a folder where it is absent or cut was killed half-way.
    """
    found = sorted(folder.glob("checkpoint-*"), key=lambda p: int(p.name.rpartition("-")[2]))
    complete = [p for p in found if _is_json(p / "trainer_state.json")]
    for torn in set(found) - set(complete):
        shutil.rmtree(torn)
    return str(complete[-1]) if complete else None


def read_curve(path: Path) -> list[dict[str, Any]]:
    """The points of a loss curve: step, epoch, loss, lr, grad_norm."""
    lines = path.read_text().split("\n") if path.exists() else [""]
    return [json.loads(line) for line in lines[:-1]]  # a last line without its newline was cut by a kill


def _lora(config: SftConfig) -> Any:
    if config.lora_rank is None:
        return None
    from peft import LoraConfig

    return LoraConfig(
        r=config.lora_rank,
        lora_alpha=config.lora_alpha or config.lora_rank,  # pyright: ignore[reportArgumentType]  # a float is taken
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def _curve_writer(path: Path, steps: int, epochs: int, progress: Progress | None) -> Any:
    from transformers import TrainerCallback

    started = time.monotonic()

    class CurveWriter(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            # a resumed run repeats the steps after its checkpoint: their points are dropped first
            kept = [p for p in read_curve(path) if p["step"] <= state.global_step]
            path.write_text("".join(json.dumps(p) + "\n" for p in kept))

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            if not logs or "loss" not in logs:
                return
            point = {
                "step": state.global_step,
                "epoch": round(state.global_step / steps * epochs, 4),
                "loss": logs["loss"],
                "lr": logs.get("learning_rate"),
                "grad_norm": logs.get("grad_norm"),
            }
            with path.open("a") as file:
                file.write(json.dumps(point) + "\n")
            if progress:
                seconds = time.monotonic() - started
                progress({"step": point["step"], "steps": steps, "loss": point["loss"], "seconds": seconds})

    return CurveWriter()


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_text())
    except (OSError, ValueError):
        return False
    return True
