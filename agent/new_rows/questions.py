"""One batch of an augmenting job: the rows that are solved, new questions of their kind, solutions, what is dropped.

The filters and why they are there: `agent.new_rows.augment`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from recast.agent.batches.gating import GateJob
from recast.agent.batches.isolation import sample_each
from recast.agent.batches.pipeline import Steps
from recast.agent.engines.protocol import STOP, Engine, Sample, Sampling
from recast.agent.engines.user_turn import UserTurn
from recast.agent.new_rows.config import AugmentConfig
from recast.agent.new_rows.generated import DUPLICATE, Proposal
from recast.agent.prompts import templates
from recast.agent.prompts.prompts import DEFAULT, Prompts
from recast.curate.answers.extract import final_answer
from recast.curate.fingerprint import seed_of
from recast.curate.records import Messages, Verdict

NO_QUESTION, NO_ANSWER, DISAGREE = "no_question", "no_answer", "solutions_disagree"
UNKNOWN_KIND, NOT_FOUND_AGAIN = "source_not_solved", "not_found_again"
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


class Worker:
    """Makes new questions of the rows of a batch; `name` is how they call their source."""

    def __init__(self, engine: Engine, config: AugmentConfig, name: str, prompts: Prompts = DEFAULT) -> None:
        self.engine, self.config, self.name, self.prompts = engine, config, name, prompts

    @cached_property
    def turn(self) -> UserTurn | None:
        """What continues a question; only an engine that is here can."""
        return UserTurn.of(self.engine) if self.config.questions == "continue" else None

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
        groups = sample_each(
            self.engine,
            lambda i: self.prompts.question(proposals[i].completion),
            1,
            greedy,
            [[0]] * len(proposals),
            adapter=False,
        )
        for proposal, group in zip(proposals, groups, strict=True):
            if isinstance(group, Exception):
                proposal.fail(group)
                continue
            proposal.count(group)
            if Counter(_NUMBER.findall(proposal.text)) != Counter(_NUMBER.findall(group[0].text)):
                proposal.reason = NOT_FOUND_AGAIN

    def _solutions(self, asked: list[Messages], seeds: list[list[int]]) -> list[list[Sample] | Exception]:
        """Samples of the bare backbone for each question."""
        sampling = Sampling(self.config.temperature, self.config.top_p, self.config.max_tokens)
        return sample_each(
            self.engine, lambda i: asked[i], self.config.solutions, sampling, seeds, adapter=False
        )

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
        texts = [templates.last_user_text(m) for m in messages]
        beginnings = [_beginning(text, config.beginning) for text in texts]
        turn = self.turn
        drawn = sample_each(
            self.engine,
            lambda i: (
                beginnings[i] if turn else self.prompts.another({**rows[i][1], "messages": messages[i]})
            ),
            config.per_row,
            sampling,
            seeds,
            adapter=False,
            draw=turn.sample if turn else None,
        )
        proposals = []
        for i, (position, row) in enumerate(rows):
            system = [m for m in messages[i] if m.get("role") == "system"]
            group = drawn[i]
            for n in range(config.per_row):
                made = self._proposal(position, row, n)
                proposals.append(made)
                if isinstance(group, Exception):
                    made.fail(group)
                    continue
                made.seed = seeds[i][n]
                made.count([group[n]])
                if turn:
                    question = turn.question(beginnings[i], group[n], texts[i].count("\n\n") + 1)
                else:
                    question = group[n].text.strip() if group[n].finish_reason == STOP else None
                question = question or None
                made.text = question or ""
                made.messages = [*system, {"role": "user", "content": made.text}]
                if question is None:
                    made.reason = NO_QUESTION
                elif question == texts[i]:
                    made.reason = DUPLICATE
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
                proposal.fail(group)
                continue
            proposal.count(group)
            solved[proposal.position, proposal.meta["number"]] = group
        return solved


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
