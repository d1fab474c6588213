"""DPO and KTO of TRL on the same candidates: arms beside this project's own objective, and its cross-checks.

    dpo    pairs (accepted, refused) of a row; hinge on sums of log-ratios, and likelihood of the accepted:
           relu(1 - beta (D_accepted - D_refused)) - mean log p of the accepted, D = log p - log p at the start
    kto    every candidate with its label, no pairs; the mismatched mean log-ratio of a batch is the reference point

TRL renders the rows with the model's chat template by itself, so an end of turn may be followed by what the template
writes after it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recast.train.rejection.groups import Encoded
from recast.train.sft.trainer import Progress, arguments, curve_writer, lora

if TYPE_CHECKING:
    from recast.train.rejection.config import RejectConfig

MEANS = ("rewards/chosen", "rewards/rejected", "rewards/margins", "rewards/accuracies", "kl")


def preference_trainer(
    model: Any,
    tokenizer: Any,
    encoded: Sequence[Encoded],
    order: Sequence[int],
    config: RejectConfig,
    *,
    checkpoints: Path,
    curve: Path,
    heldout_curve: Path,
    bf16: bool,
    progress: Progress | None,
) -> Any:
    """TRL's trainer over the groups `order` of `encoded`, each with all its pairs (dpo) or candidates (kto)."""
    from datasets import Dataset
    from transformers.trainer_callback import PrinterCallback
    from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer

    rows = [r for i in order for r in (pairs(encoded[i]) if config.method == "dpo" else labelled(encoded[i]))]
    steps = math.ceil(len(rows) / config.batch_size)
    given = arguments(
        config,
        steps,
        checkpoints=checkpoints,
        bf16=bf16,
        on_cpu=model.device.type == "cpu",
        measured=False,
        logging_steps=1,
    ) | {"beta": config.beta, "max_length": None, "disable_dropout": True}
    shared: dict[str, Any] = {
        "model": model,
        "train_dataset": Dataset.from_list(rows),
        "processing_class": tokenizer,
        "peft_config": lora(model, config),
        "callbacks": [
            curve_writer(
                curve, heldout_curve, steps, config.epochs, MEANS, ("loss", "rewards/margins"), progress
            )
        ],
    }
    if config.method == "dpo":
        args = DPOConfig(**given, loss_type=["hinge", "sft"], loss_weights=[1.0, 1.0])
        trainer: Any = DPOTrainer(args=args, **shared)
    else:
        trainer = KTOTrainer(args=KTOConfig(**given), **shared)
    trainer.remove_callback(PrinterCallback)  # words go to `progress`, never to stdout
    return trainer


def pairs(encoded: Encoded) -> list[dict[str, Any]]:
    """Every accepted candidate beside every refused one, as TRL's DPO reads them."""
    group = encoded.group
    return [
        {"prompt": group.messages, "chosen": _turn(text), "rejected": _turn(refused.text)}
        for text in group.accepted
        for refused in group.refused
    ]


def labelled(encoded: Encoded) -> list[dict[str, Any]]:
    """Every candidate with whether it is right, as TRL's KTO reads them."""
    group = encoded.group
    return [
        *({"prompt": group.messages, "completion": _turn(text), "label": True} for text in group.accepted),
        *({"prompt": group.messages, "completion": _turn(r.text), "label": False} for r in group.refused),
    ]


def _turn(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]
