"""Token objectives: what a trained token costs, and the gate that scales its gradient.

Every objective here is a decreasing function of p, the probability of the label. With a softmax its
gradient with respect to the logits z is `gate * (p_v - 1[v = label])`, so the gate says how much of the NLL
gradient is left at a token.

    objective      loss                               gate            held fixed
    nll            -log p                             1
    p              1 - p                              p
    dft            -sg(p) log p                       p               p             arXiv 2508.05629
    general:A      (1 - p^A) / A                      p^A                           arXiv 2510.00526
    tsallis:Q      -ln_q p = (1 - p^(1-Q)) / (1-Q)    p^(1-Q)
    cayley         (1 - p^a) / (a + 1e-8)             p^a a/(a+1e-8)  a             arXiv 2602.11424
    deft           (1 - p^C) / (C + 1e-6)             p^C C/(C+1e-6)  C             arXiv 2602.11424
    eaft           -sg(w) log p                       w               w             arXiv 2601.02151

C = sum_v p_v^2 is the concentration (collision probability) of the distribution, exp of minus its Rényi-2
entropy. Cayley's exponent is a = f + (1-f) p/(2-p) in [1e-3, 1] with f half the mean p of the trained tokens
of the call, so it depends on what is put into one call. EAFT's weight w is the entropy of the 20 likeliest
tokens, renormalised, over 3 nats. The small constants are those of the authors' code.

Two ways in, with the same numbers: `token_loss` from logits, `linear_token_loss` from hidden states and the
head's weights. The second never holds the logits of more than a tile of tokens, forward or backward, so its
memory does not grow with vocabulary x length. Arithmetic on logits is float32 (float64 where they are
float64), in forms that keep their digits at both ends: `log1p` of the other tokens' mass where p is near 1,
`expm1` of a log-probability where p^a is.

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

from recast.train.sft.examples import IGNORED
from recast.train.sft.objective_names import CONCENTRATION, ENTROPY, Objective

CAYLEY_EPSILON, DEFT_EPSILON = 1e-8, 1e-6
CAYLEY_FLOOR, CAYLEY_LEAST = 0.5, 1e-3
EAFT_TOP, EAFT_SCALE = 20, 3.0  # 3 nats: about log 20

TILE = 2**25
"""Logits of a tile, the unit of the matrix products: 1,024 tokens of a vocabulary of 32 k."""
CACHED = 2**19
"""Logits that are worked on at once in float32 on a CPU: few enough to stay in its cache from pass to pass."""
BLOCK = 128
"""Columns of which only the largest is looked at when the likeliest tokens are sought."""


class TokenStatistics(NamedTuple):
    """What objectives are made of; each (N,). Only `logp` carries a gradient."""

    logp: Tensor  # log-probability of the label, nats
    log_concentration: Tensor | None = None  # log sum_v p_v^2: minus the Rényi-2 entropy, nats
    entropy: Tensor | None = None  # of the EAFT_TOP likeliest tokens, renormalised, nats


class TokenLoss(NamedTuple):
    """Loss and gate of each token, 0 where the label is IGNORED; the gate carries no gradient."""

    loss: Tensor
    gate: Tensor


def token_loss(logits: Tensor, labels: Tensor, objective: str | Objective) -> TokenLoss:
    """Loss and gate of every token.

    `logits` (..., V) of any float dtype, `labels` (...) the token each of them predicts, IGNORED where none
    is trained; nothing is shifted here. Returned in float32, or float64 for float64 logits.
    """
    parsed = Objective.parse(objective)
    flat, trained = labels.flatten(), labels.flatten() != IGNORED
    statistics = token_statistics(logits.flatten(0, -2), flat.clamp(min=0), parsed.needs)
    loss, gate = apply(parsed, statistics, trained)
    return TokenLoss(loss.view(labels.shape), gate.view(labels.shape))


def linear_token_loss(
    hidden: Tensor, weight: Tensor, labels: Tensor, objective: str | Objective, bias: Tensor | None = None
) -> TokenLoss:
    """`token_loss(hidden @ weight.T + bias, labels, objective)` without the logits.

    `hidden` (..., H), `weight` (V, H), `bias` (V,). Products are taken in the dtype of autocast where it is
    on, else in that of `hidden`.
    """
    parsed = Objective.parse(objective)
    trained = labels != IGNORED
    found = linear_statistics(hidden[trained], weight, labels[trained], parsed.needs, bias)
    loss, gate = apply(parsed, found)
    empty = torch.zeros(labels.shape, dtype=loss.dtype, device=loss.device)
    return TokenLoss(empty.masked_scatter(trained, loss), empty.masked_scatter(trained, gate))


def apply(objective: Objective, of: TokenStatistics, trained: Tensor | None = None) -> TokenLoss:
    """Loss and gate from the statistics; `trained` (N,) bool leaves the other tokens out, of means as well."""
    logp = of.logp.detach()
    power = exponent(objective, of, trained)
    if power is None:
        gate = logp.exp() if objective.name == "dft" else _present(of.entropy) / EAFT_SCALE
        value = -gate * logp
    elif isinstance(power, float) and power == 0.0:
        value, gate = -logp, torch.ones_like(logp)
    else:
        epsilon = {"cayley": CAYLEY_EPSILON, "deft": DEFT_EPSILON}.get(objective.name, 0.0)
        value = -torch.expm1(power * logp) / (power + epsilon)
        gate = (power * logp).exp() * (power / (power + epsilon))
        gate = gate.clamp(max=torch.finfo(gate.dtype).max)  # tsallis:Q above 1: infinite times 0 is no number
    if trained is not None:
        value, gate = value.masked_fill(~trained, 0.0), gate.masked_fill(~trained, 0.0)
    # d loss / d logp is minus the gate. Attached as it is: autograd's own derivative of expm1 would take it
    # from 1 + expm1(...), which is 0 in place of a small p^a.
    return TokenLoss(value + gate * (logp - of.logp), gate)


def exponent(
    objective: Objective, of: TokenStatistics, trained: Tensor | None = None
) -> float | Tensor | None:
    """The power of p that an objective puts on each token: a number, one a token, or None for a weight."""
    if objective.name == "deft":
        return _present(of.log_concentration).exp()
    if objective.name == "cayley":
        p = of.logp.detach().exp()
        counted = p if trained is None else p[trained]
        floor = CAYLEY_FLOOR * (counted.mean() if counted.numel() else p.new_zeros(()))
        return (floor + (1 - floor) * p / (2 - p)).clamp(CAYLEY_LEAST, 1.0)
    return objective.exponent


def token_statistics(logits: Tensor, labels: Tensor, needs: frozenset[str] = frozenset()) -> TokenStatistics:
    """Statistics of `logits` (N, V) at `labels` (N,), all of them valid tokens."""
    return TokenStatistics(*_FromLogits.apply(logits, labels, needs))  # pyright: ignore[reportGeneralTypeIssues]


def linear_statistics(
    hidden: Tensor,
    weight: Tensor,
    labels: Tensor,
    needs: frozenset[str] = frozenset(),
    bias: Tensor | None = None,
) -> TokenStatistics:
    """`token_statistics(hidden @ weight.T + bias, labels, needs)` without the logits; `hidden` (N, H)."""
    return TokenStatistics(*_FromHidden.apply(hidden, weight, bias, labels, needs))  # pyright: ignore[reportGeneralTypeIssues]


class _FromLogits(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor, needs: frozenset[str]) -> tuple[Any, ...]:
        measured = _Measured.empty(labels.shape[0], logits, needs)
        for rows in _pieces(logits):
            measured.measure(rows, logits[rows], labels[rows])
        ctx.save_for_backward(logits, labels, measured.shift, measured.logp)
        return measured.results(ctx)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
        logits, labels, shift, logp = ctx.saved_tensors
        grad = torch.empty_like(logits)
        for rows in _pieces(logits):
            grad[rows] = _logit_gradient(
                logits[rows], labels[rows], shift[:, rows], logp[rows], _given(grads)[rows]
            )
        return grad, None, None


class _FromHidden(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, labels: Tensor, needs: frozenset[str]
    ) -> tuple[Any, ...]:
        ctx.dtype = _product_dtype(hidden)
        head = weight.to(ctx.dtype)
        measured = _Measured.empty(labels.shape[0], hidden, needs)
        for tokens, tile in _tiles(hidden, head, bias, ctx.dtype):
            for rows in _pieces(tile):
                inside = slice(tokens.start + rows.start, tokens.start + rows.stop)
                measured.measure(inside, tile[rows], labels[inside])
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
                tile[rows] = _logit_gradient(tile[rows], labels[at], shift[:, at], logp[at], given[at])
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
        )


@dataclass(slots=True)
class _Measured:
    """Per-token results while they are filled, piece by piece."""

    logp: Tensor  # (N,)
    shift: Tensor  # (2, N): the largest logit, and the log of the sum of exp above it
    log_concentration: Tensor | None
    entropy: Tensor | None

    @classmethod
    def empty(cls, num: int, like: Tensor, needs: frozenset[str]) -> _Measured:
        def fresh(*shape: int) -> Tensor:
            return torch.empty(shape, device=like.device, dtype=_wide(like.dtype))

        return cls(
            fresh(num),
            fresh(2, num),
            fresh(num) if CONCENTRATION in needs else None,
            fresh(num) if ENTROPY in needs else None,
        )

    def measure(self, rows: slice, logits: Tensor, labels: Tensor) -> None:
        z = logits.to(_wide(logits.dtype), copy=True)
        largest = z.amax(-1, keepdim=True)
        z -= largest
        if self.entropy is not None:
            self.entropy[rows] = _top_entropy(z)
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
        extras = [x for x in (self.log_concentration, self.entropy) if x is not None]
        ctx.mark_non_differentiable(*extras)
        return self.logp, self.log_concentration, self.entropy


def _logit_gradient(logits: Tensor, labels: Tensor, shift: Tensor, logp: Tensor, grad: Tensor) -> Tensor:
    """grad of logp x (1[v = label] - p_v), as (n, V) float32 or wider; `grad` and `logp` are (n,)."""
    z = logits.to(_wide(logits.dtype), copy=True)
    z -= shift[0][:, None]  # subtracted one after the other: their sum would lose digits under large logits
    z -= shift[1][:, None]
    z.exp_()
    z.scatter_(-1, labels[:, None], torch.expm1(logp)[:, None])
    return z.mul_(-grad[:, None])


def _top_entropy(z: Tensor) -> Tensor:
    """Entropy (nats) of the EAFT_TOP largest of each row of `z` (n, V), whose maximum is 0, renormalised."""
    top = _largest(z, min(EAFT_TOP, z.shape[-1]))
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


def _present(value: Tensor | None) -> Tensor:
    assert value is not None, "the statistics were made without what the objective needs"
    return value
