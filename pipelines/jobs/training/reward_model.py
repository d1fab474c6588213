"""`recast reward-model`: one number a text, learned from what was accepted and refused."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from recast.curate.errors import UsageError
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
    from recast.train.graders.grader import Grader
    from recast.train.reward_model.reward_model import Grade


def job(
    name: CandidatesRef,
    *,
    model: ModelPath = None,
    lora: Lora = None,
    grader: Annotated[
        Path | None,
        option(
            "--grader",
            help="Grader whose difference of grades is the margin of a pair, and who says which own answers are right. "
            "Default: no margins.",
            metavar="FILE",
            show_default=False,
        ),
        Names.FILE,
    ] = None,
    samples: OwnSamples = None,
    start: Annotated[
        str | None,
        option(
            "--start",
            help="With --samples: the model that becomes the reward model, such as --model after `recast sft` on the "
            "same rows. Default: --model, which answers.",
            metavar="MODEL",
            show_default=False,
        ),
        Names.MODEL,
    ] = None,
    options: GraderOptions,
    out: OutFolder = None,
    seed: Seed = None,
    limit: Limit = None,
    store: Store,
    config: Config,
    run: Run,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Make a reward model of `model` from the accepted and refused candidates beside a version, into `out`.

    A grader file takes it as `{"type": "reward_model", "model": OUT, ...}`, `recast rl ROWS --grader OUT` as it is; TRL
    takes the folder as a reward function. With `--samples` the candidates are answers of the model's own, accepted and
    refused by the grader, and `start` becomes the reward model: who judges may know more of the task than who answers.
    How it does on pairs that it has not seen, whether it is calibrated and whether it likes length is in the result.
    """
    from recast.curate.history.lineage import pin
    from recast.pipelines.models.names import model_path
    from recast.pipelines.wiring import outputs, reinforcement
    from recast.pipelines.wiring.graders import asked_grader
    from recast.train.reward_model.reward_model import reward_model

    reinforcement.refuse_samples_without_grader(samples, grader)
    if start is not None and samples is None:
        raise UsageError(
            "--start is for a reward model of another model's own answers, which --samples draws. Without them, name "
            "the model that becomes the reward model with --model."
        )
    settings = config.section("reward_model", seed=seed, lora_rank=lora, samples=samples)
    opened = asked_grader(grader, options, config, store=store)
    if samples is None:
        settings.refuse_own("reward_model")
    folder = outputs.folder(out, run, "model")
    path = model_path(str(model))
    found = reinforcement.material(
        name,
        store,
        settings,
        limit=limit,
        model=path,
        grader=opened if samples is not None else None,
        folder=folder,
        progress=progress,
    )
    result = reward_model(
        found.rows,
        found.candidates,
        path if start is None else model_path(start),
        settings,
        folder,
        progress,
        grade=_grade(opened) if opened else None,
        data_ref=found.ref,
        drawn=found.drawn,
    )
    pin(store, folder, found.ref, author=config.general.author)
    return {**asdict(result), "out": str(folder), "candidates": found.beside}


def _grade(grader: Grader) -> Grade:
    from recast.train.graders.format.rows import item_of

    def grade(rows: Any, texts: Any) -> list[float | None]:
        found = grader.grade_many([item_of(row) for row in rows], texts, groups=range(len(texts)))
        return [g.value for g in found]

    return grade


def show(result: dict[str, Any], console: Any) -> None:
    console.print(
        f"{result['out']}: {result['steps']} steps on {result['num_pairs']} pairs of {result['num_rows']} rows of "
        f"{result['data']}",
        markup=False,
    )
    if result["num_too_long"]:
        console.print(f"  {result['num_too_long']} pairs were too long and left out")
    if result["num_ungraded"]:
        console.print(
            f"  {result['num_ungraded']} pairs have no margin: the grader said nothing of one of their texts"
        )
    for which in ("trained", "heldout"):
        found = result[which]
        if found:
            console.print(
                f"  {which}: {_interval(found['accuracy'])} of {found['pairs']} pairs told apart, calibration error "
                f"{found['calibration_error']:.1%}"
            )
    found = result["heldout"] or result["trained"]
    sides = [
        f"{_interval(found[side])} where the accepted text is the {word} ({found[side]['pairs']})"
        for side, word in (("accepted_longer", "longer"), ("accepted_shorter", "shorter"))
        if found[side]
    ]
    if sides:
        console.print(f"  length: {'; '.join(sides)}")
    console.print(
        f'use it: a grader {{"type": "reward_model", "name": "reward", "model": "{result["out"]}"}}',
        markup=False,
    )


def _interval(found: dict[str, float]) -> str:
    return f"{found['value']:.1%} [{found['low']:.1%}, {found['high']:.1%}]"
