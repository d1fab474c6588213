"""The identity of a loaded backbone, the same with and without an adapter on it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any

import torch


def has_adapter(model: Any) -> bool:
    """Whether a PEFT adapter sits on the model."""
    return hasattr(model, "peft_config")


def backbone_fingerprint(model: Any) -> str:
    """sha256 (16 hex digits) over names, dtypes, shapes and bytes of the weights, adapters left out."""
    digest = hashlib.sha256()
    for name, tensor in sorted(_parameters(model)):
        header = f"{name} {tensor.dtype} {tuple(tensor.shape)}\n"
        digest.update(header.encode())
        digest.update(tensor.detach().contiguous().cpu().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def _parameters(model: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Parameters of the backbone under the names they have without PEFT."""
    for name, tensor in model.named_parameters():
        if has_adapter(model):
            if ".lora_" in name or ".modules_to_save." in name:
                continue
            # experts have a layer around them for each of their matrices
            name = re.sub(r"(\.base_layer)+\.", ".", name.removeprefix("base_model.model."))
        yield name, tensor
