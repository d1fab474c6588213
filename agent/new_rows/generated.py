"""New rows: the job that makes them, its parts, and the version that comes of it.

A part holds a row for every proposal, kept or not, with the reason. Near duplicates can only be seen over the whole
job, so they are dropped when it is finished: a proposal that is nearly a given text, or nearly an earlier
proposal, goes. What is left has the decision `generated`, and says in `meta` what it was made from.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from recast.agent.batches.gating import Gate
from recast.agent.batches.isolation import ERROR, described
from recast.agent.batches.job import Budget, Hands, Job, MakeTable, Progress, Sharing, Work, figures
from recast.agent.batches.parts import POSITION, Batch, Parts, Plan, Window
from recast.agent.batches.pipeline import Steps
from recast.agent.batches.source import Source
from recast.agent.engines.protocol import Engine, Sample
from recast.agent.prompts import templates
from recast.curate.curation.dedup import DuplicateFinder
from recast.curate.fingerprint import canonical_json, row_id
from recast.curate.records import DecisionKind, Messages
from recast.curate.schema import VERSION_SCHEMA

Propose = Callable[[Window, Batch], Steps[list["Proposal"]]]
"""Makes the proposals of a batch, some for each of its rows, in their order."""

DUPLICATE, MORE_THAN_ASKED = "duplicate", "more_than_asked"
NOTHING: Mapping[int, str] = {}
GIVEN_TEXTS = 8192  # that near duplicates are looked up by at once
PART_SCHEMA = pa.schema(
    [
        pa.field(POSITION, pa.int64()),
        pa.field("reason", pa.string()),  # null: kept, unless a near duplicate
        pa.field("text", pa.string()),  # of the question, which near duplicates are found by
        *(VERSION_SCHEMA.field(n) for n in ("messages", "completion", "answer", "task", "source", "meta")),
        *(VERSION_SCHEMA.field(n) for n in ("nll_completion", "num_tokens", "pass_rate", "seed")),
        pa.field("drawn", pa.int32()),  # completions sampled for it
        pa.field("drawn_tokens", pa.int64()),
    ]
)


@dataclass(slots=True)
class Proposal:
    """One row that may come to be."""

    position: int
    text: str = ""
    messages: Messages = field(default_factory=list)
    completion: str = ""
    answer: str | None = None
    task: str | None = None
    source: str | None = None
    meta: dict[str, Any] = field(default_factory=dict)
    nll: float | None = None
    num_tokens: int | None = None
    pass_rate: float | None = None
    seed: int | None = None
    drawn: int = 0
    drawn_tokens: int = 0
    reason: str | None = None

    def fail(self, error: Exception) -> None:
        """Dropped for what was raised."""
        self.reason, self.meta = ERROR, {**self.meta, "error": described(error)}

    def count(self, samples: Sequence[Sample]) -> None:
        """Account for what was drawn for it."""
        self.drawn += len(samples)
        self.drawn_tokens += sum(len(sample.token_ids) for sample in samples)

    def record(self) -> dict[str, Any]:
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name in PART_SCHEMA.names}
        return {
            **own,
            "messages": canonical_json(self.messages),
            "meta": canonical_json(self.meta),
            "nll_completion": self.nll,
        }


def part_table(proposals: Sequence[Proposal]) -> pa.Table:
    return pa.Table.from_pylist([p.record() for p in proposals], schema=PART_SCHEMA)


class Count:
    """Figures over the parts of a job that makes rows."""

    def __init__(self) -> None:
        self.num_proposals = self.num_candidates = self.num_tokens = 0
        self.reasons: Counter[str] = Counter()

    def add(self, part: pa.Table) -> None:
        self.num_proposals += part.num_rows
        self.num_candidates += pc.sum(part["drawn"]).as_py() or 0
        self.num_tokens += pc.sum(part["drawn_tokens"]).as_py() or 0
        self.reasons.update(r for r in part["reason"].to_pylist() if r)

    def progress(self) -> dict[str, int]:
        return {"kept": self.num_proposals - sum(self.reasons.values())}


@dataclass(frozen=True, slots=True)
class GeneratedResult:
    """A finished job. Rows stream from its parts, in the order of what they were made from."""

    run_dir: Path
    fingerprint: str
    num_sources: int  # rows or prompts that went in
    num_proposals: int
    num_kept: int
    reasons: dict[str, int]  # why the others were dropped, commonest first
    num_candidates: int  # completions sampled, questions included
    num_tokens: int
    seconds: dict[str, float]
    _parts: Parts = field(repr=False)
    _source: Source = field(repr=False)
    _kept: frozenset[int] = field(repr=False)  # places among the proposals, in order
    _constants: dict[str, str | None] = field(repr=False)

    def rows(self) -> pa.RecordBatchReader:
        """The new version's rows (VERSION_SCHEMA)."""
        return pa.RecordBatchReader.from_batches(VERSION_SCHEMA, self._row_batches())

    def to_dict(self) -> dict[str, Any]:
        """The figures as plain data."""
        return figures(self)

    def _row_batches(self) -> Iterator[pa.RecordBatch]:
        place = 0
        for made, _ in self._parts.in_input_order(self._source):
            records = []
            for record in made.to_pylist():
                if place in self._kept:
                    records.append(self._row(record))
                place += 1
            if records:
                yield from pa.Table.from_pylist(records, VERSION_SCHEMA).to_batches()

    def _row(self, record: Mapping[str, Any]) -> dict[str, Any]:
        row = {name: record[name] for name in VERSION_SCHEMA.names if name in record}
        return {
            **row,
            "row_id": row_id(json.loads(record["messages"]), record["completion"]),
            "target": 0,
            "demonstration": record["completion"],
            "decision": DecisionKind.GENERATED.value,
            "reason": None,
            "nll_demonstration": record["nll_completion"],
            **self._constants,
        }


def batched(texts: Iterator[str], size: int) -> Iterator[list[str]]:
    while batch := list(islice(texts, size)):
        yield batch


def steps(propose: Propose) -> Callable[..., Steps[MakeTable]]:
    """What a job does with a batch of a window. Rows that are `lost`, by their positions, are not asked about: each is
    a proposal that is dropped for what is given there."""

    def of_batch(window: Window, batch: Batch, lost: Mapping[int, str] = NOTHING) -> Steps[MakeTable]:
        index, positions = batch
        left = tuple(position for position in positions if position not in lost)
        proposals = (yield from propose(window, (index, left))) if left else []
        proposals += [Proposal(p, reason=ERROR, meta={"error": lost[p]}) for p in positions if p in lost]
        place = {position: n for n, position in enumerate(positions)}
        proposals.sort(key=lambda proposal: place[proposal.position])
        return lambda: part_table(proposals)

    return of_batch


def generate(
    source: Source,
    plan: Plan,
    folder: Path,
    gate: Gate,
    propose: Propose,
    *,
    engine: Engine,
    most_candidates: int,
    existing: Iterator[str],
    threshold: float,
    most: int | None = None,
    progress: Progress | None,
    budget: Budget,
    beside: bool | None,
    sharing: Sharing | None,
    hands: Hands | None,
) -> GeneratedResult:
    """Run the job in which `propose` makes the proposals of a batch, `most_candidates` samples a row at most; where
    `hands` are given, they do.

    Near duplicates (Jaccard similarity `threshold`) of `existing` texts and of earlier proposals are dropped, and all
    beyond `most`. Raises BudgetReached, and the engine's own error where it fails on everything.
    """
    parts, count = Parts(folder, plan, sharing and sharing.leases.me), Count()
    work = Work(steps(propose), count.add, count.progress, lambda: count.num_candidates, most_candidates)
    job = Job(
        source,
        parts,
        work,
        gate,
        budget=budget,
        progress=progress,
        beside=beside,
        sharing=sharing,
        hands=hands,
    )
    job.run()
    kept, reasons = _kept(parts, source, count.reasons, existing, threshold, most)
    return GeneratedResult(
        run_dir=folder,
        fingerprint=plan.fingerprint,
        num_sources=plan.num_rows,
        num_proposals=count.num_proposals,
        num_kept=len(kept),
        reasons=dict(reasons.most_common()),
        num_candidates=count.num_candidates,
        num_tokens=count.num_tokens,
        seconds={stage: round(s, 3) for stage, s in job.seconds.items()},
        _parts=parts,
        _source=source,
        _kept=frozenset(kept),
        _constants={
            "agent_id": None,
            "template_id": templates.QUESTION_ID,  # of the answer; how a question came about is in `meta`
            "gate_id": gate.id,
            "engine": engine.name,
            "run_id": plan.fingerprint,
        },
    )


def _kept(
    parts: Parts,
    source: Source,
    dropped_for: Counter[str],
    existing: Iterator[str],
    threshold: float,
    most: int | None,
) -> tuple[list[int], Counter[str]]:
    """Places of the proposals that stay, in order, and why the others were dropped."""
    finder, num_given = DuplicateFinder(threshold), 0
    for texts in batched(existing, GIVEN_TEXTS):
        finder.add(texts)
        num_given += len(texts)
    places: list[int] = []  # of the proposals that are still in
    place = 0
    for made, _ in parts.in_input_order(source, ["text", "reason"]):
        dropped = made["reason"].to_pylist()
        places += [place + i for i, reason in enumerate(dropped) if reason is None]
        finder.add([t for t, r in zip(made["text"].to_pylist(), dropped, strict=True) if r is None])
        place += made.num_rows
    reasons = dropped_for.copy()
    kept: list[int] = []
    for new, duplicate in zip(places, finder.found()[num_given:], strict=True):
        if duplicate is not None:
            reasons[DUPLICATE] += 1
        elif most is not None and len(kept) == most:
            reasons[MORE_THAN_ASKED] += 1
        else:
            kept.append(new)
    return kept, reasons
