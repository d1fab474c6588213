"""`recast rl`: tune a model by what a grader says of its own answers."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from recast.pipelines.options import (
    GraderOptions,
    Limit,
    Memory,
    ModelPath,
    Names,
    OutFolder,
    Seed,
    argument,
    option,
)

if TYPE_CHECKING:
    from recast.curate.store.store import Store
    from recast.pipelines.config import Config
    from recast.pipelines.run.runs import Run
    from recast.pipelines.terminal.progress import Progress

STOPPED = {
    "validation_fell": "the validation reward stayed below its best",
    "alarm_kl": "the model went too far from its start",
}
"""What ends a run before its last step, in words."""


def job(
    name: Annotated[
        str,
        argument(
            "Rows to answer: a version, or JSONL of reinforcement fine-tuning (`messages` and further columns).",
            metavar="ROWS",
        ),
        Names.VERSION,
    ],
    *,
    grader: Annotated[
        Path,
        option(
            "--grader",
            help="JSON of the grader that rewards the answers.",
            metavar="FILE",
            show_default=False,
        ),
        Names.FILE,
    ],
    validation: Annotated[
        str | None,
        option(
            "--validation",
            help="Version or JSONL to validate on, none of whose prompts is a training prompt. Default: a share of the "
            "rows by hash of the prompt.",
            metavar="ROWS",
            show_default=False,
        ),
        Names.VERSION,
    ] = None,
    model: ModelPath = None,
    algorithm: Annotated[
        Literal["grpo", "rloo", "ppo"] | None,
        option(
            "--algorithm", help="grpo, rloo or ppo. Default: the config's, else grpo.", show_default=False
        ),
    ] = None,
    preset: Annotated[
        Literal["reft"] | None,
        option(
            "--preset", help="Settings of a published method; the config's go over them.", show_default=False
        ),
    ] = None,
    hint: Annotated[
        Literal["none", "cosine"] | None,
        option(
            "--hint",
            help="cosine: answers begin with a part of the row's completion, less and less of it.",
            show_default=False,
        ),
    ] = None,
    options: GraderOptions,
    dry_run: Annotated[
        bool, option("--dry-run", help="Grade 32 prompts, say whether there is anything to learn, and stop.")
    ] = False,
    force: Annotated[
        bool, option("--force", help="Begin although there is nothing to learn from yet."), Names.BUDGET
    ] = False,
    out: OutFolder = None,
    seed: Seed = None,
    limit: Limit = None,
    memory: Memory = None,
    store: Store,
    config: Config,
    run: Run,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Tune `model` on its own answers to the prompts of `name`, rewarded by a grader, and save it to `out`.

    Before anything is trained some prompts are answered and graded: where that shows nothing to learn from, the run
    is refused with what would help. The weights kept are those of the best validation reward.
    """
    from recast.curate.history.lineage import pin
    from recast.pipelines.models.names import model_path
    from recast.pipelines.wiring import models, outputs
    from recast.pipelines.wiring.graders import open_grader
    from recast.pipelines.wiring.reinforcement import machinery, prompt_rows
    from recast.train.reinforcement.config import PRESETS
    from recast.train.reinforcement.rl import preflight, rl

    base = type(config).of({"rl": PRESETS[preset]}).over(config.given) if preset else config
    settings = base.section("rl", seed=seed, algorithm=algorithm, hint=hint)
    settings.check()
    rows, ref = prompt_rows(name, store, limit)
    measured = prompt_rows(validation, store)[0] if validation else None
    opened = open_grader(grader, options, config, store=store)
    path, tools = model_path(str(model)), machinery(models.memory(memory))
    if dry_run:
        found, data = preflight(rows, path, opened, settings, tools, validation=measured)
        return {
            "dry_run": True,
            "data": ref or name,
            "prompts": len(data.train),
            "validation": len(data.validation),
            "skipped": data.skipped,
            "signal": found.to_dict(),
            "words": found.words,
        }
    folder = outputs.folder(out, run, "model")
    result = rl(
        rows,
        path,
        opened,
        settings,
        folder,
        tools,
        progress,
        validation=measured,
        data_ref=ref or name,
        force=force,
    )
    if ref is not None:
        pin(store, folder, ref, author=config.general.author)
    return {**asdict(result), "out": str(folder)}


def show(result: dict[str, Any], console: Any) -> None:
    if result.get("dry_run"):
        _show_signal(result, console)
        return
    console.print(
        f"{result['out']}: {result['steps']} steps of {result['config']['algorithm']} on {result['num_prompts']} "
        f"prompts of {result['data']}, graded by {result['grader']}",
        markup=False,
    )
    before, best = result["before"], result["best"]
    console.print(
        f"  validation reward {_written(before['reward'])} -> {_written(best['reward'])} at step "
        f"{result['best_step']} ({result['num_validation']} prompts)",
        markup=False,
    )
    console.print(f"  rewards before {_kinds(before)}; best {_kinds(best)}", markup=False)
    if result["stopped"] != "steps":
        console.print(f"  stopped early: {STOPPED[result['stopped']]}", markup=False)
    for name, words in result["alarms"].items():
        console.print(f"  alarm {name}: {words}", markup=False)
    if result["grader_errors"]:
        said = ", ".join(f"{count} {flag}" for flag, count in result["grader_errors"].items())
        console.print(f"  the grader's own errors: {said}", markup=False)
    if result["best_step"] == 0:
        console.print(
            "  no step was better than the model at the start, which is kept: train longer, or at another learning "
            "rate (rl.lr)",
            markup=False,
        )
        return
    console.print(f"measure it: recast eval {result['out']} --suite SUITE.jsonl", markup=False)


def _show_signal(result: dict[str, Any], console: Any) -> None:
    console.print(
        f"{result['data']}: {result['prompts']} prompts to learn from, {result['validation']} for validation",
        markup=False,
    )
    signal = result["signal"]
    console.print(f"  {result['words']}", markup=False)
    console.print(f"  rewards {_kinds(signal)}", markup=False)
    for problem in signal["problems"]:
        console.print(f"  nothing to learn from: {problem}", markup=False)
    for advice in signal["advice"]:
        console.print(f"  {advice}", markup=False)


def _kinds(figures: dict[str, Any]) -> str:
    return ", ".join(f"{value}: {count}" for value, count in figures["kinds"].items()) or "none"


def _written(reward: float | None) -> str:
    return "none" if reward is None else f"{reward:.3f}"
