"""`recast plan`: what a rewriting job will cost, from a few of its rows; which prompt to take; how to learn on them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from recast.pipelines.options import AgentEngineOptions, Names, VersionRef, option
from recast.pipelines.terminal.predictions import FIGURES, count, megabytes, percent
from recast.pipelines.wiring.rewriting import RewritingOptions

if TYPE_CHECKING:
    from recast.curate.store.store import Store
    from recast.pipelines.config import Config
    from recast.pipelines.run.runs import Run
    from recast.pipelines.wiring.rewriting import Rewriting

ASK_BETTER = 0.8
"""Share of rewritten rows below which other prompts are worth a trial."""
TRIED = ("default", "math")
"""What the command for that trial names."""


def job(
    name: VersionRef,
    *,
    options: RewritingOptions,
    rows: Annotated[int, option("--rows", help="Rows to rewrite for the prediction.", min=2)] = 32,
    prompts: Annotated[
        list[str] | None,
        option(
            "--prompts",
            help="Compare prompts on these rows: presets (default, math, program, choice, text) or YAML files; "
            "give it once for each.",
            metavar="PROMPTS",
            show_default=False,
        ),
        Names.PROMPTS,
    ] = None,
    learning: Annotated[
        bool,
        option(
            "--learn",
            help="Suggest settings of `recast learn`: rate, batch, temperature, length, warm start.",
        ),
    ] = False,
    engine: AgentEngineOptions,
    store: Store,
    config: Config,
    run: Run,
) -> dict[str, Any]:
    """Rewrite a few rows of `name` and predict time, tokens, acceptance and disk of `recast rewrite`.

    The same options give the same prediction; the rewrite that follows prints it beside what came of it. With
    `--prompts` the rows are rewritten under each of them, and the answer is which one to take. With `--learn` they
    are rewritten at several temperatures, under the gate of `recast learn`, and the answer is its settings.
    """
    from recast.agent.rewriting.forecast import predict
    from recast.curate.files import write_text
    from recast.pipelines.wiring.learning.suggestion import suggested_for
    from recast.pipelines.wiring.rewriting import prepared

    if learning:
        _refuse_beside_learning(prompts, options)
    elif prompts:
        _refuse_without_effect(prompts, options, config)
    asked = prepared(name, options, engine, store=store, config=config)
    if prompts:
        return _compared(asked, prompts, rows, store, run)
    if learning:
        return suggested_for(asked, options, rows, store, config, run)
    found = predict(
        store.open(asked.version),
        asked.engine,
        asked.gate,
        asked.config,
        run.folder / "sample",
        limit=asked.limit,
        num_rows=rows,
        method=asked.method,
        prompts=asked.prompts,
        agent_id=asked.agent_id,
    ).to_dict()
    path = asked.prediction_path(store)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(found))
    few = asked.method is None and found["accepted_rows"]["value"] < ASK_BETTER
    return {
        "source": asked.version.ref,
        "prompt_id": asked.prompts.rewrite_id,
        **found,
        "next": _trial(run, config, store) if few and not asked.prompts.shown() else None,
    }


def _trial(run: Run, config: Config, store: Store) -> str:
    """The command that compares prompts on the rows of this call."""
    from recast.pipelines.run.arguments import command_line

    settings = config.settings(("rewrite", "engine", "judge"))
    return command_line("plan", {**run.given, "prompts": list(TRIED)}, settings, store=store.root)


def _refuse_without_effect(prompts: Sequence[str], options: RewritingOptions, config: Config) -> None:
    """Raise UsageError for what a comparison of prompts would pass over."""
    from recast.curate.errors import UsageError

    if len(prompts) < 2:
        raise UsageError(
            f"--prompts {prompts[0]} alone compares nothing; give it once for each prompt, for instance --prompts "
            f"default --prompts {prompts[0]}."
        )
    if options.method:
        raise UsageError(f"--prompts compares this project's prompts; --method {options.method} has its own.")
    if given := [key for key in config.given.get("prompts") or {} if key != "judge"]:
        raise UsageError(
            f"with --prompts, prompts.{given[0]} would have no effect; leave it out, or put it into a file."
        )


def _compared(asked: Rewriting, names: Sequence[str], rows: int, store: Store, run: Run) -> dict[str, Any]:
    from recast.agent.rewriting.prompt_trial import choice, try_prompts
    from recast.pipelines.config import named_prompts
    from recast.pipelines.wiring.prompts import open_prompts

    # beside the plans and not in the run: one prompt more costs no other one again
    folder = asked.prediction_path(store).with_suffix("") / f"{rows}-rows"
    if run.fresh:
        shutil.rmtree(folder, ignore_errors=True)
    trials = try_prompts(
        store.open(asked.version),
        asked.engine,
        asked.gate,
        asked.config,
        folder,
        {name: open_prompts(named_prompts(name).section("prompts"), store) for name in names},
        limit=asked.limit,
        num_rows=rows,
        agent_id=asked.agent_id,
    )
    return {
        "source": asked.version.ref,
        "rows": asked.limit or asked.version.rows,
        "sampled": trials[0].rows,
        "prompts": [trial.to_dict() for trial in trials],
        **asdict(choice(trials)),
    }


def _refuse_beside_learning(prompts: Sequence[str] | None, options: RewritingOptions) -> None:
    """Raise UsageError for what a suggestion of settings would pass over."""
    from recast.curate.errors import UsageError

    idle = {
        "--prompts": bool(prompts),
        "--agent": options.agent is not None,
        "--method": options.method is not None,
        "--paper": options.paper,
        "--targets": options.targets is not None,
    }
    if named := next((name for name, given in idle.items() if given), None):
        raise UsageError(
            f"with --learn, {named} would have no effect: it is about `recast learn`. Leave it out."
        )


def show(result: dict[str, Any], console: Any) -> None:
    if "tried" in result:
        _show_suggestion(result, console)
        return
    if "prompts" in result:
        _show_prompts(result, console)
        return
    console.print(
        f"{result['source']}: {result['rows']} rows, predicted from {result['sampled']} of them", markup=False
    )
    for name, (words, shown) in FIGURES.items():
        low, value, high = (shown(result[name][key]) for key in ("low", "value", "high"))
        console.print(f"  {words:18} {value:>9}   ({low} to {high})", markup=False)
    console.print(f"  {'store besides':18} {megabytes(result['version_bytes']):>9}", markup=False)
    if result.get("next"):
        console.print(f"see whether another prompt does better on these rows: {result['next']}", markup=False)


def _show_suggestion(result: dict[str, Any], console: Any) -> None:
    console.print(
        f"{result['source']}: {result['sampled']} of {result['rows']} rows, rewritten under the gate of learning",
        markup=False,
    )
    for trial in result["tried"]:
        low, value, high = (percent(trial["accepted"][key]) for key in ("low", "value", "high"))
        why = ", ".join(f"{number} {reason}" for reason, number in trial["reasons"].items())
        console.print(
            f"  temperature {trial['temperature']:g}: {value} of {trial['candidates']} candidates pass ({low} to "
            f"{high}), {trial['teaching']} of {trial['rows']} rows teach; refused for {why or 'nothing'}",
            markup=False,
        )
    for name, value in result["settings"].items():
        console.print(f"  {name}={value:<8g} {result['because'][name]}", markup=False)
    console.print(f"learn so: {result['next']}", markup=False)


def _show_prompts(result: dict[str, Any], console: Any) -> None:
    console.print(
        f"{result['source']}: {result['sampled']} rows under each of {len(result['prompts'])} prompts",
        markup=False,
    )
    for trial in result["prompts"]:
        rows, candidates = trial["accepted_rows"], trial["accepted_candidates"]
        each = trial["tokens_per_accepted_row"]
        console.print(f"  {trial['name']} ({trial['prompt_id']})", markup=False)
        for words, share in (("rows rewritten", rows), ("candidates accepted", candidates)):
            low, value, high = (percent(share[key]) for key in ("low", "value", "high"))
            console.print(f"    {words:20} {value:>6}   ({low} to {high})", markup=False)
        console.print(f"    {'tokens a rewritten row':20} {count(each) if each else 'none':>4}", markup=False)
        console.print(f"    {'tokens of the prompt':20} {count(trial['prompt_tokens']):>6}", markup=False)
        why = ", ".join(f"{number} {reason}" for reason, number in trial["reasons"].items())
        console.print(f"    {'refused for':20} {why or 'nothing'}", markup=False)
    against = ", ".join(f"{name}: p = {p:.2g}" for name, p in result["p_values"].items())
    if result["take"] is None:
        console.print(
            f"cannot tell which to take: {result['leading']} leads ({against}; {result['level']:.2g} would do). "
            f"Try more rows: --rows {2 * result['sampled']}",
            markup=False,
        )
        return
    console.print(f"take {result['take']} ({against})", markup=False)
