"""What a rewriting method is: attempts over the rows of which nothing is accepted yet, and a rule of acceptance.

`rewriting` is this project's own method; the published ones are in `agent.rewriting.methods`. How a batch of rows goes
through the attempts is the business of `agent.rewriting.batch`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

import numpy as np

from recast.agent.batches.isolation import ERROR, described, sample_each
from recast.agent.engines.protocol import Engine, MixesContexts, Mixing, Sample, Sampling, Score
from recast.agent.prompts.prompts import DEFAULT, Prompts
from recast.agent.rewriting.choice import REVISION, failure_message
from recast.curate.records import Candidate, Messages, Verdict


@dataclass(slots=True)
class Row:
    """One input row at work, and what has been found out about it."""

    position: int  # in the input
    row_id: str
    target: int
    messages: Messages
    demonstration: str
    answer: str | None
    task: str | None
    candidates: list[Candidate] = field(default_factory=list)
    states: dict[str, np.ndarray] = field(default_factory=dict)  # by text, of length 1
    fault: str | None = None  # why nothing was decided about its candidates, see `agent.rewriting.choice`
    error: str | None = None  # what was raised
    cause: str | None = None  # of its fallback, see `agent.rewriting.triage`
    demonstration_score: Score | None = None
    nll_self: float | None = None  # mean NLL of the backbone's own samples

    @classmethod
    def of(cls, position: int, row: Mapping[str, Any], **found: Any) -> Self:
        """The row of a version (`messages` as JSON text) at `position` of the input, with what is known of it."""
        given = {name: row[name] for name in ("row_id", "target", "demonstration", "answer", "task")}
        return cls(position=position, messages=json.loads(row["messages"]), **given, **found)

    @property
    def accepted(self) -> list[Candidate]:
        return [c for c in self.candidates if c.verdict.accepted]

    @property
    def pass_rate(self) -> float | None:
        """Accepted share of the first attempt's candidates."""
        first = [c for c in self.candidates if c.attempt == 0]
        return sum(c.verdict.accepted for c in first) / len(first) if first else None

    def fail(self, error: Exception) -> None:
        self.fault, self.error = ERROR, described(error)

    def for_gate(self) -> dict[str, Any]:
        return {
            "row_id": self.row_id,
            "target": self.target,
            "messages": self.messages,
            "demonstration": self.demonstration,
            "answer": self.answer,
            "task": self.task,
        }


@dataclass(frozen=True, slots=True)
class Attempt:
    """One round over the rows of which nothing is accepted yet. `given`: texts that need no sampling."""

    template: str  # id of the prompt
    prompt: Callable[[Row], Messages]
    k: int
    sampling: Sampling
    adapter: bool = False
    given: Callable[[Row], str] | None = None
    instruction: str = ""  # what the prompt says besides the row's own texts, for cleaning
    mixing: Mixing | None = None  # with what the plain question says (hinted decoding)

    def sampled(
        self, engine: Engine, rows: Sequence[Row], seeds: Sequence[Sequence[int]]
    ) -> list[list[Sample] | Exception]:
        """A group of `k` samples for every row, or what the row raised."""
        if self.mixing is None:
            return sample_each(
                engine, lambda i: self.prompt(rows[i]), self.k, self.sampling, seeds, adapter=self.adapter
            )
        assert isinstance(engine, MixesContexts)  # others were refused at the start
        return sample_each(
            engine,
            lambda i: (self.prompt(rows[i]), rows[i].messages),
            self.k,
            self.sampling,
            seeds,
            adapter=self.adapter,
            draw=partial(engine.sample_mixed, mixing=self.mixing),
        )


Accept = Callable[[Engine, list[tuple[Row, Sample, Verdict]]], list[Verdict]]


@dataclass(frozen=True, slots=True)
class Method:
    """How rewrites come about. `accept` turns the gate's verdicts into the method's; None: they stand."""

    name: str
    attempts: tuple[Attempt, ...]
    accept: Accept | None = None
    first_wins: bool = False  # keep the first accepted candidate, not the best aligned
    repairs_from: int = 1  # attempts from this one on are repairs
    clean: bool = (
        False  # cut what is not the rewrite from samples, ahead of the gate (`agent.rewriting.cleaning`)
    )
    choice: int = (
        1  # revision of the rule that keeps one of the accepted candidates (`agent.rewriting.choice`)
    )
    doubt: float = 0.0  # of what the gate accepted, see `agent.rewriting.choice`

    @property
    def prompts(self) -> tuple[str, ...]:
        """Ids of the prompts, by attempt."""
        return tuple(attempt.template for attempt in self.attempts)

    @property
    def measured_at(self) -> float:
        """Temperature of the distribution that excess is measured by: that of sampling; greedy ones have none."""
        return (self.attempts[0].sampling.temperature or 1.0) if self.choice > 1 else 1.0

    @property
    def most_candidates(self) -> int:
        """Candidates of a row that fails to the end."""
        return sum(a.k for a in self.attempts if a.given is None)


def rewriting(
    k: int,
    sampling: Sampling,
    *,
    repairs: int,
    adapter: bool,
    clean: bool,
    doubt: float = 0.0,
    prompts: Prompts = DEFAULT,
) -> Method:
    """The method of this project: the rewriting prompt, then repairs that are told which check failed."""

    def repair(row: Row) -> Messages:
        return prompts.repair(row.for_gate(), failure_message(row.candidates))

    def rewrite(row: Row) -> Messages:
        return prompts.rewrite(row.for_gate())

    def attempt(role: str, template: str, prompt: Callable[[Row], Messages]) -> Attempt:
        return Attempt(template, prompt, k, sampling, adapter, instruction=prompts.instruction(role))

    first = attempt("rewrite", prompts.rewrite_id, rewrite)
    again = attempt("repair", prompts.repair_id, repair)
    choice = REVISION if k > 1 else 1  # of one candidate there is nothing to choose
    return Method("agent", (first, *[again] * repairs), clean=clean, choice=choice, doubt=doubt)
