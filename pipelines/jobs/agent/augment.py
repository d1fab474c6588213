"""`recast augment`: new questions from the rows of a version, answered by the backbone, as a new version."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from recast.pipelines.options import (
    AsName,
    BudgetMinutes,
    EngineOptions,
    Limit,
    ModelPath,
    RayAddress,
    Seed,
    SharedBy,
    UnsafeExec,
    VersionRef,
    option,
)

if TYPE_CHECKING:
    from recast.curate.store.store import Store
    from recast.pipelines.config import Config
    from recast.pipelines.run.runs import Run
    from recast.pipelines.terminal.progress import Progress


def job(
    name: VersionRef,
    *,
    to: AsName,
    model: ModelPath = None,
    questions: Annotated[
        Literal["ask", "continue"] | None,
        option(
            "--questions",
            help="ask the backbone for a new question, or let it continue the beginning of an existing one.",
            show_default=False,
        ),
    ] = None,
    seed: Seed = None,
    limit: Limit = None,
    budget_minutes: BudgetMinutes = None,
    workers: SharedBy = None,
    ray: RayAddress = None,
    engine: EngineOptions,
    unsafe_exec: UnsafeExec = False,
    store: Store,
    config: Config,
    run: Run,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Make new rows of the kind of those in `name` and commit them as `to`, which holds nothing else.

    A row is kept when independent solutions of the backbone agree and pass the gate, and its question is no near
    duplicate of one in `name`. Each says in `meta` which row it was made from. Killed at any moment, the same
    command goes on.
    """
    from recast.agent.new_rows.augment import augment, solving_gate, steps_on
    from recast.curate.errors import UsageError
    from recast.pipelines.on_ray.cluster import Cluster
    from recast.pipelines.wiring import commits, models
    from recast.pipelines.wiring.batches import budget, sharing
    from recast.pipelines.wiring.gates import open_gate
    from recast.pipelines.wiring.prompts import open_prompts

    drawing = config.section("augment", seed=seed, questions=questions)
    if drawing.questions == "ask" and "beginning" in (config.given.get("augment") or {}):
        raise UsageError(
            "augment.beginning would have no effect without --questions continue; give that, or leave it out."
        )
    version = store.resolve(name)
    prompts = open_prompts(config.section("prompts"), store)
    settings = config.section("engine", **engine.overrides())
    gate = solving_gate(
        open_gate(
            config.general.gate,
            engine=config.section("judge"),
            judge_prompt=prompts.config.judge,
            unsafe_exec=unsafe_exec,
        )
    )
    steps = partial(steps_on, config=drawing, name=version.ref, prompts=prompts)
    cluster = Cluster(ray, workers=workers, gpus=settings.tensor_parallel) if ray else None
    with cluster or nullcontext():
        source = models.engine(
            str(model),
            None,
            settings,
            store=store,
            memory=models.memory(engine.memory),
            elsewhere=cluster and cluster.engine,
        )
        result = augment(
            store.open(version),
            source,
            gate,
            drawing,
            run.folder,
            name=version.ref,
            prompts=prompts,
            limit=limit,
            progress=progress,
            budget=budget(budget_minutes),
            sharing=sharing(run),
            hands=cluster and cluster.hands(gate, steps),
        )
    made = commits.new_rows(
        result,
        to,
        str(model),
        source,
        message=f"new questions of the kind of {version.ref}",
        meta={"augmented": version.ref},
        store=store,
        config=config,
        run=run,
    )
    return {"source": version.ref, **made}


def show(result: dict[str, Any], console: Any) -> None:
    share = result["num_kept"] / result["num_proposals"]
    console.print(
        f"{result['version']}: {result['num_kept']} new rows from {result['num_sources']} of {result['source']} "
        f"({share:.0%} of {result['num_proposals']} proposals)",
        markup=False,
    )
    for reason, rows in result["reasons"].items():
        console.print(f"  {rows:>7} dropped ({reason})", markup=False)
    if result["num_kept"]:
        console.print(f"look at them: recast show {result['version']}", markup=False)
