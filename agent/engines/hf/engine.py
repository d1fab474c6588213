"""Engine on transformers: any causal LM, on CPU or GPU, with or without a PEFT adapter.

Owns the plan over many prompts (buckets by length, batches, order restored), tokenisation through
`curate.chat`, and scoring. The decode loop is `agent.engines.hf.decode`. One model serves both roles: with the adapter
it is the policy, with the adapter switched off the frozen backbone; there is no second copy of the weights.

    engine = HFEngine.load("path/to/model", adapter="path/to/adapter")
    samples = engine.sample([messages], 8, Sampling(), seeds=[range(8)], adapter=True)
    scores = engine.logprobs([messages] * 8, [s.text for s in samples[0]], adapter=False)

Legend: G prompts, N rows, P prompt tokens, T completion tokens, V vocabulary, D hidden size.
"""

from __future__ import annotations

import hashlib
import inspect
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from recast.agent.engines import tokens
from recast.agent.engines.hf.attention import cpu_attention
from recast.agent.engines.hf.decode import decode, left_pad, prefill
from recast.agent.engines.hf.kv_cache import attends_to_all, cache_rows, keeps_states, make_cache
from recast.agent.engines.protocol import LENGTH, STOP, Sample, Sampling, Score, check_seeds, refused
from recast.curate import chat
from recast.curate.errors import ModelError
from recast.curate.records import Messages
from recast.train.model import loading

LOGIT_BLOCK = 2**25
"""Most elements of a (positions, V) block of logits held in float32 at once (128 MiB)."""
CPU_BLOCK = 2**17
"""The same on a CPU: a block that stays in a core's own cache (512 KiB) over the passes costs a fourth."""
CPU_POSITIONS = 2**10
"""Most positions of a scoring batch on a CPU, beyond which its activations leave the cache."""
PREFILL_POSITIONS = 2**14
"""Most prompt positions prefilled together: activations of a prompt of 100 kB must not be held for a whole batch."""
BATCH_LOGIT_BUDGET = 2**28
"""Most elements of a batch's (N, T, V) logits, in the model's own dtype."""


@dataclass(frozen=True, slots=True)
class Past:
    """Prefilled prompts: their cache, their mask (False at padding), and the place of each in both."""

    cache: Any
    mask_GP: torch.Tensor
    place: dict[tuple[int, ...], int]


class HFEngine:
    """An `agent.engines.protocol.Engine` over a loaded model. `batch_size` counts rows decoded or scored together."""

    name = "hf"

    def __init__(
        self, model: Any, tokenizer: Any, *, batch_size: int = 64, max_length: int | None = None
    ) -> None:
        self.model, self.tokenizer, self.batch_size = model, tokens.checked(tokenizer), batch_size
        self._longest = max_length
        self._fingerprint: str | None = None

    @classmethod
    def load(
        cls,
        path: str | Path,
        adapter: str | Path | None = None,
        dtype: str = "auto",
        device: str | None = None,
        *,
        batch_size: int = 64,
        max_length: int | None = None,
    ) -> HFEngine:
        """Load a model folder or hub id, and an adapter folder on top. Raises ModelError for what lacks.

        `max_length` is the most tokens of prompt and completion, where less than the model's own is wanted.
        """
        model, tokenizer = loading.load(path, dtype, device)
        if "past_key_values" not in inspect.signature(type(model).forward).parameters:
            raise ModelError(
                f"{path} is a {type(model).__name__}, which keeps its past in a way of its own, and the engine hf "
                "would sample without it. Choose --engine vllm or a server."
            )
        of_text = model.config.get_text_config()
        if getattr(of_text, "output_router_logits", False):  # left by a trainer; its loss knows of no cache
            of_text.output_router_logits = False
        if adapter is not None:
            from peft import PeftModel

            try:
                model = PeftModel.from_pretrained(model, str(adapter))
            except (OSError, ValueError, RuntimeError) as error:
                raise ModelError(f"{adapter} is no adapter for {path}: {tokens.first_line(error)}") from error
            model = cast(Any, model).to(device or loading.default_device()).eval()
        return cls(model, tokenizer, batch_size=batch_size, max_length=max_length)

    @property
    def has_adapter(self) -> bool:
        """Whether a PEFT adapter sits on the backbone."""
        return hasattr(self.model, "peft_config")

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def dtype(self) -> str:
        """Of the backbone; an adapter may be kept in float32 on top of it."""
        return str(self.model.dtype).removeprefix("torch.")

    @property
    def max_length(self) -> int | None:
        """Most tokens of prompt and completion together, if the model's config or the caller says."""
        declared = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        return min((n for n in (declared, self._longest) if n is not None), default=None)

    @property
    def eos_ids(self) -> list[int]:
        """Tokens that end a completion (`curate.chat.eos_ids`)."""
        return chat.eos_ids(self.tokenizer, getattr(self.model, "generation_config", None))

    @property
    def fingerprint(self) -> str:
        """Identity of the backbone's weights and dtype (16 hex digits), the same with and without adapter."""
        if self._fingerprint is None:
            self._fingerprint = backbone_fingerprint(self.model)
        return self._fingerprint

    def sample(
        self,
        prompts: Sequence[Messages],
        k: int,
        sampling: Sampling,
        *,
        seeds: Sequence[Sequence[int]],
        adapter: bool,
    ) -> list[list[Sample]]:
        """Draw `k` completions a prompt (`agent.engines.protocol.Engine`)."""
        ids = tokens.prompt_ids(self.tokenizer, prompts)
        return self.sample_ids(ids, k, sampling, seeds=seeds, adapter=adapter)

    def sample_ids(
        self,
        prompts: Sequence[Sequence[int]],
        k: int,
        sampling: Sampling,
        *,
        seeds: Sequence[Sequence[int]],
        adapter: bool,
    ) -> list[list[Sample]]:
        """`sample` for prompts that are token ids already."""
        check_seeds(seeds, len(prompts), k)
        out: list[list[Sample]] = [refused(k) for _ in prompts]
        eos = self.eos_ids
        pad = self.tokenizer.pad_token_id
        pad = self.tokenizer.eos_token_id if pad is None else pad
        longest = self.max_length or math.inf
        fitting = [i for i, prompt in enumerate(prompts) if len(prompt) < longest]
        order = sorted(fitting, key=lambda i: (-len(prompts[i]), i))
        per_batch = max(1, self.batch_size // k)
        with self.mode(adapter):
            for batch in _cut(order, prompts, per_batch, PREFILL_POSITIONS):
                groups = decode(
                    self.model,
                    [prompts[i] for i in batch],
                    [seeds[i] for i in batch],
                    sampling,
                    eos_ids=eos,
                    pad_id=pad,
                    max_length=self.max_length,
                )
                texts = tokens.texts(self.tokenizer, [d.token_ids for group in groups for d in group], eos)
                for g, (i, group) in enumerate(zip(batch, groups, strict=True)):
                    out[i] = [
                        Sample(texts[g * k + j], d.token_ids, d.logprobs, STOP if d.ended else LENGTH)
                        for j, d in enumerate(group)
                    ]
        return out

    def logprobs(
        self, prompts: Sequence[Messages], completions: Sequence[str], *, adapter: bool
    ) -> list[Score]:
        """Score `completions[i]` and its end of turn under `prompts[i]`.

        A row longer than the model takes gets NaN for every figure but its number of tokens.
        """
        return self.score(prompts, completions, adapter=adapter)[0]

    def score(
        self, prompts: Sequence[Messages], completions: Sequence[str], *, adapter: bool, embed: bool = False
    ) -> tuple[list[Score], np.ndarray | None]:
        """`logprobs`, and with `embed` the mean last hidden state over the same completion tokens (N, D).

        Rows that share a prompt share its prefill; positions of the prompt never meet the output layer.
        """
        prompt_ids = tokens.prompt_ids(self.tokenizer, prompts)
        targets = tokens.completion_ids(self.tokenizer, completions)
        scores = [Score(math.nan, len(t), math.nan, math.nan) for t in targets]
        pooled: list[np.ndarray | None] = [None] * len(targets)
        # a state is taken up for a single token only, so each batch of such a model reads its prompts itself
        whole = keeps_states(self.model.config)
        with self.mode(adapter):
            for chunk in self._score_plan(prompt_ids, targets):
                members = [i for batch in chunk for i in batch]
                past = None if whole else self._prefilled([prompt_ids[i] for i in members])
                for batch in chunk:
                    rows = [prompt_ids[i] for i in batch], [targets[i] for i in batch]
                    found, states = self._score_batch(past, *rows, embed)
                    for position, i in enumerate(batch):
                        scores[i] = found[position]
                        pooled[i] = None if states is None else states[position]
        if not embed:
            return scores, None
        width = next((len(p) for p in pooled if p is not None), 1)
        return scores, np.stack([np.full(width, np.nan, np.float32) if p is None else p for p in pooled])

    def _score_plan(
        self, prompts: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]
    ) -> Iterator[list[list[int]]]:
        """Chunks of batches of row numbers, only rows that fit.

        The prompts of a chunk are prefilled together, those of similar lengths; its rows run in batches of similar
        targets. Where a cache cannot be copied row by row, a chunk is one batch.
        """
        longest = self.max_length or math.inf
        # the last target is only ever predicted, never read
        rows = [i for i in range(len(targets)) if len(prompts[i]) + len(targets[i]) - 1 <= longest]
        rows.sort(key=lambda i: (-len(prompts[i]), tuple(prompts[i]), -len(targets[i]), i))
        most = BATCH_LOGIT_BUDGET // self.model.config.get_text_config().vocab_size
        if self.device.type == "cpu":
            most = min(most, CPU_POSITIONS)
        if not attends_to_all(self.model.config):
            yield from ([batch] for batch in _cut(rows, targets, self.batch_size, most))
            return
        unique: dict[tuple[int, ...], list[int]] = {}
        for i in rows:
            unique.setdefault(tuple(prompts[i]), []).append(i)
        heads = list(unique)
        for group in _cut(range(len(heads)), heads, self.batch_size, PREFILL_POSITIONS):
            chunk = [i for g in group for i in unique[heads[g]]]
            chunk.sort(key=lambda i: (-len(targets[i]), i))
            yield list(_cut(chunk, targets, self.batch_size, most))

    def _prefilled(self, prompts: Sequence[Sequence[int]]) -> Past:
        """Caches of the different prompts, each but for its last token, which predicts the first target."""
        heads = list(dict.fromkeys(tuple(p[:-1]) for p in prompts))
        place = {head: g for g, head in enumerate(heads)}
        cache = make_cache(self.model.config)
        mask_GP = torch.zeros((len(heads), 0), dtype=torch.bool, device=self.device)
        if max(map(len, heads)):
            ids_GP, mask_GP = left_pad(heads, self.tokenizer.eos_token_id, self.device)
            prefill(self.model, ids_GP, mask_GP, cache)
        return Past(cache, mask_GP, place)

    def _score_batch(
        self, prefilled: Past | None, prompts: list[list[int]], targets: list[list[int]], embed: bool
    ) -> tuple[list[Score], list[np.ndarray] | None]:
        device, pad = self.device, self.tokenizer.eos_token_id
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
        target_NT = torch.tensor([t + [pad] * (width - len(t)) for t in targets], device=device)
        input_NS = torch.cat([read_NP, target_NT[:, :-1]], dim=1)
        valid_NT = torch.arange(width, device=device) < lengths[:, None]
        mask = torch.cat([past, valid_NT], dim=1).long()
        captured: list[torch.Tensor] = []
        with captured_states(self.model, captured) if embed else nullcontext():
            logits_NTV = self.model(
                input_ids=input_NS,
                attention_mask=mask,
                position_ids=(mask.cumsum(dim=1) - 1).clamp_(min=0)[:, -input_NS.shape[1] :],
                past_key_values=cache,
                use_cache=cache is not None,
                logits_to_keep=width,
            ).logits
        at_M = valid_NT.flatten().nonzero()[:, 0]
        logp, entropy = token_scores(logits_NTV.flatten(0, 1), target_NT.flatten()[at_M], at_M)
        del logits_NTV
        bounds = lengths.cumsum(0).tolist()
        scores, start = [], 0
        for end in bounds:
            lp, h = logp[start:end].double(), entropy[start:end].double()
            scores.append(Score(-lp.mean().item(), end - start, h.mean().item(), (-lp - h).sum().item()))
            start = end
        if not embed:
            return scores, None
        weights = (valid_NT / lengths[:, None]).to(captured[0].dtype)
        states = torch.einsum("ntd,nt->nd", captured[0][:, -width:], weights).float().cpu().numpy()
        return scores, list(states)

    @contextmanager
    def mode(self, adapter: bool) -> Iterator[None]:
        """No gradients, eval mode, adapter on or off; everything as before afterwards."""
        if adapter and not self.has_adapter:
            raise ModelError(
                "samples with the adapter were asked of a backbone that has none; load the engine with "
                "adapter=FOLDER, or ask with adapter=False for the backbone's own."
            )
        training = self.model.training
        off = self.model.disable_adapter() if self.has_adapter and not adapter else nullcontext()
        self.model.eval()
        try:
            with torch.no_grad(), off, cpu_attention(self.model):
                yield
        finally:
            self.model.train(training)


def _cut(
    order: Iterable[int], lengths: Sequence[Sequence[int]], most_rows: int, most_positions: int
) -> Iterator[list[int]]:
    """`order` in pieces of at most `most_rows` and, padded, `most_positions`; one row may be longer than that."""
    piece: list[int] = []
    width = 0
    for i in order:
        wider = max(width, len(lengths[i]))
        if piece and (len(piece) >= most_rows or (len(piece) + 1) * wider > most_positions):
            yield piece
            piece, wider = [], len(lengths[i])
        piece.append(i)
        width = wider
    if piece:
        yield piece


@torch.no_grad()
def token_scores(
    logits_NV: torch.Tensor, target_M: torch.Tensor, rows_M: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probability of each target and entropy of each distribution (nats), in float32 by blocks.

    Target m is predicted by row `rows_M[m]` of the logits. With z the logits less their maximum, Z = sum exp z and
    p = exp z / Z: log p = z - log Z, and the entropy is log Z - sum p z.
    """
    block = max(1, (CPU_BLOCK if logits_NV.device.type == "cpu" else LOGIT_BLOCK) // logits_NV.shape[-1])
    logp, entropy = [], []
    for start in range(0, len(target_M), block):
        part = slice(start, start + block)
        z = logits_NV[rows_M[part]].float()
        # a logit of -inf has probability 0 and adds nothing, where 0 * -inf would be NaN
        z = z.sub_(z.amax(dim=-1, keepdim=True)).clamp_(min=-1e4)
        weight = z.exp()
        norm = weight.sum(dim=-1)
        logp.append(z.gather(1, target_M[part, None])[:, 0] - norm.log())
        entropy.append(norm.log() - torch.linalg.vecdot(weight, z) / norm)
    return torch.cat(logp).cpu(), torch.cat(entropy).cpu()


@contextmanager
def captured_states(model: Any, into: list[torch.Tensor]) -> Iterator[None]:
    """Append the last hidden states of every forward inside, those that logits are made of, at no second pass."""
    head = model.get_output_embeddings()
    handle = head.register_forward_pre_hook(lambda _, inputs: into.append(inputs[0]))
    try:
        yield
    finally:
        handle.remove()


def backbone_fingerprint(model: Any) -> str:
    """sha256 (16 hex digits) over names, dtypes, shapes and bytes of the weights, adapters left out."""
    digest = hashlib.sha256()
    for name, tensor in sorted(_backbone_parameters(model)):
        header = f"{name} {tensor.dtype} {tuple(tensor.shape)}\n"
        digest.update(header.encode())
        digest.update(tensor.detach().contiguous().cpu().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def _backbone_parameters(model: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Parameters of the backbone under the names they have without PEFT."""
    for name, tensor in model.named_parameters():
        if hasattr(model, "peft_config"):
            if ".lora_" in name or ".modules_to_save." in name:
                continue
            # experts have a layer around them for each of their matrices
            name = re.sub(r"(\.base_layer)+\.", ".", name.removeprefix("base_model.model."))
        yield name, tensor
