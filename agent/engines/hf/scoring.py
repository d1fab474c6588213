"""Scores of given completions in one pass each: prefilled prompts, batches of like length, entropies by blocks.

Rows that share a prompt share its prefill; positions of the prompt never meet the output layer. The caller sets the
model's mode (`agent.engines.hf.engine.HFEngine.mode`).

Legend: G prompts, N rows, P prompt tokens, T completion tokens, M scored positions, V vocabulary, D hidden size.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch

from recast.agent.engines.hf.batching import PREFILL_POSITIONS, cut
from recast.agent.engines.hf.decode import left_pad, prefill
from recast.agent.engines.hf.kv_cache import attends_to_all, cache_rows, keeps_states, make_cache
from recast.agent.engines.protocol import Score
from recast.train.model.token_statistics import TILE, Head, head_of

LOGIT_BLOCK = 2**25
"""Most elements of a (positions, V) block of logits held in float32 at once (128 MiB)."""
CPU_BLOCK = 2**17
"""The same on a CPU: a block that stays in a core's own cache (512 KiB) over the passes costs a fourth."""
CPU_POSITIONS = 2**10
"""Most positions of a scoring batch on a CPU, beyond which its activations leave the cache."""
BATCH_LOGIT_BUDGET = 2**28
"""Most elements of a batch's (N, T, V) logits, in the model's own dtype; they are made a tile at a time where the head
is a matrix (`train.model.token_statistics`)."""
_HEADS: WeakKeyDictionary[Any, Head | None] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Past:
    """Prefilled prompts: their cache, their mask (False at padding), and the place of each in both."""

    cache: Any
    mask_GP: torch.Tensor
    place: dict[tuple[int, ...], int]


@dataclass(frozen=True, slots=True)
class Scoring:
    """A model and how its rows are scored: `batch_size` together, none longer than `longest`, `pad` as filler, their
    excess at `temperature`."""

    model: Any
    pad: int
    batch_size: int
    longest: float  # tokens of prompt and completion
    temperature: float = 1.0

    def run(
        self, prompts: Sequence[Sequence[int]], targets: Sequence[Sequence[int]], *, embed: bool
    ) -> tuple[list[Score], np.ndarray | None]:
        """Scores of `targets[i]` after `prompts[i]`, and with `embed` the mean last hidden state over it (N, D).

        A row longer than the model takes gets NaN for every figure but its number of tokens.
        """
        scores = [Score(math.nan, len(t), math.nan, math.nan) for t in targets]
        pooled: list[np.ndarray | None] = [None] * len(targets)
        # a state is taken up for a single token only, so each batch of such a model reads its prompts itself
        whole = keeps_states(self.model.config)
        for chunk in self._plan(prompts, targets):
            members = [i for batch in chunk for i in batch]
            past = None if whole else self._prefilled([prompts[i] for i in members])
            for batch in chunk:
                rows = [prompts[i] for i in batch], [targets[i] for i in batch]
                found, states = self._score_batch(past, *rows, embed)
                for position, i in enumerate(batch):
                    scores[i] = found[position]
                    pooled[i] = None if states is None else states[position]
        if not embed:
            return scores, None
        width = next((len(p) for p in pooled if p is not None), 1)
        return scores, np.stack([np.full(width, np.nan, np.float32) if p is None else p for p in pooled])

    def _plan(
        self, prompts: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]
    ) -> Iterator[list[list[int]]]:
        """Chunks of batches of row numbers, only rows that fit.

        The prompts of a chunk are prefilled together, those of similar lengths; its rows run in batches of similar
        targets. Where a cache cannot be copied row by row, a chunk is one batch.
        """
        # the last target is only ever predicted, never read
        rows = [i for i in range(len(targets)) if len(prompts[i]) + len(targets[i]) - 1 <= self.longest]
        rows.sort(key=lambda i: (-len(prompts[i]), tuple(prompts[i]), -len(targets[i]), i))
        most = BATCH_LOGIT_BUDGET // self.model.config.get_text_config().vocab_size
        if self.device.type == "cpu":
            most = min(most, CPU_POSITIONS)
        if not attends_to_all(self.model.config):
            yield from ([batch] for batch in cut(rows, targets, self.batch_size, most))
            return
        unique: dict[tuple[int, ...], list[int]] = {}
        for i in rows:
            unique.setdefault(tuple(prompts[i]), []).append(i)
        heads = list(unique)
        for group in cut(range(len(heads)), heads, self.batch_size, PREFILL_POSITIONS):
            chunk = [i for g in group for i in unique[heads[g]]]
            chunk.sort(key=lambda i: (-len(targets[i]), i))
            yield list(cut(chunk, targets, self.batch_size, most))

    def _prefilled(self, prompts: Sequence[Sequence[int]]) -> Past:
        """Caches of the different prompts, each but for its last token, which predicts the first target."""
        heads = list(dict.fromkeys(tuple(p[:-1]) for p in prompts))
        place = {head: g for g, head in enumerate(heads)}
        cache = make_cache(self.model.config)
        mask_GP = torch.zeros((len(heads), 0), dtype=torch.bool, device=self.device)
        if max(map(len, heads)):
            ids_GP, mask_GP = left_pad(heads, self.pad, self.device)
            prefill(self.model, ids_GP, mask_GP, cache)
        return Past(cache, mask_GP, place)

    def _score_batch(
        self, prefilled: Past | None, prompts: list[Sequence[int]], targets: list[Sequence[int]], embed: bool
    ) -> tuple[list[Score], list[np.ndarray] | None]:
        device, pad = self.device, self.pad
        if prefilled is None:
            read_NP, mask_NP = left_pad(prompts, pad, device)
            cache, past = None, mask_NP[:, :-1]
        else:
            read_NP = torch.tensor([p[-1:] for p in prompts], device=device)
            group = torch.tensor([prefilled.place[tuple(p[:-1])] for p in prompts], device=device)
            cache, past = prefilled.cache, prefilled.mask_GP[group]
            if past.shape[1] and attends_to_all(self.model.config):
                cache = cache_rows(cache, group, max(map(len, targets)), self.model.config)
            elif past.shape[1]:
                cache.reorder_cache(group)  # the only batch of its chunk
            else:
                cache = make_cache(self.model.config)

        # the last prompt token predicts the first target, so T inputs give exactly the T logits needed
        lengths = torch.tensor([len(t) for t in targets], device=device)
        width = int(lengths.max())
        target_NT = torch.tensor([[*t, *[pad] * (width - len(t))] for t in targets], device=device)
        input_NS = torch.cat([read_NP, target_NT[:, :-1]], dim=1)
        valid_NT = torch.arange(width, device=device) < lengths[:, None]
        mask = torch.cat([past, valid_NT], dim=1).long()
        inputs = {
            "input_ids": input_NS,
            "attention_mask": mask,
            "position_ids": (mask.cumsum(dim=1) - 1).clamp_(min=0)[:, -input_NS.shape[1] :],
            "past_key_values": cache,
            "use_cache": cache is not None,
        }
        at_M = valid_NT.flatten().nonzero()[:, 0]
        target_M = target_NT.flatten()[at_M]
        causal_lm, head = self._causal_lm()
        if head is not None:
            states_NTD = causal_lm.base_model(**inputs).last_hidden_state[:, -width:]
            hidden_MD = states_NTD.flatten(0, 1)[at_M]
            tile = max(1, TILE // head.weight.shape[0])
            scored = [
                token_scores(head.logits(h), t, torch.arange(len(t), device=device), self.temperature)
                for h, t in zip(hidden_MD.split(tile), target_M.split(tile), strict=True)
            ]
            logp, entropy, excess = (torch.cat(part) for part in zip(*scored, strict=True))
        else:
            captured: list[torch.Tensor] = []
            with captured_states(self.model, captured) if embed else nullcontext():
                logits_NTV = self.model(**inputs, logits_to_keep=width).logits
            logits_NV = logits_NTV.flatten(0, 1)
            logp, entropy, excess = token_scores(logits_NV, target_M, at_M, self.temperature)
            del logits_NTV, logits_NV
            states_NTD = captured[0][:, -width:] if embed else None
        bounds = lengths.cumsum(0).tolist()
        scores, start = [], 0
        for end in bounds:
            lp, h, x = (part[start:end].double() for part in (logp, entropy, excess))
            scores.append(Score(-lp.mean().item(), end - start, h.mean().item(), x.sum().item()))
            start = end
        if not embed:
            return scores, None
        assert states_NTD is not None
        weights = (valid_NT / lengths[:, None]).to(states_NTD.dtype)
        return scores, list(torch.einsum("ntd,nt->nd", states_NTD, weights).float().cpu().numpy())

    def _causal_lm(self) -> tuple[Any, Head | None]:
        """The model without a wrapper of adapters, and its head, tried out once a model."""
        wrapped = hasattr(self.model, "get_base_model")
        causal_lm = self.model.get_base_model() if wrapped else self.model
        if causal_lm not in _HEADS:
            _HEADS[causal_lm] = head_of(causal_lm)
        return causal_lm, _HEADS[causal_lm]

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device


@torch.no_grad()
def token_scores(
    logits_NV: torch.Tensor, target_M: torch.Tensor, rows_M: torch.Tensor, temperature: float = 1.0
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Log-probability of each target, entropy of each distribution, and excess at `temperature` (nats, M each).

    Target m is predicted by row `rows_M[m]` of the logits. With z the logits less their maximum, Z = sum exp z and
    p = exp z / Z: log p = z - log Z, and the entropy is log Z - sum p z. The excess of target y at temperature T is
    -log p_T(y) - H(p_T), p_T of the logits z / T; their norms cancel: (sum p_T z - z_y) / T. At T = 1 it is minus the
    centred log-likelihood of arXiv 2602.12222. In float32 by blocks.
    """
    block = max(1, (CPU_BLOCK if logits_NV.device.type == "cpu" else LOGIT_BLOCK) // logits_NV.shape[-1])
    logp, entropy, excess = [], [], []
    for start in range(0, len(target_M), block):
        part = slice(start, start + block)
        z = logits_NV[rows_M[part]].float()
        # a logit of -inf has probability 0 and adds nothing, where 0 * -inf would be NaN
        z = z.sub_(z.amax(dim=-1, keepdim=True)).clamp_(min=-1e4)
        weight = z.exp()
        norm = weight.sum(dim=-1)
        said = z.gather(1, target_M[part, None])[:, 0]
        logp.append(said - norm.log())
        entropy.append(norm.log() - torch.linalg.vecdot(weight, z) / norm)
        if temperature != 1:
            weight = z.mul_(1 / temperature).exp()
            excess.append(torch.linalg.vecdot(weight, z) / weight.sum(dim=-1) - said / temperature)
    logs, entropies = torch.cat(logp).cpu(), torch.cat(entropy).cpu()
    if temperature == 1:
        return logs, entropies, -logs.double() - entropies.double()
    return logs, entropies, torch.cat(excess).cpu()


@contextmanager
def captured_states(model: Any, into: list[torch.Tensor]) -> Iterator[None]:
    """Append the last hidden states of every forward inside, those that logits are made of, at no second pass."""
    head = model.get_output_embeddings()
    handle = head.register_forward_pre_hook(lambda _, inputs: into.append(inputs[0]))
    try:
        yield
    finally:
        handle.remove()
