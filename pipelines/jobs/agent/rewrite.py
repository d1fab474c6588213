"""`recast rewrite`: the rows of a version, rewritten by an agent, gated, as a new version."""

from __future__ import annotations

import shlex
from typing import Annotated, Any

from recast.pipelines.options import (
    AsName,
    BaseUrl,
    BatchSize,
    BudgetMinutes,
    EngineType,
    Limit,
    ModelPath,
    Names,
    Seed,
    ServedAgent,
    ServedModel,
    UnsafeExec,
    VersionRef,
    option,
)
from recast.pipelines.wiring.rewriting import Agent, MethodName, Paper, Rewriting, Targets

SHOWN_CAUSES = 6


def job(
    name: VersionRef,
    *,
    to: AsName,
    model: ModelPath = None,
    agent: Agent = None,
    seed: Seed = None,
    limit: Limit = None,
    targets: Targets = None,
    paper: Paper = False,
    method: MethodName = None,
    budget_minutes: BudgetMinutes = None,
    max_candidates: Annotated[
        int | None,
        option(
            "--max-candidates",
            help="Sample at most so many in all, whole batches only (exit code 7); a larger number goes on.",
            min=1,
            show_default=False,
        ),
        Names.BUDGET,
    ] = None,
    engine: EngineType = None,
    base_url: BaseUrl = None,
    served_model: ServedModel = None,
    served_agent: ServedAgent = None,
    batch_size: BatchSize = None,
    unsafe_exec: UnsafeExec = False,
    store: Any,
    config: Any,
    run: Any,
    progress: Any = None,
) -> dict[str, Any]:
    """Sample candidates for every row of `name`, verify them, choose, and commit the outcome as `to`.

    A row without an accepted candidate keeps its expert text, with the reason. All candidates are kept
    beside the version. Killed at any moment, the same command goes on.
    """
    from recast.agent.rewriting.rewrite import rewrite
    from recast.curate.chat import template_id
    from recast.pipelines.wiring import commits
    from recast.pipelines.wiring.rewriting import prepared

    asked = prepared(
        name,
        str(model),
        agent,
        seed=seed,
        limit=limit,
        targets=targets,
        paper=paper,
        method=method,
        engine={
            "type": engine,
            "base_url": base_url,
            "served_model": served_model,
            "served_agent": served_agent,
            "batch_size": batch_size,
        },
        unsafe_exec=unsafe_exec,
        store=store,
        config=config,
    )
    version, partial = asked.version, asked.limit is not None
    result = rewrite(
        store.open(version),
        asked.engine,
        asked.gate,
        asked.config,
        run.folder,
        method=asked.method,
        limit=asked.limit,
        progress=progress,
        agent_id=asked.agent_id,
        budget=budget(budget_minutes, max_candidates),
    )
    by = method or agent or "the bare backbone"
    new = commits.once(
        store,
        to,
        run,
        lambda run_id: store.commit(
            result.rows(),
            to,
            parent=None if partial else version,
            law="rows" if partial else "rewrite",
            candidates=result.candidates(),
            message=f"{version.ref} rewritten by {by}",
            author=config.general.author,
            run_id=run_id,
            meta={
                "rewritten": version.ref,
                "model": str(model),
                "agent": str(agent) if agent else None,
                "agent_gate_id": asked.agent_gate_id,
                "method": result.method,
                "prompts": list(result.prompts),
                "chat_template": template_id(asked.engine.tokenizer),
            },
        ),
    )
    figures = result.to_dict()
    return {
        "version": new.ref,
        "version_id": new.id,
        "source": version.ref,
        "rows": result.num_rows,
        "fallback_share": result.counts["fallback"] / result.num_rows,
        "failed_rows": result.num_errors,
        "engine": asked.engine.name,
        **{k: v for k, v in figures.items() if k not in ("num_rows", "run_dir")},
        "causes": with_commands(
            result.causes,
            asked.config,
            {"source": version.ref, "version": new.ref, "to": to},
            {
                "--model": model,
                "--agent": agent,
                "--seed": seed,
                "--limit": limit,
                "--targets": targets,
                "--paper": paper,
                "--method": method,
                "--engine": engine,
                "--base-url": base_url,
                "--served-model": served_model,
                "--served-agent": served_agent,
                "--batch-size": batch_size,
                "--unsafe-exec": unsafe_exec,
            },
            config,
        ),
        "predicted": _predicted(asked, result, store),
    }


def budget(minutes: float | None, max_candidates: int | None = None) -> Any:
    import time

    from recast.agent.batches.job import Budget

    deadline = time.monotonic() + 60 * minutes if minutes is not None else None
    return Budget(deadline, max_candidates)


def with_commands(
    causes: list[dict[str, Any]],
    settings: Any,  # RewriteConfig
    names: dict[str, str],
    options: dict[str, Any],
    config: Any,
) -> list[dict[str, Any]]:
    """The causes with the command to run next for each. `options` are those of this call, which it repeats."""
    from recast.agent.rewriting.triage import next_command
    from recast.pipelines.wiring.rewriting import fixed

    given = config.settings(("rewrite", "engine", "judge"))
    brings_its_own = fixed(options["--paper"], options["--method"])

    def again(**changed: Any) -> str:
        # where a method leaves no choice, the next thing to try is this project's own
        left = ("--paper", "--method", "rewrite.accept") if changed.keys() & set(brings_its_own) else ()
        kept = {name: value for name, value in options.items() if name not in left}
        sets = {key: value for key, value in given.items() if key not in left}
        return _written(kept, sets | {f"rewrite.{key}": value for key, value in changed.items()})

    more = {"candidates": 2 * settings.candidates} | ({} if settings.temperature else {"temperature": 1.0})
    commands = {
        **{name: shlex.quote(text) for name, text in names.items()},
        "longer": again(max_tokens=2 * settings.max_tokens),
        "more": again(**more),
        "repairs": again(repairs=settings.repairs + 1),
        "learn": _written(
            {name: options[name] for name in ("--model", "--unsafe-exec")},
            config.settings(("learn", "judge")),
        ),
    }
    return [{**cause, "next": next_command(cause, commands)} for cause in causes]


def _written(options: dict[str, Any], settings: dict[str, Any]) -> str:
    """Options and settings as a shell takes them, each with a leading space."""
    from recast.pipelines.config import written_set

    words: list[str] = []
    for name, value in options.items():
        if value is not None and value is not False:
            words += [name] if value is True else [name, str(value)]
    for key, value in settings.items():
        if f"--{key}" not in options:  # the model, by its own option
            words += ["--set", written_set(key, value)]
    return "".join(f" {shlex.quote(word)}" for word in words)


def _predicted(asked: Rewriting, result: Any, store: Any) -> list[dict[str, Any]] | None:
    """What `recast plan` predicted, beside what came of it; the time only of a job done in one go."""
    from recast.agent.rewriting.forecast import compare

    prediction = asked.prediction(store)
    if prediction is None:
        return None
    actual = {
        "tokens": result.num_tokens,
        "accepted_rows": 1 - result.counts["fallback"] / result.num_rows,
        "bytes": result.part_bytes,
    }
    if not result.num_found:
        actual["seconds"] = result.seconds["total"]
    return compare(prediction, actual)


def show(result: dict[str, Any], console: Any) -> None:
    from recast.pipelines.jobs.agent.plan import FIGURES

    counts = ", ".join(f"{n} {kind}" for kind, n in result["counts"].items())
    console.print(f"{result['version']}: {result['rows']} rows of {result['source']}: {counts}", markup=False)
    for reason, rows in result["reasons"].items():
        console.print(f"  {rows:>7} fallback ({reason})", markup=False)
    share = result["num_accepted"] / max(1, result["num_candidates"])
    console.print(f"  {share:.0%} of {result['num_candidates']} candidates were accepted", markup=False)
    if result["num_gate_accepted"] != result["num_accepted"]:
        of_gate = result["num_gate_accepted"] / max(1, result["num_candidates"])
        console.print(f"  {of_gate:.0%} of them pass the gate", markup=False)
    if result["nll_demonstration"] is not None and result["nll_completion"] is not None:
        console.print(
            f"  mean NLL {result['nll_demonstration']:.3f} -> {result['nll_completion']:.3f} nats per token"
        )
    for line in result["predicted"] or ():
        words, shown = FIGURES[line["figure"]]
        outside = "" if line["inside"] else ", outside"
        interval = f"{shown(line['low'])} to {shown(line['high'])}{outside}"
        console.print(
            f"  {words}: {shown(line['actual'])}, predicted {shown(line['value'])} ({interval})", markup=False
        )
    if result["engine"] != "hf":
        console.print(
            f"  samples of {result['engine']} depend on its load: a run from nothing may differ from this one"
        )
        if result["alignment"] == "nll":
            console.print(
                f"  chosen by mean NLL, which prefers predictable padding: {result['engine']} tells no entropies"
            )
    for row_id, message in list(result["errors"].items())[:3]:
        console.print(f"  row {row_id} failed: {message}", markup=False)
    if result["causes"] and result["method"] != "copy":
        console.print("rows that never passed, and what to do next:")
        for cause in result["causes"][:SHOWN_CAUSES]:
            console.print(f"  {cause['rows']:>7} {cause['meaning']}: {cause['next']}", markup=False)
    console.print(f"look at it: recast diff {result['source']} {result['version']}", markup=False)
