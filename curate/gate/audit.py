"""The audit of a version: one verdict of a gate for every row, kept in the store, where SQL reads it as `verdicts`.

Rows are judged in chunks, in as many processes as asked. A finished chunk is a part on disk, so an audit that was
killed goes on from there, in the same chunks, and several commands may share the chunks by leases; the parts are then
sealed as one file, whose rows are counted in SQL: rows of the version = accepted + rejected + unverifiable, every key
once.

A row that keeps the expert's text is asked everything but whether it copies the expert, which it does by design: its
verdict says what the gate holds of the demonstration.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recast.curate.errors import IntegrityError
from recast.curate.files import first, whole
from recast.curate.fingerprint import canonical_json
from recast.curate.gate import gate_files
from recast.curate.gate.gate import CHUNK_ROWS, Gate, Job, decide
from recast.curate.leases import Leases
from recast.curate.records import Verdict, VerdictStatus
from recast.curate.store.catalog import memory
from recast.curate.store.snapshot import Snapshot

COLUMNS = ("row_id", "target", "messages", "completion", "answer", "task", "demonstration", "meta")
VERDICT_SCHEMA = pa.schema(
    [
        pa.field("row_id", pa.string(), nullable=False),
        pa.field("target", pa.int32(), nullable=False),
        pa.field("status", pa.string(), nullable=False),  # records.VerdictStatus
        pa.field("reason", pa.string(), nullable=False),  # empty where accepted
        pa.field("checks", pa.string(), nullable=False),  # JSON list of records.Check, as candidates have it
    ]
)
OF_REWRITES_ONLY = ("copy",)
"""Checks that a text cannot pass beside itself."""

LOOK_EVERY_S = 0.5
"""How often a process that has nothing left to do looks whether the others have."""

Progress = Callable[[dict[str, Any]], None]
Judge = Callable[[Iterator[list[Job]]], Iterator[list[Verdict]]]
"""Verdicts of chunks of a stream, in order."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What a gate said about a version."""

    version: str  # ref
    version_id: str
    gate: str
    gate_id: str
    rows: int
    accepted: int
    rejected: int
    unverifiable: int
    reasons: dict[str, int]  # most frequent first; accepted rows have none
    audited_at: str
    out: str  # the verdicts, a Parquet file


def audit(
    snapshot: Snapshot,
    gate: Gate,
    folder: Path,
    *,
    workers: int = 1,
    progress: Progress | None = None,
    fresh: bool = False,
    leases: Leases | None = None,
    turn: Callable[[], None] = lambda: None,
    judge: Judge | None = None,
) -> Audit:
    """Judge every row of a version and seal the verdicts in its store. Parts lie in `folder` meanwhile.

    `leases`: other processes make the same call on the same folder; `turn` then waits until none of them seals.
    `judge` takes the place of `workers` processes here.
    Raises IntegrityError where the verdicts are not one for every row; nothing is sealed then.
    """
    version = snapshot.version
    target = gate_files.folder(snapshot.root, gate.id) / f"{version.id}.parquet"
    if not fresh and target.exists():
        for found in gate_files.audits(snapshot.root, version.id):
            if found["gate_id"] == gate.id:
                gate_files.verdicts(snapshot.root, found)
                return Audit(**{name: found[name] for name in Audit.__dataclass_fields__})
    parts = folder / "parts"
    parts.mkdir(parents=True, exist_ok=True)
    judge = judge or partial(gate.verify_chunks, workers=workers)
    if leases is None:
        chunks = _judge(snapshot, judge, parts, progress)
    else:
        chunks = _share(snapshot, judge, parts, progress, Sharing(leases, target))
        turn()
    gate_files.describe(snapshot.root, gate.id, gate.name, gate.identity)
    _seal(chunks, target)
    reasons, counts = _counted(target, version.ref, version.rows)
    done = Audit(
        version=version.ref,
        version_id=version.id,
        gate=gate.name,
        gate_id=gate.id,
        rows=version.rows,
        accepted=counts["accepted"],
        rejected=counts["rejected"],
        unverifiable=counts["unverifiable"],
        reasons=reasons,
        audited_at=datetime.now(UTC).isoformat(timespec="seconds"),
        out=str(target),
    )
    gate_files.keep_audit(target, asdict(done))
    shutil.rmtree(parts)
    return done


@dataclass(frozen=True, slots=True)
class Sharing:
    """What a process knows of others that judge the same rows."""

    leases: Leases
    sealed: Path  # there once all is judged: then the parts go

    def claim(self, index: int) -> bool:
        return not self.sealed.exists() and self.leases.claim(index)


def _share(
    snapshot: Snapshot,
    judge: Judge,
    folder: Path,
    progress: Progress | None,
    sharing: Sharing,
) -> list[Path]:
    """As `_judge`, while other processes do the same; returns when all parts are there, or are sealed already."""
    while True:
        chunks = _judge(snapshot, judge, folder, progress, sharing)
        while not sharing.sealed.exists():
            missing = [i for i, path in enumerate(chunks) if not path.exists()]
            if not missing:
                return chunks
            if any(sharing.leases.claim(i) for i in missing):
                break
            if progress:
                progress({})
            time.sleep(LOOK_EVERY_S)
        else:
            return chunks


def _judge(
    snapshot: Snapshot,
    judge: Judge,
    folder: Path,
    progress: Progress | None,
    sharing: Sharing | None = None,
) -> list[Path]:
    """The part of every chunk, in order, those that were missing now made; not those that others have a lease on."""
    paths: list[Path] = []
    waiting: deque[tuple[int, pa.RecordBatch]] = deque()
    done = 0

    def missing() -> Iterator[list[Job]]:
        nonlocal done
        for index, rows in enumerate(_chunks(snapshot)):
            paths.append(folder / f"{index:06d}.parquet")
            if sharing and not paths[-1].exists() and not sharing.claim(index):
                continue
            if paths[-1].exists():  # looked at after the claim: whoever held it may have made it between
                _check(paths[-1], rows)
                done += rows.num_rows
                if sharing:
                    sharing.leases.release(index)
            else:
                waiting.append((index, rows))
                yield [(row, row["completion"], "stop") for row in rows.to_pylist()]

    for verdicts in judge(missing()):
        index, rows = waiting.popleft()
        table = _table(rows, verdicts)
        with (first if sharing else whole)(paths[index]) as file:
            pq.write_table(table, file, compression="zstd")
        if sharing:
            sharing.leases.release(index)
        done += rows.num_rows
        if progress:
            progress({"done": done, "total": snapshot.version.rows})
    return paths


def _chunks(snapshot: Snapshot) -> Iterator[pa.RecordBatch]:
    for batch in snapshot.batches(COLUMNS):
        for start in range(0, batch.num_rows, CHUNK_ROWS):
            yield batch.slice(start, CHUNK_ROWS)


def _table(rows: pa.RecordBatch, verdicts: list[Verdict]) -> pa.Table:
    own = pc.equal(rows.column("completion"), rows.column("demonstration")).to_pylist()
    judged = [of_own_text(v) if same else v for v, same in zip(verdicts, own, strict=True)]
    return pa.table(
        {
            "row_id": rows.column("row_id"),
            "target": rows.column("target"),
            "status": [v.status.value for v in judged],
            "reason": [v.reason for v in judged],
            "checks": [canonical_json([asdict(check) for check in v.checks]) for v in judged],
        },
        schema=VERDICT_SCHEMA,
    )


def of_own_text(verdict: Verdict) -> Verdict:
    """The verdict on a text that is the demonstration: without the checks that it fails for being the same."""
    return decide(tuple(check for check in verdict.checks if check.name not in OF_REWRITES_ONLY))


def _check(path: Path, rows: pa.RecordBatch) -> None:
    """Raise IntegrityError unless a part of an earlier attempt holds the verdicts of these rows."""
    again = f"Remove {path.parent} and run the same command again: its rows will be judged anew."
    try:
        keys = pq.read_table(path, columns=["row_id", "target"])
    except (pa.ArrowException, OSError) as error:
        raise IntegrityError(f"{path} cannot be read ({error}). {again}") from error
    if any(keys.column(name).to_pylist() != rows.column(name).to_pylist() for name in keys.column_names):
        raise IntegrityError(f"{path} holds verdicts of other rows than those of its place. {again}")


def _seal(parts: list[Path], target: Path) -> None:
    """All parts as one file, one of them in memory at a time."""
    with whole(target) as file, pq.ParquetWriter(file, VERDICT_SCHEMA, compression="zstd") as writer:
        for part in parts:
            writer.write_table(pq.read_table(part))


def _counted(file: Path, version: str, rows: int) -> tuple[dict[str, int], Counter[str]]:
    """How often each reason and each status was given. Raises IntegrityError where the rows do not add up."""
    with memory() as con:
        found = con.execute(
            "SELECT status, reason, count(*) AS n, "
            "(SELECT count(DISTINCT (row_id, target)) FROM read_parquet($1)) AS keys "
            "FROM read_parquet($1) GROUP BY ALL ORDER BY n DESC, reason",
            [str(file)],
        ).fetchall()
    statuses: Counter[str] = Counter()
    for status, _, count, _ in found:
        statuses[status] += count
    keys = found[0][3] if found else 0
    if not sum(statuses[s] for s in VerdictStatus) == keys == rows:
        file.unlink()
        raise IntegrityError(
            f"the conservation law does not hold for this audit: {version} has {rows} rows, and there are "
            f"{statuses['accepted']} accepted + {statuses['rejected']} rejected + {statuses['unverifiable']} "
            f"unverifiable for {keys} different keys. Nothing was sealed."
        )
    return {reason: count for _, reason, count, _ in found if reason}, statuses
