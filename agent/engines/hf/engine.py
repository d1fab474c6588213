"""Engine on transformers: any causal LM, on CPU or GPU, with or without a PEFT adapter.

Owns loading and the plan over many prompts: batches of like length, longest first. The decode loop is
`agent.engines.hf.decode`, scoring `agent.engines.hf.scoring`. One model serves both roles: with the adapter it is the
policy, with the adapter switched off the frozen backbone; there is no second copy of the weights.

    engine = HFEngine.load("path/to/model", adapter="path/to/adapter")
    samples = engine.sample([messages], 8, Sampling(), seeds=[range(8)], adapter=True)
    scores = engine.logprobs([messages] * 8, [s.text for s in samples[0]], adapter=False)
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from recast.agent.engines import tokens
from recast.agent.engines.hf.attention import cpu_attention
from recast.agent.engines.hf.backbone import backbone_fingerprint, has_adapter
from recast.agent.engines.hf.batching import PREFILL_POSITIONS, cut
from recast.agent.engines.hf.decode import Beside, decode
from recast.agent.engines.hf.scoring import Scoring
from recast.agent.engines.protocol import LENGTH, PROMPT_TOO_LONG, STOP, Mixing, Sample, Sampling, Score
from recast.agent.engines.requests import Request, TokenEngine, check_seeds, no_adapter
from recast.curate import chat
from recast.curate.errors import ModelError, UsageError
from recast.curate.records import Messages
from recast.train.model import loading
from recast.train.model.memory import GIB, cached, written

LIBRARIES = GIB
"""Memory of a process on a CPU beside weights and cache: torch, transformers, and the activations of a batch."""
TAIL = 16
"""Last tokens of a text in which `Mixing.until` is looked for, after each one."""


class HFEngine(TokenEngine):
    """An `agent.engines.protocol.Engine` over a loaded model. `batch_size` counts rows decoded or scored together."""

    name = "hf"

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        batch_size: int = 64,
        max_length: int | None = None,
        memory: int | None = None,
    ) -> None:
        self.model, self.tokenizer, self.batch_size = model, tokens.checked(tokenizer), batch_size
        self._memory = memory
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
        memory: int | None = None,
    ) -> HFEngine:
        """Load a model folder or hub id, and an adapter folder on top. Raises ModelError for what lacks.

        `max_length` is the most tokens of prompt and completion, where less than the model's own is wanted; `memory`
        what the process may take in all (bytes): fewer rows are decoded together where it does not hold `batch_size`.
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
        return cls(model, tokenizer, batch_size=batch_size, max_length=max_length, memory=memory)

    @property
    def has_adapter(self) -> bool:
        """Whether a PEFT adapter sits on the backbone."""
        return has_adapter(self.model)

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

    def sample_mixed(
        self,
        prompts: Sequence[tuple[Messages, Messages]],
        k: int,
        sampling: Sampling,
        *,
        mixing: Mixing,
        seeds: Sequence[Sequence[int]],
        adapter: bool,
    ) -> list[list[Sample]]:
        """Draw `k` completions of each pair of prompts (`agent.engines.protocol.MixesContexts`)."""
        check_seeds(seeds, len(prompts), k)
        ids = tokens.prompt_ids(self.tokenizer, [prompt for pair in prompts for prompt in pair])
        pairs = list(zip(ids[::2], ids[1::2], strict=True))
        longest = self.max_length or math.inf
        fitting = [i for i, pair in enumerate(pairs) if max(map(len, pair)) < longest]
        groups = [[Sample("", [], [], PROMPT_TOO_LONG)] * k for _ in prompts]
        if fitting:
            requests = [Request(pairs[i][0], seeds[i], pairs[i][1]) for i in fitting]
            drawn = self.draw(requests, sampling, adapter, mixing)
            for i, group in zip(fitting, drawn, strict=True):
                groups[i] = group
        return groups

    def draw(
        self, requests: list[Request], sampling: Sampling, adapter: bool, mixing: Mixing | None = None
    ) -> list[list[Sample]]:
        k, eos = len(requests[0].seeds), self.eos_ids
        pad = self.tokenizer.pad_token_id
        pad = self.tokenizer.eos_token_id if pad is None else pad
        prompts = [request.prompt for request in requests]
        order = sorted(range(len(prompts)), key=lambda i: (-len(prompts[i]), i))
        drawn: list[list[Sample]] = [[] for _ in requests]
        rows = self._rows(k, max(map(len, prompts)), sampling.max_tokens)
        contexts = 2 if mixing else 1

        def said(token_ids: Sequence[int]) -> bool:
            assert mixing is not None
            return mixing.until.search(self.tokenizer.decode(token_ids[-TAIL:])) is not None

        with self.mode(adapter):
            for batch in cut(order, prompts, max(1, rows // (contexts * k)), PREFILL_POSITIONS):
                beside = mixing and Beside([requests[i].beside for i in batch], mixing.strength, said)
                groups = decode(
                    self.model,
                    [prompts[i] for i in batch],
                    [requests[i].seeds for i in batch],
                    sampling,
                    eos_ids=eos,
                    pad_id=pad,
                    max_length=self.max_length,
                    beside=beside,
                )
                texts = iter(tokens.texts(self.tokenizer, [d.token_ids for g in groups for d in g], eos))
                for i, group in zip(batch, groups, strict=True):
                    drawn[i] = [
                        Sample(next(texts), d.token_ids, d.logprobs, STOP if d.ended else LENGTH)
                        for d in group
                    ]
        return drawn

    def _rows(self, k: int, longest: int, new: int) -> int:
        """Rows decoded together: `batch_size`, or what a given memory holds of `k` samples a prompt (`longest` tokens).

        From what was given and not from what is free at the moment: the same command decodes the same batches. Raises
        UsageError where the samples of one prompt do not fit.
        """
        if self._memory is None:
            return self.batch_size
        left = self._memory - standing(self.model)
        row = row_bytes(self.model, k, longest, new)
        fits = left // row
        if fits < k:
            raise UsageError(
                f"{k} samples of a prompt of {longest} tokens, each of up to {new}, need about "
                f"{written(standing(self.model) + k * row)}, and --memory gives {written(self._memory)}. Give "
                "more, or set fewer candidates, max_tokens lower, or engine.max_length."
            )
        return min(self.batch_size, fits)

    def logprobs(
        self, prompts: Sequence[Messages], completions: Sequence[str], *, adapter: bool
    ) -> list[Score]:
        """Score `completions[i]` and its end of turn under `prompts[i]`.

        A row longer than the model takes gets NaN for every figure but its number of tokens.
        """
        return self.score(prompts, completions, adapter=adapter)[0]

    def score(
        self,
        prompts: Sequence[Messages],
        completions: Sequence[str],
        *,
        adapter: bool,
        embed: bool = False,
        temperature: float = 1.0,
    ) -> tuple[list[Score], np.ndarray | None]:
        """`logprobs`, with `embed` the mean last hidden state over the same completion tokens (N, D).

        `excess` is that of the distribution at `temperature` (above 0).
        """
        heads = tokens.prompt_ids(self.tokenizer, prompts)
        targets = tokens.completion_ids(self.tokenizer, completions)
        longest = self.max_length or math.inf
        scoring = Scoring(self.model, self.tokenizer.eos_token_id, self.batch_size, longest, temperature)
        with self.mode(adapter):
            return scoring.run(heads, targets, embed=embed)

    @contextmanager
    def mode(self, adapter: bool) -> Iterator[None]:
        """No gradients, eval mode, adapter on or off; everything as before afterwards."""
        if adapter and not self.has_adapter:
            raise no_adapter()
        training = self.model.training
        off = self.model.disable_adapter() if self.has_adapter and not adapter else nullcontext()
        self.model.eval()
        try:
            with torch.no_grad(), off, cpu_attention(self.model):
                yield
        finally:
            self.model.train(training)


def standing(model: Any) -> int:
    """Bytes that an engine takes before it decodes."""
    return model.get_memory_footprint() + (LIBRARIES if model.device.type == "cpu" else 0)


def row_bytes(model: Any, k: int, longest: int, new: int) -> int:
    """Bytes that a row takes while it is decoded, one of `k` of a prompt of `longest` tokens, of up to `new` tokens."""
    size = model.dtype.itemsize
    token = cached(model.config, 4 if model.device.type == "cpu" else size)
    # a prompt is read into the cache and copied once; a slab that grows has a fourth to spare
    return int(token * (2 * longest / k + 1.25 * new)) + 4 * size * model.config.get_text_config().vocab_size
