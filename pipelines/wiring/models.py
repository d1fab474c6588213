"""How jobs get models: a checked folder, then an engine. Imports torch only when called."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recast.curate.errors import ModelError, UsageError
from recast.curate.records import Messages
from recast.pipelines.models.names import model_path
from recast.pipelines.run import identity

if TYPE_CHECKING:
    from recast.agent.engines.factory import EngineConfig
    from recast.agent.engines.protocol import Engine
    from recast.curate.store.store import Store
    from recast.train.evaluation.evaluate import Model

REQUESTS = "requests.sqlite"
"""File of a store that keeps what servers answered, for all runs."""


def load(name: str) -> tuple[Any, Any]:
    """`(model, tokenizer)` of a model's name."""
    from recast.train.model import loading

    return loading.load(model_path(name))


def memory(given: str | None) -> int | None:
    """Bytes of `--memory`. Raises UsageError."""
    from recast.train.model.memory import parse

    if given is None:
        return None
    try:
        return parse(given)
    except ValueError as error:
        raise UsageError(f"--memory: {error}.") from error


def engine(
    name: str,
    agent: str | Path | None = None,
    settings: EngineConfig | None = None,
    *,
    store: Store | None = None,
    memory: int | None = None,
    elsewhere: Callable[[Callable[[], Engine]], Engine] | None = None,
) -> Engine:
    """The engine of `settings` over a model's name, with the agent's adapter, proved to be on.

    `settings` is the configuration's section `engine` (None: its defaults); `store` keeps what a server answered;
    `memory` is what the process may take in all (bytes), which the engine hf keeps to; `elsewhere` opens it in place of
    this process (`pipelines.on_ray`). Raises UsageError for a server, which is elsewhere already.
    Raises ModelError before weights are loaded, RefusedError where the adapter is not the agent's
    (`agent.engines.probe`).
    """
    from recast.agent.engines.factory import EngineConfig, open_engine
    from recast.train.model.loading import load_tokenizer

    path = model_path(name)
    settings = settings or EngineConfig()
    if elsewhere is not None:
        if settings.type == "http":
            raise UsageError(
                "--ray starts engines on a cluster, and --engine http has one already: its server. Leave --ray out."
            )
        return elsewhere(partial(engine, name, agent, settings, memory=memory))
    if settings.type != "http":
        # refuses what lacks weights, a tokenizer or a template, in the words of `train.model.loading`
        load_tokenizer(path)
    adapter = adapter_folder(Path(agent)) if agent is not None else None
    cache = Path(store.root) / REQUESTS if store is not None else None
    # of the engines only a server keeps answers, and by it
    agent_id = identity.model(str(adapter)) if adapter is not None and settings.type == "http" else None
    opened = open_engine(settings, path, adapter, agent_id=agent_id, cache=cache, memory=memory)
    if adapter is not None:
        from recast.agent.engines import probe

        if note := probe.check(opened, adapter):
            tell(note)
    return opened


def tell(note: str) -> None:
    """Say what a person should know of a job that goes on."""
    print(f"recast: {note}", file=sys.stderr)


def adapter_folder(folder: Path) -> Path:
    """The folder of an agent that holds its adapter: itself, or `adapter/` inside. Raises ModelError."""
    for candidate in (folder, folder / "adapter"):
        if (candidate / "adapter_config.json").exists():
            if not any(candidate.glob("*.safetensors")):
                raise ModelError(
                    f"the agent {candidate} has no adapter_model.safetensors; pickled weights are never read. "
                    "Learn it again, or convert it where you trust it."
                )
            return candidate
    raise ModelError(
        f"{folder} is no rewriting agent: expected a folder with adapter_config.json, as `recast learn -o DIR` writes."
    )


def answering(engine: Engine, max_tokens: int, *, temperature: float = 1.0, seed: int = 0) -> Model:
    """What `train.evaluation.evaluate` asks of a model: greedy answers, mean log p per token (nats), and samples."""
    from recast.agent.engines.protocol import Sampling
    from recast.curate.fingerprint import canonical_json, seed_of
    from recast.train.evaluation.evaluate import Model

    adapter = engine.has_adapter

    def generate(prompts: Sequence[Messages]) -> list[str]:
        greedy = Sampling(temperature=0.0, max_tokens=max_tokens)
        groups = engine.sample(prompts, 1, greedy, seeds=[[0]] * len(prompts), adapter=adapter)
        return [group[0].text for group in groups]

    def loglik(prompts: Sequence[Messages], completions: Sequence[str]) -> list[float]:
        return [-score.nll for score in engine.logprobs(prompts, completions, adapter=adapter)]

    def draw(prompts: Sequence[Messages], k: int) -> list[list[str]]:
        sampling = Sampling(temperature=temperature, max_tokens=max_tokens)
        seeds = [[seed_of(seed, canonical_json(prompt), sample) for sample in range(k)] for prompt in prompts]
        groups = engine.sample(prompts, k, sampling, seeds=seeds, adapter=adapter)
        return [[sample.text for sample in group] for group in groups]

    return Model(generate, loglik, draw)
