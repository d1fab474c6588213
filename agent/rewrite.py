"""The rewriting job: generate K candidates, verify, repair, choose by alignment, else keep the expert.

    candidates ~ agent(. | rewriting prompt)  ->  gate  ->  NLL under the QA prompt, adapter off  ->  choice

A row without an accepted candidate keeps its demonstration, with the reason. Rows are worked in stored
batches (`agent.batch`), one Parquet part each (`agent.parts`), and every sample has a seed of its own, so
a job killed at any moment goes on and, with the hf engine, ends in the same bytes as one that was not.
This module commits no versions and knows no store.

    result = rewrite(rows, engine, gate, RewriteConfig(candidates=4), "runs/1", agent_id="...")
    store.commit(result.rows(), "gsm8k-rewrites", candidates=result.candidates())
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from agent import prompts
from agent.batch import Gate, Row, Worker
from agent.embedding import Embed, backbone_embedder, sentence_embedder
from agent.engine import Engine, Sampling
from agent.parts import POSITION, Parts, Plan, make_plan
from curate import schema
from curate.errors import BudgetReached, DataError, UsageError
from curate.fingerprint import canonical_json
from curate.records import Decision, DecisionKind, VerdictStatus
from curate.schema import CANDIDATE_SCHEMA, VERSION_SCHEMA

if TYPE_CHECKING:
    from agent.engine_hf import HFEngine

Progress = Callable[[Mapping[str, Any]], None]

KINDS = (DecisionKind.REWRITE, DecisionKind.REPAIR, DecisionKind.FALLBACK)
# What a job decides about a row. The other columns of a version are the input's, or the same for all rows.
DECIDED = (
    "completion",
    "decision",
    "reason",
    "nll_demonstration",
    "nll_completion",
    "nll_self",
    "num_tokens",
    "pass_rate",
    "seed",
)
NLL = ("nll_demonstration", "nll_completion", "nll_self")
# What a sample depends on: the rows' part of the job's identity.
READ = ("row_id", "target", "messages", "demonstration", "answer", "task")
PART_SCHEMA = pa.schema(
    [
        pa.field(POSITION, pa.int64()),
        pa.field("row_id", pa.string()),
        *(VERSION_SCHEMA.field(name) for name in DECIDED),
        pa.field("error", pa.string()),
        pa.field("candidates", pa.list_(pa.struct(list(CANDIDATE_SCHEMA)))),
    ]
)


class RewriteConfig(BaseModel):
    """How rewrites are sampled and chosen. All of it is part of the job's identity."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    candidates: int = Field(4, ge=1)
    """Candidates a row (K)."""
    temperature: float = Field(1.0, ge=0)
    """Sampling temperature. 0 is greedy and needs `candidates: 1`."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Nucleus of the sampling distribution."""
    max_tokens: int = Field(512, ge=1)
    """Longest candidate in tokens; one that is cut there is rejected by the gate."""
    repairs: int = Field(0, ge=0)
    """Further attempts for a row that has no accepted candidate, each told which check failed (R)."""
    tie_nats: float = Field(0.05, ge=0)
    """Candidates within this of the lowest NLL (nats per token) count as equally well aligned."""
    embedding: str = "backbone"
    """What texts are compared by within a tie: `backbone` (its mean hidden state), `none` (the likelier
    wins), or a sentence-transformers model by name or folder."""
    own_samples: int = Field(0, ge=0)
    """The backbone's own answers a row, scored for `nll_self`. They cost as much as candidates."""
    batch_rows: int = Field(64, ge=1)
    """Rows a batch: the unit that is redone after a kill."""
    window_rows: int = Field(4096, ge=1)
    """Rows among which batches of like length are formed, and which are held to restore the order."""
    seed: int = 0
    """Root of every sample's seed."""


@dataclass(frozen=True, slots=True)
class RewriteResult:
    """A finished job. Rows and candidates stream from its parts, in the input's row order."""

    run_dir: Path
    fingerprint: str
    num_rows: int
    counts: dict[str, int]  # decision -> rows: rewrite, repair, fallback
    reasons: dict[str, int]  # reason -> fallback rows, commonest first
    errors: dict[str, str]  # row_id -> what was raised, for reason `error`
    num_candidates: int
    num_accepted: int
    num_tokens: int  # sampled for candidates
    nll_demonstration: float | None  # means over rows, nats per token
    nll_completion: float | None  # of what the new version reads, fallbacks included
    nll_self: float | None
    seconds: dict[str, float]  # of this process, by stage: generate, gate, score, choose, write
    _parts: Parts
    _input: pa.Table
    _constants: dict[str, str | None]  # provenance columns, the same for all rows

    def rows(self) -> pa.RecordBatchReader:
        """The new version's rows (VERSION_SCHEMA)."""
        return pa.RecordBatchReader.from_batches(VERSION_SCHEMA, self._row_batches())

    def candidates(self) -> pa.RecordBatchReader:
        """Every candidate, chosen or not (CANDIDATE_SCHEMA)."""
        return pa.RecordBatchReader.from_batches(CANDIDATE_SCHEMA, self._candidate_batches())

    def to_dict(self) -> dict[str, Any]:
        """The figures as plain data."""
        names = [name for name in self.__dataclass_fields__ if not name.startswith("_")]
        return {name: getattr(self, name) for name in names} | {"run_dir": str(self.run_dir)}

    def _row_batches(self) -> Iterator[pa.RecordBatch]:
        start = 0
        for part in self._parts.in_input_order(DECIDED):
            source = self._input.slice(start, part.num_rows)
            start += part.num_rows
            columns = []
            for name, kind in zip(VERSION_SCHEMA.names, VERSION_SCHEMA.types, strict=True):
                if name in self._constants:
                    columns.append(pa.repeat(pa.scalar(self._constants[name], kind), part.num_rows))
                else:
                    columns.append((part if name in DECIDED else source)[name])
            yield from pa.table(columns, schema=VERSION_SCHEMA).combine_chunks().to_batches()

    def _candidate_batches(self) -> Iterator[pa.RecordBatch]:
        for part in self._parts.in_input_order(["candidates"]):
            structs = pc.list_flatten(part["candidates"].combine_chunks())
            yield pa.RecordBatch.from_arrays(structs.flatten(), schema=CANDIDATE_SCHEMA)


def rewrite(
    rows: Any,
    engine: Engine,
    gate: Gate,
    config: RewriteConfig,
    run_dir: str | Path,
    *,
    progress: Progress | None = None,
    embed: Embed | None = None,
    agent_id: str | None = None,
    template_id: str | None = None,
    deadline: float | None = None,
) -> RewriteResult:
    """Rewrite `rows` and return the finished job; `run_dir` keeps its parts.

    `rows` is whatever a store commits: a table or reader of VERSION_SCHEMA, a datasets.Dataset, or mappings
    with `row_id`, `messages` and `demonstration`. Candidates come from the engine's adapter if it has one,
    and then `agent_id` says which; otherwise from the bare backbone. The same call on a `run_dir` that holds
    part of the job does only what is missing. `progress` gets `{"done", "total", "rewrite", "repair",
    "fallback", "seconds"}` after every batch. `embed` replaces what `config.embedding` names. `deadline`
    (of time.monotonic) ends the job between batches with BudgetReached. Raises UsageError, DataError, and
    the engine's own error where it fails on everything.
    """
    if config.temperature == 0 and config.candidates > 1:
        raise UsageError(f"temperature 0 draws the same text {config.candidates} times; set candidates to 1.")
    adapter = bool(getattr(engine, "has_adapter", False))
    if adapter and not agent_id:
        raise UsageError("the engine has an adapter; pass agent_id, its identity, which every row records.")
    embed = embed or embedder(engine, config.embedding)
    table = pa.Table.from_batches(list(schema.batches(rows)), VERSION_SCHEMA)
    if not table.num_rows:
        raise DataError("there are no rows to rewrite: the version is empty.")
    plan = _plan(table, engine, gate, config, agent_id if adapter else None)
    parts = Parts(Path(run_dir), plan)
    worker = Worker(
        engine,
        gate,
        Sampling(config.temperature, config.top_p, config.max_tokens),
        candidates=config.candidates,
        repairs=config.repairs,
        own_samples=config.own_samples,
        tie_nats=config.tie_nats,
        seed=config.seed,
        embed=embed,
        adapter=adapter,
    )
    tally = _Tally()
    started = time.monotonic()
    for index, members in enumerate(plan.batches):
        if not parts.is_done(index):
            if deadline is not None and time.monotonic() > deadline:
                raise BudgetReached(
                    f"the time budget is used up after {tally.num_rows} of {plan.num_rows} rows. They stand "
                    f"in {run_dir}; the same command goes on from there."
                )
            batch = [_row(table, position) for position in members]
            decisions = worker.run(batch)
            with worker.timed("write"):
                parts.write(index, _part(batch, decisions))
        tally.add(parts.read(index))
        if progress:
            counts = {kind.value: tally.counts[kind] for kind in KINDS}
            seconds = time.monotonic() - started
            progress({"done": tally.num_rows, "total": plan.num_rows, **counts, "seconds": seconds})
    # the conservation law of a rewriting job; the store checks it again, in SQL, at commit
    assert sum(tally.counts[kind] for kind in KINDS) == tally.num_rows == table.num_rows
    return RewriteResult(
        run_dir=Path(run_dir),
        fingerprint=plan.fingerprint,
        **tally.figures(),
        seconds={stage: round(s, 3) for stage, s in worker.seconds.items()},
        _parts=parts,
        _input=table,
        _constants={
            "agent_id": agent_id if adapter else None,
            "template_id": template_id,
            "gate_id": gate.id,
            "engine": engine.name,
            "run_id": plan.fingerprint,
        },
    )


class _Tally:
    """Figures over the parts, in one pass."""

    def __init__(self) -> None:
        self.num_rows = self.num_candidates = self.num_accepted = self.num_tokens = 0
        self.counts: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.errors: dict[str, str] = {}
        self.nll: dict[str, list[float]] = {name: [] for name in NLL}

    def add(self, part: pa.Table) -> None:
        self.num_rows += part.num_rows
        self.counts.update(part["decision"].to_pylist())
        fallbacks = part.filter(pc.equal(part["decision"], DecisionKind.FALLBACK.value))
        self.reasons.update(fallbacks["reason"].to_pylist())
        failed = part.filter(pc.is_valid(part["error"]))
        self.errors.update(zip(failed["row_id"].to_pylist(), failed["error"].to_pylist(), strict=True))
        for name, values in self.nll.items():
            values.extend(v for v in part[name].to_pylist() if v is not None)
        candidates = pc.list_flatten(part["candidates"].combine_chunks())
        self.num_candidates += len(candidates)
        self.num_tokens += pc.sum(pc.struct_field(candidates, "num_tokens")).as_py() or 0
        accepted = pc.equal(pc.struct_field(candidates, "status"), VerdictStatus.ACCEPTED.value)
        self.num_accepted += pc.sum(accepted).as_py() or 0

    def figures(self) -> dict[str, Any]:
        return {
            "num_rows": self.num_rows,
            "counts": {kind.value: self.counts[kind] for kind in KINDS},
            "reasons": dict(self.reasons.most_common()),
            "errors": self.errors,
            "num_candidates": self.num_candidates,
            "num_accepted": self.num_accepted,
            "num_tokens": self.num_tokens,
            **{name: float(np.mean(values)) if values else None for name, values in self.nll.items()},
        }


def embedder(engine: Engine, name: str) -> Embed | None:
    """The embedding that `RewriteConfig.embedding` names. Raises UsageError where the engine has none."""
    if name == "none":
        return None
    if name != "backbone":
        return sentence_embedder(name)
    if not hasattr(engine, "score"):
        raise UsageError(
            f"the engine {engine.name!r} shows no hidden states to embed texts by; set rewrite.embedding to "
            "`none` or to a sentence-transformers model."
        )
    return backbone_embedder(cast("HFEngine", engine))


def _plan(table: pa.Table, engine: Engine, gate: Gate, config: RewriteConfig, agent_id: str | None) -> Plan:
    digest = hashlib.sha256()
    lengths = []
    for batch in table.select(READ).to_batches():
        for row in batch.to_pylist():
            digest.update(canonical_json(row).encode("utf-8", "surrogatepass"))
            lengths.append(len(row["messages"]) + len(row["demonstration"]))
    identity = {
        "rows": digest.hexdigest(),
        "config": config.model_dump(mode="json"),
        "engine": engine.name,
        "backbone": engine.fingerprint,
        "agent_id": agent_id,
        "gate_id": gate.id,
        "prompts": [prompts.REWRITE_ID, prompts.REPAIR_ID],
    }
    return make_plan(identity, lengths, config.batch_rows, config.window_rows)


def _row(table: pa.Table, position: int) -> Row:
    row = table.select(READ).slice(position, 1).to_pylist()[0]
    return Row(
        position=position,
        row_id=row["row_id"],
        target=row["target"],
        messages=json.loads(row["messages"]),
        demonstration=row["demonstration"],
        answer=row["answer"],
        task=row["task"],
    )


def _part(rows: list[Row], decisions: list[Decision]) -> pa.Table:
    kept = [d.candidate for d in decisions]
    candidates = schema.candidate_table(
        (c for row in rows for c in row.candidates),
        chosen=[(c.row_id, c.target, c.k, c.attempt) for c in kept if c],
    )
    offsets = np.cumsum([0, *(len(row.candidates) for row in rows)], dtype=np.int32)
    structs = pa.StructArray.from_arrays(
        [column.combine_chunks() for column in candidates.columns], fields=list(CANDIDATE_SCHEMA)
    )
    records = [_record(*pair) for pair in zip(rows, decisions, strict=True)]
    columns = {name: [record[name] for record in records] for name in PART_SCHEMA.names[:-1]}
    arrays = [pa.array(values, PART_SCHEMA.field(name).type) for name, values in columns.items()]
    return pa.Table.from_arrays([*arrays, pa.ListArray.from_arrays(offsets, structs)], schema=PART_SCHEMA)


def _record(row: Row, decision: Decision) -> dict[str, Any]:
    kept, expert = decision.candidate, row.demonstration_score
    return {
        POSITION: row.position,
        "row_id": row.row_id,
        "completion": decision.completion,
        "decision": decision.decision.value,
        "reason": decision.reason or None,
        "nll_demonstration": expert.nll if expert else None,
        "nll_completion": kept.nll if kept else expert.nll if expert else None,
        "nll_self": row.nll_self,
        "num_tokens": int(kept.scores["num_tokens"]) if kept else expert.num_tokens if expert else None,
        "pass_rate": row.pass_rate,
        "seed": kept.seed if kept else None,
        "error": row.error,
    }
