"""Key-value caches for decoding K samples a prompt: written in place, the prompt's part shared.

transformers' `DynamicLayer` appends by concatenation: every decoded token copies the whole cache of every
layer. `SlabLayer` keeps spare room behind the used part and hands out views of it, so a step copies one
token. `PrefixLayer` goes further where `agent.engines.hf.attention` computes the attention: the K rows of a prompt
keep one copy of its keys and values, and only their own tokens apart. Layers of other kinds (sliding window, linear
attention) are left as transformers makes them.

Legend: G prompts, K rows a prompt, N = G*K rows, P prompt tokens (padded).
"""

from __future__ import annotations

from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

import torch
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer, LinearAttentionCacheLayerMixin

from recast.agent.engines.hf import attention

MIN_ROOM = 64
"""Tokens of spare room made at least when a slab is full."""
SHRINK_AT = 0.8
"""Ended rows leave the cache when at most this share of the rows in it would stay."""
BOOLEAN_MASK = ("sdpa", attention.NAME)
"""Attentions that take a ready boolean mask of shape (N, 1, 1, tokens)."""


class SlabLayer(DynamicLayer):
    """Full-attention layer cache of shape (rows, heads, tokens, head_dim), `keys` and `values` being views.

    `float32` stores float32 whatever the model computes in, for `agent.engines.hf.attention`.
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
            self.dtype = torch.float32 if self._float32 else key_states.dtype
            self.device = key_states.device
            self.keys = self.values = torch.empty(0, dtype=self.dtype, device=self.device)
            self.is_initialized = True
        assert self.keys is not None and self.values is not None
        used = self.num_stored
        end = used + key_states.shape[-2]
        if self._key_slab is None or self._value_slab is None or self._key_slab.shape[-2] < end:
            # the prefill gets no spare room: it is about to be shared or expanded to K rows
            room = max(MIN_ROOM, used // 4) if self.get_seq_length() else 0
            self._key_slab = _grown(self.keys, key_states, used, end + room)
            self._value_slab = _grown(self.values, value_states, used, end + room)
        self._key_slab[:, :, used:end] = key_states
        self._value_slab[:, :, used:end] = value_states
        self.keys, self.values = self._key_slab[:, :, :end], self._value_slab[:, :, :end]
        return self.keys, self.values

    @property
    def num_stored(self) -> int:
        """Tokens in the slab."""
        return 0 if self.keys is None or self.keys.numel() == 0 else self.keys.shape[-2]

    def rows(self, indices: torch.Tensor, room: int) -> SlabLayer:
        """A new layer that holds copies of the rows of `indices`, with `room` spare tokens behind them."""
        assert self.keys is not None and self.values is not None
        used = self.num_stored
        layer = SlabLayer(float32=self._float32)
        layer.dtype, layer.device, layer.is_initialized = self.dtype, self.device, True
        shape = (len(indices), self.keys.shape[1], used + room)
        layer._key_slab = self.keys.new_empty((*shape, self.keys.shape[-1]))
        layer._value_slab = self.values.new_empty((*shape, self.values.shape[-1]))
        layer._key_slab[:, :, :used] = self.keys[indices]
        layer._value_slab[:, :, :used] = self.values[indices]
        layer.keys, layer.values = layer._key_slab[:, :, :used], layer._value_slab[:, :, :used]
        return layer

    def reorder_cache(self, beam_idx: torch.Tensor) -> None:
        """Hold the rows of `beam_idx` only, in that order and as often as it names them, and the spare room."""
        used = self.num_stored
        if self._key_slab is None or self._value_slab is None:
            super().reorder_cache(cast(torch.LongTensor, beam_idx))
            return
        self._key_slab = self._key_slab.index_select(0, beam_idx)
        self._value_slab = self._value_slab.index_select(0, beam_idx)
        self.keys, self.values = self._key_slab[:, :, :used], self._value_slab[:, :, :used]


class PrefixLayer(SlabLayer):
    """A slab of the rows' own tokens behind a prefix that groups of rows share (`agent.engines.hf.attention.Prefix`).

    `update` returns the own tokens alone and hangs the prefix on the keys, where the attention finds it.
    """

    def __init__(self) -> None:
        super().__init__(float32=True)
        self.prefix: attention.Prefix | None = None

    def share(self, mask_GP: torch.Tensor | None) -> None:
        """Make what is stored the prefix; `mask_GP` is False at padding."""
        assert self.keys is not None and self.values is not None
        self.prefix = attention.Prefix(self.keys, self.values, mask_GP)
        self._key_slab = self._value_slab = None
        self.keys = self.values = self.keys.new_empty(0)

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append the states of new tokens; return keys and values of the rows' own tokens so far."""
        keys: Any  # a tensor that carries an attribute of ours
        keys, values = super().update(key_states, value_states)
        if self.prefix is not None:
            keys.shared_prefix = self.prefix
        return keys, values

    def get_seq_length(self) -> int:
        return (0 if self.prefix is None else self.prefix.num_tokens) + self.num_stored


L = TypeVar("L", bound=SlabLayer)


def _grown(old: torch.Tensor, new: torch.Tensor, used: int, capacity: int) -> torch.Tensor:
    rows, heads, _, dim = new.shape
    slab = old.new_empty((rows, heads, capacity, dim))
    if used:
        slab[:, :, :used] = old
    return slab


def make_cache(config: Any, *, shared: bool = False) -> Cache:
    """An empty cache for a model of `config`; `shared` makes `PrefixLayer`s (see `can_share`)."""
    cache = DynamicCache(config=config)
    float32 = config.get_text_config()._attn_implementation == attention.NAME
    cache.layers = [
        layer if type(layer) is not DynamicLayer else PrefixLayer() if shared else SlabLayer(float32=float32)
        for layer in cache.layers
    ]
    return cache


def cache_rows(cache: Cache, indices: torch.Tensor, room: int, config: Any) -> Cache:
    """A cache of copies of the rows of `indices`, for a model that attends to all: `cache` stays as it is."""
    copied = DynamicCache(config=config)
    layers: list[Any] = [layer.rows(indices, room) for layer in _layers(cache, SlabLayer)]
    copied.layers = layers
    return copied


def _layers(cache: Cache, kind: type[L]) -> list[L]:
    """The layers of a cache that `make_cache` made, all of them of one kind."""
    found = [layer for layer in cache.layers if isinstance(layer, kind)]
    assert len(found) == len(cache.layers)
    return found


_FINDS_PREFIX: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()


def can_share(model: Any) -> bool:
    """Whether every layer attends to all past tokens, through `agent.engines.hf.attention`, and meets a shared prefix
    there.

    What hangs on the keys is lost where a model works on what it has cached before it attends, as latent attention
    does (DeepSeek's): such a model would go on without its prompt. Tried out once a model, with two tokens.
    """
    config = model.config
    if config.get_text_config()._attn_implementation != attention.NAME or not attends_to_all(config):
        return False
    if model not in _FINDS_PREFIX:
        _FINDS_PREFIX[model] = _finds_prefix(model)
    return _FINDS_PREFIX[model]


def _finds_prefix(model: Any) -> bool:
    cache: Any = make_cache(model.config, shared=True)
    token = torch.zeros((1, 1), dtype=torch.long, device=next(model.parameters()).device)
    model(input_ids=token, past_key_values=cache, use_cache=True)
    if not all(layer.num_stored for layer in cache.layers):  # a layer that reads another one's cache
        return False
    for layer in cache.layers:
        layer.share(None)
    model(input_ids=token, past_key_values=cache, use_cache=True)
    return all(layer.prefix.attended for layer in cache.layers)


def attends_to_all(config: Any) -> bool:
    """Whether every layer of a model of `config` attends to all past tokens."""
    layers = DynamicCache(config=config).layers
    return bool(layers) and all(type(layer) is DynamicLayer for layer in layers)


def keeps_states(config: Any) -> bool:
    """Whether a layer of a model of `config` keeps a state in place of keys and values, as linear attention does.

    Many such layers take up their state for a single new token only.
    """
    layers = DynamicCache(config=config).layers
    return any(isinstance(layer, LinearAttentionCacheLayerMixin) for layer in layers)


class SharedPast:
    """The past of K rows a prompt, each prompt stored once. Rows are kept in groups of equal size."""

    def __init__(self, cache: Cache, mask_GP: torch.Tensor, k: int) -> None:
        self._cache, self._mask, self._k = cache, mask_GP, k
        for layer in _layers(cache, PrefixLayer):
            layer.share(None if bool(mask_GP.all()) else mask_GP)

    def step_mask(self, num_own: int) -> None:
        """No mask: the rows' own tokens hold no padding, and the prefix brings its own."""

    def shrink(self, alive: torch.Tensor) -> torch.Tensor | None:
        """Drop prompts whose rows all ended, and as many ended rows as every other prompt can spare.

        Returns the rows kept, or None where too little would be saved.
        """
        by_prompt = alive.view(-1, self._k)
        left = by_prompt.sum(dim=1)
        prompts = left.nonzero()[:, 0]
        k = int(left.max())
        if len(prompts) * k > SHRINK_AT * len(alive):
            return None
        # alive ones first; a prompt with fewer than k fills up with ended rows
        order = (~by_prompt[prompts]).int().argsort(dim=1, stable=True)[:, :k]
        rows = (prompts[:, None] * self._k + order).flatten()
        kept = self._mask[prompts]
        prefixes = (layer.prefix for layer in _layers(self._cache, PrefixLayer))
        for prefix in {id(p): p for p in prefixes if p is not None}.values():
            prefix.select(prompts, kept)
        self._cache.reorder_cache(cast(torch.LongTensor, rows))
        self._mask, self._k = kept, k
        return rows


class ExpandedPast:
    """The past of K rows a prompt, each row with its own copy of the prompt: works with any attention."""

    def __init__(self, cache: Cache, mask_GP: torch.Tensor, k: int, steps: int, config: Any) -> None:
        if k > 1:
            # of the ways in which transformers picks rows of a cache, the one that every kind of layer has
            rows = torch.arange(len(mask_GP), device=mask_GP.device).repeat_interleave(k)
            cache.reorder_cache(cast(torch.LongTensor, rows))
        self._cache, self._width = cache, mask_GP.shape[1]
        mask = mask_GP.repeat_interleave(k, dim=0)
        # One mask for all steps, of which each step shows one column more. A ready 4D mask spares transformers
        # building one a step, but only some attentions take a boolean one, and it would void a sliding window.
        self._mask = torch.cat([mask, mask.new_ones((mask.shape[0], steps))], dim=1)
        self._ready = attends_to_all(config) and config.get_text_config()._attn_implementation in BOOLEAN_MASK

    def step_mask(self, num_own: int) -> torch.Tensor:
        """Mask over the prompt and the `num_own` tokens of each row."""
        seen = self._mask[:, : self._width + num_own]
        return seen[:, None, None, :] if self._ready else seen.long()

    def shrink(self, alive: torch.Tensor) -> torch.Tensor | None:
        """Drop the rows that ended. Returns the rows kept, or None where too little would be saved."""
        if int(alive.sum()) > SHRINK_AT * len(alive):
            return None
        rows = alive.nonzero()[:, 0]
        self._cache.reorder_cache(cast(torch.LongTensor, rows))
        self._mask = self._mask[rows]
        return rows
