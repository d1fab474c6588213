"""`recast plan`: what a rewriting job will cost, from a few of its rows."""

from __future__ import annotations

import json
from typing import Annotated, Any

from recast.pipelines.options import (
    BaseUrl,
    BatchSize,
    EngineType,
    Limit,
    ModelPath,
    Seed,
    ServedAgent,
    ServedModel,
    UnsafeExec,
    VersionRef,
    option,
)
from recast.pipelines.wiring.rewriting import Agent, MethodName, Paper, Targets


def job(
    name: VersionRef,
    *,
    model: ModelPath = None,
    agent: Agent = None,
    seed: Seed = None,
    limit: Limit = None,
    targets: Targets = None,
    paper: Paper = False,
    method: MethodName = None,
    rows: Annotated[int, option("--rows", help="Rows to rewrite for the prediction.", min=2)] = 32,
    engine: EngineType = None,
    base_url: BaseUrl = None,
    served_model: ServedModel = None,
    served_agent: ServedAgent = None,
    batch_size: BatchSize = None,
    unsafe_exec: UnsafeExec = False,
    store: Any,
    config: Any,
    run: Any,
) -> dict[str, Any]:
    """Rewrite a few rows of `name` and predict time, tokens, acceptance and disk of `recast rewrite`.

    The same options give the same prediction; the rewrite that follows prints it beside what came of it.
    """
    from recast.agent.rewriting.forecast import predict
    from recast.curate.files import write_text
    from recast.pipelines.wiring.rewriting import prepared

    asked = prepared(
        name,
        str(model),
        agent,
        seed=seed,
        limit=limit,
        targets=targets,
        paper=paper,
        method=method,
        engine={
            "type": engine,
            "base_url": base_url,
            "served_model": served_model,
            "served_agent": served_agent,
            "batch_size": batch_size,
        },
        unsafe_exec=unsafe_exec,
        store=store,
        config=config,
    )
    found = predict(
        store.open(asked.version),
        asked.engine,
        asked.gate,
        asked.config,
        run.folder / "sample",
        limit=asked.limit,
        num_rows=rows,
        method=asked.method,
        agent_id=asked.agent_id,
    ).to_dict()
    path = asked.prediction_path(store)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(found))
    return {"source": asked.version.ref, **found}


def show(result: dict[str, Any], console: Any) -> None:
    console.print(
        f"{result['source']}: {result['rows']} rows, predicted from {result['sampled']} of them", markup=False
    )
    for name, (words, shown) in FIGURES.items():
        low, value, high = (shown(result[name][key]) for key in ("low", "value", "high"))
        console.print(f"  {words:18} {value:>9}   ({low} to {high})", markup=False)
    console.print(f"  {'store besides':18} {megabytes(result['version_bytes']):>9}", markup=False)


def clock(seconds: float) -> str:
    from recast.pipelines.terminal.progress import clock as shown

    return shown(seconds)


def count(number: float) -> str:
    return f"{number / 1e6:.2f} M" if number >= 1e6 else f"{number:,.0f}"


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def megabytes(size: float) -> str:
    return f"{size / 1e6:.1f} MB"


FIGURES = {
    "seconds": ("time", clock),
    "tokens": ("tokens", count),
    "accepted_rows": ("rows rewritten", percent),
    "bytes": ("run folder", megabytes),
}
