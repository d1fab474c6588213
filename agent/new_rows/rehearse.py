"""Rehearsal: the backbone's own answers to general prompts, to mix into fine-tuning so that less is forgotten.

The prompts are given, or the backbone writes them itself in an empty user turn of its template
(`agent.engines.user_turn`). There is no right or wrong: an answer is kept if it is whole and plain (format checks), a
prompt if it is no near duplicate of an earlier one. Rows are `generated` with the source `rehearsal`.

    result = rehearse(given(messages), engine, RehearseConfig(), "runs/4")
    result = rehearse(own(500, config), engine, config, "runs/5", most=500)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from recast.agent.batches.gating import GateJob
from recast.agent.batches.isolation import sample_each
from recast.agent.batches.job import UNLIMITED, Budget, Hands, MakeTable, Progress, Sharing
from recast.agent.batches.parts import Batch, Plan, Window
from recast.agent.batches.pipeline import Steps
from recast.agent.batches.source import Source
from recast.agent.engines.protocol import Engine, Sample, Sampling
from recast.agent.engines.user_turn import UserTurn
from recast.agent.new_rows.config import RehearseConfig
from recast.agent.new_rows.generated import GeneratedResult, Proposal, Propose, generate, steps
from recast.agent.prompts import templates
from recast.curate.errors import DataError
from recast.curate.fingerprint import prompt_hash, seed_of
from recast.curate.gate.checks.words.format import FormatCheck
from recast.curate.gate.checks.words.repetition import RepetitionCheck
from recast.curate.gate.gate import Gate, GateConfig
from recast.curate.records import Messages, Verdict

SOURCE = "rehearsal"
NO_PROMPT = "no_prompt"
ANY_LENGTH = 1_000_000


def format_gate() -> Gate:
    """Whole, plain text of any length that does not repeat itself."""
    form = FormatCheck(min_ratio=0.0, slack_words=ANY_LENGTH)
    return Gate(GateConfig(name="format", checks=(form, RepetitionCheck())))


def given(messages: Iterable[Messages]) -> list[dict[str, Any]]:
    """Rows for `rehearse` from prompts."""
    return [{"row_id": f"{n:08d}", "messages": m, "completion": ""} for n, m in enumerate(messages)]


def own(num: int, config: RehearseConfig) -> list[dict[str, Any]]:
    """Rows for `rehearse` whose prompts the backbone writes: enough of them to keep `num`, if few are dropped."""
    return given([] for _ in range(int(np.ceil(num * config.oversample))))


def rehearse(
    rows: Any,
    engine: Engine,
    config: RehearseConfig,
    run_dir: str | Path,
    *,
    most: int | None = None,
    progress: Progress | None = None,
    budget: Budget = UNLIMITED,
    beside: bool | None = None,
    sharing: Sharing | None = None,
    hands: Hands | None = None,
) -> GeneratedResult:
    """Answer the prompts of `rows` (`given`, `own`) and keep at most `most`.

    Resumes like `agent.rewriting.rewrite.rewrite`; `hands` make the batches elsewhere, by `steps_on`. Raises
    BudgetReached, UsageError, DataError, and the engine's own error.
    """
    source = Source.of(rows)
    gate = format_gate()
    survey = source.survey(("row_id", "messages"))
    if not survey.num_rows:
        raise DataError("there are no prompts to rehearse.")
    identity = {
        "rows": survey.digest,
        "config": config.model_dump(mode="json"),
        "prompts": [templates.QUESTION_ID],
        "engine": engine.name,
        "backbone": engine.fingerprint,
        "gate_id": gate.id,
    }
    plan = Plan.of(identity, survey.num_rows, config.batch_rows, config.window_rows)
    return generate(
        source,
        plan,
        Path(run_dir),
        gate,
        _proposing(engine, config),
        engine=engine,
        most_candidates=2,
        existing=iter(()),
        threshold=config.duplicate,
        most=most,
        progress=progress,
        budget=budget,
        beside=beside,
        sharing=sharing,
        hands=hands,
    )


def steps_on(engine: Engine, config: RehearseConfig) -> Callable[..., Steps[MakeTable]]:
    """What the job does with a batch where `engine` is."""
    return steps(_proposing(engine, config))


def _proposing(engine: Engine, config: RehearseConfig) -> Propose:
    worker = _Worker(engine, config)

    def propose(window: Window, batch: Batch) -> Steps[list[Proposal]]:
        texts = window.rows["messages"]
        return worker.run([(p, json.loads(texts[p - window.start].as_py())) for p in batch[1]])

    return propose


class _Worker:
    def __init__(self, engine: Engine, config: RehearseConfig) -> None:
        self.engine, self.config = engine, config

    def run(self, rows: list[tuple[int, Messages]]) -> Steps[list[Proposal]]:
        """One proposal a prompt, kept or with the reason why not."""
        proposals = [Proposal(position, messages=messages, source=SOURCE) for position, messages in rows]
        self._write([p for p in proposals if not p.messages])
        asked = [p for p in proposals if p.reason is None]
        answered = self._answer(asked)
        verdicts: list[Verdict] = yield GateJob(
            [{"row_id": str(p.position), "messages": p.messages, "demonstration": ""} for p, _ in answered],
            [sample.text for _, sample in answered],
            [sample.finish_reason for _, sample in answered],
        )
        for (proposal, sample), verdict in zip(answered, verdicts, strict=True):
            proposal.completion, proposal.num_tokens = sample.text, len(sample.token_ids)
            proposal.nll = -float(np.mean(sample.logprobs)) if sample.logprobs else None
            proposal.reason = verdict.reason or None
        return proposals

    def _write(self, proposals: list[Proposal]) -> None:
        """Prompts of the backbone's own, from an empty user turn."""
        if not proposals:
            return
        turn, config = UserTurn.of(self.engine), self.config
        sampling = Sampling(config.prompt_temperature, 1.0, config.max_prompt_tokens)
        seeds = [[seed_of(config.seed, "prompt", p.position)] for p in proposals]

        groups = sample_each(self.engine, lambda _: "", 1, sampling, seeds, adapter=False, draw=turn.sample)
        for proposal, group in zip(proposals, groups, strict=True):
            if isinstance(group, Exception):
                proposal.fail(group)
                continue
            proposal.count(group)
            text = turn.question("", group[0])
            proposal.reason = NO_PROMPT if text is None else None
            proposal.messages = [{"role": "user", "content": text or ""}]
            proposal.meta = {"prompt": "own"}

    def _answer(self, proposals: list[Proposal]) -> list[tuple[Proposal, Sample]]:
        config = self.config
        sampling = Sampling(config.temperature, config.top_p, config.max_tokens)
        for proposal in proposals:
            proposal.text = next(
                (str(m.get("content")) for m in reversed(proposal.messages) if m.get("role") == "user"), ""
            )
            proposal.seed = seed_of(config.seed, "answer", prompt_hash(proposal.messages), proposal.position)

        seeds = [[p.seed or 0] for p in proposals]
        groups = sample_each(self.engine, lambda i: proposals[i].messages, 1, sampling, seeds, adapter=False)
        answered = []
        for proposal, group in zip(proposals, groups, strict=True):
            if isinstance(group, Exception):
                proposal.fail(group)
            else:
                proposal.count(group)
                answered.append((proposal, group[0]))
        return answered
