"""`recast rewrite`: the rows of a version, rewritten by an agent, gated, as a new version."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pipelines.jobs.options import (
    AsName,
    BaseUrl,
    BatchSize,
    EngineType,
    Limit,
    ModelPath,
    Names,
    Seed,
    ServedAgent,
    ServedModel,
    UnsafeExec,
    VersionRef,
    option,
)


def job(
    name: VersionRef,
    *,
    to: AsName,
    model: ModelPath = None,
    agent: Annotated[
        Path | None,
        option(
            "--agent",
            help="Agent of `recast learn`. None: the bare backbone.",
            metavar="DIR",
            show_default=False,
        ),
        Names.ADAPTER,
    ] = None,
    seed: Seed = None,
    limit: Limit = None,
    engine: EngineType = None,
    base_url: BaseUrl = None,
    served_model: ServedModel = None,
    served_agent: ServedAgent = None,
    batch_size: BatchSize = None,
    unsafe_exec: UnsafeExec = False,
    store: Any,
    config: Any,
    run: Any,
    progress: Any = None,
) -> dict[str, Any]:
    """Sample candidates for every row of `name`, verify them, choose, and commit the outcome as `to`.

    A row without an accepted candidate keeps its expert text, with the reason. All candidates are kept
    beside the version. Killed at any moment, the same command goes on.
    """
    from agent.rewrite import rewrite
    from curate.chat import template_id
    from pipelines import identity
    from pipelines.gate_models import open_gate
    from pipelines.jobs import commits, models

    version = store.resolve(name)
    partial = limit is not None and limit < version.rows
    settings = config.section(
        "engine",
        type=engine,
        base_url=base_url,
        served_model=served_model,
        served_agent=served_agent,
        batch_size=batch_size,
    )
    source = models.engine(str(model), agent, settings, store=store)
    # Any: a cached property is no plain attribute to a type checker
    gate: Any = open_gate(config.general.gate, engine=config.section("judge"), unsafe_exec=unsafe_exec)
    result = rewrite(
        store.open(version),
        source,
        gate,
        config.section("rewrite", seed=seed),
        run.folder,
        limit=limit,
        progress=progress,
        agent_id=identity.model(str(models.adapter_folder(agent))) if agent else None,
        template_id=template_id(source.tokenizer),
    )
    new = commits.once(
        store,
        to,
        run,
        lambda run_id: store.commit(
            result.rows(),
            to,
            parent=None if partial else version,
            law="rows" if partial else "rewrite",
            candidates=result.candidates(),
            message=f"{version.ref} rewritten by {agent or 'the bare backbone'}",
            author=config.general.author,
            run_id=run_id,
            meta={"rewritten": version.ref, "model": str(model), "agent": str(agent) if agent else None},
        ),
    )
    figures = result.to_dict()
    return {
        "version": new.ref,
        "version_id": new.id,
        "source": version.ref,
        "rows": result.num_rows,
        "fallback_share": result.counts["fallback"] / result.num_rows,
        "failed_rows": result.num_errors,
        **{k: v for k, v in figures.items() if k not in ("num_rows", "run_dir")},
    }


def show(result: dict[str, Any], console: Any) -> None:
    counts = ", ".join(f"{n} {kind}" for kind, n in result["counts"].items())
    console.print(f"{result['version']}: {result['rows']} rows of {result['source']}: {counts}", markup=False)
    for reason, rows in result["reasons"].items():
        console.print(f"  {rows:>7} fallback ({reason})", markup=False)
    share = result["num_accepted"] / max(1, result["num_candidates"])
    console.print(f"  {share:.0%} of {result['num_candidates']} candidates passed the gate")
    if result["nll_demonstration"] is not None and result["nll_completion"] is not None:
        console.print(
            f"  mean NLL {result['nll_demonstration']:.3f} -> {result['nll_completion']:.3f} nats per token"
        )
    for row_id, message in list(result["errors"].items())[:3]:
        console.print(f"  row {row_id} failed: {message}", markup=False)
    console.print(f"look at it: recast diff {result['source']} {result['version']}", markup=False)
