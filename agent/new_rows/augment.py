"""Augmenting: new questions from existing rows, answered by the backbone, kept where independent answers agree.

    row that the backbone solves ─► new question of its kind ─► two solutions of their own ─► each passes the gate
    with the other as reference ─► the question's numbers are found again from the solution ─► no near duplicate of a
    known question ─► a row `generated`, linked to its source

The question comes from a prompt that shows question and demonstration (`ask`), or from a user turn begun with the
source question's first words (`continue`, see `agent.engines.user_turn`), which needs no instruction-following. There
is no gold answer: what stands for one is that two samples at temperature agree in the answer and in every step
result. A model can agree with itself on what it does not know, so only rows whose own question it solves, by their
own gold answer, give new ones (`known_kind`). And it can answer a question that has no answer: asked to write the
question that its solution answers, it must come upon the same numbers (`round_trip`), which a solution that passed
over half of an impossible question does not lead to.

    result = augment(store.open("gsm8k"), engine, solving_gate(gate), AugmentConfig(), "runs/3")
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from recast.agent.batches.gating import Gate
from recast.agent.batches.job import UNLIMITED, Budget, Hands, MakeTable, Progress, Sharing
from recast.agent.batches.parts import Batch, Plan, Window
from recast.agent.batches.pipeline import Steps
from recast.agent.batches.source import Source
from recast.agent.engines.protocol import Engine
from recast.agent.engines.user_turn import UserTurn
from recast.agent.new_rows.config import AugmentConfig
from recast.agent.new_rows.generated import GeneratedResult, Proposal, Propose, generate, steps
from recast.agent.new_rows.questions import Worker
from recast.agent.prompts import templates
from recast.agent.prompts.prompts import DEFAULT, Prompts
from recast.curate.errors import DataError
from recast.curate.gate import gate as gates

READ = ("row_id", "target", "messages", "demonstration", "answer", "task")


def solving_gate(gate: gates.Gate) -> gates.Gate:
    """`gate` without its check for copies: two solutions of one model may well be alike."""
    return gates.Gate(
        gate.config.model_copy(
            update={
                "checks": _without_copying(gate.config.checks),
                "tasks": {task: _without_copying(checks) for task, checks in gate.config.tasks.items()},
            }
        ),
        gate.models,
    )


def augment(
    rows: Any,
    engine: Engine,
    gate: Gate,
    config: AugmentConfig,
    run_dir: str | Path,
    *,
    name: str = "",
    prompts: Prompts = DEFAULT,
    limit: int | None = None,
    progress: Progress | None = None,
    budget: Budget = UNLIMITED,
    beside: bool | None = None,
    sharing: Sharing | None = None,
    hands: Hands | None = None,
) -> GeneratedResult:
    """Make new rows from `rows`, at most `limit` of them; `name` is how the new rows call their source.

    Near duplicates are those of any row of `rows`, beyond `limit` too. Resumes like `agent.rewriting.rewrite.rewrite`;
    `hands` make the batches elsewhere, by `steps_on`, and then `engine` need only know what it is.
    Raises BudgetReached, UsageError, DataError, and the engine's own error where it fails on everything.
    """
    if config.questions == "continue" and hands is None:
        UserTurn.of(engine)  # refuses an engine that cannot, before anything is drawn
    everything, source = Source.of(rows), Source.of(rows, limit)
    survey = source.survey(READ)
    if not survey.num_rows:
        raise DataError("there are no rows to augment: the version is empty.")
    identity = {
        "rows": survey.digest,
        "all_rows": everything.survey(("messages",)).digest,
        "config": config.model_dump(mode="json"),
        "name": name,
        "prompts": [prompts.another_id, templates.QUESTION_ID, prompts.question_id],
        "engine": engine.name,
        "backbone": engine.fingerprint,
        "gate_id": gate.id,
    }
    plan = Plan.of(identity, survey.num_rows, config.batch_rows, config.window_rows)
    most = config.per_row * (1 + config.solutions + config.round_trip) + config.known_kind * config.solutions
    return generate(
        source,
        plan,
        Path(run_dir),
        gate,
        _proposing(engine, config, name, prompts),
        engine=engine,
        most_candidates=most,
        existing=questions(everything),
        threshold=config.duplicate,
        progress=progress,
        budget=budget,
        beside=beside,
        sharing=sharing,
        hands=hands,
    )


def steps_on(
    engine: Engine, config: AugmentConfig, name: str, prompts: Prompts
) -> Callable[..., Steps[MakeTable]]:
    """What the job does with a batch where `engine` is."""
    return steps(_proposing(engine, config, name, prompts))


def _proposing(engine: Engine, config: AugmentConfig, name: str, prompts: Prompts) -> Propose:
    worker = Worker(engine, config, name, prompts)

    def propose(window: Window, batch: Batch) -> Steps[list[Proposal]]:
        rows = window.rows.select(READ)
        return worker.run([(p, rows.slice(p - window.start, 1).to_pylist()[0]) for p in batch[1]])

    return propose


def questions(source: Source) -> Iterator[str]:
    """The last user text of every row."""
    for window in source.windows(32_768):
        for text in window["messages"].to_pylist():
            yield templates.last_user_text(json.loads(text))


def _without_copying(checks: Any) -> Any:
    return tuple(check for check in checks if check.name != "copy")
