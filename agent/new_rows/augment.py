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
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from recast.agent.batches.gating import Gate, GateJob
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
from recast.curate.answers.extract import final_answer
from recast.curate.errors import DataError
from recast.curate.fingerprint import seed_of
from recast.curate.gate import gate as gates
from recast.curate.records import Messages, Verdict

READ = ("row_id", "target", "messages", "demonstration", "answer", "task")
NO_QUESTION, NO_ANSWER, DISAGREE, ERROR = "no_question", "no_answer", "solutions_disagree", "error"
UNKNOWN_KIND, NOT_FOUND_AGAIN = "source_not_solved", "not_found_again"
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


NOT_IDENTITY: dict[str, str] = {}
"""Every setting decides what comes out."""


class AugmentConfig(BaseModel):
    """How new questions are drawn and solved. All of it is part of the job's identity."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    questions: Literal["ask", "continue"] = "ask"
    """`ask` the backbone for a new question, showing one with its solution; or let it `continue` a user turn that
    begins like an existing question, for models that follow no such request. The filters are shown to hold for
    `continue` alone."""
    beginning: float = Field(0.34, ge=0, lt=1)
    """Share of the source question's words that a continued one begins with."""
    per_row: int = Field(1, ge=1)
    """New questions a row."""
    solutions: int = Field(2, ge=2)
    """Independent solutions a question, all of which must agree."""
    known_kind: bool = True
    """Only rows whose own question the backbone solves, in every one of `solutions` samples, give new questions."""
    round_trip: bool = True
    """The backbone, shown the solution alone, must write a question with the same numbers."""
    question_temperature: float = Field(0.7, ge=0)
    """Sampling temperature of questions. Higher: more variety, and more questions that have no answer."""
    temperature: float = Field(1.0, gt=0)
    """Sampling temperature of solutions. Drawn near 0 they would agree with themselves."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Nucleus of the sampling distribution."""
    max_question_tokens: int = Field(256, ge=1)
    """Longest question in tokens; one that is cut there is dropped."""
    max_tokens: int = Field(512, ge=1)
    """Longest solution in tokens."""
    duplicate: float = Field(0.8, gt=0, le=1)
    """Jaccard similarity of word 3-grams from which two questions are near duplicates."""
    batch_rows: int = Field(64, ge=1)
    """Rows a batch: the unit that is redone after a kill."""
    window_rows: int = Field(4096, ge=1)
    """Rows among which batches of like length are formed."""
    seed: int = 0
    """Root of every sample's seed."""


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
    limit: int | None = None,
    progress: Progress | None = None,
    budget: Budget = UNLIMITED,
    beside: bool | None = None,
) -> GeneratedResult:
    """Make new rows from `rows`, at most `limit` of them; `name` is how the new rows call their source.

    Near duplicates are those of any row of `rows`, beyond `limit` too. Resumes like `agent.rewriting.rewrite.rewrite`.
    Raises BudgetReached, UsageError, DataError, and the engine's own error where it fails on everything.
    """
    everything, source = Source.of(rows), Source.of(rows, limit)
    survey = source.survey(READ)
    if not survey.num_rows:
        raise DataError("there are no rows to augment: the version is empty.")
    identity = {
        "rows": survey.digest,
        "all_rows": everything.survey(("messages",)).digest,
        "config": config.model_dump(mode="json"),
        "name": name,
        "prompts": [templates.ANOTHER_ID, templates.QUESTION_ID, templates.WRITE_QUESTION_ID],
        "engine": engine.name,
        "backbone": engine.fingerprint,
        "gate_id": gate.id,
    }
    plan = Plan.of(identity, survey.num_rows, config.batch_rows, config.window_rows)
    parts, count, worker = Parts(Path(run_dir), plan), Count(), _Worker(engine, config, name)

    def steps(window: Window, batch: Batch) -> Steps[MakeTable]:
        at_work = [
            (p, row)
            for p in batch[1]
            for row in window.rows.select(READ).slice(p - window.start, 1).to_pylist()
        ]
        proposals = yield from worker.run(at_work)
        return lambda: generated.part_table(proposals)

    most = config.per_row * (1 + config.solutions + config.round_trip) + config.known_kind * config.solutions
    work = Work(steps, count.add, count.progress, lambda: count.num_candidates, most)
    job = Job(source, parts, work, gate, budget=budget, progress=progress, beside=beside)
    job.run()
    constants = {
        "agent_id": None,
        "template_id": templates.QUESTION_ID,  # of the solution; how the question came about is in `meta`
        "gate_id": gate.id,
        "engine": engine.name,
    }
    return generated.finish(
        parts,
        source,
        count,
        questions(everything),
        threshold=config.duplicate,
        seconds=job.seconds,
        constants=constants,
    )


def questions(source: Source) -> Iterator[str]:
    """The last user text of every row."""
    for window in source.windows(32_768):
        for text in window["messages"].to_pylist():
            yield last_user_text(json.loads(text))


def last_user_text(messages: Messages) -> str:
    found = (m.get("content") for m in reversed(messages) if m.get("role") == "user")
    content = next(found, None)
    return content if isinstance(content, str) else ""


class _Worker:
    def __init__(self, engine: Engine, config: AugmentConfig, name: str) -> None:
        self.engine, self.config, self.name = engine, config, name
        self.turn = UserTurn.of(engine) if config.questions == "continue" else None

    def run(self, rows: list[tuple[int, dict[str, Any]]]) -> Steps[list[Proposal]]:
        """One proposal for every new question, kept or with the reason why not."""
        known, drawn = set(range(len(rows))), [(0, 0)] * len(rows)
        if self.config.known_kind:
            known, drawn = yield from self._solved_sources(rows)
        proposals = self._ask([row for i, row in enumerate(rows) if i in known])
        asked = [p for p in proposals if p.reason is None]
        solved = self._solve(asked)
        pairs = [(i, (i + 1) % self.config.solutions) for i in range(self.config.solutions)]
        jobs = [(p, solved[p.position, n], pair) for n, p in self._numbered(asked) for pair in pairs
                if (p.position, n) in solved]  # fmt: skip
        verdicts: list[Verdict] = yield GateJob(
            [_checked(p, drawn[other].text, f"{p.position}/{i}") for p, drawn, (i, other) in jobs],
            [drawn[i].text for _, drawn, (i, _) in jobs],
            [drawn[i].finish_reason for _, drawn, (i, _) in jobs],
        )
        passed: dict[int, list[Verdict]] = {}
        for (proposal, _, _), verdict in zip(jobs, verdicts, strict=True):
            passed.setdefault(id(proposal), []).append(verdict)
        for number, proposal in self._numbered(asked):
            if (proposal.position, number) in solved:
                _judge(proposal, solved[proposal.position, number], passed[id(proposal)])
        if self.config.round_trip:
            self._find_again([p for p in asked if p.reason is None])
        by_position: dict[int, list[Proposal]] = {}
        for proposal in proposals:
            by_position.setdefault(proposal.position, []).append(proposal)
        for (position, row), (num, num_tokens) in zip(rows, drawn, strict=True):
            if position not in by_position:
                by_position[position] = [self._proposal(position, row, 0)]
                by_position[position][0].reason = UNKNOWN_KIND
            first = by_position[position][0]
            first.drawn, first.drawn_tokens = first.drawn + num, first.drawn_tokens + num_tokens
        return [p for position, _ in rows for p in by_position[position]]

    def _solved_sources(
        self, rows: list[tuple[int, dict[str, Any]]]
    ) -> Steps[tuple[set[int], list[tuple[int, int]]]]:
        """Which rows (by place) the backbone solves, and what was drawn for each: samples and tokens."""
        seeds = [
            [
                seed_of(self.config.seed, "source", row["row_id"], row["target"], s)
                for s in range(self.config.solutions)
            ]
            for _, row in rows
        ]
        groups = self._solutions([json.loads(row["messages"]) for _, row in rows], seeds)
        jobs = [(i, s) for i, group in enumerate(groups) if not isinstance(group, Exception) for s in group]
        verdicts: list[Verdict] = yield GateJob(
            [{**rows[i][1], "messages": json.loads(rows[i][1]["messages"])} for i, _ in jobs],
            [sample.text for _, sample in jobs],
            [sample.finish_reason for _, sample in jobs],
        )
        unsolved = {i for (i, _), verdict in zip(jobs, verdicts, strict=True) if not verdict.accepted}
        drawn = [(0, 0)] * len(rows)
        for i, sample in jobs:
            drawn[i] = (drawn[i][0] + 1, drawn[i][1] + len(sample.token_ids))
        return {i for i, _ in jobs} - unsolved, drawn

    def _find_again(self, proposals: list[Proposal]) -> None:
        """Drop those whose numbers are not those of a question written from their solution."""
        greedy = Sampling(0.0, 1.0, self.config.max_question_tokens)

        def write(chosen: Any) -> list[list[Sample]]:
            asked = [templates.question(proposals[i].completion) for i in chosen]
            return self.engine.sample(asked, 1, greedy, seeds=[[0]] * len(asked), adapter=False)

        for proposal, group in zip(proposals, each(write, len(proposals), self._probe), strict=True):
            if isinstance(group, Exception):
                proposal.reason, proposal.meta["error"] = ERROR, f"{type(group).__name__}: {group}"[:500]
                continue
            proposal.drawn, proposal.drawn_tokens = (
                proposal.drawn + 1,
                proposal.drawn_tokens + len(group[0].token_ids),
            )
            if Counter(_NUMBER.findall(proposal.text)) != Counter(_NUMBER.findall(group[0].text)):
                proposal.reason = NOT_FOUND_AGAIN

    def _solutions(self, asked: list[Messages], seeds: list[list[int]]) -> list[list[Sample] | Exception]:
        """Samples of the bare backbone for each question."""
        sampling = Sampling(self.config.temperature, self.config.top_p, self.config.max_tokens)

        def solve(chosen: Any) -> list[list[Sample]]:
            return self.engine.sample(
                [asked[i] for i in chosen],
                self.config.solutions,
                sampling,
                seeds=[seeds[i] for i in chosen],
                adapter=False,
            )

        return each(solve, len(asked), self._probe)

    def _proposal(self, position: int, row: dict[str, Any], number: int) -> Proposal:
        made = Proposal(position, task=row["task"], source=f"{self.name}#{row['row_id']}")
        origin = {"version": self.name, "row_id": row["row_id"], "target": row["target"]}
        made.meta = {"from": origin, "questions": self.config.questions, "number": number}
        return made

    def _numbered(self, proposals: list[Proposal]) -> Iterator[tuple[int, Proposal]]:
        """Each with its number among those of its source row."""
        for proposal in proposals:
            yield proposal.meta["number"], proposal

    def _ask(self, rows: list[tuple[int, dict[str, Any]]]) -> list[Proposal]:
        config = self.config
        sampling = Sampling(config.question_temperature, config.top_p, config.max_question_tokens)
        seeds = [
            [seed_of(config.seed, "question", row["row_id"], row["target"], n) for n in range(config.per_row)]
            for _, row in rows
        ]
        messages = [json.loads(row["messages"]) for _, row in rows]
        texts = [last_user_text(m) for m in messages]
        beginnings = [_beginning(text, config.beginning) if self.turn else "" for text in texts]

        def ask(chosen: Any) -> list[list[Sample]]:
            given: Any = {"seeds": [seeds[i] for i in chosen], "adapter": False}
            if self.turn is not None:
                ids = [self.turn.ids(beginnings[i]) for i in chosen]
                return self.engine.sample_ids(ids, config.per_row, sampling, **given)  # type: ignore[attr-defined]
            asked = [templates.another(messages[i], rows[i][1]["demonstration"]) for i in chosen]
            return self.engine.sample(asked, config.per_row, sampling, **given)

        drawn = each(ask, len(rows), self._probe)
        proposals = []
        for i, (position, row) in enumerate(rows):
            system = [m for m in messages[i] if m.get("role") == "system"]
            group = drawn[i]
            for n in range(config.per_row):
                made = self._proposal(position, row, n)
                proposals.append(made)
                if isinstance(group, Exception):
                    made.reason, made.meta["error"] = ERROR, f"{type(group).__name__}: {group}"[:500]
                    continue
                made.seed, made.drawn, made.drawn_tokens = seeds[i][n], 1, len(group[n].token_ids)
                paragraphs = texts[i].count("\n\n") + 1
                turn = self.turn or UserTurn(None, "", "")
                question = turn.question(beginnings[i], group[n], paragraphs if self.turn else None)
                made.text = question or ""
                made.messages = [*system, {"role": "user", "content": made.text}]
                if question is None:
                    made.reason = NO_QUESTION
                elif question == texts[i]:
                    made.reason = generated.DUPLICATE
        return proposals

    def _solve(self, proposals: list[Proposal]) -> dict[tuple[int, int], list[Sample]]:
        """Solutions to each new question, by position and number."""
        num = self.config.solutions
        seeds = [
            [seed_of(self.config.seed, "solution", p.seed or 0, s) for s in range(num)] for p in proposals
        ]
        groups = self._solutions([p.messages for p in proposals], seeds)
        solved: dict[tuple[int, int], list[Sample]] = {}
        for proposal, group in zip(proposals, groups, strict=True):
            if isinstance(group, Exception):
                proposal.reason, proposal.meta["error"] = ERROR, f"{type(group).__name__}: {group}"[:500]
                continue
            proposal.drawn += len(group)
            proposal.drawn_tokens += sum(len(s.token_ids) for s in group)
            solved[proposal.position, proposal.meta["number"]] = group
        return solved

    def _probe(self) -> None:
        canary(self.engine)


def _checked(proposal: Proposal, reference: str, row: str) -> dict[str, Any]:
    """What the gate sees of a new row: the other solution stands for the demonstration."""
    return {
        "row_id": row,
        "messages": proposal.messages,
        "demonstration": reference,
        "answer": final_answer(reference),
        "task": proposal.task,
    }


def _judge(proposal: Proposal, drawn: list[Sample], verdicts: list[Verdict]) -> None:
    """Keep the first solution, or say why the proposal is dropped."""
    first = drawn[0]
    proposal.pass_rate = sum(v.accepted for v in verdicts) / len(verdicts)
    proposal.completion, proposal.answer = first.text, final_answer(first.text)
    proposal.num_tokens = len(first.token_ids)
    proposal.nll = -float(np.mean(first.logprobs)) if first.logprobs else None
    refused = next((v for v in verdicts if not v.accepted), None)
    if refused is not None:
        proposal.reason = DISAGREE if refused.reason in ("wrong_answer", "missing_step") else refused.reason
    elif proposal.answer is None:
        proposal.reason = NO_ANSWER


def _beginning(text: str, share: float) -> str:
    words = text.split(" ")
    return " ".join(words[: int(len(words) * share)])


def _without_copying(checks: Any) -> Any:
    return tuple(check for check in checks if check.name != "copy")
