"""The adapter that learns: a LoRA on every linear layer of the backbone."""

from __future__ import annotations

from typing import Any

from peft import LoraConfig
from transformers.pytorch_utils import Conv1D

MAMBA_TYPES = ("falcon_h1", "falcon_mamba", "mamba", "mamba2", "nemotron_h")
"""As PEFT 0.21 knows them."""


def lora_config(model: Any, rank: int, alpha: int) -> LoraConfig:
    """PEFT's configuration of the published adapter (arXiv 2602.11220: all-linear), without dropout.

    Dropout would make the policy that is trained another one than the policy that sampled.
    """
    return LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=0.0,
        target_modules="all-linear",
        # PEFT refuses a LoRA on what Mamba blocks take the bare weights of
        exclude_modules=["out_proj"] if model.config.get_text_config().model_type in MAMBA_TYPES else None,
        fan_in_fan_out=any(isinstance(m, Conv1D) for m in model.modules()),  # GPT-2's layers
        task_type="CAUSAL_LM",
    )
