"""What rewriting, or people, changed in a version: every kind of edit with counts, acceptance, gain and examples.

Edits are named by `curate.language.edits`. Texts stream; in memory are the clusters, of which those that are named by
their words alone are forgotten while they are rare (lossy counting, Manku and Motwani 2002): such a count is too low by
at most the number of times that rare ones were forgotten.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, NamedTuple

from recast.curate.errors import UsageError
from recast.curate.gate import gate_files
from recast.curate.history.diff import diff
from recast.curate.intervals import wilson
from recast.curate.language.edits.edits import Edit, edits
from recast.curate.language.edits.names import NAMES
from recast.curate.parallel import in_order
from recast.curate.store.catalog import memory
from recast.curate.store.snapshot import candidates_sql
from recast.curate.store.store import Store
from recast.curate.store.versions import Version

MOST_BY_WORDS = 20_000
"""Clusters named by their words that are held; beyond, the rarest are forgotten."""
CHUNK = 200
EXCERPT = 400
"""Characters of an example's texts that are kept."""
_COLUMNS = (
    "row_id",
    "target",
    "messages",
    "completion",
    "demonstration",
    "nll_demonstration",
    "nll_completion",
)


class Rewritten(NamedTuple):
    """One text and what it was made of."""

    row_id: str
    target: int
    prompt: str
    before: str
    after: str
    gain: float | None
    """Nats per token by which it is likelier than the text before."""
    accepted: bool | None
    """None: a row's own text, and no candidate."""


@dataclass(slots=True)
class Cluster:
    """All edits of one name."""

    name: str
    rows: int = 0
    candidates: int = 0
    accepted: int = 0
    scored: int = 0
    gain: float = 0.0
    examples: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def to_json(self, totals: Cluster) -> dict[str, Any]:
        """With the same of all texts that lack the edit."""
        others, rest = totals.candidates - self.candidates, totals.accepted - self.accepted
        unscored = totals.scored - self.scored
        return {
            "name": self.name,
            "meaning": NAMES.get(self.name, "these words"),
            "rows": self.rows,
            "share": self.rows / totals.rows if totals.rows else None,
            "candidates": self.candidates,
            "accepted": self.accepted,
            "acceptance": self.accepted / self.candidates if self.candidates else None,
            "acceptance_interval": list(wilson(self.accepted, self.candidates)) if self.candidates else None,
            "acceptance_without": rest / others if others else None,
            "gain": self.gain / self.scored if self.scored else None,
            "gain_without": (totals.gain - self.gain) / unscored if unscored else None,
            "examples": self.examples,
        }


@dataclass(frozen=True, slots=True)
class Mined:
    """What was found. Gains are in nats per token, over candidates where a version has scored ones, else over rows."""

    version: Version
    against: str
    totals: Cluster
    """Of all texts that differ from what they were made of."""
    compared: int
    """Rows that were compared, those with the same text included."""
    clusters: list[Cluster]
    """Most rows first."""
    forgotten: int
    """Times that rare clusters were forgotten."""

    def to_json(self, least: int = 1) -> dict[str, Any]:
        """As plain data; clusters named by their words alone that occur less than `least` times are only counted."""
        shown = [c for c in self.clusters if c.name in NAMES or max(c.rows, c.candidates) >= least]
        return {
            "version": self.version.ref,
            "against": self.against,
            "rows": self.compared,
            "changed": self.totals.rows,
            "candidates": self.totals.candidates,
            "acceptance": self.totals.accepted / self.totals.candidates if self.totals.candidates else None,
            "gain": self.totals.gain / self.totals.scored if self.totals.scored else None,
            "clusters": [c.to_json(self.totals) for c in shown],
            "rare": len(self.clusters) - len(shown),
            "forgotten": self.forgotten,
        }


def mine(
    store: Store,
    ref: str,
    *,
    against: str | None = None,
    examples: int = 2,
    limit: int | None = None,
    workers: int = 1,
    progress: Callable[..., None] | None = None,
) -> Mined:
    """Cluster the edits that led to the texts of the version `ref`.

    The texts before are the demonstrations, or what the rows read in the version `against`: what people changed in a
    rewritten version. Candidates are compared with demonstrations, and only without `against`. `examples` are kept of
    each cluster; of `limit` rows at most. Raises UsageError where the two versions have no row in common that differs.
    """
    version = store.resolve(ref)
    other = store.resolve(against) if against else None
    rows = _against(store, other, version) if other else _rows(store, version)
    ids = None
    if limit is not None:
        rows = list(islice(rows, limit))
        ids = [row.row_id for row in rows]
    held = _Held(examples)
    compared = _read(chain(rows, () if other else _candidates(store, version, ids)), held, workers, progress)
    if other is not None and not compared:
        raise UsageError(
            f"no row of {version.ref} reads otherwise than in {other.ref}: there is no edit to look at."
        )
    return Mined(
        version,
        other.ref if other else "demonstrations",
        held.totals,
        compared,
        held.ranked(),
        held.forgotten,
    )


def rules(store: Store, version: Version) -> dict[str, str]:
    """The edits that the gates of a version's rows ban or want: name -> `banned` or `wanted`. Nothing of gates that
    nobody wrote down (`curate.gate.gate_files`)."""
    ids: dict[str, None] = {}
    for batch in store.open(version).batches(["gate_id"]):
        ids |= dict.fromkeys(gate for gate in batch.column(0).unique().to_pylist() if gate)
    found: dict[str, str] = {}
    for gate_id in ids:
        checks = (gate_files.described(store.root, gate_id) or {}).get("checks", {})
        for check in chain(checks.get("checks", ()), *checks.get("tasks", {}).values()):
            if check["type"] == "edits":
                found |= {name: rule for rule in ("banned", "wanted") for name in check[rule]}
    return found


def became(store: Store, found: Mined, *, limit: int | None = None, workers: int = 1) -> list[dict[str, Any]]:
    """What became of the edits that the gate of `found`'s version bans or wants: rows that have them there, candidates
    that were refused, and rows that had them in the version of the name before. `limit`: as `found` was mined."""
    version = found.version
    ruled = rules(store, version)
    if not ruled:
        return []
    earlier = next((v for v in store.log(version.name) if v.number < version.number), None)
    last = mine(store, earlier.ref, examples=0, limit=limit, workers=workers) if earlier else None
    now, was = ({c.name: c for c in mined.clusters} if mined else {} for mined in (found, last))
    told: list[dict[str, Any]] = []
    for name, rule in ruled.items():
        here, there = now.get(name, Cluster(name)), was.get(name, Cluster(name))
        told.append(
            {
                "name": name, "rule": rule, "rows": here.rows, "of": found.totals.rows,
                "refused": here.candidates - here.accepted,
                "before": last and {"version": last.version.ref, "rows": there.rows, "of": last.totals.rows},
            }
        )  # fmt: skip
    return told


def _rows(store: Store, version: Version) -> Iterator[Rewritten]:
    scored_candidates = bool(version.candidates_parts)
    for row in store.open(version).rows(_COLUMNS):
        gain = None if scored_candidates else _gain(row["nll_demonstration"], row["nll_completion"])
        yield Rewritten(
            row["row_id"], row["target"], prompt_of(row["messages"]), row["demonstration"], row["completion"],
            gain, None,
        )  # fmt: skip


def _against(store: Store, other: Version, version: Version) -> Iterator[Rewritten]:
    for row in diff(store, other, version).rows(_COLUMNS, ops=("change",)):
        assert row.before is not None and row.after is not None  # a changed row has both sides
        yield Rewritten(
            row.row_id, row.target, prompt_of(row.after["messages"]), row.before["completion"], row.after["completion"],
            _gain(*row.nll), None,
        )  # fmt: skip


def _candidates(store: Store, version: Version, ids: list[str] | None) -> Iterator[Rewritten]:
    """Every candidate of the version's rows (None: of all), in the order of their ids."""
    if not version.candidates_parts:
        return
    names = ("row_id", "target", "messages", "demonstration", "nll_demonstration", "text", "nll", "status")
    with memory(store.root / "tmp") as con:
        rows = store.open(version).sql(con)
        found = con.sql(
            "SELECT c.row_id, c.target, v.messages, v.demonstration, v.nll_demonstration, c.text, c.nll, c.status "
            f"FROM ({candidates_sql(store.root, version.candidates_parts)}) c JOIN ({rows}) v USING (row_id, target) "
            "WHERE $1 IS NULL OR list_contains($1, c.row_id) ORDER BY c.row_id, c.target, c.attempt, c.k",
            params=[ids],
        ).to_arrow_reader(4096)
        for batch in found:
            for row in zip(*(batch.column(name).to_pylist() for name in names), strict=True):
                row_id, target, messages, demonstration, nll_before, text, nll, status = row
                yield Rewritten(
                    row_id, target, prompt_of(json.loads(messages)), demonstration, text, _gain(nll_before, nll),
                    status == "accepted",
                )  # fmt: skip


def prompt_of(messages: Sequence[Mapping[str, Any]]) -> str:
    """The texts of a prompt, one after the other."""
    return "\n".join(m["content"] for m in messages if isinstance(m.get("content"), str))


def _gain(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else before - after


def _read(texts: Iterable[Rewritten], held: _Held, workers: int, progress: Callable[..., None] | None) -> int:
    """Count the edits of all texts; return the number of rows among them."""
    compared = done = 0
    stream = iter(texts)
    chunks = iter(lambda: list(islice(stream, CHUNK)), [])
    for chunk, found in in_order(_named, chunks, workers=workers):
        for text, made in zip(chunk, found, strict=True):
            compared += text.accepted is None
            if text.before != text.after:
                held.add(text, made)
        done += len(chunk)
        if progress:
            progress({"done": done})
    return compared


def _named(chunk: list[Rewritten]) -> tuple[list[Rewritten], list[tuple[Edit, ...]]]:
    return chunk, [edits(text.before, text.after, text.prompt) for text in chunk]


class _Held:
    """The clusters so far."""

    def __init__(self, examples: int) -> None:
        self.examples = examples
        self.totals = Cluster("")
        self.forgotten = 0
        self._least = 1
        self._named: dict[str, Cluster] = {}
        self._by_words: dict[str, Cluster] = {}

    def add(self, text: Rewritten, made: tuple[Edit, ...]) -> None:
        _count(self.totals, text)
        for edit in made:
            clusters = self._named if edit.name in NAMES else self._by_words
            cluster = clusters.setdefault(edit.name, Cluster(edit.name))
            _count(cluster, text)
            if len(cluster.examples) < self.examples and (text.accepted is None or text.accepted):
                # an edit of the whole text names no place of it
                old, new = (
                    (edit.before, edit.after) if edit.before or edit.after else (text.before, text.after)
                )
                shown = {"before": old[:EXCERPT], "after": new[:EXCERPT]}
                cluster.examples.append({"row_id": text.row_id, "target": text.target, **shown})
        if len(self._by_words) > MOST_BY_WORDS:
            counts = {name: max(c.rows, c.candidates) for name, c in self._by_words.items()}
            self._by_words = {name: c for name, c in self._by_words.items() if counts[name] > self._least}
            self._least += len(self._by_words) > MOST_BY_WORDS // 2
            self.forgotten += 1

    def ranked(self) -> list[Cluster]:
        every = [*self._named.values(), *self._by_words.values()]
        return sorted(every, key=lambda c: (-c.rows, -c.candidates, c.name))


def _count(cluster: Cluster, text: Rewritten) -> None:
    if text.accepted is None:
        cluster.rows += 1
    else:
        cluster.candidates += 1
        cluster.accepted += text.accepted
    if text.gain is not None:
        cluster.scored += 1
        cluster.gain += text.gain
