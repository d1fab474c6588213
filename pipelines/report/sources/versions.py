"""What a store says about a version: the fates of its rows, their likelihoods, samples, provenance.

Everything is counted in DuckDB over the version's parts, so a report of a million rows reads a million
rows but holds only the samples.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import duckdb

from recast.curate.schema import CANDIDATE_SCHEMA, decode_row
from recast.curate.store.catalog import memory
from recast.curate.store.snapshot import Snapshot, candidates_sql
from recast.curate.store.store import Store
from recast.curate.store.versions import Version
from recast.pipelines.report.data import (
    Fate,
    GateCount,
    Likelihoods,
    Sample,
    SampleCandidate,
    SampleCheck,
    SampleCut,
    VersionNote,
    finite,
)

REWRITTEN = "decision IN ('rewrite', 'repair')"
Kind = Literal["demonstration", "completion", "self"]
KINDS: tuple[tuple[Kind, str, str, str], ...] = (
    ("demonstration", "Demonstrations", "nll_demonstration", "true"),
    ("completion", "Rewrites", "nll_completion", REWRITTEN),
    ("self", "Own samples", "nll_self", "true"),
)
PROVENANCE = (("gate", "gate_id"), ("agent", "agent_id"), ("prompt", "template_id"), ("engine", "engine"))
LEAST_PER_KIND = 3  # samples of every (decision, reason), however rare


@dataclass(frozen=True, slots=True)
class Rows:
    """The row sections of a report."""

    fates: tuple[Fate, ...]
    likelihoods: tuple[Likelihoods, ...]
    gate_counts: tuple[GateCount, ...]
    samples: tuple[Sample, ...]
    facts: tuple[tuple[str, str], ...]
    gate_ids: tuple[str, ...]


def rows(snapshot: Snapshot, *, max_samples: int = 120, seed: int = 0) -> Rows:
    """Counts and samples of one version. The same version and seed give the same samples."""
    with memory(snapshot.root / "tmp") as con:
        con.execute(f"CREATE TEMP VIEW version_rows AS {snapshot.sql(con)}")
        candidates = _candidates(con, snapshot)
        facts = _facts(con)
        return Rows(
            fates=_fates(con),
            likelihoods=_likelihoods(con),
            gate_counts=_gate_counts(con) if candidates else (),
            samples=_samples(con, max_samples, seed, candidates=candidates),
            facts=tuple((name, ", ".join(values)) for name, values in facts.items()),
            gate_ids=tuple(facts.get("gate", ())),
        )


def note(version: Version) -> VersionNote:
    """One line of the provenance table."""
    counts = (("+", version.added), ("~", version.changed), ("-", version.removed))
    return VersionNote(
        ref=version.ref,
        id=version.id,
        rows=version.rows,
        parent=version.parent or "",
        author=version.author,
        message=version.message,
        created_at=version.created_at.strftime("%Y-%m-%d %H:%M"),
        changes=" ".join(f"{sign}{n}" for sign, n in counts if n) or "none",
    )


def notes(store: Store, versions: Sequence[Version]) -> tuple[VersionNote, ...]:
    """The given versions, each once, preceded by the parent of the last where it is not among them."""
    known = list(dict.fromkeys(v.ref for v in versions))
    parent = versions[-1].parent if versions else None
    refs = [parent, *known] if parent and parent not in known else known
    by_ref = {v.ref: v for v in versions}
    return tuple(note(by_ref.get(ref) or store.resolve(ref)) for ref in refs)


def _candidates(con: duckdb.DuckDBPyConnection, snapshot: Snapshot) -> bool:
    parts = snapshot.version.candidates_parts
    if parts:
        con.execute(f"CREATE TEMP VIEW candidates AS {candidates_sql(snapshot.root, parts)}")
    return bool(parts)


def _fates(con: duckdb.DuckDBPyConnection) -> tuple[Fate, ...]:
    found = con.execute(
        "SELECT decision, CASE WHEN decision = 'fallback' THEN coalesce(reason, '') ELSE '' END, "
        "coalesce(task, ''), count(*) FROM version_rows GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    if all(decision == "expert" for decision, _, _, _ in found):
        return ()  # as ingested: nothing has been decided yet
    return tuple(Fate(decision, reason, n, task) for decision, reason, task, n in found)


def _likelihoods(con: duckdb.DuckDBPyConnection) -> tuple[Likelihoods, ...]:
    out = []
    for key, label, column, where in KINDS:
        found = con.execute(
            f"SELECT {column} AS nll FROM version_rows WHERE {column} IS NOT NULL AND {where}"
        )
        values = found.fetchnumpy()["nll"]
        if len(values):
            out.append(Likelihoods(key, label, tuple(sorted(float(v) for v in values))))
    return tuple(out)


def _facts(con: duckdb.DuckDBPyConnection) -> dict[str, list[str]]:
    out = {}
    for name, column in PROVENANCE:
        query = f"SELECT DISTINCT {column} FROM version_rows WHERE {column} IS NOT NULL ORDER BY 1 LIMIT 4"
        if values := [str(v) for (v,) in con.execute(query).fetchall()]:
            out[name] = values
    return out


def _gate_counts(con: duckdb.DuckDBPyConnection) -> tuple[GateCount, ...]:
    found = con.execute(
        "SELECT c->>'name' AS name, count(*) FILTER (c->>'status' = 'pass'), "
        "count(*) FILTER (c->>'status' = 'fail'), count(*) FILTER (c->>'status' NOT IN ('pass', 'fail')) "
        "FROM (SELECT unnest(checks::JSON[]) AS c FROM candidates WHERE checks IS NOT NULL) "
        "GROUP BY name ORDER BY 3 DESC, name"
    ).fetchall()
    return tuple(GateCount(*row) for row in found)


def _samples(con: duckdb.DuckDBPyConnection, most: int, seed: int, *, candidates: bool) -> tuple[Sample, ...]:
    """A shuffled, stratified choice: some of every (decision, reason), no decision more than half while
    others have rows left, the rest at random."""
    con.execute(
        "CREATE TEMP TABLE chosen AS SELECT row_id, target, place FROM ("
        "SELECT row_id, target, md5(concat_ws('/', $seed, row_id, target)) AS place, "
        "row_number() OVER (PARTITION BY decision, reason ORDER BY place) AS of_kind, "
        "row_number() OVER (PARTITION BY decision ORDER BY place) AS of_decision FROM version_rows "
        "WHERE decision <> 'expert') ORDER BY of_kind > $least, of_decision > $half, place LIMIT $most",
        {"seed": str(seed), "least": LEAST_PER_KIND, "half": most // 2, "most": most},
    )
    found = con.sql(
        "SELECT v.* FROM version_rows v JOIN chosen USING (row_id, target) ORDER BY chosen.place"
    ).to_arrow_table()
    beside: dict[tuple[str, int], list[dict[str, Any]]] = {}
    if candidates:
        columns = ", ".join(f"c.{name}" for name in CANDIDATE_SCHEMA.names)
        joined = con.sql(
            f"SELECT {columns} FROM candidates c JOIN chosen USING (row_id, target) ORDER BY attempt, k"
        ).to_arrow_table()
        for candidate in joined.to_pylist():
            beside.setdefault((candidate["row_id"], candidate["target"]), []).append(candidate)
    return tuple(
        _sample(decode_row(row), beside.get((row["row_id"], row["target"]), ())) for row in found.to_pylist()
    )


def _sample(row: Mapping[str, Any], candidates: Sequence[Mapping[str, Any]]) -> Sample:
    shown = next((c for c in candidates if c["chosen"]), None) or _nearest(candidates)
    return Sample(
        row_id=row["row_id"],
        target=row["target"],
        before=row["demonstration"],
        after=row["completion"],
        decision=row["decision"],
        reason=row["reason"] or "",
        prompt=tuple((str(m.get("role", "")), _content(m.get("content"))) for m in row["messages"]),
        task=row["task"] or "",
        answer=row["answer"],
        checks=_checks(shown["checks"]) if shown else (),
        candidates=tuple(
            SampleCandidate(
                text=c["text"],
                status=c["status"] or "",
                reason=c["reason"] or "",
                nll=finite(c["nll"]),
                attempt=c["attempt"] or 0,
                chosen=bool(c["chosen"]),
                cut=_cut(c["cut"]),
            )
            for c in candidates
        ),
        nll_before=finite(row["nll_demonstration"]),
        nll_after=finite(row["nll_completion"]),
        nll_self=finite(row["nll_self"]),
    )


def _nearest(candidates: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Of a row that fell back, the candidate that passed most checks: its checks say what was missing."""
    return max(candidates, key=lambda c: sum(k.status == "pass" for k in _checks(c["checks"])), default=None)


def _checks(text: str | None) -> tuple[SampleCheck, ...]:
    return tuple(
        SampleCheck(c["name"], c["status"], c.get("reason") or "", c.get("message") or "", c.get("score"))
        for c in json.loads(text or "[]")
    )


def _cut(text: str | None) -> SampleCut | None:
    if text is None:
        return None
    said = json.loads(text)
    return SampleCut(said["before"], said["after"], tuple(said["rules"]))


def _content(content: Any) -> str:
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
