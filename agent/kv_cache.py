"""A key-value cache whose decode step writes in place.

transformers' `DynamicLayer` appends by concatenation: every decoded token copies the whole cache of every
layer. `SlabLayer` keeps spare room behind the used part and hands out views of it, so a step copies one
token. Layers of other kinds (sliding window, linear attention) are left as transformers makes them.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

from agent import attention

MIN_ROOM = 64
"""Tokens of spare room made at least when a slab is full."""


class SlabLayer(DynamicLayer):
    """Full-attention layer cache of shape (rows, heads, tokens, head_dim), `keys` and `values` being views.

    `float32` stores float32 whatever the model computes in, for `agent.attention`.
    """

    def __init__(self, *, float32: bool = False) -> None:
        super().__init__()
        self._float32 = float32
        self._key_slab: torch.Tensor | None = None
        self._value_slab: torch.Tensor | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append the states of new tokens; return keys and values of all tokens so far."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            if self._float32:
                self.keys, self.values = self.keys.float(), self.values.float()
        used = self.get_seq_length()
        end = used + key_states.shape[-2]
        if self._key_slab is None or self._value_slab is None or self._key_slab.shape[-2] < end:
            # the prefill gets no spare room: it is about to be expanded to K rows, which makes a new slab
            room = max(MIN_ROOM, used // 4) if used else 0
            self._key_slab = _grown(self.keys, key_states, used, end + room)
            self._value_slab = _grown(self.values, value_states, used, end + room)
        self._key_slab[:, :, used:end] = key_states
        self._value_slab[:, :, used:end] = value_states
        self.keys, self.values = self._key_slab[:, :, :end], self._value_slab[:, :, :end]
        return self.keys, self.values

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Give every row `repeats` copies, next to each other."""
        if repeats > 1:
            super().batch_repeat_interleave(repeats)
            self._key_slab = self._value_slab = None

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keep the rows of `indices` only, in that order, and the spare room."""
        used = self.get_seq_length()
        if self._key_slab is None or self._value_slab is None:
            super().batch_select_indices(indices)
            return
        self._key_slab = self._key_slab.index_select(0, indices)
        self._value_slab = self._value_slab.index_select(0, indices)
        self.keys, self.values = self._key_slab[:, :, :used], self._value_slab[:, :, :used]


def _grown(old: torch.Tensor, new: torch.Tensor, used: int, capacity: int) -> torch.Tensor:
    rows, heads, _, dim = new.shape
    slab = old.new_empty((rows, heads, capacity, dim))
    if used:
        slab[:, :, :used] = old
    return slab


def make_cache(config: Any) -> tuple[Cache, bool]:
    """Return an empty cache for a model of `config` and whether every layer attends to all past tokens."""
    cache = DynamicCache(config=config)
    if not cache.layers:  # a config that names no layers: transformers adds plain ones as the model runs
        count = getattr(config.get_text_config(), "num_hidden_layers", 0)
        cache.layers = [DynamicLayer() for _ in range(count)]
    plain = [type(layer) is DynamicLayer for layer in cache.layers]
    float32 = config.get_text_config()._attn_implementation == attention.NAME
    cache.layers = [
        SlabLayer(float32=float32) if p else layer for p, layer in zip(plain, cache.layers, strict=True)
    ]
    return cache, all(plain)
