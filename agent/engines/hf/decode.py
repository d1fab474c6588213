"""The decode loop: one prefill a prompt, K samples each, one stream of randomness a row.

Owns batching of a single decode batch; `agent.engines.hf.engine` owns the plan over many prompts, the chat template
and the text. Left padding aligns the prompts, so that all rows append at the same cache position. Rows that
ended are taken out of the cache once enough of them have, so the tail of a batch costs little.

A row's draws depend on its own seed alone: token t is the inverse of the row's cumulative distribution at
the t-th uniform of a counter-based generator (Philox) keyed by the seed. Another batch can change a sample
only through the rounding of the logits themselves.

With a second context of every prompt (`Beside`) both are rows of the batch, those of the second behind all of the
first; a token drawn of their mixture is given to both.

Legend: B prompts, N = B*K rows, P prompt tokens (padded), V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from recast.agent.engines.hf.kv_cache import ExpandedPast, SharedPast, can_share, make_cache
from recast.agent.engines.protocol import Sampling

CHECK_EVERY = 8
"""Decode steps between two looks at which rows ended (a look waits for the device)."""
CPU_BLOCK = 2**19
"""Logits that are drawn from at once on a CPU: few enough to stay in a cache over the passes, and in memory that the C
library has at hand. At 64 rows of a vocabulary of 49,152 all at once cost three times as much."""
NUCLEUS_TOP = (64, 4096)
"""Top-p looks at so many best tokens one after the other, and sorts the vocabulary only where they do not cover p: of
49,152 tokens that takes five times as long as to find the best 4,096."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """Token ids drawn (end of turn included when drawn), their log-probabilities, and whether they ended."""

    token_ids: list[int]
    logprobs: list[float]
    ended: bool


@dataclass(frozen=True, slots=True)
class Beside:
    """A second context of every prompt, and how it speaks along (`agent.engines.protocol.Mixing`)."""

    prompts: Sequence[Sequence[int]]
    strength: float
    said: Callable[[Sequence[int]], bool]  # whether it speaks alone after these tokens


def uniforms(seeds: Sequence[int], num_tokens: int) -> np.ndarray:
    """Return `len(seeds)` rows of `num_tokens` uniforms in [0, 1), each row from its own seed."""
    rows = [np.random.Generator(np.random.Philox(key=s)).random(num_tokens, dtype=np.float32) for s in seeds]
    return np.stack(rows)


def draw(logits_NV: torch.Tensor, sampling: Sampling, u_N: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw one token a row; return tokens and their log-probabilities under the untempered model (N each)."""
    if logits_NV.device.type != "cpu":
        return _drawn(logits_NV, sampling, u_N)
    rows = max(1, CPU_BLOCK // logits_NV.shape[-1])
    pieces = [_drawn(x, sampling, u) for x, u in zip(logits_NV.split(rows), u_N.split(rows), strict=True)]
    return torch.cat([token for token, _ in pieces]), torch.cat([logp for _, logp in pieces])


def mixed(
    first_NV: torch.Tensor, second_NV: torch.Tensor, strength: float, alone_N: torch.Tensor
) -> torch.Tensor:
    """Logits (N, V) of p^(1 - l) q^l, l = clip(strength * H(p) / log V, 0, 1), and 1 where q speaks alone."""
    rows = max(1, CPU_BLOCK // first_NV.shape[-1])
    pieces = zip(first_NV.split(rows), second_NV.split(rows), alone_N.split(rows), strict=True)
    return torch.cat([_mixed(p, q, strength, alone) for p, q, alone in pieces])


def _mixed(p: torch.Tensor, q: torch.Tensor, strength: float, alone: torch.Tensor) -> torch.Tensor:
    log_p, log_q = p.float().log_softmax(dim=-1), q.float().log_softmax(dim=-1)
    entropy = -(log_p.exp() * log_p).sum(dim=-1, keepdim=True)
    share = (strength * entropy / math.log(p.shape[-1])).clamp(0.0, 1.0).masked_fill(alone[:, None], 1.0)
    return torch.lerp(log_p, log_q, share)


def _drawn(
    logits_NV: torch.Tensor, sampling: Sampling, u_N: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    x = logits_NV.float()
    x = x - x.amax(dim=-1, keepdim=True)
    weight = x.exp()  # probabilities times the norm: the vocabulary is exponentiated once
    norm = weight.sum(dim=-1, keepdim=True)
    if sampling.temperature == 0:
        token = x.argmax(dim=-1, keepdim=True)
    else:
        if sampling.temperature != 1:
            weight = torch.softmax(x / sampling.temperature, dim=-1)
        elif sampling.top_p < 1:
            weight = weight / norm
        token = _inverse_cdf(weight, u_N) if sampling.top_p >= 1 else _nucleus(weight, sampling.top_p, u_N)
    return token[:, 0], (x.gather(1, token) - norm.log())[:, 0]


def _inverse_cdf(weight_NV: torch.Tensor, u_N: torch.Tensor) -> torch.Tensor:
    """Token (N, 1) at which the cumulative weight passes the share `u` of its total."""
    cdf = weight_NV.cumsum(dim=-1)
    # below the total by more than its rounding, or the last token could be drawn at probability 0
    target = u_N.clamp(max=1 - 1e-6)[:, None] * cdf[:, -1:]
    return torch.searchsorted(cdf, target, right=True).clamp_(max=weight_NV.shape[-1] - 1)


def _nucleus(p_NV: torch.Tensor, top_p: float, u_N: torch.Tensor) -> torch.Tensor:
    """Top-p (arXiv 1904.09751): the fewest best tokens whose mass reaches `top_p`, renormalised."""
    vocabulary = p_NV.shape[-1]
    token = torch.empty((len(p_NV), 1), dtype=torch.long, device=p_NV.device)
    rows = torch.arange(len(p_NV), device=p_NV.device)  # those whose tokens looked at do not cover p yet
    for width in (*NUCLEUS_TOP, vocabulary):
        p = p_NV if len(rows) == len(p_NV) else p_NV[rows]
        best, order = p.topk(width) if width < vocabulary else p.sort(descending=True, stable=True)
        token[rows] = order.gather(1, _inverse_cdf(_truncated(best, top_p), u_N[rows]))
        rows = rows[best.sum(dim=-1) < top_p]
        if width >= vocabulary or not len(rows):  # a row's draw depends on no neighbour
            break
    return token


def _truncated(best: torch.Tensor, top_p: float) -> torch.Tensor:
    """Probabilities in falling order, 0 from the first token on that comes after the mass `top_p`."""
    return best.masked_fill(best.cumsum(dim=-1) - best >= top_p, 0.0)


def left_pad(
    rows: Sequence[Sequence[int]], pad: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ids and mask of shape (rows, longest), padded on the left."""
    width = max(len(row) for row in rows)
    ids = torch.tensor([[pad] * (width - len(row)) + list(row) for row in rows], device=device)
    lengths = torch.tensor([len(row) for row in rows], device=device)
    mask = torch.arange(width, device=device) >= (width - lengths)[:, None]
    return ids, mask


def prefill(
    model: Any, ids_BP: torch.Tensor, mask_BP: torch.Tensor, cache: Any, *, logits_to_keep: int = 1
) -> torch.Tensor:
    """Run the prompts into `cache`; return the logits of the last `logits_to_keep` positions."""
    positions = (mask_BP.long().cumsum(dim=-1) - 1).clamp_(min=0)
    output = model(
        input_ids=ids_BP,
        attention_mask=mask_BP.long(),
        position_ids=positions,
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=logits_to_keep,
    )
    return output.logits


def decode(
    model: Any,
    prompts: Sequence[Sequence[int]],
    seeds: Sequence[Sequence[int]],
    sampling: Sampling,
    *,
    eos_ids: Sequence[int],
    pad_id: int,
    max_length: int | None = None,
    beside: Beside | None = None,
) -> list[list[Decoded]]:
    """Draw `len(seeds[i])` completions of every prompt, the same number for all, of a mixture where there is a context
    `beside` each.

    `max_length` is the most tokens of prompt and completion that the model takes; a row that reaches it
    stops there, not ended. Call under `torch.no_grad()` with the model in eval mode.
    """
    k = len(seeds[0])
    device = next(model.parameters()).device
    contexts = [prompts, beside.prompts] if beside else [prompts]
    ids, mask = left_pad([prompt for context in contexts for prompt in context], pad_id, device)
    longest = [max(map(len, of_prompt)) for of_prompt in zip(*contexts, strict=True)]
    room = [sampling.max_tokens if max_length is None else max_length - n for n in longest]
    limits = [min(sampling.max_tokens, max(r, 0)) for r in room for _ in range(k)]
    steps = max(limits)
    if steps == 0:
        return [[Decoded([], [], ended=False)] * k for _ in prompts]

    shared = can_share(model)
    cache = make_cache(model.config, shared=shared)
    logits = prefill(model, ids, mask, cache)[:, -1].repeat_interleave(k, dim=0)
    past = SharedPast(cache, mask, k) if shared else ExpandedPast(cache, mask, k, steps, model.config)
    position = mask.sum(dim=-1, keepdim=True).repeat_interleave(k, dim=0)
    last_position = (max_length or int(position.max()) + steps) - 1

    num_rows = len(limits)
    if sampling.temperature > 0:
        flat = [s for group in seeds for s in group]
        noise = torch.from_numpy(uniforms(flat, steps)).to(device)
    else:
        noise = torch.zeros((num_rows, 1), device=device).expand(num_rows, steps)
    eos = torch.tensor(sorted(set(eos_ids)), device=device)
    limit = torch.tensor(limits, device=device)
    out_ids = torch.full((num_rows, steps), pad_id, device=device)
    out_logprobs = torch.zeros((num_rows, steps), device=device)
    length = limit.clone()
    ended = torch.zeros(num_rows, dtype=torch.bool, device=device)
    rows = torch.arange(num_rows, device=device)  # which output row each cache row is
    alive = limit > 0
    alone = torch.zeros_like(alive)  # the second context speaks

    for t in range(steps):
        if beside:
            logits = mixed(*logits.chunk(2), beside.strength, alone)
        token, logprob = draw(logits, sampling, noise[:, t])
        out_ids[rows, t] = token
        out_logprobs[rows, t] = logprob
        stop = alive & torch.isin(token, eos)
        length[rows] = torch.where(stop, t + 1, length[rows])
        ended[rows] |= stop
        alive &= ~stop & (limit > t + 1)
        if t + 1 == steps:
            break
        if (t + 1) % CHECK_EVERY == 0:
            if not bool(alive.any()):
                break
            keep = past.shrink(alive.repeat(len(contexts)))
            if keep is not None:
                position = position[keep]
                keep = keep[: len(keep) // len(contexts)]  # rows of a pair ended alike, so they leave alike
                rows, alive, limit, token = rows[keep], alive[keep], limit[keep], token[keep]
                noise, alone = noise[keep], alone[keep]
        if beside:
            told = [beside.said(so_far) for so_far in out_ids[rows, : t + 1].tolist()]
            alone |= torch.tensor(told, device=device)
        logits = model(
            input_ids=token.repeat(len(contexts))[:, None],
            attention_mask=past.step_mask(t + 1),
            position_ids=position,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]
        # a row that ended goes on unseen until it leaves, and must stay within learned positions
        position = (position + 1).clamp(max=last_position)

    ids_list, logprob_list = out_ids.tolist(), out_logprobs.tolist()
    flat = [
        Decoded(i[:n], p[:n], ended=e)
        for i, p, n, e in zip(ids_list, logprob_list, length.tolist(), ended.tolist(), strict=True)
    ]
    return [flat[i : i + k] for i in range(0, num_rows, k)]
