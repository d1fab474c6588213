"""One rule that chooses for every arm, on questions that are not reported.

The questions of every suite are halved by a hash of their ids. On one half, an arm's learning rate is the one that
forgets least among those within `slack` points of the arm's best on the target; the best agent is chosen among the
agents, each at its learning rate, by the same rule. Everything reported is of the other half.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from recast.train.evaluation.compare import compare
from recast.train.evaluation.results import EvalResult, ItemResult
from recast.train.evaluation.suites import Item

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Point:
    """Where a choice lies on the plane, in points of 100."""

    downstream: float
    forgetting: float


def chooses(item: Item | ItemResult) -> bool:
    """Whether a question is of the half that chooses."""
    return hashlib.sha256(f"{item.suite}/{item.item_id}".encode()).digest()[0] % 2 == 0


def half(result: EvalResult, *, choosing: bool) -> EvalResult:
    """The half of the questions that chooses, or the one that is reported."""
    return EvalResult(result.model, tuple(item for item in result.items if chooses(item) == choosing))


def point(base: EvalResult, runs: Sequence[EvalResult], target: str) -> Point:
    """Mean over seeds, on the choosing half."""
    chosen = {"arm": [half(run, choosing=True) for run in runs]}
    change = compare(half(base, choosing=True), chosen, target=[target], num_resamples=1).changes[0]
    assert change.downstream is not None and change.forgetting is not None
    return Point(change.downstream, change.forgetting.value)


def best(points: Mapping[T, Point], slack: float) -> T:
    """Among those within `slack` points of the best on the target, the one that forgets least; the first of equals."""
    bar = max(p.downstream for p in points.values()) - slack
    able = {choice: p for choice, p in points.items() if p.downstream >= bar}
    return min(able, key=lambda choice: able[choice].forgetting)
