"""What is kept of a finished cell: one line of JSON, small enough to be committed, enough for every figure.

How it is written and read is the business of `pipelines.effect.cells`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean, median
from typing import Any

from recast.curate.history.word_diff import distance
from recast.pipelines.effect import cells
from recast.train.evaluation.results import EvalResult, ItemResult, Outcome

REWRITTEN = ("rewrite", "repair")
CURVE_POINTS = 24
"""Of a loss curve, roughly: single steps of a few rows jump too much to be told apart."""

Curve = list[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class DataSet:
    """How the rows of a data set came about."""

    rows: int
    rewritten: int
    candidates: int
    accepted: int  # of them, by the gate
    edit: float  # median distance of rewritten rows from their demonstrations, word by word, in [0, 1]
    nll_demonstrations: float | None  # means over the rows, nats per token under the backbone
    nll_rows: float | None
    gate: str  # id
    learning: Curve  # (step, share of the candidates that passed)
    seconds: float  # that making it took, learning included


@dataclass(frozen=True, slots=True)
class Measurement:
    """One model on all questions. What a backbone has not been through is empty or 0."""

    name: str  # of the cell, or `base`
    fixed: str  # fingerprint of the settings that were fixed
    outcomes: dict[str, str]  # "suite/task" -> a letter a question
    gold: dict[
        str, list[float | None]
    ]  # of instructions: log-likelihood of the reference reply, nats per token
    left: list[float | None]  # nats per token: KL to the backbone on answers of its own, a question a figure
    missed: list[float | None]  # the other way round, on answers of the backbone
    start_loss: float = 0.0  # nats per token of the rows under the backbone
    steps: int = 0
    tokens: int = 0  # trained tokens of an epoch
    loss: Curve = field(default_factory=list[tuple[int, float]])  # by step of SFT, means of a few steps
    data: DataSet | None = None  # None for demonstrations
    seconds: float = 0.0  # of SFT and of measuring

    def result(self) -> EvalResult:
        """For `train.evaluation.compare`."""
        return cells.evaluation(self.name, self.outcomes, self.gold)


def followed(items: Iterable[ItemResult]) -> list[ItemResult]:
    """Graded replies, right where the grader says that they do all that was asked."""

    def outcome(reward: float | None) -> Outcome:
        if reward is None:
            return Outcome.UNDECIDED
        return Outcome.RIGHT if reward >= 1 else Outcome.WRONG

    return [replace(item, outcome=outcome(item.reward)) for item in items]


def golds(items: Iterable[ItemResult]) -> dict[str, list[float | None]]:
    return {
        key: [None if i.gold_loglik is None else round(i.gold_loglik, 3) for i in group]
        for key, group in cells.by_task(items).items()
    }


def drifts(result: EvalResult) -> list[float | None]:
    return [None if item.kl is None else round(item.kl, 4) for item in result.items]


def curve(lines: Sequence[Mapping[str, Any]], name: str, num_points: int = CURVE_POINTS) -> Curve:
    """A figure over steps, means of a few steps each; lines without it are left out."""
    known = [(int(line["step"]), float(line[name])) for line in lines if line.get(name) is not None]
    width = max(1, len(known) // num_points)
    spans = [known[i : i + width] for i in range(0, len(known) - width + 1, width)]
    return [(span[-1][0], round(fmean(value for _, value in span), 4)) for span in spans]


def data_set(
    rewriting: Mapping[str, Any],
    rows: Iterable[Mapping[str, Any]],
    gate: str,
    learning: Curve,
    seconds: float,
) -> DataSet:
    """`rewriting` is the result of the verb `rewrite`, `rows` are those of its version."""
    edits = [distance(r["demonstration"], r["completion"]) for r in rows if r["decision"] in REWRITTEN]
    return DataSet(
        rows=rewriting["rows"],
        rewritten=len(edits),
        candidates=rewriting["num_candidates"],
        accepted=rewriting["num_accepted"],
        edit=round(median(edits), 4) if edits else 0.0,
        nll_demonstrations=rewriting["nll_demonstration"],
        nll_rows=rewriting["nll_completion"],
        gate=gate,
        learning=learning,
        seconds=round(seconds, 1),
    )


def read(path: Path, fixed: str) -> dict[str, Measurement]:
    """The lines of `path` that were measured under the fixed settings `fixed`, by cell; the last of a cell counts.

    Raises DataError for a line that is no measurement.
    """
    return cells.read(path, _made, counts=lambda one: one.fixed == fixed)


def _made(line: dict[str, Any]) -> Measurement:
    data = line["data"]
    known = {**line, "loss": [tuple(point) for point in line["loss"]]}
    if data is not None:
        known["data"] = DataSet(**{**data, "learning": [tuple(point) for point in data["learning"]]})
    return Measurement(**known)
