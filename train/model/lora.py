"""The LoRA of this project: on every linear layer of any causal LM, as PEFT is to be told of it, and on disk."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from peft import LoraConfig

MAMBA_TYPES = ("falcon_h1", "falcon_mamba", "mamba", "mamba2", "nemotron_h")
"""As PEFT 0.21 knows them."""


def lora_config(model: Any, rank: int, alpha: float, dropout: float = 0.0) -> LoraConfig:
    """PEFT's configuration of a LoRA of `rank` on all linear layers of `model`, scaled by `alpha / rank`."""
    from peft import LoraConfig
    from transformers.pytorch_utils import Conv1D

    return LoraConfig(
        r=rank,
        lora_alpha=alpha,  # pyright: ignore[reportArgumentType]  # a float is taken
        lora_dropout=dropout,
        target_modules="all-linear",
        # PEFT refuses a LoRA on what Mamba blocks take the bare weights of
        exclude_modules=["out_proj"] if model.config.get_text_config().model_type in MAMBA_TYPES else None,
        fan_in_fan_out=any(isinstance(m, Conv1D) for m in model.modules()),  # GPT-2's layers
        task_type="CAUSAL_LM",
    )


def save_adapter(model: Any, folder: Path) -> None:
    """Write the adapter as safetensors to `folder`, replacing what is there in one rename."""
    partial, old = folder.with_name(folder.name + ".partial"), folder.with_name(folder.name + ".old")
    for leftover in (partial, old):
        shutil.rmtree(leftover, ignore_errors=True)
    model.save_pretrained(partial)
    (partial / "README.md").unlink(missing_ok=True)  # PEFT's model card template
    if folder.exists():
        folder.rename(old)
    partial.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def load_adapter(model: Any, folder: Path) -> None:
    """Put the adapter of a folder, a checkpoint's as well, into `model`, which has one of the same shape."""
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    set_peft_model_state_dict(model, load_file(folder / "adapter_model.safetensors"))
