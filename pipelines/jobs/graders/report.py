"""`recast grader report`: how often a grader is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from recast.curate.errors import UsageError
from recast.pipelines.options import GraderFile, GraderOptions, Limit, Names, argument, option
from recast.pipelines.wiring.report_cards import PerturbationSeed, of_file, perturbed, rate

if TYPE_CHECKING:
    from recast.curate.store.store import Store
    from recast.pipelines.config import Config
    from recast.pipelines.terminal.progress import Progress

SHOWN_EXAMPLES, SHOWN_CHARS = 4, 400


def job(
    file: GraderFile,
    name: Annotated[
        str | None,
        argument("A version whose demonstrations are perturbed. None: --labels.", metavar="[VERSION]"),
        Names.VERSION,
    ] = None,
    *,
    labels: Annotated[
        Path | None,
        option(
            "--labels",
            help="JSONL of labelled completions, as `gate perturb` writes them.",
            metavar="FILE",
            show_default=False,
        ),
        Names.FILE,
    ] = None,
    pass_at: Annotated[
        float | None,
        option(
            "--pass-at",
            help="Reward from which an answer gets credit. Default: the grader's pass_threshold, else 0.5.",
            show_default=False,
        ),
    ] = None,
    options: GraderOptions,
    limit: Limit = None,
    seed: PerturbationSeed = 0,
    store: Store,
    config: Config,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """How often the grader gives credit for wrong answers and none for right ones, with 95 % Wilson intervals.

    The answers are a file's, or made from a version by perturbing its demonstrations, in sums and in words. Beside the
    rates stands the separation, the chance that a right answer gets more than a wrong one, and how often each flag was
    set. It ends with kinds of wrong answers of which more than 5 % may get credit: a policy will find them.
    """
    from recast.pipelines.wiring.graders import open_grader
    from recast.train.graders.report import measure

    if (name is None) == (labels is None):
        raise UsageError(
            "a report on a grader is made from a version or from --labels FILE: give one of the two. "
            f"For instance: recast grader report {file} --labels labels.jsonl"
        )
    grader = open_grader(file, options, config, store=store)
    made, said = (
        of_file(labels, limit) if labels is not None else perturbed(store, str(name), limit, seed, words=True)
    )
    return {"labels": said, **measure(grader, made, pass_at=pass_at, progress=progress).to_json()}


def show(result: dict[str, Any], console: Any) -> None:
    separation, mean = result["separation"], result["mean_reward"]
    lines = [
        f"grader {result['grader']} ({result['grader_id']}) on {result['labels']}:",
        f"{result['answers']} answers, credit from a reward of {result['pass_at']:g}",
        f"{'':34}{'credit for wrong ones':>36}{'none for right ones':>36}{'no score':>36}",
        _line("the grader", result),
    ]
    for title, section in (("by kind", "kinds"), ("by group of kinds", "groups"), ("by task", "tasks")):
        tallies = result[section]
        lines += (
            [f"{title}:", *(_line(f"  {key}", tally) for key, tally in tallies.items())] if tallies else []
        )
    if separation is not None:
        lines.append(
            f"mean reward: right {mean['right']:.3f}, wrong {mean['wrong']:.3f}; a right answer gets more than a wrong "
            f"one with {separation:.1%}"
        )
    lines += [f"{flag}: {count}" for flag, count in result["errors"].items()]
    if result["unvouched"]:
        lines.append("wrong answers that a policy may find, more than 5 % of them may get credit:")
        lines += [f"  {kind:30}  {rate(of)}" for kind, of in result["unvouched"].items()]
    for example in result["examples"][:SHOWN_EXAMPLES]:
        text = " / ".join(example["completion"].splitlines())[:SHOWN_CHARS]
        worth = "right" if example["right"] else "wrong"
        lines.append(
            f"  {example['kind']}, row {example['row_id'] or '?'}: {worth}, reward {example['reward']:g}"
        )
        lines.append(f"    {text}")
    if len(result["examples"]) > SHOWN_EXAMPLES:
        lines.append(f"  and {len(result['examples']) - SHOWN_EXAMPLES} more mistakes; --json lists them")
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)


def _line(name: str, tally: dict[str, Any]) -> str:
    rates = (rate(tally[key]) for key in ("false_credit", "missed_credit", "unscored"))
    return f"{name:34}" + "".join(f"{said:>36}" for said in rates)
