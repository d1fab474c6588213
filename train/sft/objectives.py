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

from typing import NamedTuple

import torch
from torch import Tensor

from recast.train.model.token_statistics import Head, TokenStatistics, linear_statistics, token_statistics
from recast.train.sft.examples import IGNORED
from recast.train.sft.objective_names import Objective

CAYLEY_EPSILON, DEFT_EPSILON = 1e-8, 1e-6
CAYLEY_FLOOR, CAYLEY_LEAST = 0.5, 1e-3
EAFT_SCALE = 3.0  # nats: about the log of the 20 tokens that the entropy is taken over


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
    found = linear_statistics(hidden[trained], Head(weight, bias), labels[trained], parsed.needs)
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


def _present(value: Tensor | None) -> Tensor:
    assert value is not None, "the statistics were made without what the objective needs"
    return value
