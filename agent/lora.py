"""The adapter that learns: a LoRA on every linear layer of the backbone."""

from __future__ import annotations

from typing import Any

from peft import LoraConfig
from transformers.pytorch_utils import Conv1D


def lora_config(model: Any, rank: int, alpha: int) -> LoraConfig:
    """PEFT's configuration of the published adapter (arXiv 2602.11220: all-linear), without dropout.

    Dropout would make the policy that is trained another one than the policy that sampled.
    """
    return LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=0.0,
        target_modules="all-linear",
        fan_in_fan_out=any(isinstance(m, Conv1D) for m in model.modules()),  # GPT-2's layers
        task_type="CAUSAL_LM",
    )
