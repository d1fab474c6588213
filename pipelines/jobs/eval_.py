"""`recast eval`: every question of some suites, asked of one model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from curate.errors import UsageError
from pipelines.jobs.options import (
    BaseUrl,
    BatchSize,
    EngineType,
    Names,
    OutFile,
    Seed,
    ServedAgent,
    ServedModel,
    argument,
    option,
)


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
        int, option("--samples", help="Answers drawn per question, for pass@k and maj@k.", min=0)
    ] = 0,
    temperature: Annotated[float, option("--temperature", help="At which they are drawn.", min=0.01)] = 1.0,
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
    out: OutFile = None,
    max_tokens: Annotated[int, option("--max-tokens", help="Longest answer.", min=1)] = 256,
    engine: EngineType = None,
    base_url: BaseUrl = None,
    served_model: ServedModel = None,
    served_agent: ServedAgent = None,
    batch_size: BatchSize = None,
    seed: Seed = None,
    store: Any,
    config: Any,
    run: Any,
    progress: Any = None,
) -> dict[str, Any]:
    """Answer every question greedily and measure the likelihood of the reference answers.

    A suite is JSONL: `prompt` and `answer`, with `choices` where the likeliest of them is the answer; files of
    MMLU and PubMedQA are read as they come. A suite in YAML is a task of lm-eval, which measures it. Accuracies
    are in [0, 1], per suite and task. The items go to `out`, which `recast compare` reads.
    """
    from train import harness
    from train.results import EvalResult

    tasks = [path for path in suite if harness.is_task(path)]
    own_suites = [path for path in suite if path not in tasks]
    settings = config.section(
        "engine",
        type=engine,
        base_url=base_url,
        served_model=served_model,
        served_agent=served_agent,
        batch_size=batch_size,
    )
    if tasks and settings.type != "hf":
        raise UsageError(
            f"lm-eval loads models itself: {tasks[0]} cannot be asked through --engine {settings.type}."
        )
    result = EvalResult(label or Path(str(model)).name, ())
    if own_suites:
        from pipelines.jobs import models
        from train.evaluate import drift, evaluate
        from train.suites import load_suites

        items = load_suites(own_suites)
        source = models.engine(str(model), agent, settings, store=store)
        own = models.answering(source, max_tokens, temperature=temperature, seed=seed or 0)
        result = evaluate(items, own, label=result.model, samples=samples, progress=progress)
        if kl_to:
            other = models.answering(models.engine(kl_to), max_tokens)
            # KL is an expectation under the model itself: at temperature 1, whatever the samples are drawn at
            plain = models.answering(source, max_tokens, seed=seed or 0)
            result = drift(result, items, plain, other, progress=progress)
    if tasks:
        from pipelines.identity import model_path
        from pipelines.jobs.models import adapter_folder

        adapter = None if agent is None else adapter_folder(agent)
        measured = harness.measure(tasks, model_path(str(model)), adapter=adapter)
        result = EvalResult(result.model, (*result.items, *measured))
    file = Path(out or run.folder / "results.jsonl")
    result.save(file)
    return {"out": str(file), **result.to_dict()}


def show(result: dict[str, Any], console: Any) -> None:
    from rich.table import Table

    every = list(result["suites"].values())
    drawn = max((figures["num_samples"] for figures in every), default=0)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("suite", "task", "questions", "right", "no answer", "gold log-lik."):
        table.add_column(head, justify="left" if head in ("suite", "task") else "right")
    extra = ([f"pass@{drawn}", f"maj@{drawn}"] if drawn else []) + (
        ["KL"] if any(figures["kl"] is not None for figures in every) else []
    )
    for head in extra:
        table.add_column(head, justify="right")
    for suite, figures in result["suites"].items():
        rows = [(suite, "", figures), *(("", task, f) for task, f in figures["tasks"].items())]
        for name, task, f in rows if len(rows) > 2 else rows[:1]:
            passed = (f["pass_at"] or {}).get(drawn)
            cells = {
                f"pass@{drawn}": "" if passed is None else f"{passed:.1%}",
                f"maj@{drawn}": "" if f["majority"] is None else f"{f['majority']:.1%}",
                "KL": "" if f["kl"] is None else f"{f['kl']:.3f}",
            }
            gold = "" if f["gold_loglik"] is None else f"{f['gold_loglik']:.3f}"
            right = f"{f['right'] / f['num']:.1%}"
            table.add_row(
                name, task, str(f["num"]), right, str(f["format_failures"]), gold, *(cells[h] for h in extra)
            )
    console.print(table)
    console.print(result["out"], markup=False)
