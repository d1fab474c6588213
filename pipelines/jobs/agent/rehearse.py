"""`recast rehearse`: the backbone's own answers to general prompts, as a version to mix in."""

from __future__ import annotations

import json
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from recast.pipelines.options import (
    BudgetMinutes,
    EngineOptions,
    ModelPath,
    Names,
    RayAddress,
    Seed,
    SharedBy,
    argument,
    option,
)

if TYPE_CHECKING:
    from recast.curate.store.store import Store
    from recast.pipelines.config import Config
    from recast.pipelines.run.runs import Run
    from recast.pipelines.terminal.progress import Progress

OF_OWN_PROMPTS = ("prompt_temperature", "max_prompt_tokens", "oversample")
"""Settings of the section `rehearse` by which the backbone's own prompts are drawn."""


def job(
    name: Annotated[str, argument("Name of the new version.", metavar="NAME")],
    *,
    prompts: Annotated[
        Path | None,
        option(
            "--prompts",
            help="File of prompts: JSONL with prompt, question, instruction or messages, or one a line (.txt).",
            show_default=False,
        ),
        Names.FILE,
    ] = None,
    own: Annotated[
        int | None,
        option("--self", help="So many prompts that the backbone writes itself.", min=1, show_default=False),
    ] = None,
    model: ModelPath = None,
    seed: Seed = None,
    budget_minutes: BudgetMinutes = None,
    workers: SharedBy = None,
    ray: RayAddress = None,
    engine: EngineOptions,
    store: Store,
    config: Config,
    run: Run,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Let the backbone answer general prompts and commit its answers as `name`: mixed into fine-tuning, they keep
    what it can do.

    There is no gold answer: whole, plain answers are kept, and near duplicate prompts are dropped.
    """
    from recast.agent.new_rows.rehearse import format_gate, given, rehearse, steps_on
    from recast.agent.new_rows.rehearse import own as own_prompts
    from recast.curate.errors import UsageError
    from recast.pipelines.on_ray.cluster import Cluster
    from recast.pipelines.wiring import commits, models
    from recast.pipelines.wiring.batches import budget, sharing

    if (prompts is None) == (own is None):
        raise UsageError(
            "give either --prompts FILE or --self N. For instance: recast rehearse general --self 500"
        )
    idle = [f"rehearse.{key}" for key in OF_OWN_PROMPTS if key in (config.given.get("rehearse") or {})]
    if prompts is not None and idle:
        raise UsageError(f"with --prompts, {', '.join(idle)} would have no effect; leave it out.")
    settings = config.section("rehearse", seed=seed)
    rows = given(read_prompts(prompts)) if prompts is not None else own_prompts(own or 0, settings)
    engine_settings = config.section("engine", **engine.overrides())
    cluster = Cluster(ray, workers=workers, gpus=engine_settings.tensor_parallel) if ray else None
    with cluster or nullcontext():
        source = models.engine(
            str(model),
            None,
            engine_settings,
            store=store,
            memory=models.memory(engine.memory),
            elsewhere=cluster and cluster.engine,
        )
        result = rehearse(
            rows,
            source,
            settings,
            run.folder,
            most=own,
            progress=progress,
            budget=budget(budget_minutes),
            sharing=sharing(run),
            hands=cluster and cluster.hands(format_gate(), partial(steps_on, config=settings)),
        )
    made = commits.new_rows(
        result,
        name,
        str(model),
        source,
        message=f"answers of {model} to {prompts.name if prompts else 'prompts of its own'}",
        meta={"rehearsed": str(prompts) if prompts else "own"},
        store=store,
        config=config,
        run=run,
    )
    return {"asked": own, **made}


PROMPT_KEYS = ("prompt", "question", "instruction", "problem", "input", "text")


def read_prompts(path: Path) -> list[list[dict[str, Any]]]:
    """The prompts of a file as message lists. Raises DataError naming the line that holds none."""
    from recast.curate.errors import DataError

    found = []
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if path.suffix == ".txt":
            found.append([{"role": "user", "content": line.strip()}])
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(
                f"{path}, line {number} is not JSON ({error.msg}); expected an object a line, or plain text in a "
                "file that ends in .txt."
            ) from error
        messages = row.get("messages") if isinstance(row, dict) else None
        if isinstance(messages, list):
            while messages and messages[-1].get("role") == "assistant":
                messages = messages[:-1]
        elif isinstance(row, dict):
            text = next((row[k] for k in PROMPT_KEYS if isinstance(row.get(k), str) and row[k].strip()), None)
            messages = [{"role": "user", "content": text}] if text else None
        if not messages:
            raise DataError(
                f"{path}, line {number} holds no prompt; expected `messages`, or a text under one of "
                f"{', '.join(PROMPT_KEYS)}."
            )
        found.append(messages)
    if not found:
        raise DataError(f"{path} holds no prompts.")
    return found


def show(result: dict[str, Any], console: Any) -> None:
    console.print(
        f"{result['version']}: {result['num_kept']} answers of the backbone to {result['num_proposals']} prompts",
        markup=False,
    )
    for reason, rows in result["reasons"].items():
        console.print(f"  {rows:>7} dropped ({reason})", markup=False)
    if result["asked"] and result["num_kept"] < result["asked"]:
        console.print(
            f"  {result['asked']} were asked for; draw more prompts a row with --set rehearse.oversample=3",
            markup=False,
        )
    if result["num_kept"]:
        console.print(f"look at them: recast show {result['version']}", markup=False)
