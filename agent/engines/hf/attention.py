"""Attention for small models on a CPU: the same numbers as SDPA, from kernels that suit the shapes here.

PyTorch's CPU kernel for `scaled_dot_product_attention` is built for long queries. Measured on one core
(128 rows, 3 heads of 64, 230 past tokens): one decode step in bfloat16 takes 10.9 ms, the two batched
matrix products behind it take 0.65 ms in float32 from a float32 cache. For long queries the kernel itself is
twice as fast in float32 as in bfloat16, forward and backward, the casts included. So: float32 inside, the
model's dtype outside.

    with cpu_attention(model): ...   # does nothing on a GPU, or where the model does not use SDPA as an interface
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "recast_cpu"


def attention_forward(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """transformers' attention interface.

    `query` (N, heads, T, head_dim), `key` and `value` (N, kv heads, past + T, head_dim), `attention_mask` boolean
    (N, 1, T, past + T) or None; returns (N, T, heads, head_dim).
    """
    dtype = query.dtype
    prefix = getattr(key, "shared_prefix", None)
    if prefix is not None:
        return prefix.attend(query.float(), key, value, scaling).to(dtype), None
    one_token = query.shape[2] == 1 and not torch.is_grad_enabled() and kwargs.get("position_bias") is None
    if one_token:
        return _one_token(query.float(), key.float(), value.float(), attention_mask, scaling).to(dtype), None
    output, _ = sdpa_attention_forward(
        module, query.float(), key.float(), value.float(), attention_mask, dropout, scaling, **kwargs
    )
    return output.to(dtype), None


def _one_token(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    scaling: float | None,
) -> torch.Tensor:
    rows, heads, _, dim = query.shape
    kv_heads = key.shape[1]
    # heads that share keys become the query axis of one product, so keys are never repeated (GQA)
    grouped = query.reshape(rows, kv_heads, heads // kv_heads, dim) * (
        dim**-0.5 if scaling is None else scaling
    )
    scores = torch.matmul(grouped, key.transpose(-1, -2))
    if mask is not None:
        scores.masked_fill_(~mask, torch.finfo(scores.dtype).min)
    output = torch.matmul(torch.softmax(scores, dim=-1), value)
    return output.reshape(rows, 1, heads, output.shape[-1])


class Prefix:
    """Keys and values of G prompts (G, kv heads, P, head_dim), each shared by a group of adjacent rows.

    Attention over prefix and own tokens is one softmax over the scores of both. The prefix is read once a prompt
    instead of once a row, which is most of what a decode step reads.
    """

    def __init__(self, keys: torch.Tensor, values: torch.Tensor, mask_GP: torch.Tensor | None) -> None:
        self.keys, self.values = keys.contiguous(), values.contiguous()
        self.bias = None if mask_GP is None else _bias(mask_GP)
        self.attended = False

    @property
    def num_tokens(self) -> int:
        return self.keys.shape[-2]

    def select(self, prompts: torch.Tensor, mask_GP: torch.Tensor) -> None:
        """Keep the prompts given, of which `mask_GP` is the mask."""
        self.keys, self.values = self.keys[prompts], self.values[prompts]
        self.bias = None if self.bias is None else _bias(mask_GP)

    def attend(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float | None
    ) -> torch.Tensor:
        """Attention of one new token a row: query (N, heads, 1, head_dim), own keys (N, kv heads, S, head_dim)."""
        self.attended = True
        rows, heads, tokens, dim = query.shape
        if tokens != 1:
            raise ValueError(f"a shared prefix is attended to one token at a time, found {tokens}")
        prompts, kv_heads, width, _ = self.keys.shape
        k, repeats = rows // prompts, heads // kv_heads
        own = query.reshape(rows, kv_heads, repeats, dim) * (dim**-0.5 if scaling is None else scaling)
        # (prompts, kv heads, k * repeats, dim): all queries of a prompt meet its keys in one product
        grouped = (
            own.view(prompts, k, kv_heads, repeats, dim).transpose(1, 2).reshape(prompts, kv_heads, -1, dim)
        )
        past = torch.matmul(grouped, self.keys.transpose(-1, -2))
        if self.bias is not None:
            past += self.bias
        past = past.view(prompts, kv_heads, k, repeats, width).transpose(1, 2)
        scores = torch.cat([past.reshape(rows, kv_heads, repeats, width), torch.matmul(own, key.mT)], dim=-1)
        weights = torch.softmax(scores, dim=-1)
        shared = weights[..., :width].view(prompts, k, kv_heads, repeats, width).transpose(1, 2)
        from_past = torch.matmul(shared.reshape(prompts, kv_heads, -1, width), self.values)
        from_past = from_past.view(prompts, kv_heads, k, repeats, -1).transpose(1, 2)
        output = torch.matmul(weights[..., width:], value) + from_past.reshape(rows, kv_heads, repeats, -1)
        return output.view(rows, 1, heads, -1)


def _bias(mask_GP: torch.Tensor) -> torch.Tensor:
    """0 where `mask_GP` is True, the least float32 elsewhere, to add to scores (G, kv heads, queries, P)."""
    least = torch.finfo(torch.float32).min
    return torch.zeros(mask_GP.shape, device=mask_GP.device).masked_fill_(~mask_GP, least)[:, None, None, :]


AttentionInterface.register(NAME, attention_forward)
AttentionMaskInterface.register(NAME, sdpa_mask)


@contextmanager
def cpu_attention(model: Any) -> Iterator[None]:
    """Use this attention inside the block where it applies: a model on the CPU that would use SDPA."""
    config = model.config.get_text_config()
    before = config._attn_implementation
    # models that choose among attentions by themselves (Falcon) do not know this one
    takes_any = getattr(model, "_supports_attention_backend", False)
    if before != "sdpa" or not takes_any or next(model.parameters()).device.type != "cpu":
        yield
        return
    config._attn_implementation_internal = NAME
    try:
        yield
    finally:
        config._attn_implementation_internal = before
