"""`recast reject`: tune a model on what was accepted and against what was refused."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from recast.pipelines.options import CandidatesRef, Limit, Lora, ModelPath, OutFolder, Seed, option

if TYPE_CHECKING:
    from recast.curate.store.store import Store
    from recast.pipelines.config import Config
    from recast.pipelines.run.runs import Run
    from recast.pipelines.terminal.progress import Progress


def job(
    name: CandidatesRef,
    *,
    model: ModelPath = None,
    method: Annotated[
        str | None,
        option(
            "--method",
            help="rejective, nft, dpo or kto. Default: the config's, else rejective.",
            metavar="METHOD",
            show_default=False,
        ),
    ] = None,
    lora: Lora = None,
    out: OutFolder = None,
    seed: Seed = None,
    limit: Limit = None,
    store: Store,
    config: Config,
    run: Run,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Tune `model` on the accepted and refused candidates beside a version and save it to `out`.

    Candidates that were refused for their form or cut at their length are left alone; a row that nobody passed learns
    the expert's text. What became of every candidate stands in `audit.parquet` beside the weights.
    """
    from recast.curate.history.lineage import pin
    from recast.pipelines.models.names import model_path
    from recast.pipelines.wiring import outputs
    from recast.train.rejection.groups import read_candidates
    from recast.train.rejection.reject import reject

    version = store.resolve(name)
    rows = store.open(version).dataset()
    if limit is not None:
        rows = rows.select(range(min(limit, len(rows))))
    beside = store.with_candidates(version)
    settings = config.section("reject", seed=seed, method=method, lora_rank=lora)
    folder = outputs.folder(out, run, "model")
    path = model_path(str(model))
    result = reject(
        rows, read_candidates(beside.candidates()), path, settings, folder, progress, data_ref=version.ref
    )
    pin(store, folder, version.ref, author=config.general.author)
    return {**asdict(result), "out": str(folder), "candidates": beside.version.ref}


def show(result: dict[str, Any], console: Any) -> None:
    method = result["config"]["method"]
    console.print(
        f"{result['out']}: {result['steps']} steps of {method} on {result['num_rows']} rows of {result['data']}: "
        f"{result['num_accepted']} accepted texts, {result['num_refused']} refused",
        markup=False,
    )
    if result["num_by_expert"]:
        console.print(f"  {result['num_by_expert']} rows that nobody passed learn the expert's text")
    if result["left_out"]:
        said = ", ".join(f"{count} {reason}" for reason, count in result["left_out"].items())
        console.print(f"  left alone: {said}", markup=False)
    for kind in result["moved"]:
        console.print(
            f"  {kind['kind']}: {kind['before']:.3f} -> {kind['after']:.3f} nats a token ({kind['candidates']})",
            markup=False,
        )
    before, after = (result["discrimination"][when] for when in ("before", "after"))
    if before and after:
        for name, words in (("auroc", "right above wrong"), ("mass", "P(correct)")):
            b, a = before[name], after[name]
            console.print(
                f"  {words}: {b['value']:.1%} -> {a['value']:.1%} [{a['low']:.1%}, {a['high']:.1%}] "
                f"on {after['rows']} held-out rows"
            )
    if result["stopped"] == "fell":
        console.print(
            f"  stopped: accepted candidates stayed less likely than at the start after {result['eased']} easings. "
            "Lower reject.lr, or the weights of what pushes away."
        )
    console.print(f"measure it: recast eval {result['out']} --suite SUITE.jsonl", markup=False)
