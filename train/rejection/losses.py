"""The losses of rejective fine-tuning, each from log-probabilities of tokens (nats) alone.

For a prompt with accepted candidates a, rejected ones r and undecided ones, s(y) the mean log-probability of a token
of y and s_0 the same under the model as training began:

    L = L_acc + beta_m L_mar + beta_u L_unl + beta_h L_amb

    L_acc   mean over a of mean over t of f(p_t)                      f: `train.sft.objectives`
    L_mar   mean over (a, r) of max(0, m - [(s(a) - s_0(a)) - (s(r) - s_0(r))])
    L_unl   mean over r of sum_t w_t p_t / sum_t w_t                  w_t: `penalised`
    L_amb   4 q (1 - q) mean over t in the answer of a of H_t / log V

`margin` is SLiC-HF's hinge (arXiv 2305.10425) on token means relative to the start: with sequences of one length n it
is m times the hinge of DPO at beta = 1 / (m n), which the default of 0.2 has at 50 tokens in common with TRL's beta of
0.1. Where two texts differ in d of n tokens and agree before and after, the others all but cancel: a pair is apart when
those d have moved by m n / d nats each, 0.2 * 72 / 4 = 3.6 for a word of 4 tokens in a text of 72. Below that the term
is no hinge but a straight pull, -1 for s(a) and +1 for s(r) whatever the distance; `apart` says of how many pairs it
has let go. m = D / n asks for D nats a text. `unlikelihood` is asked only of tokens that stand in no accepted text:
most of a refused one is right, and what follows its error often equals the accepted word for word. And only of those
that the model finds plausible: pushing an implausible one down hands its mass to whatever leads, right or wrong.

A token costs p (RIFT, arXiv 2601.09253), or -log(1 - p) (arXiv 1908.04319) where `bounded` is off. On the token's own
logit the likelihood of an accepted text has the gradient 1 - p, p has p (1 - p), at most as much, and -log(1 - p) has
p: p / (1 - p) times as much, a thousand times where the model is sure. No paper names this sum; its parts are
published, their combination and the ambiguity term are this project's own.

`nft` is Negative-aware Fine-Tuning (arXiv 2505.18116): with q the share of right candidates and r_t = p_t / p_0,t, a
right token costs -log r_t and a wrong one -log max((1 - q r_t) / (1 - q), eps), the likelihood ratio of the implicit
model that is left when the right answers are taken away. A prompt weighs 1 - q. At r = 1 its gradient is that of
GRPO's advantages (1 - q for right, -q for wrong). The maximum is straight-through, and eps is 1 as in the authors'
script: the gradient of a wrong token is at most q r_t, without the pole at q r_t = 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

SURE = -1e-4
"""Highest log-probability that unlikelihood sees: 1 - p keeps four digits there, and its gradient stays below 1e4."""
RATIO = 10.0
"""Largest |log r_t| of `nft`."""
SHARE = (0.02, 0.98)
"""Bounds of the share of right candidates in `nft`."""


def margin(accepted: Tensor, rejected: Tensor, least: float) -> Tensor:
    """L_mar of one prompt: `accepted` (A,) and `rejected` (R,) are s - s_0, nats a token; `least` is m."""
    return (least - (accepted[:, None] - rejected[None, :])).clamp(min=0).mean()


def apart(accepted: Tensor, rejected: Tensor, least: float) -> Tensor:
    """Share of one prompt's pairs that cost no margin; arguments as those of `margin`. No gradient."""
    return (accepted.detach()[:, None] - rejected.detach()[None, :] >= least).to(accepted.dtype).mean()


def penalised(logp: Tensor, wrong: Sequence[int], floor: float) -> Tensor:
    """w_t of a rejected candidate's tokens `logp` (T,): 1 at the places `wrong`, which no accepted text shares, where
    p_t > `floor`; else 0. No gradient."""
    weight = torch.zeros_like(logp, requires_grad=False)
    weight[list(wrong)] = 1
    return weight * (logp.detach() > math.log(floor))


def unlikelihood(logp: Tensor, weight: Tensor, bounded: bool = True) -> Tensor:
    """L_unl of one rejected candidate: tokens `logp` (T,) that count `weight` (T,). 0 where none counts."""
    # -log(1 - p) from the log-probability alone: 1 - exp(logp) would lose all digits near p = 0
    cost = logp.exp() if bounded else -torch.log(-torch.expm1(logp.clamp(max=SURE)))
    return (weight * cost).sum() / weight.sum().clamp(min=1)


def ambiguity(entropy: Tensor, vocabulary: int, share: float) -> Tensor:
    """L_amb of one prompt: `entropy` (T,) of the tokens of accepted answers, nats; `share` q of right candidates."""
    if not len(entropy):
        return entropy.sum()
    return 4 * share * (1 - share) * entropy.mean() / math.log(vocabulary)


def nft(logp: Tensor, start: Tensor, right: bool, share: float, least: float = 1.0) -> Tensor:
    """Cost of each token (T,) of one candidate: `logp` now, `start` as training began; `share` q, `least` eps.

    The weight 1 - q of the prompt is in it.
    """
    q = min(max(share, SHARE[0]), SHARE[1])
    log_ratio = (logp - start).clamp(-RATIO, RATIO)
    if right:
        return -(1 - q) * log_ratio
    implicit = (1 - q * log_ratio.exp()) / (1 - q)
    # straight through: the value is bounded, the gradient is that of the ratio as it stands
    held = implicit + (implicit.clamp(min=least) - implicit).detach()
    return -(1 - q) * held.log()
