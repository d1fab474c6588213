"""What jobs commit: one version a run, as a job that is killed between its commit and its result commits no second."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from recast.pipelines.run.runs import Run

if TYPE_CHECKING:
    from recast.agent.engines.protocol import Engine
    from recast.agent.new_rows.generated import GeneratedResult
    from recast.curate.store.store import Store
    from recast.pipelines.config import Config


def once(store: Store, name: str, run: Run | None, commit: Callable[[str | None], Any]) -> Any:
    """The version of `name` that this run has committed, else that of `commit(run id)`."""
    if run is None:
        return commit(None)
    if not run.fresh and store.has(name):
        committed = next((v for v in store.log(name) if v.run_id == run.id), None)
        if committed is not None:
            return committed
    return commit(run.id)


def new_rows(
    result: GeneratedResult,
    to: str,
    model: str,
    engine: Engine,
    *,
    message: str,
    meta: dict[str, Any],
    store: Store,
    config: Config,
    run: Run,
) -> dict[str, Any]:
    """Commit rows that a backbone made, as a version that holds nothing else, and say what came of them."""
    from recast.curate.chat import template_id

    new = once(
        store,
        to,
        run,
        lambda run_id: store.commit(
            result.rows(),
            to,
            message=message,
            author=config.general.author,
            run_id=run_id,
            meta={**meta, "model": model, "chat_template": template_id(engine.tokenizer)},
        ),
    )
    figures = {k: v for k, v in result.to_dict().items() if k != "run_dir"}
    failed = result.reasons.get("error", 0)
    return {"version": new.ref, "version_id": new.id, **figures, "failed_rows": failed}
