"""`recast run`: the stages of a file, several at a time."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from recast.pipelines.options import Jobs, Names, argument

if TYPE_CHECKING:
    from recast.curate.store.store import Store
    from recast.pipelines.config import Config
    from recast.pipelines.terminal.progress import Reporter


def job(
    path: Annotated[Path, argument("YAML with `stages:`.", metavar="STAGES.yaml"), Names.FILE],
    *,
    jobs: Jobs = None,
    store: Store,
    config: Config,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Run the stages of a file: verbs with arguments that may need each other.

    Finished stages are found again by what they were asked and given, so the same command goes on after
    any interruption, and a changed file does only what changed. A stages file reads:

    \b
        config: {sft: {epochs: 2}}
        stages:
          - {name: data,  verb: import,  args: {path: demos.jsonl, as: craft}}
          - {name: agent, verb: learn,   args: {name: "${data.version}"}}
          - {name: text,  verb: rewrite, args: {name: "${data.version}", agent: "${agent.out}", as: rw}}
          - {name: tuned, verb: sft,     args: {name: "${text.version}"}}

    `${stage.key}` is a value of that stage's result (what its --json prints), and implies the need of it;
    `needs: [name]` says others; with `show: true` a stage's verb says at the end what came of it.
    """
    from recast.pipelines.run import stages

    began = time.monotonic()
    plan = stages.Plan.load(path, config)
    outcomes = stages.run(plan, store=store.root, jobs=jobs or stages.default_jobs(), reporter=reporter)
    return {
        "seconds": round(time.monotonic() - began, 1),
        "stages": {name: asdict(outcome) for name, outcome in outcomes.items()},
        "shown": {stage.name: stage.verb for stage in plan.stages if stage.show},
        "failed_rows": sum(o.result.get("failed_rows") or 0 for o in outcomes.values()),
    }


def show(result: dict[str, Any], console: Any) -> None:
    from recast.pipelines.run.arguments import find

    found = sum(stage["found"] for stage in result["stages"].values())
    words = f"{len(result['stages'])} stages in {result['seconds']:.0f} s"
    console.print(f"{words}, {found} of them found finished" if found else words)
    for name, stage in result["stages"].items():
        made = stage["result"].get("version") or stage["result"].get("out") or ""
        console.print(f"  {name}: {made}", markup=False)
    for name, verb in result["shown"].items():
        console.print(f"\n{name}", style="bold", markup=False)
        find(verb).load().show(result["stages"][name]["result"], console)
