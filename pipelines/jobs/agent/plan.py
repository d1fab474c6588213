"""`recast plan`: what a rewriting job will cost, from a few of its rows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

from recast.pipelines.options import AgentEngineOptions, VersionRef, option
from recast.pipelines.wiring.predictions import FIGURES, megabytes
from recast.pipelines.wiring.rewriting import RewritingOptions

if TYPE_CHECKING:
    from recast.curate.store.store import Store
    from recast.pipelines.config import Config
    from recast.pipelines.run.runs import Run


def job(
    name: VersionRef,
    *,
    options: RewritingOptions,
    rows: Annotated[int, option("--rows", help="Rows to rewrite for the prediction.", min=2)] = 32,
    engine: AgentEngineOptions,
    store: Store,
    config: Config,
    run: Run,
) -> dict[str, Any]:
    """Rewrite a few rows of `name` and predict time, tokens, acceptance and disk of `recast rewrite`.

    The same options give the same prediction; the rewrite that follows prints it beside what came of it.
    """
    from recast.agent.rewriting.forecast import predict
    from recast.curate.files import write_text
    from recast.pipelines.wiring.rewriting import prepared

    asked = prepared(name, options, engine, store=store, config=config)
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
