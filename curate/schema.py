"""The columns of a version and of its candidates, and what of a row its content hash covers.

Owns the Arrow schemas, the normalisation of whatever a caller commits into them, and the SQL that
hashes rows column-wise. Does not read files (`ingest`) nor write them (`parts`).

`messages` and `meta` are JSON text: chat messages may carry tool calls and parts of any shape, and
plain strings are what every Parquet reader understands. `Snapshot.dataset()` and `Snapshot.rows()`
decode them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

import numpy as np
import pyarrow as pa

from recast.curate.errors import DataError, UsageError
from recast.curate.fingerprint import canonical_json
from recast.curate.records import Candidate


@runtime_checkable
class Streamed(Protocol):
    """Rows that are read as they are asked for: a file that is imported, a version."""

    def batches(self) -> Iterator[pa.RecordBatch]: ...


if TYPE_CHECKING:
    import datasets

    Rows = (
        pa.Table | pa.RecordBatch | pa.RecordBatchReader | Iterable[pa.RecordBatch] | Iterable[Mapping[str, Any]]
        | Streamed | datasets.Dataset
    )  # fmt: skip


VERSION_SCHEMA = pa.schema(
    [
        pa.field("row_id", pa.string(), nullable=False),
        pa.field("target", pa.int32(), nullable=False),
        pa.field("messages", pa.string(), nullable=False),  # JSON list of {role, content, ...}: the prompt
        pa.field("completion", pa.string(), nullable=False),  # what a trainer learns
        pa.field("answer", pa.string()),
        pa.field("task", pa.string()),
        pa.field("demonstration", pa.string(), nullable=False),  # the expert's text
        pa.field("decision", pa.string(), nullable=False),  # records.DecisionKind
        pa.field("reason", pa.string()),
        pa.field("source", pa.string()),  # file and line, or data set and index
        pa.field("nll_demonstration", pa.float32()),  # nats per token
        pa.field("nll_completion", pa.float32()),
        pa.field("nll_self", pa.float32()),
        pa.field("num_tokens", pa.int32()),
        pa.field("pass_rate", pa.float32()),  # accepted candidates / candidates
        pa.field("agent_id", pa.string()),
        pa.field(
            "template_id", pa.string()
        ),  # the prompt that the completion answers (agent.prompts.templates)
        pa.field("gate_id", pa.string()),
        pa.field("engine", pa.string()),
        pa.field("seed", pa.int64()),
        pa.field("run_id", pa.string()),
        pa.field("meta", pa.string()),  # JSON object: whatever else the row came with
    ]
)

CANDIDATE_SCHEMA = pa.schema(
    [
        pa.field("row_id", pa.string(), nullable=False),
        pa.field("target", pa.int32(), nullable=False),
        pa.field("k", pa.int32()),
        pa.field("attempt", pa.int32()),
        pa.field("text", pa.string(), nullable=False),
        pa.field("num_tokens", pa.int32()),
        pa.field("finish_reason", pa.string()),
        pa.field("seed", pa.int64()),
        pa.field("status", pa.string()),  # records.VerdictStatus
        pa.field("reason", pa.string()),
        pa.field("checks", pa.string()),  # JSON list of records.Check
        pa.field("nll", pa.float32()),
        pa.field("scores", pa.string()),  # JSON object
        pa.field("chosen", pa.bool_()),
        pa.field("cut", pa.string()),  # JSON of records.Cut; null: the text is the sample. Old parts lack it
    ]
)

KEY = ("row_id", "target")
SCORES = ("nll_demonstration", "nll_completion", "nll_self", "num_tokens", "pass_rate")

# Why a column is not part of a row's identity. Every column is in exactly one of the two tables.
NOT_IDENTITY = {
    "row_id": "it is the key",
    "target": "it is the key",
    "nll_demonstration": "a score: measuring a row again does not make it another row",
    "nll_completion": "a score",
    "nll_self": "a score",
    "num_tokens": "a score of one tokenizer",
    "pass_rate": "a score",
    "source": "the delivery: the same text from a renamed file, or one line lower, is the same row",
    "run_id": "the delivery: a job done again with the same outcome changes nothing",
}
IDENTITY = tuple(name for name in VERSION_SCHEMA.names if name not in NOT_IDENTITY)

_DEFAULTS = {"target": 0, "decision": "expert"}
BATCH_ROWS = 32_768
BATCH_BYTES = 32 << 20


def _encoded(column: str) -> str:
    """SQL that encodes a nullable column so that a concatenation of columns can be read one way only."""
    text = column if VERSION_SCHEMA.field(column).type == pa.string() else f"{column}::VARCHAR"
    return f"CASE WHEN {column} IS NULL THEN '-' ELSE concat(strlen({text}), ':', {text}) END"


def _hash_sql() -> str:
    parts = [
        # an expert row says its text twice; hashing it once is a third of the work
        f"CASE WHEN demonstration = completion THEN '=' ELSE {_encoded(c)} END"
        if c == "demonstration"
        else _encoded(c)
        for c in IDENTITY
    ]
    return f"left(sha256(concat({', '.join(parts)})), 32)"


HASH_SQL = _hash_sql()
"""SQL expression: content hash of a row (32 hex digits) from its identity columns."""


def score_hash(batch: pa.RecordBatch | pa.Table) -> np.ndarray:
    """Return int64[rows] that changes when a score does, from the bits of the score columns.

    Not cryptographic: it only decides whether a row with unchanged content is written again.
    """
    mixed = np.zeros(batch.num_rows, np.uint64)
    for name in SCORES:
        column = batch.column(name)
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()
        bits = column.fill_null(0).to_numpy(zero_copy_only=False).view(np.uint32).astype(np.uint64)
        bits |= column.is_valid().to_numpy(zero_copy_only=False).astype(np.uint64) << np.uint64(32)
        # splitmix64 finaliser (Steele, Lea, Flood 2014), arithmetic modulo 2**64
        mixed = (mixed ^ bits) + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return mixed.view(np.int64)


def json_text(value: Any) -> str | None:
    """JSON text of messages or meta as stored: text passes, None stays, everything else is canonical JSON."""
    if value is None or isinstance(value, str):
        return value
    return canonical_json(_without_padding(value))


def _without_padding(value: Any) -> Any:
    """Drop the None members that Arrow structs invent for keys that other rows have (but keep `content`)."""
    if isinstance(value, Mapping):
        return {k: _without_padding(v) for k, v in value.items() if v is not None or k == "content"}
    if isinstance(value, list | tuple):
        return [_without_padding(v) for v in value]
    return value


def table(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Build a table of VERSION_SCHEMA from row dicts; `messages` and `meta` may be objects or JSON text."""
    rows = list(rows)
    known = set(VERSION_SCHEMA.names)
    for row in rows:
        if unknown := set(row) - known:
            raise _unknown_columns(unknown)
    columns: dict[str, list[Any]] = {name: [row.get(name) for row in rows] for name in VERSION_SCHEMA.names}
    for name in ("messages", "meta"):
        columns[name] = [json_text(v) for v in columns[name]]
    present = {name for row in rows for name in row}
    loose = pa.table({f.name: pa.array(columns[f.name], f.type) for f in VERSION_SCHEMA if f.name in present})
    return pa.Table.from_batches([conform(loose)], VERSION_SCHEMA) if rows else VERSION_SCHEMA.empty_table()


def candidate_table(
    candidates: Iterable[Candidate], chosen: Iterable[tuple[str, int, int, int]] = ()
) -> pa.Table:
    """Build a table of CANDIDATE_SCHEMA. `chosen` names the winners as (row_id, target, k, attempt)."""
    winners = set(chosen)
    rows = [
        {
            "row_id": c.row_id, "target": c.target, "k": c.k, "attempt": c.attempt, "text": c.text,
            "num_tokens": c.num_tokens, "finish_reason": c.finish_reason, "seed": c.seed,
            "status": str(c.verdict.status), "reason": c.verdict.reason,
            "checks": canonical_json([
                {"name": k.name, "status": str(k.status), "reason": k.reason, "message": k.message, "score": k.score}
                for k in c.verdict.checks
            ]),
            "nll": c.nll, "scores": canonical_json(dict(c.scores)),
            "chosen": (c.row_id, c.target, c.k, c.attempt) in winners,
            "cut": canonical_json(asdict(c.cut)) if c.cut else None,
        }
        for c in candidates
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=CANDIDATE_SCHEMA)


def conform(rows: pa.Table | pa.RecordBatch, schema: pa.Schema = VERSION_SCHEMA) -> pa.RecordBatch:
    """Return `rows` with exactly the columns of `schema`: missing ones filled, JSON columns as text.

    Raises UsageError for a column that the schema does not know, DataError for a null where none may be.
    """
    if unknown := set(rows.schema.names) - set(schema.names):
        raise _unknown_columns(unknown)
    arrays = []
    for field in schema:
        if field.name in rows.schema.names:
            column = rows.column(field.name)
            if isinstance(column, pa.ChunkedArray):
                column = column.combine_chunks()
            column = _cast(column, field)
        elif field.name == "demonstration" and "completion" in rows.schema.names:
            column = arrays[schema.get_field_index("completion")]
        else:
            column = pa.array([_DEFAULTS.get(field.name)], field.type)
            column = column.take(pa.array(np.zeros(rows.num_rows, np.int8)))
        if column.null_count and not field.nullable:
            if field.name in _DEFAULTS:
                column = column.fill_null(_DEFAULTS[field.name])
            else:
                missing = int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
                raise DataError(
                    f"column {field.name!r} is empty in row {missing} of {rows.num_rows}; every row needs one. "
                    "Fill it, or leave the row out."
                )
        arrays.append(column)
    batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
    try:
        batch.validate(full=True)  # DuckDB trusts Arrow to hold valid UTF-8
    except pa.ArrowInvalid as broken:
        raise DataError(
            f"the rows hold text that is not valid UTF-8 ({broken}); decode it before committing."
        ) from broken
    return batch


def _cast(column: pa.Array, field: pa.Field) -> pa.Array:
    if column.type == field.type:
        return column
    if field.type == pa.string() and pa.types.is_nested(column.type):
        return pa.array([json_text(v) for v in column.to_pylist()], pa.string())
    try:
        return column.cast(field.type)
    except pa.ArrowInvalid as wrong:
        raise DataError(
            f"column {field.name!r} is {column.type} and cannot become {field.type}: {wrong}"
        ) from wrong


def _unknown_columns(unknown: Iterable[str]) -> UsageError:
    return UsageError(
        f"unknown columns {sorted(unknown)}; a version has {', '.join(VERSION_SCHEMA.names)}. "
        "Put anything else into `meta` (a JSON object)."
    )


def batches(rows: Rows, schema: pa.Schema = VERSION_SCHEMA) -> Iterator[pa.RecordBatch]:
    """Yield `rows` as conforming batches of at most BATCH_ROWS rows and about BATCH_BYTES bytes; small ones together,
    since every batch is looked up and written by itself."""
    small: list[pa.RecordBatch] = []
    held_rows = held_bytes = 0
    for loose in _pieces(rows):
        for piece in bounded(loose):
            if not piece.num_rows:
                continue
            batch = conform(piece, schema)
            if small and (held_rows + batch.num_rows > BATCH_ROWS or held_bytes + batch.nbytes > BATCH_BYTES):
                yield pa.concat_batches(small)
                small, held_rows, held_bytes = [], 0, 0
            if not small and (batch.num_rows >= BATCH_ROWS // 4 or batch.nbytes >= BATCH_BYTES // 4):
                yield batch
                continue
            small.append(batch)
            held_rows, held_bytes = held_rows + batch.num_rows, held_bytes + batch.nbytes
    if small:
        yield pa.concat_batches(small)


def _pieces(rows: Rows) -> Iterator[pa.Table | pa.RecordBatch]:
    if isinstance(rows, pa.Table | pa.RecordBatch):
        yield rows
    elif hasattr(rows, "with_format") and hasattr(rows, "column_names"):
        dataset = cast("datasets.Dataset", rows)  # not imported here
        tables = dataset.with_format("arrow").iter(batch_size=BATCH_ROWS // 4)
        yield from tables  # pyright: ignore[reportReturnType]  # tables, in this format
    elif isinstance(rows, Streamed):
        yield from rows.batches()
    else:
        dicts: list[Mapping[str, Any]] = []
        for piece in rows:
            if not isinstance(piece, Mapping):
                yield piece  # pyright: ignore[reportReturnType]  # batches: what is no mapping
                continue
            dicts.append(piece)
            if len(dicts) >= BATCH_ROWS // 4:
                yield table(dicts)
                dicts = []
        if dicts:
            yield table(dicts)


def bounded(rows: pa.Table | pa.RecordBatch) -> Iterator[pa.Table | pa.RecordBatch]:
    """Cut `rows` into slices that a writer can hold: halved until they fit both bounds."""
    if rows.num_rows <= 1 or (rows.num_rows <= BATCH_ROWS and rows.nbytes <= BATCH_BYTES):
        yield rows
        return
    for start in range(0, rows.num_rows, BATCH_ROWS):
        piece = rows.slice(start, BATCH_ROWS)
        if piece.num_rows > 1 and piece.nbytes > BATCH_BYTES:
            half = piece.num_rows // 2
            yield from bounded(piece.slice(0, half))
            yield from bounded(piece.slice(half))
        else:
            yield piece


def decode_row(row: dict[str, Any]) -> dict[str, Any]:
    """Return `row` with `messages` and `meta` decoded from JSON."""
    for name in ("messages", "meta"):
        if isinstance(row.get(name), str):
            row[name] = json.loads(row[name])
    return row


def literal(value: str) -> str:
    """Quote `value` as an SQL string literal."""
    return "'" + value.replace("'", "''") + "'"


def identifiers(columns: Sequence[str]) -> str:
    """Quote column names for a select list."""
    return ", ".join('"' + c.replace('"', '""') + '"' for c in columns)
