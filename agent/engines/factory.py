"""Which engine, and how it is set up: the `engine` section of the configuration.

    engine = open_engine(EngineConfig(type="vllm"), "path/to/model", adapter="agents/craft/adapter")

Nothing heavy is imported before an engine is opened.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from recast.curate.errors import UsageError

if TYPE_CHECKING:
    from recast.agent.engines.protocol import Engine

EngineType = Literal["hf", "vllm", "http"]

NOT_IDENTITY = {
    "base_url": "the same server may move",
    "api_key_env": "where a key is found changes no answer",
    "timeout_s": "patience changes no answer",
    "retries": "patience changes no answer",
    "concurrency": "answers of a server depend on their neighbours whatever the number",
    "memory": "room for the cache changes speed only",
    "tensor_parallel": "the same model on more devices",
    "eager": "graphs of the same operations",
    "device": "the same model elsewhere",
}
ONLY_FOR = {
    "device": ("hf",),
    "batch_size": ("hf",),
    "dtype": ("hf", "vllm"),
    "memory": ("vllm",),
    "tensor_parallel": ("vllm",),
    "eager": ("vllm",),
    "base_url": ("http",),
    "served_model": ("http",),
    "served_agent": ("http",),
    "api_key_env": ("http",),
    "timeout_s": ("http",),
    "retries": ("http",),
    "concurrency": ("http",),
}
"""Settings that only some engines read. Given to another one they are an error, not ignored."""


class EngineConfig(BaseModel):
    """Where samples and log-probabilities come from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: EngineType = "hf"
    """`hf`: transformers, CPU or GPU. `vllm`: vLLM in this process (pip install 'recast-sft[vllm]'). `http`: a server
    with the OpenAI API, such as vLLM's."""
    max_length: int | None = Field(default=None, ge=2)
    """Most tokens of prompt and completion. Rows that need more are refused one by one. null: the model's own."""

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Of the weights. `auto`: as stored. For `hf` and `vllm`."""
    device: str | None = None
    """For `hf`: cpu, cuda, cuda:1. null: cuda where there is one."""
    batch_size: int = Field(default=64, ge=1)
    """For `hf`: sequences decoded or scored together."""

    memory: float = Field(default=0.9, gt=0, le=1)
    """For `vllm`: share of the GPU's memory that it may take."""
    tensor_parallel: int = Field(default=1, ge=1)
    """For `vllm`: GPUs that one model is spread over."""
    eager: bool | None = None
    """For `vllm`: no graph capture, no compilation. null: on a CPU only."""

    base_url: str | None = None
    """For `http`: the server's address, such as http://localhost:8000/v1."""
    served_model: str | None = None
    """For `http`: what the server calls the backbone. null: the only model that it serves."""
    served_agent: str | None = None
    """For `http`: what the server calls the agent's adapter (vLLM: --lora-modules NAME=DIR)."""
    api_key_env: str = "RECAST_API_KEY"
    """For `http`: environment variable that holds the key. The key is never stored or logged."""
    timeout_s: float = Field(default=600.0, gt=0)
    """For `http`: how long one answer may take (s)."""
    retries: int = Field(default=8, ge=0)
    """For `http`: how often a request that failed in passing is sent again, after growing pauses."""
    concurrency: int = Field(default=256, ge=1)
    """For `http`: most requests in flight. The number adapts to what the server bears."""


def open_engine(
    config: EngineConfig,
    path: str | Path,
    adapter: str | Path | None = None,
    *,
    agent_id: str | None = None,
    cache: Path | None = None,
    memory: int | None = None,
) -> Engine:
    """The engine of `config` over the model at `path` (`http`: over the server that serves it).

    `adapter` is an adapter's folder; a server must serve it already, as `served_agent`. `cache` is the file for a
    server's answers, those of an adapter kept by `agent_id`, its identity. `memory` is what the process may take in all
    (bytes; for `hf`; None: as much as `batch_size` needs). Raises UsageError, ModelError,
    MissingDependencyError, and ServerError where none answers.
    """
    refuse_what_has_no_effect(config)
    if config.type == "hf":
        from recast.agent.engines.hf.engine import HFEngine

        return HFEngine.load(
            path,
            adapter,
            config.dtype,
            config.device,
            batch_size=config.batch_size,
            max_length=config.max_length,
            memory=memory,
        )
    if config.type == "vllm":
        from recast.agent.engines.vllm_engine import VLLMEngine

        return VLLMEngine.load(
            path,
            adapter,
            config.dtype,
            max_length=config.max_length,
            memory=config.memory,
            tensor_parallel=config.tensor_parallel,
            eager=config.eager,
        )
    from recast.agent.engines.http.engine import HTTPEngine

    if not config.base_url:
        raise UsageError(
            "the engine http needs the server's address: --base-url http://localhost:8000/v1, or engine.base_url."
        )
    if (adapter is None) != (config.served_agent is None):
        given = f"--agent {adapter}" if adapter else f"--served-agent {config.served_agent}"
        raise UsageError(
            f"{given} alone says too little: a server has loaded the adapter under a name of its own. Give both "
            "--agent (the folder, which is checked against what the server answers) and --served-agent (that name)."
        )
    return HTTPEngine.load(
        path,
        config.base_url,
        served_model=config.served_model,
        served_agent=config.served_agent,
        api_key_env=config.api_key_env,
        max_length=config.max_length,
        timeout_s=config.timeout_s,
        retries=config.retries,
        concurrency=config.concurrency,
        agent_id=agent_id,
        cache=cache,
    )


def refuse_what_has_no_effect(config: EngineConfig) -> None:
    """Raise UsageError for settings of another engine. Not in the class: files may set up an engine that only a flag
    chooses."""
    for name in sorted(config.model_fields_set & ONLY_FOR.keys()):
        default = type(config).model_fields[name].default
        if config.type not in ONLY_FOR[name] and getattr(config, name) != default:
            raise UsageError(
                f"engine.{name} has no effect on the engine {config.type}, only on {' and '.join(ONLY_FOR[name])}. "
                f"Leave it out, or choose with --engine {ONLY_FOR[name][0]}."
            )
