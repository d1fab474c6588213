"""`recast eval`: every question of some suites, asked of one model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from recast.curate.errors import UsageError
from recast.pipelines.options import (
    AgentEngineOptions,
    GraderOptions,
    Names,
    OutFile,
    Seed,
    argument,
    option,
)

if TYPE_CHECKING:
    from recast.curate.store.store import Store
    from recast.pipelines.config import Config
    from recast.pipelines.run.runs import Run
    from recast.pipelines.terminal.progress import Progress
    from recast.train.evaluation.suites import Item
    from recast.train.graders.grader import Grader

TEMPERATURE, MAX_TOKENS = 1.0, 256


def job(
    model: Annotated[
        str | None,
        argument("Model folder, hub id or `pocket`.", metavar="[MODEL]"),
        Names.MODEL,
    ] = None,
    *,
    suite: Annotated[
        list[Path],
        option(
            "--suite",
            help="JSONL of questions with answers, or a task file of lm-eval; repeat for more.",
            metavar="FILE",
        ),
        Names.FILE,
    ],
    agent: Annotated[
        Path | None,
        option(
            "--agent", help="An adapter to measure on top of the model.", metavar="DIR", show_default=False
        ),
        Names.ADAPTER,
    ] = None,
    label: Annotated[
        str | None, option("--label", help="How comparisons call the model.", show_default=False)
    ] = None,
    samples: Annotated[
        int,
        option("--samples", help="Answers drawn per question without choices, for pass@k and maj@k.", min=0),
    ] = 0,
    temperature: Annotated[
        float | None,
        option(
            "--temperature",
            help=f"At which they are drawn. Default: {TEMPERATURE}.",
            min=0.01,
            show_default=False,
        ),
    ] = None,
    kl_to: Annotated[
        str | None,
        option(
            "--kl-to",
            help="Another model: how far this one has left it, in nats per token of its own answers.",
            metavar="MODEL",
            show_default=False,
        ),
        Names.MODEL,
    ] = None,
    grader: Annotated[
        Path | None,
        option(
            "--grader",
            help="JSON of a grader: the mean reward of answers to questions without choices.",
            metavar="FILE",
            show_default=False,
        ),
        Names.FILE,
    ] = None,
    options: GraderOptions,
    out: OutFile = None,
    max_tokens: Annotated[
        int | None,
        option(
            "--max-tokens",
            help=f"Longest answer. Default: {MAX_TOKENS}; for lm-eval, what the task says.",
            min=1,
            show_default=False,
        ),
    ] = None,
    engine: AgentEngineOptions,
    seed: Seed = None,
    store: Store,
    config: Config,
    run: Run,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Answer every question greedily and measure the likelihood of the reference answers.

    A suite is JSONL: `prompt` and `answer`, with `choices` where the likeliest of them is the answer; files of
    MMLU and PubMedQA are read as they come. A suite in YAML is a task of lm-eval, which measures it, 16 questions at a
    time unless a batch size is given. Accuracies are in [0, 1], per suite and task. The items go to `out`, which
    `recast compare` reads.
    """
    from recast.train.evaluation import lm_eval
    from recast.train.evaluation.results import EvalResult
    from recast.train.evaluation.suites import load_suites

    tasks = [path for path in suite if lm_eval.is_task(path)]
    own_suites = [path for path in suite if path not in tasks]
    settings = config.section("engine", **engine.overrides())
    if tasks:
        from recast.agent.engines.factory import refuse_what_has_no_effect

        if settings.type != "hf":
            raise UsageError(
                f"lm-eval loads models itself: {tasks[0]} cannot be asked through --engine {settings.type}."
            )
        refuse_what_has_no_effect(settings)
    items = load_suites(own_suites) if own_suites else []
    _refuse_what_has_no_effect(
        items, tasks, samples=samples, temperature=temperature, kl_to=kl_to, max_tokens=max_tokens, seed=seed
    )
    opened = _grader(items, grader, options, config, store)
    errors: dict[str, int] = {}
    result = EvalResult(label or Path(str(model)).name, ())
    if items:
        from recast.pipelines.wiring import models
        from recast.train.evaluation.evaluate import drift, evaluate, graded

        longest = max_tokens or MAX_TOKENS
        source = models.engine(str(model), agent, settings, store=store, memory=models.memory(engine.memory))
        own = models.answering(source, longest, temperature=temperature or TEMPERATURE, seed=seed or 0)
        result = evaluate(items, own, label=result.model, samples=samples, progress=progress)
        if kl_to:
            other = models.answering(models.engine(kl_to), longest)
            # KL is an expectation under the model itself: at temperature 1, whatever the samples are drawn at
            plain = models.answering(source, longest, seed=seed or 0)
            result = drift(result, items, plain, other, progress=progress)
        if opened is not None:
            result, errors = graded(result, items, opened)
    if tasks:
        from recast.pipelines.models.names import model_path
        from recast.pipelines.wiring.models import adapter_folder

        adapter = None if agent is None else adapter_folder(agent)
        # only a size that somebody asked for: the default is meant for the engine
        size = {"batch_size": settings.batch_size} if "batch_size" in settings.model_fields_set else {}
        measured = lm_eval.measure(
            tasks,
            model_path(str(model)),
            adapter=adapter,
            dtype=settings.dtype,
            device=settings.device,
            max_length=settings.max_length,
            max_tokens=max_tokens,
            **size,
        )
        result = EvalResult(result.model, (*result.items, *measured))
    file = Path(out or run.folder / "results.jsonl")
    result.save(file)
    counted = {"grader": opened.name, "grader_errors": errors} if opened is not None else {}
    return {"out": str(file), **counted, **result.to_dict()}


def _grader(
    items: Sequence[Item], file: Path | None, options: GraderOptions, config: Config, store: Store
) -> Grader | None:
    """The grader that was asked for, opened before weights are loaded. Raises UsageError for options without effect."""
    from recast.pipelines.wiring.graders import asked_grader

    opened = asked_grader(file, options, config, store=store)
    if opened is not None and all(item.choices for item in items):
        raise UsageError(
            "--grader grades answers that the model writes, and choices are only scored; found no questions without "
            "choices. Leave it out, or add a suite of such questions."
        )
    return opened


def _refuse_what_has_no_effect(
    items: Sequence[Item],
    tasks: Sequence[Path],
    *,
    samples: int,
    temperature: float | None,
    kl_to: str | None,
    max_tokens: int | None,
    seed: int | None,
) -> None:
    """Raise UsageError for an option that can change nothing about these suites, before weights are loaded."""
    from recast.train.evaluation.lm_eval import writes_answers

    free = sum(not item.choices for item in items)
    found = f"{free} questions without choices, {len(items) - free} with, {len(tasks)} tasks of lm-eval"
    if samples and not free:
        raise UsageError(
            f"--samples draws answers to questions without choices; found {found}. Leave it out, or add a suite "
            "of such questions."
        )
    if kl_to and not items:
        raise UsageError(
            f"--kl-to needs the questions of a suite in JSONL; found {found}. Leave it out, or add such a suite."
        )
    if max_tokens is not None and not (free or kl_to or any(map(writes_answers, tasks))):
        raise UsageError(
            f"--max-tokens bounds answers that the model writes, and choices are only scored; found {found}. Leave it "
            "out, or add a suite of questions without choices."
        )
    if temperature is not None and not samples:
        raise UsageError(
            "--temperature is that of the answers that --samples draws, and none are drawn. Add --samples K, or leave "
            "it out."
        )
    if seed is not None and not (samples or kl_to):
        raise UsageError(
            "--seed is that of the answers that --samples and --kl-to draw, and none are drawn. Add one of them, or "
            "leave it out."
        )


def show(result: dict[str, Any], console: Any) -> None:
    from rich.table import Table

    every = list(result["suites"].values())
    drawn = max((figures["num_samples"] for figures in every), default=0)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("suite", "task", "questions", "right", "no answer", "gold log-lik."):
        table.add_column(head, justify="left" if head in ("suite", "task") else "right")
    extra = (["sampled", f"pass@{drawn}", f"maj@{drawn}"] if drawn else []) + (
        ["KL"] if any(figures["kl"] is not None for figures in every) else []
    )
    extra += ["reward"] if "grader" in result else []
    for head in extra:
        table.add_column(head, justify="right")
    for suite, figures in result["suites"].items():
        rows = [(suite, "", figures), *(("", task, f) for task, f in figures["tasks"].items())]
        for name, task, f in rows if len(rows) > 2 else rows[:1]:
            passed = (f["pass_at"] or {}).get(str(drawn))
            cells = {
                # a result that was kept from before does not say
                "sampled": str(f.get("num_sampled", "")),
                f"pass@{drawn}": "" if passed is None else f"{passed:.1%}",
                f"maj@{drawn}": "" if f["majority"] is None else f"{f['majority']:.1%}",
                "KL": "" if f["kl"] is None else f"{f['kl']:.3f}",
                "reward": "" if f.get("reward") is None else f"{f['reward']:.3f}",
            }
            gold = "" if f["gold_loglik"] is None else f"{f['gold_loglik']:.3f}"
            right = f"{f['right'] / f['num']:.1%}"
            table.add_row(
                name, task, str(f["num"]), right, str(f["format_failures"]), gold, *(cells[h] for h in extra)
            )
    console.print(table)
    for flag, count in result.get("grader_errors", {}).items():
        console.print(f"{flag}: {count}", markup=False)
    console.print(result["out"], markup=False)
