"""`recast reject`: tune a model on what was accepted and against what was refused."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from recast.pipelines.options import (
    CandidatesRef,
    GraderOptions,
    Limit,
    Lora,
    ModelPath,
    Names,
    OutFolder,
    OwnSamples,
    Seed,
    option,
)

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
    grader: Annotated[
        Path | None,
        option(
            "--grader",
            help="Learn from the model's own answers to the version's prompts, as this grader's JSON grades them. "
            "Default: from the candidates beside the version.",
            metavar="FILE",
            show_default=False,
        ),
        Names.FILE,
    ] = None,
    samples: OwnSamples = None,
    options: GraderOptions,
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

    With a grader the candidates are answers of the model's own: accepted from `reject.accept_from` on, refused up to
    `reject.refuse_to`. Candidates that were refused for their form or cut at their length are left alone; a row that
    nobody passed learns the expert's text, or is left out (`reject.none_passed`). What became of every candidate stands
    in `audit.parquet` beside the weights.
    """
    from recast.curate.history.lineage import pin
    from recast.pipelines.models.names import model_path
    from recast.pipelines.wiring import outputs, reinforcement
    from recast.pipelines.wiring.graders import asked_grader
    from recast.train.rejection.reject import reject

    reinforcement.refuse_samples_without_grader(samples, grader)
    settings = config.section("reject", seed=seed, method=method, lora_rank=lora, samples=samples)
    settings.check()
    opened = asked_grader(grader, options, config, store=store)
    if opened is None:
        settings.refuse_own("reject")
    folder = outputs.folder(out, run, "model")
    path = model_path(str(model))
    found = reinforcement.material(
        name, store, settings, limit=limit, model=path, grader=opened, folder=folder, progress=progress
    )
    result = reject(
        found.rows,
        found.candidates,
        path,
        settings,
        folder,
        progress,
        data_ref=found.ref,
        drawn=found.drawn,
    )
    pin(store, folder, found.ref, author=config.general.author)
    return {**asdict(result), "out": str(folder), "candidates": found.beside}


def show(result: dict[str, Any], console: Any) -> None:
    method = result["config"]["method"]
    console.print(
        f"{result['out']}: {result['steps']} steps of {method} on {result['num_rows']} rows of {result['data']}: "
        f"{result['num_accepted']} accepted texts, {result['num_refused']} refused",
        markup=False,
    )
    if drawn := result["drawn"]:
        console.print(
            f"  {drawn['drawn']} answers of its own, {drawn['accepted']:.1%} accepted by {drawn['grader']}; "
            f"{drawn['rows_passed']:.1%} of the rows have one",
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
    elif not result["config"]["heldout"]:
        console.print(
            "  every row was trained: with reject.heldout=0.1 it is seen whether right and wrong come apart"
        )
    if result["stopped"] == "fell":
        console.print(
            f"  stopped: accepted candidates stayed less likely than at the start after {result['eased']} easings. "
            "Lower reject.lr, or the weights of what pushes away."
        )
    console.print(f"measure it: recast eval {result['out']} --suite SUITE.jsonl", markup=False)
