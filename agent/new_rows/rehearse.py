"""Rehearsal: the backbone's own answers to general prompts, to mix into fine-tuning so that less is forgotten.

The prompts are given, or the backbone writes them itself in an empty user turn of its template
(`agent.engines.user_turn`). There is no right or wrong: an answer is kept if it is whole and plain (format checks), a
prompt if it is no near duplicate of an earlier one. Rows are `generated` with the source `rehearsal`.

    result = rehearse(given(messages), engine, RehearseConfig(), "runs/4")
    result = rehearse(own(500, config), engine, config, "runs/5", most=500)
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from recast.agent.batches.gating import GateJob
from recast.agent.batches.job import UNLIMITED, Budget, Job, MakeTable, Progress, Work
from recast.agent.batches.parts import Batch, Parts, Plan, Window
from recast.agent.batches.pipeline import Steps
from recast.agent.batches.source import Source
from recast.agent.engines.protocol import Engine, Sample, Sampling
from recast.agent.engines.user_turn import UserTurn
from recast.agent.new_rows import generated
from recast.agent.new_rows.generated import Count, GeneratedResult, Proposal
from recast.agent.prompts import templates
from recast.agent.rewriting.batch import canary, each
from recast.curate.errors import DataError
from recast.curate.fingerprint import prompt_hash, seed_of
from recast.curate.gate.checks.format import FormatCheck
from recast.curate.gate.checks.repetition import RepetitionCheck
from recast.curate.gate.gate import Gate, GateConfig
from recast.curate.records import Messages, Verdict

SOURCE = "rehearsal"
NO_PROMPT, ERROR = "no_prompt", "error"
ANY_LENGTH = 1_000_000


NOT_IDENTITY: dict[str, str] = {}
"""Every setting decides what comes out."""


class RehearseConfig(BaseModel):
    """How the backbone's own prompts and answers are drawn. All of it is part of the job's identity."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float = Field(1.0, ge=0)
    """Sampling temperature of the answers: 1 is how the backbone speaks."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Nucleus of the answers."""
    max_tokens: int = Field(512, ge=1)
    """Longest answer in tokens; one that is cut there is dropped."""
    prompt_temperature: float = Field(1.0, gt=0)
    """Sampling temperature of prompts that the backbone writes itself."""
    max_prompt_tokens: int = Field(256, ge=1)
    """Longest such prompt in tokens; one that is cut there is dropped."""
    oversample: float = Field(1.5, ge=1)
    """Prompts drawn for each row asked for, as some will be dropped."""
    duplicate: float = Field(0.8, gt=0, le=1)
    """Jaccard similarity of word 3-grams from which two prompts are near duplicates."""
    batch_rows: int = Field(64, ge=1)
    """Prompts a batch: the unit that is redone after a kill."""
    window_rows: int = Field(4096, ge=1)
    """Prompts among which batches of like length are formed."""
    seed: int = 0
    """Root of every sample's seed."""


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
) -> GeneratedResult:
    """Answer the prompts of `rows` (`given`, `own`) and keep at most `most`.

    Resumes like `agent.rewriting.rewrite.rewrite`. Raises BudgetReached, UsageError, DataError, and the engine's own
    error.
    """
    source = Source.of(rows)
    gate: Any = format_gate()  # a cached property is no plain attribute to a type checker
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
    parts, count, worker = Parts(Path(run_dir), plan), Count(), _Worker(engine, config)

    def steps(window: Window, batch: Batch) -> Steps[MakeTable]:
        texts = window.rows["messages"]
        proposals = yield from worker.run(
            [(p, json.loads(texts[p - window.start].as_py())) for p in batch[1]]
        )
        return lambda: generated.part_table(proposals)

    work = Work(steps, count.add, count.progress, lambda: count.num_candidates, 2)
    job = Job(source, parts, work, gate, budget=budget, progress=progress, beside=beside)
    job.run()
    constants = {
        "agent_id": None,
        "template_id": templates.QUESTION_ID,
        "gate_id": gate.id,
        "engine": engine.name,
    }
    return generated.finish(
        parts,
        source,
        count,
        iter(()),
        threshold=config.duplicate,
        seconds=job.seconds,
        constants=constants,
        most=most,
    )


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

        def write(chosen: Any) -> list[list[Sample]]:
            ids = [turn.ids("") for _ in chosen]
            picked = [seeds[i] for i in chosen]
            return self.engine.sample_ids(ids, 1, sampling, seeds=picked, adapter=False)  # type: ignore[attr-defined]

        for proposal, group in zip(proposals, each(write, len(proposals), self._probe), strict=True):
            if isinstance(group, Exception):
                proposal.reason, proposal.meta = ERROR, {"error": f"{type(group).__name__}: {group}"[:500]}
                continue
            self._drew(proposal, group[0])
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

        def answer(chosen: Any) -> list[list[Sample]]:
            picked = [proposals[i] for i in chosen]
            seeds = [[p.seed or 0] for p in picked]
            return self.engine.sample([p.messages for p in picked], 1, sampling, seeds=seeds, adapter=False)

        answered = []
        for proposal, group in zip(proposals, each(answer, len(proposals), self._probe), strict=True):
            if isinstance(group, Exception):
                proposal.reason = ERROR
                proposal.meta = {**proposal.meta, "error": f"{type(group).__name__}: {group}"[:500]}
            else:
                self._drew(proposal, group[0])
                answered.append((proposal, group[0]))
        return answered

    def _drew(self, proposal: Proposal, sample: Sample) -> None:
        proposal.drawn += 1
        proposal.drawn_tokens += len(sample.token_ids)

    def _probe(self) -> None:
        canary(self.engine)
