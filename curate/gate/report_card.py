"""How often a gate is wrong, measured on labelled completions: the report card that goes with its id.

A false accept is a wrong completion that was accepted, a false reject a right one that was rejected; a right one
that stayed unverifiable counts as undecided, not as rejected. Rates come with Wilson intervals. The card counts for
the gate as a whole, by task, by kind of label and by group of kinds (`group/kind`), and for each check alone: what it
would have let through. It names what it cannot vouch for: the kinds of wrong text that pass, and those it never saw.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Any

from recast.curate.gate.gate import CHUNK_ROWS, Gate, GateConfig
from recast.curate.gate.labels import Labelled
from recast.curate.intervals import wilson
from recast.curate.parallel import in_order
from recast.curate.records import CheckStatus, Verdict, VerdictStatus

EXAMPLES_PER_KIND = 3
MAX_VOUCHED = 0.05
"""Share of a kind of wrong completions that may pass where the card vouches for the gate: the interval's upper end."""


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

    def to_json(self) -> dict[str, Any]:
        return {"count": self.count, "total": self.total, "share": self.share, "interval": self.interval}

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.count}/{self.total} = {self.share:.2%} [{low:.2%}, {high:.2%}]"


@dataclass(slots=True)
class Tally:
    """Counts of one kind, task or check: right and wrong completions by outcome."""

    right: dict[str, int] = field(default_factory=dict[str, int])
    wrong: dict[str, int] = field(default_factory=dict[str, int])

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
        rates = ("false_accepts", "false_rejects", "undecided")
        return {
            "right": self.right,
            "wrong": self.wrong,
            **{name: getattr(self, name).to_json() for name in rates},
        }


@dataclass(slots=True)
class ReportCard:
    """The whole ensemble, by kind of perturbation and its group, by task, and what each check alone let through."""

    gate_id: str
    ensemble: Tally = field(default_factory=Tally)
    kinds: dict[str, Tally] = field(default_factory=dict[str, Tally])
    groups: dict[str, Tally] = field(default_factory=dict[str, Tally])
    """Kinds with a name `group/kind`, together."""
    tasks: dict[str, Tally] = field(default_factory=dict[str, Tally])
    checks: dict[str, Tally] = field(default_factory=dict[str, Tally])
    reasons: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    """For every kind, how often each reason was the verdict's."""
    seen: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    """For every kind of wrong completion, how many each check alone does not pass."""
    open_kinds: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    """Outcomes of kinds without a label."""
    examples: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    """Completions that were judged wrongly, with what the gate said."""
    seconds: float = 0.0
    """Of processor time, all processes together; computer algebra's worker processes apart."""
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
        group, slash, _ = labelled.kind.partition("/")
        if slash:
            self.groups.setdefault(group, Tally()).add(labelled.right, outcome)
        for tally in (
            self.ensemble,
            self.kinds.setdefault(labelled.kind, Tally()),
            self.tasks.setdefault(task, Tally()),
        ):
            tally.add(labelled.right, outcome)
        for check in verdict.checks:
            self.checks.setdefault(check.name, Tally()).add(labelled.right, _OUTCOME[check.status])
            if not labelled.right and check.status is not CheckStatus.PASS:
                by_check = self.seen.setdefault(labelled.kind, {})
                by_check[check.name] = by_check.get(check.name, 0) + 1
        mistaken = verdict.accepted != labelled.right and verdict.status is not VerdictStatus.UNVERIFIABLE
        if mistaken and sum(e["kind"] == labelled.kind for e in self.examples) < EXAMPLES_PER_KIND:
            self.examples.append(
                {
                    "row_id": str(labelled.row.get("row_id") or ""),
                    "kind": labelled.kind,
                    "expected": "accepted" if labelled.right else "rejected",
                    "said": "; ".join(c.message for c in verdict.checks if c.message) or "accepted",
                    "completion": labelled.completion,
                }
            )

    def unvouched(self) -> dict[str, Rate]:
        """Kinds of wrong completions of which more than `MAX_VOUCHED` may pass, those that pass most first."""
        rates = {kind: tally.false_accepts for kind, tally in self.kinds.items()}
        open_ = [(k, rate) for k, rate in rates.items() if rate.total and rate.interval[1] > MAX_VOUCHED]
        return dict(sorted(open_, key=lambda item: -item[1].share))

    def to_json(self) -> dict[str, Any]:
        return {
            "gate_id": self.gate_id,
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "completions": self.rows,
            "seconds": self.seconds,
            "ensemble": self.ensemble.to_json(),
            **{
                name: {key: tally.to_json() for key, tally in tallies.items()}
                for name, tallies in (
                    ("kinds", self.kinds),
                    ("groups", self.groups),
                    ("tasks", self.tasks),
                    ("checks", self.checks),
                )
            },
            "unvouched": {kind: rate.to_json() for kind, rate in self.unvouched().items()},
            "reasons": self.reasons,
            "seen": {
                kind: {
                    check: Rate(count, self.kinds[kind].false_accepts.total).to_json()
                    for check, count in by_check.items()
                }
                for kind, by_check in self.seen.items()
            },
            "open_kinds": self.open_kinds,
            "examples": self.examples,
        }


_OUTCOME = {CheckStatus.PASS: "accepted", CheckStatus.FAIL: "rejected", CheckStatus.UNDECIDED: "unverifiable"}


def report_card(
    gate: Gate,
    labelled: Iterable[Labelled],
    *,
    workers: int = 1,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> ReportCard:
    """Judge every labelled completion and count."""
    card = ReportCard(gate.id)
    for items, verdicts, seconds in judged(gate, labelled, workers=workers):
        card.seconds += seconds
        card.rows += len(items)
        for item, verdict in zip(items, verdicts, strict=True):
            card.add(item, verdict)
        if progress:
            progress({"done": card.rows})
    return card


def judged(
    gate: Gate, labelled: Iterable[Labelled], *, workers: int = 1
) -> Iterator[tuple[Sequence[Labelled], list[Verdict], float]]:
    """Yield labels, their verdicts and the processor seconds that these took, chunk by chunk, in order."""
    stream = iter(labelled)
    chunks = iter(lambda: list(islice(stream, CHUNK_ROWS)), [])
    if gate.models:
        return map(partial(_judge, gate), chunks)
    return in_order(partial(_judge, gate.config), chunks, workers=workers)


def _judge(
    gate: Gate | GateConfig, items: Sequence[Labelled]
) -> tuple[Sequence[Labelled], list[Verdict], float]:
    config, models = (gate.config, gate.models) if isinstance(gate, Gate) else (gate, {})
    start = time.process_time()
    verdicts = [Gate(config, {**models, **item.models()}).verify(item.row, item.completion) for item in items]
    return items, verdicts, time.process_time() - start
