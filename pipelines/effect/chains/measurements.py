"""What is kept of a finished cell: one line of JSON, small enough to be committed, enough for every figure.

    {"name": "sft-rl-rewrites-n0-0", "fixed": "81c2...", "outcomes": {"craft/craft": "RRWF...", ...}, ...}

Outcomes of questions stand in the order of the suites, a letter each, so that arms are compared question by question
and seed by seed without the models. A line counts as long as the settings that it names are those of its cell.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recast.curate.errors import DataError
from recast.curate.files import append_line, read_lines
from recast.pipelines.effect.chains.subject import TARGET
from recast.train.evaluation.results import EvalResult, ItemResult, Outcome

LETTERS = {Outcome.RIGHT: "R", Outcome.WRONG: "W", Outcome.FORMAT: "F", Outcome.UNDECIDED: "U"}
READ = {letter: outcome for outcome, letter in LETTERS.items()}


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
        items = []
        for key, letters in self.outcomes.items():
            suite, task = key.split("/", 1)
            for i, letter in enumerate(letters):
                items.append(ItemResult(suite, f"{task}-{i}", task, READ[letter], None, "", "", None))
        return EvalResult(self.name, tuple(items))


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
    outcomes: dict[str, str] = {}
    for item in (item for result in evaluations for item in result.items):
        key = f"{item.suite}/{item.task}"
        outcomes[key] = outcomes.get(key, "") + LETTERS[item.outcome]
    drawn = [i for result in evaluations for i in result.items if i.suite == TARGET]
    return Measurement(
        name,
        fixed,
        outcomes,
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
    found = {}
    for number, line in enumerate(read_lines(path), 1):
        try:
            one = Measurement(**{**line, "validation": [tuple(v) for v in line["validation"]]})
        except (TypeError, KeyError) as error:
            raise DataError(f"{path}, line {number} is no measurement of a cell: {error}.") from error
        if one.fixed == marks.get(one.name):
            found[one.name] = one
    return found


def append(path: Path, one: Measurement) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    append_line(path, asdict(one))
