"""How often a grader is wrong: credit for wrong answers, none for right ones, on answers of known worth.

    report = measure(grader, labelled)
    report.ensemble.false_accepts, report.ensemble.false_rejects, report.separation

An answer gets credit where its reward is at least `pass_at`. Rates have 95 % Wilson intervals. `separation` is the
chance that a right answer gets more than a wrong one (half of it where they tie): what a policy can learn from,
whatever the threshold.
"""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from recast.curate.gate.labels import Labelled
from recast.curate.gate.report_card import EXAMPLES_PER_KIND, MAX_VOUCHED, Rate, Tally
from recast.train.graders.format.rows import item_of
from recast.train.graders.grader import Grader
from recast.train.graders.records import Grade

CHUNK = 512
"""Answers that are graded together."""
PASS_AT = 0.5


@dataclass(slots=True)
class Report:
    """What a grader said of labelled answers, by kind, group of kinds and task."""

    grader_id: str
    name: str
    pass_at: float
    ensemble: Tally = field(default_factory=Tally)
    kinds: dict[str, Tally] = field(default_factory=dict[str, Tally])
    groups: dict[str, Tally] = field(default_factory=dict[str, Tally])
    """Kinds with a name `group/kind`, together."""
    tasks: dict[str, Tally] = field(default_factory=dict[str, Tally])
    right: list[float] = field(default_factory=list[float])
    wrong: list[float] = field(default_factory=list[float])
    """Rewards of right and wrong answers that were scored."""
    errors: dict[str, int] = field(default_factory=dict[str, int])
    """Flags, and how often each was set."""
    answers: int = 0
    unlabelled: int = 0
    """Answers about which people differ: graded for their flags, in no rate."""
    examples: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """Answers that were misjudged."""
    seconds: float = 0.0
    """By the clock."""

    def add(self, labelled: Labelled, grade: Grade) -> None:
        self.answers += 1
        for flag in grade.errors.flags:
            self.errors[flag] = self.errors.get(flag, 0) + 1
        if labelled.right is None:
            self.unlabelled += 1
            return
        passed = grade.reward >= self.pass_at
        outcome = ("accepted" if passed else "rejected") if grade.scored else "unverifiable"
        group, slash, _ = labelled.kind.partition("/")
        task = str(labelled.row.get("task") or "none")
        tallies = [
            self.ensemble,
            self.kinds.setdefault(labelled.kind, Tally()),
            self.tasks.setdefault(task, Tally()),
        ]
        for tally in tallies + ([self.groups.setdefault(group, Tally())] if slash else []):
            tally.add(labelled.right, outcome)
        if not grade.scored:
            return
        (self.right if labelled.right else self.wrong).append(grade.reward)
        if (
            passed != labelled.right
            and sum(e["kind"] == labelled.kind for e in self.examples) < EXAMPLES_PER_KIND
        ):
            self.examples.append(
                {
                    "row_id": str(labelled.row.get("row_id") or ""),
                    "kind": labelled.kind,
                    "right": labelled.right,
                    "reward": grade.reward,
                    "scores": dict(grade.scores),
                    "completion": labelled.completion,
                }
            )

    @property
    def separation(self) -> float | None:
        """In [0, 1]; 0.5 tells nothing apart. None without answers of both kinds."""
        if not self.right or not self.wrong:
            return None
        below = sorted(self.wrong)
        wins = sum(bisect_left(below, r) + bisect_right(below, r) for r in self.right)
        return wins / (2 * len(self.right) * len(self.wrong))

    def unvouched(self) -> dict[str, Rate]:
        """Kinds of wrong answers of which more than `MAX_VOUCHED` may get credit, those that get most first."""
        rates = {kind: tally.false_accepts for kind, tally in self.kinds.items()}
        open_ = [
            (kind, rate) for kind, rate in rates.items() if rate.total and rate.interval[1] > MAX_VOUCHED
        ]
        return dict(sorted(open_, key=lambda pair: -pair[1].share))

    def to_json(self) -> dict[str, Any]:
        return {
            "grader": self.name,
            "grader_id": self.grader_id,
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "answers": self.answers,
            "unlabelled": self.unlabelled,
            "seconds": self.seconds,
            "pass_at": self.pass_at,
            **_rates(self.ensemble),
            "mean_reward": {"right": _mean(self.right), "wrong": _mean(self.wrong)},
            "separation": self.separation,
            **{
                name: {key: _rates(tally) for key, tally in tallies.items()}
                for name, tallies in (("kinds", self.kinds), ("groups", self.groups), ("tasks", self.tasks))
            },
            "unvouched": {kind: rate.to_json() for kind, rate in self.unvouched().items()},
            "errors": self.errors,
            "examples": self.examples,
        }


def _rates(tally: Tally) -> dict[str, Any]:
    return {
        "false_credit": tally.false_accepts.to_json(),
        "missed_credit": tally.false_rejects.to_json(),
        "unscored": tally.undecided.to_json(),
    }


def _mean(rewards: Sequence[float]) -> float | None:
    return sum(rewards) / len(rewards) if rewards else None


def measure(
    grader: Grader,
    labelled: Iterable[Labelled],
    *,
    pass_at: float | None = None,
    progress: Callable[[Mapping[str, Any]], None] | None = None,
) -> Report:
    """Grade every labelled answer and count. `pass_at` None: the grader's own `pass_threshold`, else 0.5."""
    own: float | None = getattr(grader.config, "pass_threshold", None)
    report = Report(grader.id, grader.name, next((p for p in (pass_at, own) if p is not None), PASS_AT))
    stream = iter(labelled)
    start = time.monotonic()
    while chunk := list(islice(stream, CHUNK)):
        grades = grader.grade_many([item_of(one.row) for one in chunk], [one.completion for one in chunk])
        for one, grade in zip(chunk, grades, strict=True):
            report.add(one, grade)
        report.seconds = time.monotonic() - start
        if progress:
            progress({"done": report.answers})
    return report
