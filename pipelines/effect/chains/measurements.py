"""What is kept of a finished cell: one line of JSON, small enough to be committed, enough for every figure.

How it is written and read is the business of `pipelines.effect.cells`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recast.pipelines.effect import cells
from recast.pipelines.effect.chains.subject import TARGET
from recast.train.evaluation.results import EvalResult, Outcome


@dataclass(frozen=True, slots=True)
class Measurement:
    """One model on all questions."""

    name: str  # of the cell, or `base`
    fixed: str  # fingerprint of what decided it (`proof.marks`)
    outcomes: dict[str, str]  # "suite/task" -> a letter a question
    sampled: list[int]  # right answers of those drawn to each question of the task
    samples: int  # drawn to each
    reply_tokens: float  # mean of the greedy replies to the task
    reply_seconds: float  # of a reply to the task, greedy or drawn, all together over their number
    validation: list[tuple[int, float | None]]  # (step, reward) of the last reinforcement
    seconds: float  # of its own stages, shared ones included

    def result(self) -> EvalResult:
        """For `train.evaluation.compare`, which asks for outcomes alone."""
        return cells.evaluation(self.name, self.outcomes)


def measured(
    name: str,
    fixed: str,
    evaluations: Sequence[EvalResult],
    *,
    tokens: float,
    reply_seconds: float,
    validation: Iterable[Mapping[str, Any]],
    seconds: float,
) -> Measurement:
    """The record of a cell. `validation` are the lines of `metrics.jsonl` of its last reinforcement."""
    items = [item for result in evaluations for item in result.items]
    drawn = [item for item in items if item.suite == TARGET]
    return Measurement(
        name,
        fixed,
        cells.lettered(items),
        sampled=[sum(o is Outcome.RIGHT for o in item.samples) for item in drawn],
        samples=min((len(item.samples) for item in drawn), default=0),
        reply_tokens=round(tokens, 2),
        reply_seconds=round(reply_seconds, 4),
        validation=[(line["step"], line["heldout"]["reward"]) for line in validation if "heldout" in line],
        seconds=round(seconds, 1),
    )


def read(path: Path, marks: Mapping[str, str]) -> dict[str, Measurement]:
    """The lines of `path` that were measured under the settings of `marks`, by cell; the last of a cell counts.

    Raises DataError for a line that is no measurement.
    """
    return cells.read(
        path,
        lambda line: Measurement(**{**line, "validation": [tuple(v) for v in line["validation"]]}),
        counts=lambda one: one.fixed == marks.get(one.name),
    )
