"""Which rows come up for review, and in which order.

    risk      the likeliest mistakes first: near a threshold of the gate, few candidates passed, drawn with hesitation,
              less likely than the expert's text, another language
    active    those that tell most about how many are wrong (`pipelines.review.active`); here by risk
    random    in an order drawn by a seed: the share of refusals among the first n is an honest estimate
    changed   the rows in which the version differs from another one
    conflicts what another reviewer decided differently

A queue is numbers of rows, by their order in the version; texts are read when a row comes up. Reviewed are the rows
whose text is not the expert's, where there are any, and all rows where a condition chooses them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from recast.curate.gate import gate_files
from recast.curate.history.diff import Diff
from recast.curate.history.query import holds
from recast.curate.language.identify import language
from recast.curate.schema import literal
from recast.curate.store.catalog import memory
from recast.curate.store.snapshot import Snapshot, candidates_sql
from recast.curate.store.store import Store
from recast.curate.store.versions import Version
from recast.pipelines.review.decisions import Key

Name = Literal["risk", "active", "random", "changed", "conflicts"]
WEIGHTS = {"margin": 1.0, "candidates": 1.0, "hesitation": 1.5, "likelihood": 0.8, "language": 1.5}
"""What each sign counts; a sign is in [0, 1]."""
ACTIVE = {
    "candidates": 0.5, "hesitation": 1.5, "likelihood": 0.8, "language": 1.5, "answers": 1.0, "numbers": 1.0,
    "lost": 1.0,
}  # fmt: skip
"""The same for an active queue. Margins tell no accepted mistake from right text there (tests/bench/active.py)."""
TOLD = {
    "margin": 0.8, "candidates": 0.5, "hesitation": 0.8, "likelihood": 0.5, "language": 0.5, "answers": 0.5,
    "numbers": 0.25, "lost": 0.75,
}  # fmt: skip
"""From where on a sign is told to the reviewer."""
_READ_CHARS = 600  # of a text, for its language
_COLUMNS = ("messages", "completion", "demonstration", "nll_demonstration", "nll_completion", "pass_rate")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class Queue:
    """Rows in the order in which they come up."""

    name: str
    rows: NDArray[np.int64]  # numbers of rows
    said: str  # what chose them
    risk: dict[str, NDArray[np.float32]] = field(default_factory=dict)  # sign -> float32[rows of the version]

    def risks(self) -> NDArray[np.float64]:
        """float64[rows of the queue]: what the signs of each come to."""
        counts = ACTIVE if self.name == "active" else WEIGHTS
        total = sum(
            weight * self.risk[sign][self.rows] for sign, weight in counts.items() if sign in self.risk
        )
        return np.asarray(total, np.float64)

    def signs(self, row: int) -> dict[str, float]:
        """Why a row comes early, the strongest sign first."""
        found = {name: float(values[row]) for name, values in self.risk.items() if values[row] >= TOLD[name]}
        return dict(sorted(found.items(), key=lambda sign: -sign[1] * (WEIGHTS | ACTIVE)[sign[0]]))


def build(
    store: Store,
    snapshot: Snapshot,
    keys: dict[Key, int],
    name: Name,
    *,
    where: str | None = None,
    against: Diff | None = None,
    conflicts: Iterable[Key] = (),
    seed: int = 0,
    beside: Version | None = None,
) -> Queue:
    """The queue `name` of a version. `keys`: the number of each row. `where`: SQL over a row's columns. `against`: the
    diff whose changed rows are meant. `beside`: the version that keeps the candidates."""
    if name == "conflicts":
        rows = np.array(sorted(keys[key] for key in conflicts if key in keys), np.int64)
        return Queue(name, rows, "decided differently by another reviewer")
    said = ""
    if where is not None:
        chosen, said = holds(store, snapshot.version, where), f"where {where}"
    elif against is not None:
        chosen, said = np.zeros(len(keys), bool), f"changed since {against.a.ref}"
    else:
        own = _own(snapshot)
        chosen = own if own.any() else np.ones(len(keys), bool)
    if against is not None:
        differ = _differing(against, keys)
        chosen = differ if where is None else chosen & differ
    rows = np.flatnonzero(chosen)
    if name == "random":
        return Queue(name, np.random.default_rng(seed).permutation(rows), said or "drawn at random")
    if name == "changed":
        return Queue(name, rows, said)
    found = Queue(name, rows, said, _risk(snapshot, keys, chosen, beside, texts=name == "active"))
    order = np.argsort(-found.risks(), kind="stable")
    usual = (
        "the likeliest mistakes first" if name == "risk" else "those that tell most about how many are wrong"
    )
    return replace(found, rows=rows[order], said=said or usual)


def _differing(found: Diff, keys: dict[Key, int]) -> NDArray[np.bool_]:
    changed = found.changes.filter(pc.is_in(found.changes["op"], pa.array(["add", "change"])))
    out = np.zeros(len(keys), bool)
    for row_id, target in zip(changed["row_id"].to_pylist(), changed["target"].to_pylist(), strict=True):
        out[keys[row_id, target]] = True
    return out


def _own(snapshot: Snapshot) -> NDArray[np.bool_]:
    """Whether each row's text is another than the expert's."""
    return np.concatenate(
        [
            np.zeros(0, bool),
            *(
                pc.not_equal(*batch.columns).to_numpy(zero_copy_only=False)
                for batch in snapshot.batches(("completion", "demonstration"))
            ),
        ]
    )


def _risk(
    snapshot: Snapshot,
    keys: dict[Key, int],
    chosen: NDArray[np.bool_],
    beside: Version | None,
    *,
    texts: bool,
) -> dict[str, NDArray[np.float32]]:
    """Sign -> float32[rows of the version] in [0, 1]; 0 where there is nothing to tell it by. Texts are read a piece at
    a time; whole only where `texts` are to be told apart by their numbers, words and answers."""
    named = ("candidates", "likelihood", "language", *(("numbers", "lost") if texts else ()))
    signs = {name: np.zeros(len(keys), np.float32) for name in named}
    start = 0
    for batch in snapshot.batches(_COLUMNS if texts else _COLUMNS[1:]):
        here = slice(start, start + batch.num_rows)
        was, now, rate = (
            batch[name].to_numpy(zero_copy_only=False).astype(np.float64)
            for name in ("nll_demonstration", "nll_completion", "pass_rate")
        )
        signs["candidates"][here] = np.nan_to_num(1 - rate, nan=0.0)
        # nats a token that the text lies above the expert's: half at none, one at a whole nat
        signs["likelihood"][here] = np.clip(np.nan_to_num(0.5 + (now - was) / 2, nan=0.0), 0, 1)
        signs["language"][here] = _foreign(batch, chosen[here])
        if texts:
            signs["numbers"][here], signs["lost"][here] = _told_otherwise(batch, chosen[here])
        start += batch.num_rows
    if texts:
        signs["answers"] = _other_answers(snapshot, keys, beside)
    return {
        "margin": _margins(snapshot, keys, beside),
        "hesitation": _hesitations(snapshot, keys, beside),
        **signs,
    }


def _told_otherwise(
    batch: pa.RecordBatch, chosen: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """float32[rows] twice, of chosen rows: which part of their numbers neither question nor expert gives, and which
    part of the expert's words they lack."""
    numbers, lost = (np.zeros(batch.num_rows, np.float32) for _ in range(2))
    columns = ("messages", "completion", "demonstration")
    texts = (batch[name].filter(pa.array(chosen)).to_pylist() for name in columns)
    for row, asked, text, expert in zip(np.flatnonzero(chosen), *texts, strict=True):
        own, given = set(_NUMBER.findall(text)), {*_NUMBER.findall(asked), *_NUMBER.findall(expert)}
        numbers[row] = len(own - given) / max(1, len(own))
        words = set(_WORD.findall(expert.lower()))
        lost[row] = len(words - set(_WORD.findall(text.lower()))) / max(1, len(words))
    return numbers, lost


def _hesitations(snapshot: Snapshot, keys: dict[Key, int], beside: Version | None) -> NDArray[np.float32]:
    """float32[rows]: which part of the version's rewrites was drawn with less hesitation (`agent.rewriting.choice`, a
    score of candidates) than the row's own; 0 where nothing is known of it."""
    return _by_candidates(
        snapshot,
        keys,
        beside,
        "WITH own AS (SELECT row_id, target, "
        "  TRY_CAST(json_extract_string(scores, '$.hesitation') AS DOUBLE) AS nats FROM candidates WHERE chosen) "
        "SELECT row_id, target, percent_rank() OVER (ORDER BY nats) FROM own WHERE isfinite(nats)",
    )


def _other_answers(snapshot: Snapshot, keys: dict[Key, int], beside: Version | None) -> NDArray[np.float32]:
    """float32[rows]: which part of a row's candidates ends in another number than the one that was chosen."""
    return _by_candidates(
        snapshot,
        keys,
        beside,
        "WITH last AS (SELECT row_id, target, coalesce(chosen, false) AS chosen, "
        "  list_last(regexp_extract_all(replace(text, ',', ''), '[0-9]+([.][0-9]+)?')) AS number FROM candidates), "
        "own AS (SELECT row_id, target, any_value(number) AS own FROM last WHERE chosen GROUP BY ALL) "
        "SELECT row_id, target, avg((number IS DISTINCT FROM own)::DOUBLE) "
        "FROM last JOIN own USING (row_id, target) WHERE own IS NOT NULL GROUP BY ALL",
    )


def _by_candidates(
    snapshot: Snapshot, keys: dict[Key, int], beside: Version | None, select: str
) -> NDArray[np.float32]:
    """float32[rows]: what `select` says of each row (row_id, target, figure) of the view `candidates`; 0 of others."""
    out = np.zeros(len(keys), np.float32)
    if beside is None:
        return out
    with memory(snapshot.root / "tmp") as con:
        con.execute(
            f"CREATE TEMP VIEW candidates AS {candidates_sql(snapshot.root, beside.candidates_parts)}"
        )
        found = con.execute(select).fetchall()
    for row_id, target, figure in found:
        if (row_id, target) in keys:
            out[keys[row_id, target]] = figure
    return out


def _foreign(batch: pa.RecordBatch, chosen: NDArray[np.bool_]) -> NDArray[np.float32]:
    """float32[rows]: 1 where a chosen row's text is in another language than the expert's."""
    out = np.zeros(batch.num_rows, np.float32)
    texts = (
        pc.utf8_slice_codeunits(batch[name].filter(pa.array(chosen)), 0, _READ_CHARS).to_pylist()
        for name in ("completion", "demonstration")
    )
    for row, text, expert in zip(np.flatnonzero(chosen), *texts, strict=True):
        if text != expert and (spoken := language(text)) and (own := language(expert)):
            out[row] = spoken != own
    return out


def _margins(snapshot: Snapshot, keys: dict[Key, int], beside: Version | None) -> NDArray[np.float32]:
    """How near each row's text came to failing a check, by the scores that checks left: 1 where one failed or could not
    decide or at the score of one that failed, 0 as far from that as any.

    Thresholds are not asked: where a check refuses is seen from the scores of the texts that it refused.
    """
    out = np.zeros(len(keys), np.float32)
    with memory(snapshot.root / "tmp") as con:
        judged = _judged(con, snapshot, beside)
        if judged is None:
            return out
        con.execute(
            "CREATE TEMP TABLE checks AS SELECT row_id, target, own, c.name AS name, c.status AS status, "
            "c.score AS score FROM (SELECT row_id, target, own, unnest(from_json(checks, "
            """'[{"name":"VARCHAR","status":"VARCHAR","score":"DOUBLE"}]')) AS c """
            f"FROM ({judged})) WHERE c.status <> 'pass' OR c.score IS NOT NULL"
        )
        found = con.sql(
            "WITH scored AS (SELECT name, score, status = 'pass' AS passed, row_id, target, own FROM checks "
            "  WHERE score IS NOT NULL AND isfinite(score)), "
            "bounds AS (SELECT name, avg(score) FILTER (passed) AS mid, min(score) FILTER (passed) AS low, "
            "  max(score) FILTER (passed) AS high, avg(score) FILTER (NOT passed) AS bad, "
            "  min(score) FILTER (NOT passed) AS least, max(score) FILTER (NOT passed) AS most "
            "  FROM scored GROUP BY name), "
            "near AS (SELECT s.row_id, s.target, "
            "  CASE WHEN b.bad > b.mid THEN (s.score - b.low) / nullif(b.least - b.low, 0) "
            "       WHEN b.bad < b.mid THEN (b.high - s.score) / nullif(b.high - b.most, 0) END AS margin "
            "  FROM scored s JOIN bounds b USING (name) WHERE s.own AND s.passed) "
            "SELECT row_id, target, max(margin) AS margin FROM (SELECT * FROM near UNION ALL BY NAME "
            "  SELECT row_id, target, 1.0 AS margin FROM checks WHERE own AND status <> 'pass') "
            "WHERE margin IS NOT NULL GROUP BY ALL"
        ).to_arrow_table()
    for row_id, target, margin in zip(*(found[c].to_pylist() for c in found.column_names), strict=True):
        if (row_id, target) in keys:
            out[keys[row_id, target]] = min(max(margin, 0.0), 1.0)
    return out


def _judged(con: duckdb.DuckDBPyConnection, snapshot: Snapshot, beside: Version | None) -> str | None:
    """SQL of what a gate said: row_id, target, checks, and whether it is `own`, about the row's text itself."""
    for audited in gate_files.audits(snapshot.root, snapshot.version.id):
        file = gate_files.folder(snapshot.root, audited["gate_id"]) / f"{snapshot.version.id}.parquet"
        return f"SELECT row_id, target, checks, true AS own FROM read_parquet({literal(str(file))})"
    if beside is None:
        return None
    sql = candidates_sql(snapshot.root, beside.candidates_parts)
    return (
        f"SELECT row_id, target, checks, coalesce(chosen, false) AS own FROM ({sql}) WHERE checks IS NOT NULL"
    )


def found_by_words(snapshot: Snapshot, words: str) -> NDArray[np.bool_]:
    """Whether each row holds every one of `words`, in any case, in its id, question, texts or reason."""
    columns = ("row_id", "messages", "completion", "demonstration", "reason", "task")
    pieces = [np.zeros(0, bool)]
    for batch in snapshot.batches(columns):
        found = np.ones(batch.num_rows, bool)
        for word in words.split():
            hits = (
                pc.fill_null(pc.match_substring(batch[name], word, ignore_case=True), False)
                for name in columns
            )
            found &= np.logical_or.reduce([hit.to_numpy(zero_copy_only=False) for hit in hits])
        pieces.append(found)
    return np.concatenate(pieces)


def summary(queue: Queue) -> dict[str, Any]:
    return {"name": queue.name, "said": queue.said, "rows": len(queue.rows)}
