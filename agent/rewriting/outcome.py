"""What a rewriting job has come to: the rows of a part, their figures, and the finished result.

A part has a row for every row that came out, with the candidates of an input row beside the first of its targets.
Sampling and deciding are the business of `agent.rewriting.batch`, the run of a job that of `agent.rewriting.rewrite`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recast.agent.batches.job import figures
from recast.agent.batches.parts import POSITION, Parts
from recast.agent.batches.source import Source
from recast.agent.reward.drift import MIN_ROWS, warnings
from recast.agent.rewriting.attempts import Row
from recast.agent.rewriting.triage import Triage
from recast.curate import schema
from recast.curate.records import Decision, DecisionKind, VerdictStatus
from recast.curate.schema import CANDIDATE_SCHEMA, VERSION_SCHEMA

KINDS = (DecisionKind.REWRITE, DecisionKind.REPAIR, DecisionKind.FALLBACK)
REWRITTEN = (DecisionKind.REWRITE.value, DecisionKind.REPAIR.value)
# What a job decides about a row. The other columns of a version are the input's, or the same for all rows.
DECIDED = (
    "target",
    "completion",
    "decision",
    "reason",
    "nll_demonstration",
    "nll_completion",
    "nll_self",
    "num_tokens",
    "pass_rate",
    "template_id",
    "seed",
)
NLL = ("nll_demonstration", "nll_completion", "nll_self")
OF_REWRITTEN = ("nll_gain", "word_drift")
PART_SCHEMA = pa.schema(
    [
        pa.field(POSITION, pa.int64()),
        pa.field("row_id", pa.string()),
        *(VERSION_SCHEMA.field(name) for name in DECIDED),
        pa.field("cause", pa.string()),  # of a fallback, see agent.rewriting.triage
        pa.field("error", pa.string()),
        pa.field("candidates", pa.list_(pa.struct(list(CANDIDATE_SCHEMA)))),
    ]
)
SHOWN_ERRORS = 100
"""Errors whose text a result holds; their number is exact, and the parts hold all."""


@dataclass(frozen=True, slots=True)
class RewriteResult:
    """A finished job. Rows and candidates stream from its parts, in the input's row order."""

    run_dir: Path
    fingerprint: str
    method: str
    prompts: tuple[str, ...]  # ids of the prompts, by the attempt that a candidate is of
    alignment: str  # what the kept candidate is least in: excess, nll, or none where the first one is kept
    embedding: str  # what ties were broken by: backbone, none, or the name of a model
    num_rows: int  # that went in
    num_targets: int  # that came out: more where a row has several targets
    counts: dict[str, int]  # decision -> rows that came out: rewrite, repair, fallback
    reasons: dict[str, int]  # reason -> fallback rows, commonest first
    causes: list[dict[str, Any]]  # of the fallbacks, see agent.rewriting.triage
    num_errors: int
    errors: dict[str, str]  # row_id -> what was raised, the first of them
    num_candidates: int
    num_accepted: int
    num_gate_accepted: int  # by the gate, where the method accepts by a rule of its own
    num_tokens: int  # sampled for candidates
    num_cut: int  # candidates of which something was cut ahead of the gate
    cut: dict[str, int]  # rule -> candidates that it cut, commonest first; several may have cut one
    nll_demonstration: float | None  # means over rows, nats per token
    nll_completion: float | None  # of what the new version reads, fallbacks included
    nll_self: float | None
    nll_gain: float | None  # of the rewritten rows, their NLL less that of their demonstrations
    word_drift: float | None  # of the rewritten rows, see agent.reward.drift
    warnings: dict[str, str]  # what these two give cause to say, by name
    part_bytes: int
    num_found: int  # rows that earlier calls had finished
    seconds: dict[str, float]  # of this call, by stage; `gate` and `write` run beside the others
    _parts: Parts = field(repr=False)
    _source: Source = field(repr=False)
    _constants: dict[str, str | None] = field(repr=False)  # provenance columns, the same for all rows

    def rows(self) -> pa.RecordBatchReader:
        """The new version's rows (VERSION_SCHEMA)."""
        return pa.RecordBatchReader.from_batches(VERSION_SCHEMA, self._row_batches())

    def candidates(self) -> pa.RecordBatchReader:
        """Every candidate, chosen or not (CANDIDATE_SCHEMA)."""
        return pa.RecordBatchReader.from_batches(CANDIDATE_SCHEMA, self._candidate_batches())

    def to_dict(self) -> dict[str, Any]:
        """The figures as plain data."""
        return figures(self)

    def _row_batches(self) -> Iterator[pa.RecordBatch]:
        for made, source in self._parts.in_input_order(self._source, DECIDED):
            columns = []
            for name, kind in zip(VERSION_SCHEMA.names, VERSION_SCHEMA.types, strict=True):
                if name in self._constants:
                    columns.append(pa.repeat(pa.scalar(self._constants[name], kind), made.num_rows))
                else:
                    columns.append((made if name in DECIDED else source)[name])
            yield from pa.table(columns, schema=VERSION_SCHEMA).combine_chunks().to_batches()

    def _candidate_batches(self) -> Iterator[pa.RecordBatch]:
        for made, _ in self._parts.in_input_order(self._source, ["candidates"]):
            yield _candidates(made)


class Tally:
    """Figures over the parts, in one pass and constant memory."""

    def __init__(self) -> None:
        self.num_rows = self.num_targets = self.num_errors = 0
        self.num_candidates = self.num_accepted = self.num_gate_accepted = self.num_tokens = 0
        self.num_cut = 0
        self.cut: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.triage = Triage()
        self.errors: dict[str, str] = {}
        self.totals = {name: [0.0, 0] for name in (*NLL, *OF_REWRITTEN)}  # sum and number

    def add(self, part: pa.Table) -> None:
        self.num_targets += part.num_rows
        self.num_rows += pc.count_distinct(part[POSITION]).as_py()
        self.counts.update(part["decision"].to_pylist())
        fallbacks = part.filter(pc.equal(part["decision"], DecisionKind.FALLBACK.value))
        self.reasons.update(fallbacks["reason"].to_pylist())
        self.triage.add(fallbacks["cause"].to_pylist(), fallbacks["row_id"].to_pylist())
        failed = part.filter(pc.is_valid(part["error"]))
        self.num_errors += failed.num_rows
        for row_id, error in zip(failed["row_id"].to_pylist(), failed["error"].to_pylist(), strict=True):
            if len(self.errors) < SHOWN_ERRORS:
                self.errors[row_id] = error
        for name in NLL:
            self._sum(name, part[name].cast(pa.float64()))
        rewritten = part.filter(pc.is_in(part["decision"], pa.array(REWRITTEN)))
        self._sum("nll_gain", pc.subtract(rewritten["nll_completion"], rewritten["nll_demonstration"]))
        candidates = _candidates(part)
        self.num_candidates += candidates.num_rows
        self.num_tokens += pc.sum(candidates["num_tokens"]).as_py() or 0
        for cut in candidates["cut"].drop_null().to_pylist():
            self.num_cut += 1
            self.cut.update(json.loads(cut)["rules"])
        accepted = pc.equal(candidates["status"], VerdictStatus.ACCEPTED.value)
        num_accepted = pc.sum(accepted).as_py() or 0
        self.num_accepted += num_accepted
        scores = [json.loads(s) for s in candidates["scores"].to_pylist()]
        chosen = candidates["chosen"].to_pylist()
        drifts = [s["drift"] for s, kept in zip(scores, chosen, strict=True) if kept and "drift" in s]
        self._sum("word_drift", pa.array(drifts, pa.float64()))
        other_rule = [s["gate"] for s in scores if "gate" in s]
        self.num_gate_accepted += int(sum(other_rule)) if other_rule else num_accepted

    def _sum(self, name: str, values: pa.Array | pa.ChunkedArray) -> None:
        total = self.totals[name]
        total[0] += pc.sum(values).as_py() or 0.0
        total[1] += len(values) - values.null_count

    def progress(self) -> dict[str, int]:
        return {kind.value: self.counts[kind] for kind in KINDS}

    def figures(self) -> dict[str, Any]:
        least = {name: MIN_ROWS if name in OF_REWRITTEN else 1 for name in self.totals}
        means = {name: s / num if num >= least[name] else None for name, (s, num) in self.totals.items()}
        return {
            "num_rows": self.num_rows,
            "num_targets": self.num_targets,
            "counts": {kind.value: self.counts[kind] for kind in KINDS},
            "reasons": dict(self.reasons.most_common()),
            "causes": self.triage.to_list(),
            "num_errors": self.num_errors,
            "errors": self.errors,
            "num_candidates": self.num_candidates,
            "num_accepted": self.num_accepted,
            "num_gate_accepted": self.num_gate_accepted,
            "num_tokens": self.num_tokens,
            "num_cut": self.num_cut,
            "cut": dict(self.cut.most_common()),
            **means,
            "warnings": warnings(means["nll_gain"], means["word_drift"]),
        }


def _candidates(part: pa.Table) -> pa.RecordBatch:
    """The candidates of a part (CANDIDATE_SCHEMA), null in a column that is younger than the part."""
    structs = pc.list_flatten(part["candidates"].combine_chunks())
    loose = pa.RecordBatch.from_arrays(structs.flatten(), names=[f.name for f in structs.type])
    return schema.conform(loose, CANDIDATE_SCHEMA)


def part_table(
    rows: Sequence[Row], decisions: Sequence[Sequence[Decision]], prompts: Sequence[str]
) -> pa.Table:
    """The part of a batch: a row for every decision, a row's candidates beside the first of them.

    `prompts` are the ids of the prompts, by attempt.
    """
    pairs = [(row, decision) for row, made in zip(rows, decisions, strict=True) for decision in made]
    firsts = {id(made[0]) for made in decisions}
    chosen = [d.candidate for _, d in pairs if d.candidate]
    candidates = schema.candidate_table(
        (c for row in rows for c in row.candidates),
        chosen=[(c.row_id, c.target, c.k, c.attempt) for c in chosen],
    )
    sizes = [len(row.candidates) if id(decision) in firsts else 0 for row, decision in pairs]
    structs = pa.StructArray.from_arrays(
        [column.combine_chunks() for column in candidates.columns], fields=list(CANDIDATE_SCHEMA)
    )
    records = [_record(row, decision, prompts) for row, decision in pairs]
    columns = {name: [record[name] for record in records] for name in PART_SCHEMA.names[:-1]}
    arrays = [pa.array(values, PART_SCHEMA.field(name).type) for name, values in columns.items()]
    offsets = np.cumsum([0, *sizes], dtype=np.int32)
    return pa.Table.from_arrays([*arrays, pa.ListArray.from_arrays(offsets, structs)], schema=PART_SCHEMA)


def _record(row: Row, decision: Decision, prompts: Sequence[str]) -> dict[str, Any]:
    kept, expert = decision.candidate, row.demonstration_score
    if kept is None:
        nll, num_tokens = (expert.nll, expert.num_tokens) if expert else (None, None)
    else:
        # nothing but scoring counts the tokens of a text that was cut
        counted = kept.scores.get("num_tokens", None if kept.cut else kept.num_tokens)
        nll, num_tokens = kept.nll, None if counted is None else int(counted)
    return {
        POSITION: row.position,
        "row_id": row.row_id,
        "target": decision.target,
        "completion": decision.completion,
        "decision": decision.decision.value,
        "reason": decision.reason or None,
        "nll_demonstration": expert.nll if expert else None,
        "nll_completion": nll,
        "nll_self": row.nll_self,
        "num_tokens": num_tokens,
        "pass_rate": row.pass_rate,
        "template_id": prompts[kept.attempt] if kept else None,  # no prompt made an expert's text
        "seed": kept.seed if kept else None,
        "cause": row.cause if decision.decision is DecisionKind.FALLBACK else None,
        "error": row.error,
    }
