"""What `recast rewrite` and `recast plan` share: the options, and the job that they describe."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal

from recast.curate.errors import UsageError
from recast.curate.fingerprint import fingerprint
from recast.pipelines.options import (
    EngineOptions,
    Limit,
    ModelPath,
    Names,
    Seed,
    UnsafeExec,
    option,
)

if TYPE_CHECKING:
    from recast.agent.engines.protocol import Engine
    from recast.agent.learning.manifest import Learnt
    from recast.agent.prompts.prompts import Prompts
    from recast.agent.rewriting.batch import Method
    from recast.agent.rewriting.rewrite import RewriteConfig
    from recast.curate.gate.gate import Gate
    from recast.curate.store.store import Store
    from recast.curate.store.versions import Version
    from recast.pipelines.config import Config


@dataclass(frozen=True, slots=True)
class RewritingOptions:
    """What a rewriting job is, besides the version and the engine."""

    model: ModelPath = None
    agent: Annotated[
        Path | None,
        option(
            "--agent",
            help="Agent of `recast learn`. None: the bare backbone.",
            metavar="DIR",
            show_default=False,
        ),
        Names.ADAPTER,
    ] = None
    seed: Seed = None
    limit: Limit = None
    targets: Annotated[
        int | None,
        option(
            "--targets",
            help="Keep up to this many unlike rewrites a row. Default: the config's, else 1.",
            min=1,
            show_default=False,
        ),
    ] = None
    paper: Annotated[
        bool, option("--paper", help="As published: one greedy rewrite, no repair (arXiv 2602.11220).")
    ] = False
    method: Annotated[
        Literal["sdft", "mind-the-gap", "self-rehearsal", "hinted", "prompt", "copy"] | None,
        option(
            "--method",
            help="A baseline in place of this project's method; samples from the bare backbone.",
            show_default=False,
        ),
    ] = None
    unsafe_exec: UnsafeExec = False


PAPER = {
    "candidates": 1,
    "temperature": 0.0,
    "top_p": 1.0,
    "repairs": 0,
    "targets": 1,
    "clean": False,
    "doubt": 0.0,
}
"""The published rewriting step: greedy, one try, judged as sampled, then the demonstration (arXiv 2602.11220, its
released script)."""


@dataclass(frozen=True, slots=True)
class Rewriting:
    """A rewriting job, ready to run."""

    version: Version
    limit: int | None  # None: all rows
    engine: Engine
    gate: Gate
    config: RewriteConfig
    method: Method | None  # None: this project's
    prompts: Prompts
    notes: tuple[str, ...]  # where the agent is used otherwise than it was learnt
    agent_id: str | None
    learnt: Learnt | None  # what the agent was learnt with, where its manifest tells
    key: str  # of the prediction: the same for `plan` and the `rewrite` that it is about

    def prediction_path(self, store: Store) -> Path:
        return Path(store.root) / "plans" / f"{self.key}.json"

    def prediction(self, store: Store) -> dict[str, Any] | None:
        """What `recast plan` said about this job, None where it was not asked."""
        try:
            return json.loads(self.prediction_path(store).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None


def prepared(
    name: str,
    options: RewritingOptions,
    engine: EngineOptions,
    *,
    store: Store,
    config: Config,
    elsewhere: Callable[[Callable[[], Engine]], Engine] | None = None,
) -> Rewriting:
    """Resolve every name and open engine and gate, and say where an agent is used otherwise than it was learnt.

    `elsewhere` opens the engine in place of this process (`pipelines.on_ray`). Raises UsageError for options that
    exclude each other, RefusedError for an agent of another backbone.
    """
    from recast.agent.learning.manifest import Learnt
    from recast.agent.rewriting import methods
    from recast.pipelines.run import identity
    from recast.pipelines.wiring import models
    from recast.pipelines.wiring.gates import open_gate
    from recast.pipelines.wiring.prompts import open_prompts

    given = config.given.get("rewrite") or {}
    refuse_without_effect(given, options, config.given.get("prompts") or {})
    published = PAPER if options.paper else {}
    settings = config.section("rewrite", seed=options.seed, **({"targets": options.targets} | published))
    prompts = open_prompts(config.section("prompts"), store)
    chosen = methods.method(options.method, settings, prompts) if options.method else None
    version = store.resolve(name)
    model = str(options.model)
    limit = options.limit if options.limit is not None and options.limit < version.rows else None
    engine_config = config.section("engine", **engine.overrides())
    judged = {
        "engine": config.section("judge"),
        "judge_prompt": prompts.config.judge,
        "unsafe_exec": options.unsafe_exec,
    }
    gate = open_gate(config.general.gate, **judged)
    adapter = models.adapter_folder(options.agent) if options.agent else None
    agent_id = identity.model(str(adapter)) if adapter else None
    key = fingerprint(
        {
            "version": version.id,
            "limit": limit,
            "rewrite": settings.model_dump(mode="json"),
            "method": options.method,
            "model": identity.model(model),
            "agent": agent_id,
            "gate": gate.id,
            "engine": engine_config.model_dump(mode="json"),
            **({"prompts": [prompts.rewrite_id, prompts.repair_id]} if prompts.shown() else {}),
        }
    )[:16]
    opened = models.engine(
        model,
        options.agent,
        engine_config,
        store=store,
        memory=models.memory(engine.memory),
        elsewhere=elsewhere,
    )
    learnt = Learnt.of(adapter) if adapter else None
    notes: list[str] = []
    if learnt:
        notes = learnt.check(opened, open_gate(config.gate_for("learn"), **judged).id, prompts.rewrite_id)
        for note in notes:
            models.tell(note)
    return Rewriting(
        version,
        limit,
        opened,
        gate,
        settings,
        chosen,
        prompts,
        tuple(notes),
        agent_id,
        learnt,
        key,
    )


def steps_of(config: RewriteConfig, method: Method) -> Callable[[Engine], Any]:
    """What a rewriting job does with a batch, given an engine: to be sent to where the engine is."""
    return partial(_steps_on, config, method)


def _steps_on(config: RewriteConfig, method: Method, engine: Engine) -> Any:
    from recast.agent.rewriting import rewrite

    worker, _ = rewrite.worker_of(engine, config, method)
    return rewrite.steps(worker)


def fixed(paper: bool, method: str | None) -> tuple[str, ...]:
    """The settings of the section `rewrite` that have no effect on what was chosen."""
    from recast.agent.rewriting.methods import CHOICE, FIXED

    return (*PAPER, *CHOICE) if paper else FIXED[method] if method else ()


def refuse_without_effect(
    given: Mapping[str, Any], options: RewritingOptions, prompts: Mapping[str, Any] = MappingProxyType({})
) -> None:
    """Raise UsageError for what would change nothing: `given` of the section `rewrite`, options, and what is given of
    `prompts`."""
    paper, method = options.paper, options.method
    if paper and method:
        raise UsageError(f"--paper and --method {method} are two methods; give one of them.")
    if method and options.agent:
        raise UsageError(f"--method {method} samples from the bare backbone; leave --agent out.")
    if not method and "accept" in given:
        raise UsageError("rewrite.accept has a meaning only with --method; leave it out.")
    without_effect = fixed(paper, method)
    named = [f"rewrite.{key}" for key in given if key in without_effect]
    if options.targets is not None and "targets" in without_effect:
        named.append("--targets")
    if named:
        by = "--paper" if paper else f"--method {method}"
        raise UsageError(f"with {by}, {', '.join(named)} would have no effect; leave it out.")
    asked = [f"prompts.{key}" for key in prompts if key != "judge"]
    if method not in (None, "prompt") and asked:
        raise UsageError(
            f"--method {method} asks by its own prompt, so {', '.join(asked)} would have no effect; leave it out."
        )
    if given.get("scoring") is False and "tie_nats" in given:
        raise UsageError(
            "with rewrite.scoring=false, rewrite.tie_nats would have no effect, as nothing is aligned; leave it out."
        )
