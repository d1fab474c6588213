"""What a model says of given tokens, without the logits of all of them at once.

    head = head_of(model)                                     # None: the logits are no matrix times the hidden states
    of = linear_statistics(hidden_NH, head, labels_N, frozenset({FULL_ENTROPY}), temperature=0.8)
    of.logp.sum().backward()

From hidden states the output layer runs over a tile of tokens at a time, forward and again backward, so memory does
not grow with vocabulary x length. Arithmetic on logits is float32 (float64 where they are float64), in forms that keep
their digits at both ends: `log1p` of the other tokens' mass where p is near 1.

Shapes: N tokens, V vocabulary, H hidden size.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from recast.train.model.statistic_names import CONCENTRATION, ENTROPY, FULL_ENTROPY

TOP = 20
"""Tokens that `ENTROPY` is taken over."""
TILE = 2**25
"""Logits of a tile, the unit of the matrix products: 1,024 tokens of a vocabulary of 32 k."""
LEAST = -1e4
"""A logit so far below the largest has probability 0 in every dtype."""
CACHED = 2**19
"""Logits that are worked on at once in float32 on a CPU: few enough to stay in its cache from pass to pass."""
BLOCK = 128
"""Columns of which only the largest is looked at when the likeliest tokens are sought."""


class TokenStatistics(NamedTuple):
    """What is known of each token; each (N,), nats. Only `logp` carries a gradient."""

    logp: Tensor  # log-probability of the label
    log_concentration: Tensor | None = None
    entropy: Tensor | None = None
    full_entropy: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """An output layer: logits are `scale * (hidden @ weight.T + bias)`, x, or `cap * tanh(x / cap)` where there is one.

    `weight` (V, H), `bias` (V,).
    """

    weight: Tensor
    bias: Tensor | None = None
    scale: float = 1.0
    cap: float | None = None

    def logits(self, hidden: Tensor) -> Tensor:
        """Of `hidden` (N, H), all of them, in its dtype where they are the product itself, else in full precision."""
        product = torch.nn.functional.linear(hidden, self.weight, self.bias)
        return product if self.scale == 1 and self.cap is None else _Shape(self.scale, self.cap).of(product)


def head_of(model: Any) -> Head | None:
    """The output layer of a causal LM, as tried on two tokens; None where its logits are made in another way.

    Scales and caps are those that the configs of transformers name (Cohere, Granite, Falcon-H1; Gemma).
    """
    layer = model.get_output_embeddings()
    if (
        type(layer) is not torch.nn.Linear or model.base_model is model
    ):  # transformers names no backbone in it
        return None
    config = model.config.get_text_config()
    scales = [getattr(config, name, None) for name in ("logit_scale", "lm_head_multiplier")]
    divisor = getattr(config, "logits_scaling", None)
    scales.append(1 / divisor if divisor else None)
    scale = next((s for s in scales if s is not None), 1.0)
    head = Head(layer.weight, layer.bias, scale, getattr(config, "final_logit_softcapping", None))
    training = model.training
    model.eval()
    ids = torch.tensor([[0, 1]], device=layer.weight.device)
    with torch.no_grad():
        hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state
        expected = model(input_ids=ids, use_cache=False).logits.float()
        found = head.logits(hidden).float()
    model.train(training)
    return head if torch.allclose(found, expected, rtol=1e-2, atol=1e-3) else None


def token_statistics(logits: Tensor, labels: Tensor, needs: frozenset[str] = frozenset()) -> TokenStatistics:
    """Statistics of `logits` (N, V) at `labels` (N,), all of them valid tokens."""
    return TokenStatistics(*_FromLogits.apply(logits, labels, needs))  # pyright: ignore[reportGeneralTypeIssues]


def linear_statistics(
    hidden: Tensor,
    head: Head,
    labels: Tensor,
    needs: frozenset[str] = frozenset(),
    *,
    temperature: float = 1.0,
) -> TokenStatistics:
    """`token_statistics` of the logits that `head` makes of `hidden` (N, H), over `temperature`, without the logits.

    Products are taken in the dtype of autocast where it is on, else in that of `hidden`.
    """
    shape = _Shape(head.scale, head.cap, temperature)
    return TokenStatistics(*_FromHidden.apply(hidden, head.weight, head.bias, labels, needs, shape))  # pyright: ignore[reportGeneralTypeIssues]


class _Shape(NamedTuple):
    """From the product with the output matrix to logits over a temperature."""

    scale: float = 1.0
    cap: float | None = None
    temperature: float = 1.0

    def of(self, product: Tensor) -> Tensor:
        """Logits in full precision, a tensor of their own."""
        z = product.to(_wide(product.dtype), copy=True)
        if self.scale != 1:
            z *= self.scale
        if self.cap is not None:
            z = torch.tanh(z.div_(self.cap)).mul_(self.cap)
        return z if self.temperature == 1 else z.div_(self.temperature)

    def back(self, grad: Tensor, product: Tensor) -> Tensor:
        """The gradient over `product` of what has `grad` over `of(product)`; `grad` is used up."""
        if self.cap is not None:
            at = self._replace(temperature=1.0).of(product).div_(self.cap)
            grad *= 1 - at.square_()
        return grad if self.scale == self.temperature else grad.mul_(self.scale / self.temperature)


class _FromLogits(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor, needs: frozenset[str]) -> tuple[Any, ...]:
        measured = _Measured.empty(labels.shape[0], logits, needs)
        for rows in _pieces(logits):
            measured.measure(rows, _Shape().of(logits[rows]), labels[rows])
        ctx.save_for_backward(logits, labels, measured.shift, measured.logp)
        return measured.results(ctx)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
        logits, labels, shift, logp = ctx.saved_tensors
        grad = torch.empty_like(logits)
        for rows in _pieces(logits):
            grad[rows] = _logit_gradient(
                _Shape().of(logits[rows]), labels[rows], shift[:, rows], logp[rows], _given(grads)[rows]
            )
        return grad, None, None


class _FromHidden(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        labels: Tensor,
        needs: frozenset[str],
        shape: _Shape,
    ) -> tuple[Any, ...]:
        ctx.dtype, ctx.shape = _product_dtype(hidden), shape
        head = weight.to(ctx.dtype)
        measured = _Measured.empty(labels.shape[0], hidden, needs)
        for tokens, tile in _tiles(hidden, head, bias, ctx.dtype):
            for rows in _pieces(tile):
                inside = slice(tokens.start + rows.start, tokens.start + rows.stop)
                measured.measure(inside, shape.of(tile[rows]), labels[inside])
        ctx.save_for_backward(hidden, weight, bias, labels, measured.shift, measured.logp)
        return measured.results(ctx)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
        hidden, weight, bias, labels, shift, logp = ctx.saved_tensors
        given = _given(grads)
        head = weight.to(ctx.dtype)
        for_hidden = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        # sums over tiles are kept in full precision, as one product over all tokens would
        full = torch.promote_types(weight.dtype, torch.float32)
        for_weight = torch.zeros_like(weight, dtype=full) if ctx.needs_input_grad[1] else None
        for_bias = torch.zeros_like(bias, dtype=full) if ctx.needs_input_grad[2] else None
        for tokens, tile in _tiles(hidden, head, bias, ctx.dtype):
            for rows in _pieces(tile):
                at = slice(tokens.start + rows.start, tokens.start + rows.stop)
                z = ctx.shape.of(tile[rows])
                grad = _logit_gradient(z, labels[at], shift[:, at], logp[at], given[at])
                tile[rows] = ctx.shape.back(grad, tile[rows])
            if for_hidden is not None:
                for_hidden[tokens] = tile @ head
            if for_weight is not None:
                for_weight += tile.T @ hidden[tokens].to(ctx.dtype)
            if for_bias is not None:
                for_bias += tile.sum(0, dtype=full)
        return (
            for_hidden,
            None if for_weight is None else for_weight.to(weight.dtype),
            None if for_bias is None else for_bias.to(bias.dtype),
            None,
            None,
            None,
        )


@dataclass(slots=True)
class _Measured:
    """Per-token results while they are filled, piece by piece."""

    logp: Tensor  # (N,)
    shift: Tensor  # (2, N): the largest logit, and the log of the sum of exp above it
    log_concentration: Tensor | None
    entropy: Tensor | None
    full_entropy: Tensor | None

    @classmethod
    def empty(cls, num: int, like: Tensor, needs: frozenset[str]) -> _Measured:
        def fresh(*shape: int) -> Tensor:
            return torch.empty(shape, device=like.device, dtype=_wide(like.dtype))

        return cls(
            fresh(num),
            fresh(2, num),
            fresh(num) if CONCENTRATION in needs else None,
            fresh(num) if ENTROPY in needs else None,
            fresh(num) if FULL_ENTROPY in needs else None,
        )

    def measure(self, rows: slice, z: Tensor, labels: Tensor) -> None:
        """Measure the tokens `rows` from their logits `z`, which are used up."""
        largest = z.amax(-1, keepdim=True)
        z -= largest
        if self.entropy is not None:
            self.entropy[rows] = _top_entropy(z)
        if self.full_entropy is not None:
            # a logit of -inf has probability 0 and adds nothing, where 0 * -inf would be NaN
            weight = z.clamp_(min=LEAST).exp()
            norm = weight.sum(-1)
            self.full_entropy[rows] = norm.log() - torch.linalg.vecdot(weight, z) / norm
        at = labels[:, None]
        below = -z.gather(-1, at).squeeze(-1)  # how far the label lies under the largest: >= 0
        # the others' mass alone: where p is near 1, it would drown in a sum that holds the label's own
        z.scatter_(-1, at, -math.inf)
        z.exp_()
        others, own = z.sum(-1), (-below).exp()
        log_sum = torch.where(below == 0, others.log1p(), (others + own).log())
        self.logp[rows] = -(below + log_sum)
        self.shift[0, rows] = largest.squeeze(-1)
        self.shift[1, rows] = log_sum
        if self.log_concentration is not None:
            squares = torch.linalg.vector_norm(z, dim=-1).square() + own.square()
            self.log_concentration[rows] = squares.log() - 2 * log_sum

    def results(self, ctx: Any) -> tuple[Any, ...]:
        extras = (self.log_concentration, self.entropy, self.full_entropy)
        ctx.mark_non_differentiable(*(x for x in extras if x is not None))
        return self.logp, *extras


def _logit_gradient(z: Tensor, labels: Tensor, shift: Tensor, logp: Tensor, grad: Tensor) -> Tensor:
    """grad of logp x (1[v = label] - p_v), in place of the logits `z` (n, V); `grad` and `logp` are (n,)."""
    z -= shift[0][:, None]  # subtracted one after the other: their sum would lose digits under large logits
    z -= shift[1][:, None]
    z.exp_()
    z.scatter_(-1, labels[:, None], torch.expm1(logp)[:, None])
    return z.mul_(-grad[:, None])


def _top_entropy(z: Tensor) -> Tensor:
    """Entropy (nats) of the TOP largest of each row of `z` (n, V), whose maximum is 0, renormalised."""
    top = _largest(z, min(TOP, z.shape[-1]))
    log_sum = top[:, 1:].exp().sum(-1).log1p()  # the first is exp(0) = 1
    # every term is >= 0: the digits stay where one token has nearly all the mass
    return log_sum - ((top - log_sum[:, None]).exp() * top).sum(-1)


def _largest(z: Tensor, k: int) -> Tensor:
    """The k largest of each row, in order: the same as `z.topk(k)`, without sorting the whole vocabulary.

    A value among the k largest lies in a block whose maximum is at least that large, and the k blocks with
    the largest maxima hold k such values: only these and the columns after the last whole block are searched.
    """
    whole = z.shape[-1] // BLOCK
    if whole <= 2 * k:
        return z.topk(k, dim=-1).values
    blocks = z[:, : whole * BLOCK].unflatten(-1, (whole, BLOCK))
    chosen = blocks.amax(-1).topk(k, dim=-1, sorted=False).indices
    candidates = blocks.gather(1, chosen[:, :, None].expand(-1, -1, BLOCK)).flatten(1)
    return torch.cat([candidates, z[:, whole * BLOCK :]], dim=-1).topk(k, dim=-1).values


def _tiles(
    hidden: Tensor, head: Tensor, bias: Tensor | None, dtype: torch.dtype
) -> Iterator[tuple[slice, Tensor]]:
    """(tokens, their logits in one buffer) for all of `hidden` (N, H)."""
    num, vocabulary = hidden.shape[0], head.shape[0]
    size = max(1, min(num, TILE // vocabulary))
    buffer = torch.empty((size, vocabulary), device=hidden.device, dtype=dtype)
    with torch.autocast(hidden.device.type, enabled=False):
        for start in range(0, num, size):
            tokens = slice(start, min(start + size, num))
            tile = buffer[: tokens.stop - start]
            torch.mm(hidden[tokens].to(dtype), head.T, out=tile)
            if bias is not None:
                tile += bias.to(dtype)
            yield tokens, tile


def _pieces(logits: Tensor) -> Iterator[slice]:
    """Rows of `logits` (n, V) that are worked on at once."""
    num, vocabulary = logits.shape
    size = max(1, (TILE if logits.is_cuda else CACHED) // vocabulary)
    return (slice(start, min(start + size, num)) for start in range(0, num, size))


def _product_dtype(hidden: Tensor) -> torch.dtype:
    device = hidden.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)


def _given(grads: tuple[Tensor | None, ...]) -> Tensor:
    """The gradient of logp, the only differentiable result."""
    assert grads[0] is not None
    return grads[0]
