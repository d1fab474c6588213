"""`recast rewrite`: the rows of a version, rewritten by an agent, gated, as a new version."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from recast.curate.errors import UsageError
from recast.pipelines.options import (
    AgentEngineOptions,
    AsName,
    BudgetMinutes,
    Names,
    RayAddress,
    SharedBy,
    VersionRef,
    option,
)
from recast.pipelines.terminal.predictions import FIGURES
from recast.pipelines.wiring.rewriting import Rewriting, RewritingOptions

if TYPE_CHECKING:
    from recast.agent.batches.job import Budget
    from recast.agent.rewriting.outcome import RewriteResult
    from recast.agent.rewriting.rewrite import RewriteConfig
    from recast.curate.store.store import Store
    from recast.pipelines.config import Config
    from recast.pipelines.run.runs import Run
    from recast.pipelines.terminal.progress import Progress

SHOWN_CAUSES = 6
TRIES = 2


def job(
    name: VersionRef,
    *,
    to: AsName,
    options: RewritingOptions,
    accepted: Annotated[
        int | None,
        option(
            "--accepted",
            help="Sample until so many rows are accepted, and make a version of these alone.",
            metavar="N",
            min=1,
            show_default=False,
        ),
    ] = None,
    like: Annotated[
        str | None,
        option(
            "--like",
            help="With --accepted: keep the source's mix by these columns, as `task,length`.",
            metavar="COLUMNS",
            show_default=False,
        ),
    ] = None,
    tries: Annotated[
        int | None,
        option(
            "--tries",
            help="With --accepted: how often a row is sampled, where its kind has no fresh one left. Default: 2.",
            min=1,
            show_default=False,
        ),
    ] = None,
    make_do: Annotated[
        bool,
        option(
            "--make-do", help="With --accepted: where a budget ends it, make the version of what there is."
        ),
        Names.BUDGET,
    ] = False,
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
    workers: SharedBy = None,
    ray: RayAddress = None,
    engine: AgentEngineOptions,
    store: Store,
    config: Config,
    run: Run,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Sample candidates for every row of `name`, verify them, choose, and commit the outcome as `to`.

    A row without an accepted candidate keeps its expert text, with the reason. All candidates are kept
    beside the version. Killed at any moment, the same command goes on. With --accepted the version holds so many
    accepted rows and nothing else; what it lacks is named, with exit code 3.
    """
    from recast.agent.rewriting.rewrite import rewrite
    from recast.curate.gate import gate_files
    from recast.pipelines.on_ray.cluster import Cluster
    from recast.pipelines.wiring import commits
    from recast.pipelines.wiring.batches import budget, sharing
    from recast.pipelines.wiring.rewriting import prepared, steps_of

    if accepted is None:
        _refuse_without_accepted(like, tries, make_do)
    elif workers or ray:
        raise UsageError(
            "--accepted does its rounds one after the other, in one process: which rows are next depends on what was "
            "accepted. Leave --workers and --ray out."
        )
    engine_settings = config.section("engine", **engine.overrides())
    cluster = Cluster(ray, workers=workers, gpus=engine_settings.tensor_parallel) if ray else None
    with cluster or nullcontext():
        elsewhere = cluster.engine if cluster else None
        asked = prepared(name, options, engine, store=store, config=config, elsewhere=elsewhere)
        version, partial = asked.version, asked.limit is not None
        if accepted is not None:
            return _accepted(
                asked, accepted, like, tries or TRIES, to, options, budget(budget_minutes, max_candidates), make_do,
                store=store, config=config, run=run, progress=progress,
            )  # fmt: skip
        result = rewrite(
            store.open(version),
            asked.engine,
            asked.gate,
            asked.config,
            run.folder,
            method=asked.method,
            prompts=asked.prompts,
            limit=asked.limit,
            progress=progress,
            agent_id=asked.agent_id,
            budget=budget(budget_minutes, max_candidates),
            sharing=sharing(run),
            hands=cluster and (lambda method: cluster.hands(asked.gate, steps_of(asked.config, method))),
        )
    by = options.method or options.agent or "the bare backbone"
    gate_files.describe(store.root, asked.gate.id, asked.gate.name, asked.gate.identity)
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
            meta=_meta(asked, options, result),
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
        "agent_notes": list(asked.notes),
        "engine": asked.engine.name,
        **{k: v for k, v in figures.items() if k not in ("num_rows", "run_dir")},
        "causes": with_commands(
            result.causes, asked.config, {**run.given, "name": version.ref}, new.ref, config, store.root
        ),
        "predicted": _predicted(asked, result, store),
    }


def _refuse_without_accepted(like: str | None, tries: int | None, make_do: bool) -> None:
    named = [n for n, given in (("--like", like), ("--tries", tries), ("--make-do", make_do)) if given]
    if named:
        raise UsageError(f"{', '.join(named)} would have no effect without --accepted; leave it out.")


def _accepted(
    asked: Rewriting, accepted: int, like: str | None, tries: int, to: str, options: RewritingOptions, budget: Budget,
    make_do: bool, *, store: Store, config: Config, run: Run, progress: Progress | None,
) -> dict[str, Any]:  # fmt: skip
    """A version of `accepted` rows, or of as many as there are."""
    from recast.curate.gate import gate_files
    from recast.pipelines.wiring import commits, exactly

    rounds, told = exactly.fill(
        asked, accepted, like, tries, store=store, run=run, budget=budget, make_do=make_do, progress=progress
    )
    short = sum(told["short"].values())
    version, by = asked.version, options.method or options.agent or "the bare backbone"
    said = f"{rounds.got.sum()} accepted rows of {version.ref} rewritten by {by}"
    gate_files.describe(store.root, asked.gate.id, asked.gate.name, asked.gate.identity)
    meta = _meta(asked, options, rounds.last) | {"accepted": {"wanted": accepted, "like": like, **told}}
    new = commits.once(
        store,
        to,
        run,
        lambda run_id: store.commit(
            rounds.rows(),
            to,
            candidates=rounds.candidates(),
            message=f"{said}, {short} short" if short else said,
            author=config.general.author,
            run_id=run_id,
            meta=meta,
        ),
    )
    figures = rounds.figures()
    return {
        "version": new.ref,
        "version_id": new.id,
        "source": version.ref,
        **figures,
        **told,
        "tries": tries,
        "budget_reached": rounds.stopped,
        "failed_rows": short,
        "agent_notes": list(asked.notes),
        "engine": asked.engine.name,
    }


def _meta(asked: Rewriting, options: RewritingOptions, result: RewriteResult) -> dict[str, Any]:
    """What the version says of its making."""
    from recast.curate.chat import template_id

    return {
        "rewritten": asked.version.ref,
        "model": str(options.model),
        "agent": str(options.agent) if options.agent else None,
        "agent_gate_id": asked.learnt.gate_id if asked.learnt else None,
        "agent_prompt_id": asked.learnt.prompt_id if asked.learnt else None,
        "method": result.method,
        "prompts": list(result.prompts),
        **({"prompt_settings": shown} if (shown := asked.prompts.shown()) else {}),
        "chat_template": template_id(asked.engine.tokenizer),
    }


def with_commands(
    causes: Sequence[Mapping[str, Any]],
    settings: RewriteConfig,
    given: Mapping[str, Any],
    version: str,
    config: Config,
    store: Path,
) -> list[dict[str, Any]]:
    """The causes with the command to run next for each: `next`.

    `given` are the arguments of the job that was done, with the version that it rewrote as its `name`; a command that
    repeats it repeats all of them. `version` is what it made.
    """
    from recast.agent.rewriting.triage import CAUSES
    from recast.pipelines.run.arguments import command_line
    from recast.pipelines.wiring.rewriting import fixed

    sets = config.settings(("rewrite", "prompts", "engine", "judge"))
    brings_its_own = set(fixed(given.get("paper", False), given.get("method")))

    def again(**changed: Any) -> str:
        # where a method leaves no choice, the next thing to try is this project's own
        left = ("paper", "method", "rewrite.accept") if changed.keys() & brings_its_own else ()
        kept = {name: value for name, value in given.items() if name not in left}
        new = {key: value for key, value in sets.items() if key not in left}
        new |= {f"rewrite.{key}": value for key, value in changed.items()}
        return command_line("rewrite", kept, new, store=store)

    def learn() -> str:
        asked = {name: given.get(name) for name in ("name", "model", "unsafe_exec")}
        return command_line(
            "learn", asked, config.settings(("learn", "warm_start", "prompts", "judge")), store=store
        )

    more = {"candidates": 2 * settings.candidates} | ({} if settings.temperature else {"temperature": 1.0})
    commands: dict[str, Callable[[str], str]] = {
        "show": lambda row: command_line("show", {"name": given["name"], "row": row}, store=store),
        "why": lambda row: command_line("why", {"name": version, "row": row}, store=store),
        "longer": lambda _: again(max_tokens=2 * settings.max_tokens),
        "more": lambda _: again(**more),
        "repairs": lambda _: again(repairs=settings.repairs + 1),
        "learn": lambda _: learn(),
        "doctor": lambda _: command_line("doctor", {}, store=store),
    }
    return [{**cause, "next": commands[CAUSES[cause["cause"]][1]](cause["examples"][0])} for cause in causes]


def _predicted(asked: Rewriting, result: RewriteResult, store: Store) -> list[dict[str, Any]] | None:
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
    if "wanted" in result:
        from recast.pipelines.wiring import exactly

        return exactly.show(result, console)
    counts = ", ".join(f"{n} {kind}" for kind, n in result["counts"].items())
    console.print(f"{result['version']}: {result['rows']} rows of {result['source']}: {counts}", markup=False)
    for reason, rows in result["reasons"].items():
        console.print(f"  {rows:>7} fallback ({reason})", markup=False)
    share = result["num_accepted"] / max(1, result["num_candidates"])
    console.print(f"  {share:.0%} of {result['num_candidates']} candidates were accepted", markup=False)
    if result["num_gate_accepted"] != result["num_accepted"]:
        of_gate = result["num_gate_accepted"] / max(1, result["num_candidates"])
        console.print(f"  {of_gate:.0%} of them pass the gate", markup=False)
    if result["cut"]:
        rules = ", ".join(f"{n} {rule}" for rule, n in result["cut"].items())
        console.print(f"  {result['num_cut']} candidates were cut ahead of the gate: {rules}", markup=False)
    if result["nll_demonstration"] is not None and result["nll_completion"] is not None:
        console.print(
            f"  mean NLL {result['nll_demonstration']:.3f} -> {result['nll_completion']:.3f} nats per token"
        )
    for name, words in result["warnings"].items():
        console.print(f"  warning {name}: {words}", markup=False)
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
