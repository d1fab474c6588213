"""How often a gate is wrong, measured on labelled completions: the report card that goes with its id.

A false accept is a wrong completion that was accepted, a false reject a right one that was rejected; a right one
that stayed unverifiable counts as undecided, not as rejected. Rates come with Wilson intervals.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from curate.gate import Gate
from curate.perturbation import Labelled
from curate.records import CheckStatus, Verdict, VerdictStatus

NUM_EXAMPLES = 20


@dataclass(frozen=True, slots=True)
class Rate:
    """`count` of `total` with its 95 % Wilson interval."""

    count: int
    total: int

    @property
    def share(self) -> float:
        return self.count / self.total if self.total else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(self.count, self.total)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.count}/{self.total} = {self.share:.2%} [{low:.2%}, {high:.2%}]"


def wilson(count: int, total: int, z: float = 1.959964) -> tuple[float, float]:
    """The Wilson score interval of a proportion; (0, 1) without observations. Wilson 1927, eq. in closed form."""
    if total == 0:
        return 0.0, 1.0
    share = count / total
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / (1 + z * z / total)
    return max(0.0, centre - half), min(1.0, centre + half)


@dataclass(slots=True)
class Tally:
    """Counts of one kind, task or check: right and wrong completions by outcome."""

    right: dict[str, int] = field(default_factory=dict)
    wrong: dict[str, int] = field(default_factory=dict)

    def add(self, right: bool, outcome: str) -> None:
        side = self.right if right else self.wrong
        side[outcome] = side.get(outcome, 0) + 1

    @property
    def false_accepts(self) -> Rate:
        return Rate(self.wrong.get("accepted", 0), sum(self.wrong.values()))

    @property
    def false_rejects(self) -> Rate:
        return Rate(self.right.get("rejected", 0), sum(self.right.values()))

    @property
    def undecided(self) -> Rate:
        both = {**self.right}
        for key, count in self.wrong.items():
            both[key] = both.get(key, 0) + count
        return Rate(both.get("unverifiable", 0), sum(both.values()))

    def to_json(self) -> dict[str, Any]:
        return {
            "right": self.right,
            "wrong": self.wrong,
            **{
                name: {
                    "count": rate.count,
                    "total": rate.total,
                    "share": rate.share,
                    "interval": rate.interval,
                }
                for name, rate in (
                    ("false_accepts", self.false_accepts),
                    ("false_rejects", self.false_rejects),
                    ("undecided", self.undecided),
                )
            },
        }


@dataclass(slots=True)
class ReportCard:
    """The whole ensemble, by kind of perturbation, by task, and what each check alone would have let through."""

    gate_id: str
    ensemble: Tally = field(default_factory=Tally)
    kinds: dict[str, Tally] = field(default_factory=dict)
    tasks: dict[str, Tally] = field(default_factory=dict)
    checks: dict[str, Tally] = field(default_factory=dict)
    reasons: dict[str, dict[str, int]] = field(default_factory=dict)
    """For every kind, how often each reason was the verdict's."""
    open_kinds: dict[str, dict[str, int]] = field(default_factory=dict)
    """Outcomes of kinds without a label."""
    examples: list[dict[str, str]] = field(default_factory=list)
    """Completions that were judged wrongly, with what the gate said."""
    seconds: float = 0.0
    rows: int = 0

    def add(self, labelled: Labelled, verdict: Verdict) -> None:
        outcome = verdict.status.value
        by_reason = self.reasons.setdefault(labelled.kind, {})
        by_reason[verdict.reason or "accepted"] = by_reason.get(verdict.reason or "accepted", 0) + 1
        if labelled.right is None:
            counts = self.open_kinds.setdefault(labelled.kind, {})
            counts[outcome] = counts.get(outcome, 0) + 1
            return
        task = str(labelled.row.get("task") or "none")
        for tally in (
            self.ensemble,
            self.kinds.setdefault(labelled.kind, Tally()),
            self.tasks.setdefault(task, Tally()),
        ):
            tally.add(labelled.right, outcome)
        for check in verdict.checks:
            self.checks.setdefault(check.name, Tally()).add(labelled.right, _OUTCOME[check.status])
        judged = VerdictStatus.ACCEPTED if labelled.right else VerdictStatus.REJECTED
        mistaken = verdict.accepted != labelled.right and verdict.status is not VerdictStatus.UNVERIFIABLE
        if mistaken and len(self.examples) < NUM_EXAMPLES:
            said = "; ".join(c.message for c in verdict.checks if c.message)
            self.examples.append(
                {
                    "kind": labelled.kind,
                    "expected": judged.value,
                    "said": said,
                    "completion": labelled.completion,
                }
            )

    def to_json(self) -> dict[str, Any]:
        return {
            "gate_id": self.gate_id,
            "rows": self.rows,
            "seconds": self.seconds,
            "ensemble": self.ensemble.to_json(),
            **{
                name: {key: tally.to_json() for key, tally in sorted(tallies.items())}
                for name, tallies in (("kinds", self.kinds), ("tasks", self.tasks), ("checks", self.checks))
            },
            "reasons": self.reasons,
            "open_kinds": self.open_kinds,
            "examples": self.examples,
        }

    def to_text(self) -> str:
        """A table for the terminal."""
        lines = [
            f"gate {self.gate_id}: {self.rows} completions, {1e3 * self.seconds / max(1, self.rows):.2f} ms each"
        ]
        lines.append(f"  false accepts  {self.ensemble.false_accepts}")
        lines.append(f"  false rejects  {self.ensemble.false_rejects}")
        lines.append(f"  undecided      {self.ensemble.undecided}")
        for kind, tally in self.kinds.items():
            wrong = bool(tally.wrong)
            rate = tally.false_accepts if wrong else tally.false_rejects
            reasons = ", ".join(
                f"{k} {v}" for k, v in sorted(self.reasons[kind].items(), key=lambda r: -r[1])[:4]
            )
            lines.append(f"  {kind:18} {'accepted' if wrong else 'rejected'} {rate!s:36} {reasons}")
        for name, counts in self.open_kinds.items():
            lines.append(f"  {name:18} {counts}")
        for name, tally in self.checks.items():
            lines.append(
                f"  check {name:12} lets wrong pass {tally.false_accepts}, fails right {tally.false_rejects}"
            )
        return "\n".join(lines)


_OUTCOME = {CheckStatus.PASS: "accepted", CheckStatus.FAIL: "rejected", CheckStatus.UNDECIDED: "unverifiable"}


def report_card(gate: Gate, labelled: Iterable[Labelled]) -> ReportCard:
    """Judge every labelled completion and count."""
    card = ReportCard(gate.id)
    for item in labelled:
        start = time.perf_counter()
        verdict = gate.verify(item.row, item.completion)
        card.seconds += time.perf_counter() - start
        card.rows += 1
        card.add(item, verdict)
    return card


@dataclass(frozen=True, slots=True)
class Threshold:
    """A threshold on a score where higher is better, and what it does to the labels it was chosen on."""

    value: float
    false_accepts: Rate
    false_rejects: Rate


def calibrate(scores: Iterable[tuple[float, bool]], target_false_accept: float = 0.01) -> Threshold | None:
    """The lowest threshold whose false-accept rate is at most the target by the upper end of its Wilson interval.

    `scores` are `(score, right)`; a completion passes at or above the threshold. None where no threshold that
    keeps a right completion reaches the target with so few labels.
    """
    labels = sorted(scores)
    rights, wrongs = sum(r for _, r in labels), sum(not r for _, r in labels)
    best: Threshold | None = None
    for value in sorted({s for s, r in labels if r}, reverse=True):
        passed_wrong = sum(not r and s >= value for s, r in labels)
        if wilson(passed_wrong, wrongs)[1] > target_false_accept:
            break
        lost = sum(r and s < value for s, r in labels)
        best = Threshold(value, Rate(passed_wrong, wrongs), Rate(lost, rights))
    return best
