"""`recast plan --learn`: a few rows of a version tried at several temperatures, and the command that learns so."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from recast.curate.errors import UsageError
from recast.curate.files import write_json
from recast.pipelines.run.arguments import command_line
from recast.pipelines.wiring.gates import open_gate

if TYPE_CHECKING:
    from recast.curate.store.store import Store
    from recast.pipelines.config import Config
    from recast.pipelines.run.runs import Run
    from recast.pipelines.wiring.rewriting import Rewriting, RewritingOptions


def suggested_for(
    asked: Rewriting, options: RewritingOptions, rows: int, store: Store, config: Config, run: Run
) -> dict[str, Any]:
    """Try `rows` rows of what was asked for, and suggest settings. Raises UsageError for another engine than hf."""
    from recast.agent.batches.source import Source
    from recast.agent.learning.suggestion import TEMPERATURES, Tried, bounded, suggested, tried
    from recast.agent.rewriting.forecast import draw

    engine: Any = asked.engine
    if engine.name != "hf":
        raise UsageError(
            f"--learn tries what `recast learn` does, which samples by hf; leave --engine {engine.name} out."
        )
    sample, _, _, total = draw(Source.of(store.open(asked.version), asked.limit), rows)
    few = [{**row, "messages": json.loads(row["messages"])} for row in sample.to_pylist()]
    gate = open_gate(
        config.gate_for("learn"),
        engine=config.section("judge"),
        judge_prompt=asked.prompts.config.judge,
        unsafe_exec=options.unsafe_exec,
    )
    learning = bounded(config.section("learn", seed=options.seed), few, engine.tokenizer)
    trials: list[Tried] = []
    for temperature in TEMPERATURES:
        path = run.folder / f"learn-{temperature:g}.json"
        if run.fresh or not path.exists():
            found = tried(few, engine, gate, asked.prompts, temperature, learning)
            write_json(path, asdict(found))
        trials.append(Tried(**json.loads(path.read_text(encoding="utf-8"))))
    found = suggested(trials, total, engine.model.num_parameters(), learning)
    given = {"name": asked.version.ref, "model": options.model, "seed": options.seed, "limit": options.limit}
    settings = config.settings(("learn", "warm_start", "prompts", "judge")) | found.settings
    return {
        "source": asked.version.ref,
        "rows": total,
        "sampled": len(few),
        "gate_id": gate.id,
        "tried": [
            {name: value for name, value in asdict(trial).items() if name != "tokens"} for trial in trials
        ],
        **found.to_dict(),
        "next": command_line(
            "learn", given | {"unsafe_exec": options.unsafe_exec}, settings, store=store.root
        ),
    }
