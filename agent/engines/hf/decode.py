"""The decode loop: one prefill a prompt, K samples each, one stream of randomness a row.

Owns batching of a single decode batch; `agent.engines.hf.engine` owns the plan over many prompts, the chat template
and the text. Left padding aligns the prompts, so that all rows append at the same cache position. Rows that
ended are taken out of the cache once enough of them have, so the tail of a batch costs little.

A row's draws depend on its own seed alone: token t is the inverse of the row's cumulative distribution at
the t-th uniform of a counter-based generator (Philox) keyed by the seed. Another batch can change a sample
only through the rounding of the logits themselves.

Legend: B prompts, N = B*K rows, P prompt tokens (padded), V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
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
) -> list[list[Decoded]]:
    """Draw `len(seeds[i])` completions of every prompt, the same number for all.

    `max_length` is the most tokens of prompt and completion that the model takes; a row that reaches it
    stops there, not ended. Call under `torch.no_grad()` with the model in eval mode.
    """
    k = len(seeds[0])
    device = next(model.parameters()).device
    ids, mask = left_pad(prompts, pad_id, device)
    room = [sampling.max_tokens if max_length is None else max_length - len(p) for p in prompts]
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

    for t in range(steps):
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
            keep = past.shrink(alive)
            if keep is not None:
                rows, alive, limit, token = rows[keep], alive[keep], limit[keep], token[keep]
                position, noise = position[keep], noise[keep]
        logits = model(
            input_ids=token[:, None],
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
