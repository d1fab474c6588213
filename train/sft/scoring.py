"""What a model says of the trained tokens of a batch, without the logits of all positions at once.

`add_scoring` gives a causal LM a second way through its forward: hidden states from the backbone, then
`train.model.token_statistics` of the trained positions alone, tile by tile. It goes through `forward`, so wrappers
(PEFT, data-parallel, autocast) keep working around it.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from recast.train.model.token_statistics import (
    TokenStatistics,
    head_of,
    linear_statistics,
    token_statistics,
)
from recast.train.sft.examples import IGNORED, Example, collate

EAGER_LENGTH = 512
"""Longest sequences for which plain attention beats torch's fused one in bf16 on a CPU (measured: a step of
16 x 150 tokens takes 0.26 s against 0.38 s, because the fused backward emulates bf16)."""


def prepare(model: Any, examples: Sequence[Example], *, bf16: bool) -> Any:
    """Return `model` in float32 with the attention that is fastest for these examples on its device."""
    if eager_is_faster(model, max(len(e.ids) for e in examples), bf16=bf16):
        model.set_attn_implementation("eager")
    return add_scoring(model.float())  # master weights: bf16 would round small updates away


def eager_is_faster(model: Any, longest: int, *, bf16: bool) -> bool:
    """Whether plain attention is the fastest for sequences of up to `longest` tokens; it holds all its weights."""
    return bf16 and model.device.type == "cpu" and longest <= EAGER_LENGTH


def add_scoring(model: Any) -> Any:
    """Let `model(**batch, needs=...)` return the TokenStatistics of the trained tokens, row by row.

    `batch` has `input_ids`, `attention_mask` and `labels` (N, T), not shifted, as `collate` makes them. A
    head of another kind (`head_of`), or one with an adapter on it, is taken as it is, with the logits of the trained
    rows' positions held at once. With `entropy_at`, a mask (N, T - 1) of a few positions, the entropy of the next token
    there, nats, with its gradient, comes as a second result; their logits are held.
    """
    original = model.forward
    known = head_of(model)

    @functools.wraps(type(model).forward)
    def forward(
        self: Any,
        *args: Any,
        needs: frozenset[str] | None = None,
        entropy_at: Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        if needs is None:
            return original(*args, **kwargs)
        labels = kwargs.pop("labels")[:, 1:]  # position t predicts token t + 1
        trained = labels != IGNORED
        layer = self.get_output_embeddings()
        if known is None or type(layer) is not torch.nn.Linear:
            logits = original(*args, use_cache=False, **kwargs).logits[:, :-1]
            found = token_statistics(logits[trained], labels[trained], needs)
            return found if entropy_at is None else (found, full_entropy(logits[entropy_at]))
        hidden = self.base_model(*args, use_cache=False, **kwargs).last_hidden_state[:, :-1]
        # its weights anew: casting or moving the model may have put others in their place
        head = replace(known, weight=layer.weight, bias=layer.bias)
        found = linear_statistics(hidden[trained], head, labels[trained], needs)
        return found if entropy_at is None else (found, full_entropy(head.logits(hidden[entropy_at])))

    model.forward = types.MethodType(forward, model)
    return model


def full_entropy(logits: Tensor) -> Tensor:
    """Entropy (N,) of `logits` (N, V), nats, with its gradient."""
    logp = torch.log_softmax(logits.to(torch.promote_types(logits.dtype, torch.float32)), dim=-1)
    return -(logp.exp() * logp).sum(-1)


def scored(
    model: Any,
    examples: Sequence[Example],
    needs: frozenset[str],
    *,
    pad_id: int,
    batch_size: int,
    bf16: bool,
) -> Iterator[tuple[Sequence[int], TokenStatistics]]:
    """Yield (example indices, statistics of their trained tokens one example after the other), batch by batch."""
    model.eval()
    by_length = sorted(range(len(examples)), key=lambda i: len(examples[i].ids))
    for first in range(0, len(by_length), batch_size):
        chosen = by_length[first : first + batch_size]
        batch = on_device(collate([examples[i] for i in chosen], pad_id), model.device)
        with torch.no_grad(), autocast(model, bf16):
            of = model(**batch, needs=needs)
        yield chosen, of


def mean_nll(model: Any, examples: Sequence[Example], *, pad_id: int, batch_size: int, bf16: bool) -> float:
    """Mean nats per trained token over all examples: one global token mean, whatever the batches."""
    found = scored(model, examples, frozenset(), pad_id=pad_id, batch_size=batch_size, bf16=bf16)
    return -sum(of.logp.sum().item() for _, of in found) / sum(e.num_trained for e in examples)


def on_device(batch: Mapping[str, Tensor], device: Any) -> dict[str, Tensor]:
    return {name: tensor.to(device) for name, tensor in batch.items()}


def autocast(model: Any, bf16: bool) -> AbstractContextManager[Any]:
    return torch.autocast(model.device.type, torch.bfloat16, enabled=bf16)
