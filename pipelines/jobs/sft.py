"""`recast sft`: fine-tune a model on the completions of a version."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pipelines.jobs.options import Limit, ModelPath, OutFolder, Seed, VersionRef


def job(
    name: VersionRef,
    *,
    model: ModelPath = None,
    out: OutFolder = None,
    seed: Seed = None,
    limit: Limit = None,
    store: Any,
    config: Any,
    run: Any,
    progress: Any = None,
) -> dict[str, Any]:
    """Train `model` on the completions of `name` (the prompt carries no loss) and save it to `out`.

    The store remembers which version made the model, and the model's `dataset.lock` says it, too.
    """
    from curate.lineage import pin
    from pipelines.identity import model_path
    from pipelines.jobs import outputs
    from train.sft import sft

    version = store.resolve(name)
    rows = store.open(version).dataset()
    if limit is not None:
        rows = rows.select(range(min(limit, len(rows))))
    folder = outputs.folder(out, run, "model")
    result = sft(
        rows, model_path(str(model)), config.section("sft", seed=seed), folder, progress, data_ref=version.ref
    )
    pin(store, folder, version.ref, author=config.general.author)
    return {**asdict(result), "out": str(folder)}


def show(result: dict[str, Any], console: Any) -> None:
    console.print(
        f"{result['out']}: {result['steps']} steps on {result['num_rows']} rows of {result['data']}",
        markup=False,
    )
    console.print(f"  loss {result['start_loss']:.3f} before, {result['final_loss']:.3f} over the last epoch")
    if result["num_too_long"]:
        console.print(f"  {result['num_too_long']} rows were too long and left out")
    console.print(f"measure it: recast eval {result['out']} --suite SUITE.jsonl", markup=False)
