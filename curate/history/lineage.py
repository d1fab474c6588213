"""Where a row's text comes from, and where it went: why, blame, pins, impact."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recast.curate.errors import UsageError
from recast.curate.files import write_json
from recast.curate.gate import gate_files
from recast.curate.records import HESITANT
from recast.curate.schema import decode_row, literal
from recast.curate.store import versions
from recast.curate.store.catalog import memory
from recast.curate.store.gather import fetch
from recast.curate.store.parts import verified
from recast.curate.store.snapshot import candidates_sql
from recast.curate.store.store import Store, default_author
from recast.curate.store.versions import Version

LOCK = "dataset.lock"
SHOWN_CHARS = 120  # of a span that was cut; `recast sql` shows all of it
_TEXT = (
    "completion", "answer", "decision", "reason", "source", "agent_id", "template_id", "gate_id", "engine", "seed",
    "run_id", "nll_demonstration", "nll_completion", "meta",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Event:
    """One text that a row has had, and the version that brought it. `row` is None where it was removed."""

    version: Version
    op: str  # add, change, remove, rescore
    row: dict[str, Any] | None
    row_id: str
    place: tuple[str, int] | None  # part and position; a merge or a revert takes rows from where they lie

    @property
    def review(self) -> dict[str, Any]:
        """What a person decided about the text (`recast review`); empty where nobody did."""
        found = ((self.row or {}).get("meta") or {}).get("review")
        return found if isinstance(found, dict) else {}

    @property
    def reviewer(self) -> str:
        return str(self.review.get("by") or self.version.author)

    def to_json(self) -> dict[str, Any]:
        v = self.version
        row = {name: value for name, value in (self.row or {}).items() if name != "meta"}
        return {
            "row_id": self.row_id, "version": v.ref, "op": self.op, "author": v.author,
            "created_at": v.created_at.isoformat(), "message": v.message, "merge": len(v.parents) > 1,
            **row, **({"review": {**self.review, "by": self.reviewer}} if self.review else {}),
        }  # fmt: skip


def blame(store: Store, ref: str, row_id: str, target: int = 0) -> list[Event]:
    """Every text that a row has had on the way to the version `ref`, newest first.

    `row_id` may be the start of an id that fits one row only.
    """
    with store.catalog.reading() as con:
        version = versions.resolve(con, ref)
        line = versions.ancestors(versions.family(con), version.id)
        history = versions.select(con, "v.id IN (SELECT unnest(?::VARCHAR[]))", [sorted(line)])
    by_log: dict[str, list[Version]] = {}
    for each in history:
        if each.log not in by_log or each.added or each.changed or each.removed or each.rescored:
            by_log.setdefault(each.log, []).append(each)
    listed = ", ".join(literal(str(verified(store.root, log))) for log in by_log)
    with memory() as con:
        row_id = _whole_id(con, listed, row_id, target, version)
        found = con.sql(
            "SELECT parse_filename(filename, true) AS log, op, part_after, pos_after "
            f"FROM read_parquet([{listed}], filename = true) WHERE row_id = ? AND target = ?",
            params=[row_id, target],
        ).to_arrow_table()
    rows = fetch(store.root, found.column("part_after"), found.column("pos_after"), _TEXT).to_pylist()
    events = [
        Event(
            each,
            op,
            None if op == "remove" else decode_row(row),
            row_id,
            (part, position) if part is not None else None,
        )
        for log, op, part, position, row in zip(
            *(found.column(name).to_pylist() for name in ("log", "op", "part_after", "pos_after")),
            rows,
            strict=True,
        )
        for each in by_log[log]
    ]
    return sorted(events, key=lambda e: (e.version.created_at, e.version.number), reverse=True)


def _whole_id(con: Any, listed: str, row_id: str, target: int, version: Version) -> str:
    found = con.execute(
        f"SELECT DISTINCT row_id FROM read_parquet([{listed}]) WHERE starts_with(row_id, ?) AND target = ? "
        "ORDER BY row_id LIMIT 9",
        [row_id, target],
    ).fetchall()
    ids = sorted(r for (r,) in found)
    if row_id in ids:
        return row_id
    if ids:
        return _only(ids, row_id)
    raise UsageError(f"no row {row_id!r} (target {target}) in {version.ref} or anything before it.")


def _only(ids: list[str], start: str) -> str:
    if len(ids) > 1:
        shown = ", ".join(ids[:5])
        raise UsageError(f"{start!r} is the start of {len(ids)} row ids or more: {shown}. Give more of it.")
    return ids[0]


def why(store: Store, ref: str, row_id: str, target: int = 0) -> str:
    """One sentence that says why the row reads as it does in the version `ref`."""
    events = blame(store, ref, row_id, target)
    last = next((e for e in events if e.op != "rescore"), events[0])
    row_id = last.row_id
    arrived = origin_of(events, last)
    origin = _written(events, arrived)
    made = origin.version
    again = "" if arrived.version is last.version else _brought(last.version)
    reviewed = _reviewed(arrived) if arrived.review else ""
    said = f", {made.message!r}" if made.message else ""
    when = f"{made.ref} (by {made.author}, {made.created_at:%Y-%m-%d %H:%M}{said})"
    if last.row is None:
        return f"Row {row_id} is not in {ref}: {when} removed it."
    row = last.row
    decision, reason = row["decision"], row["reason"]
    tried = _tried(store, made, row_id, target)
    came = f" from {row['source']}" if row["source"] else ""
    if decision in ("rewrite", "repair"):
        by = f"agent {row['agent_id']}" if row["agent_id"] else "the bare backbone"
        gate = (
            f", and gate {row['gate_id']} accepted it{_known(store, row['gate_id'])}"
            if row["gate_id"]
            else ""
        )
        cost = ""
        if row["nll_demonstration"] is not None and row["nll_completion"] is not None:
            cost = f"; its NLL went from {row['nll_demonstration']:.2f} to {row['nll_completion']:.2f} nats per token"
        prompt = f" under prompt {row['template_id']}" if row["template_id"] else ""
        how = "was repaired" if decision == "repair" else "was rewritten"
        return f"Row {row_id} {how} by {by}{prompt} in {when}{gate}{cost}{tried}{reviewed}{again}."
    if decision == "fallback" and origin.review.get("decision") == "expert":
        return f"Row {row_id} has the expert's text back, as a reviewer chose in {when}{reviewed}{again}."
    if decision == "fallback":
        because = f"no rewrite passed ({reason or 'no reason recorded'})"
        if reason == HESITANT:
            because = (
                "the model was less sure of each rewrite that passed than of nearly all others (hesitant)"
            )
        return f"Row {row_id} keeps the expert's text: in {when} {because}{tried}{reviewed}{again}."
    if decision == "edited":
        because = f", because {reason}" if reason else ""
        return f"Row {row_id} was edited by a person in {when}{because}{reviewed}{again}."
    if decision == "generated":
        return f"Row {row_id} was generated in {when}{came}{reviewed}{again}."
    since = again or ", and nothing has changed it since"
    return f"Row {row_id} reads as the expert wrote it: {when} brought it{came}{reviewed or since}."


def origin_of(events: list[Event], last: Event) -> Event:
    """The oldest event that brought the text of `last`, which merges and reverts only point at."""
    return next((e for e in reversed(events) if e.place == last.place), last) if last.place else last


def _written(events: list[Event], event: Event) -> Event:
    """The event that wrote the text of `event`, which a review that left it as it was only stamped."""
    at = events.index(event)
    older = next((e for e in events[at + 1 :] if e.op != "rescore"), None)
    if not event.review or older is None or event.row is None or older.row is None:
        return event
    if any(event.row[name] != older.row[name] for name in ("completion", "decision", "reason")):
        return event
    return _written(events, origin_of(events, older))


def _reviewed(event: Event) -> str:
    """What a person decided about the text, as a clause."""
    said, version = event.review, event.version
    did = {
        "accepted": "accepted it", "expert": "kept the expert's text", "edited": "edited it",
        "suspect": "doubts the expert's text",
    }.get(str(said.get("decision")), "reviewed it")  # fmt: skip
    reasons = said.get("reasons") or []
    because = f", because {', '.join(map(str, reasons))}" if reasons else ""
    noted = f", noting {_excerpt(str(said['note']))}" if said.get("note") else ""
    over = ", though the gate does not accept it" if said.get("gate_overruled") else ""
    return f"; {event.reviewer} {did} in {version.ref} ({version.created_at:%Y-%m-%d %H:%M}){because}{noted}{over}"


def _brought(version: Version) -> str:
    how = "merged it in" if len(version.parents) > 1 else "brought it back"
    return f"; {version.ref} (by {version.author}, {version.created_at:%Y-%m-%d %H:%M}) {how}"


def _known(store: Store, gate_id: str) -> str:
    """How often the gate is wrong, as a clause, where the store knows."""
    measured = gate_files.measured(store.root, gate_id)
    return f" ({measured})" if measured else ""


def _tried(store: Store, version: Version, row_id: str, target: int) -> str:
    """What became of the row's candidates, as a clause."""
    if not version.candidates_parts:
        return ""
    with memory() as con:
        found = con.execute(
            f"SELECT status, reason, chosen, cut FROM ({candidates_sql(store.root, version.candidates_parts)}) "
            "WHERE row_id = ? AND target = ?",
            [row_id, target],
        ).fetchall()
    if not found:
        return ""
    fates = Counter(reason or status for status, reason, *_ in found)
    told = f"; of {len(found)} candidates: " + ", ".join(f"{n} {fate}" for fate, n in fates.most_common())
    cuts = [(chosen, json.loads(cut)) for *_, chosen, cut in found if cut]
    if kept := next((cut for chosen, cut in cuts if chosen), None):
        spans = [
            f"{where} it {_excerpt(kept[where])}" for where in ("before", "after") if kept[where].strip()
        ]
        told += f"; cut from its sample ahead of the gate ({', '.join(kept['rules'])}): {' and '.join(spans)}"
    elif cuts:
        rules = Counter(rule for _, cut in cuts for rule in cut["rules"])
        by = ", ".join(f"{n} {rule}" for rule, n in rules.most_common())
        told += f"; {len(cuts)} of them were cut ahead of the gate ({by})"
    return told


def _excerpt(text: str) -> str:
    """The beginning of a span on one line, quoted."""
    line = " ".join(text.split())
    return repr(line if len(line) <= SHOWN_CHARS else line[:SHOWN_CHARS] + "…")


# models


def pin(
    store: Store,
    model: str | Path,
    ref: str,
    *,
    mixed: Sequence[tuple[str, float | None]] = (),
    author: str | None = None,
    remembered: bool = True,
) -> Path:
    """Record that the model in folder `model` was trained on the version `ref`.

    `mixed` are further versions with their weights. Writes `dataset.lock` beside the model and, where it is to be
    `remembered`, `consumed_by` in the catalog, by which `impact` finds it; returns the lock's path.
    """
    folder = Path(model)
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder; expected the folder of the model that was trained.")
    version = store.resolve(ref)
    lock = {
        "version": version.ref, "id": version.id, "rows": version.rows, "store": str(store.root.absolute()),
        "pinned_at": datetime.now(UTC).isoformat(timespec="seconds"), "author": author or default_author(),
    }  # fmt: skip
    others = [(store.resolve(other), weight) for other, weight in mixed]
    if others:
        lock["mixed"] = [
            {"version": v.ref, "id": v.id, "rows": v.rows, "weight": weight} for v, weight in others
        ]
    write_json(folder / LOCK, lock, indent=2)
    if not remembered:
        return folder / LOCK
    pinned = {"model": str(folder.absolute()), "pinned_at": lock["pinned_at"], "author": lock["author"]}
    with store.catalog.writing() as change:
        pins = ({"version": id_, **pinned} for id_ in sorted({version.id, *(v.id for v, _ in others)}))
        change.put("consumed_by", *pins)
    return folder / LOCK


@dataclass(frozen=True, slots=True)
class Impact:
    """A model that trained on a version which holds a row."""

    model: str
    version: str  # ref
    completion: str  # what it learned for the row
    row_id: str

    def to_json(self) -> dict[str, str]:
        return {
            "row_id": self.row_id,
            "model": self.model,
            "version": self.version,
            "completion": self.completion,
        }


def impact(store: Store, row_id: str, target: int = 0) -> list[Impact]:
    """The models that trained on a row, with the text that each of them saw. Needs pins.

    `row_id` may be the start of an id that fits one row only of what was pinned.
    """
    with store.catalog.reading() as con:
        pins = con.execute("SELECT version, model FROM consumed_by ORDER BY pinned_at, model").fetchall()
        pinned = {id_: versions.select(con, "v.id = ?", [id_])[0] for id_, _ in pins}
    live = {id_: store.open(version).live_sql() for id_, version in pinned.items()}
    with memory(store.root / "tmp") as con:
        found = con.execute(
            "SELECT DISTINCT row_id FROM (" + " UNION ALL ".join(f"({sql})" for sql in live.values()) + ") "
            "WHERE starts_with(row_id, ?) AND target = ? ORDER BY row_id LIMIT 9",
            [row_id, target],
        ).fetchall() if live else []  # fmt: skip
    ids = sorted(r for (r,) in found)
    if row_id not in ids:
        if not ids:
            return []
        row_id = _only(ids, row_id)
    seen: dict[str, str | None] = {}
    for id_, sql in live.items():
        with memory(store.root / "tmp") as con:
            place = con.sql(
                f"SELECT part, pos FROM ({sql}) WHERE row_id = ? AND target = ?", params=[row_id, target]
            ).to_arrow_table()
        text = fetch(store.root, place.column("part"), place.column("pos"), ["completion"]).to_pylist()
        seen[id_] = text[0]["completion"] if text else None
    return [
        Impact(model, pinned[id_].ref, text, row_id) for id_, model in pins if (text := seen[id_]) is not None
    ]
