"""Decisions as the next version: which rows change, and what the version says of its making.

    accept    the text stays                                   decision as it was
    expert    the expert's text comes back                     `fallback`, with the reason
    edit      the reviewer's text                              `edited`, with the reason and the gate that looked at it
    suspect   the text stays; the demonstration is doubted     decision as it was
    defer     nothing

Each of these rows carries `review` in its `meta`: what was decided, why, by whom where that is not the version's
author, and whether the gate was overruled. So two reviewers who accept the same row on two branches make the same
row, and merging them is no conflict. No row comes or goes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from recast.curate.errors import RefusedError
from recast.curate.fingerprint import fingerprint
from recast.curate.gate.gate import Gate
from recast.curate.history.reviews import ACTIONS, seen_of
from recast.curate.records import DecisionKind
from recast.curate.schema import VERSION_SCHEMA, decode_row
from recast.curate.store.gather import fetch
from recast.curate.store.store import Store
from recast.curate.store.versions import MAIN, Version
from recast.pipelines.review.decisions import Review, Standing

SHOWN = 5
_OF_THE_TEXT = ("nll_completion", "num_tokens", "agent_id", "template_id", "engine", "seed", "run_id")
"""Columns that say how a text came about, or measure it: another text has them no more."""


@dataclass(frozen=True, slots=True)
class Committed:
    """What became of the decisions."""

    version: Version | None  # None where nothing was decided
    counts: dict[str, int]  # what was decided -> rows
    overruled: tuple[str, ...]  # rows whose edit the gate does not accept, and a note lets stand
    stale: tuple[str, ...]  # rows that read otherwise by now: their decisions are not in the version
    deferred: int

    def to_json(self) -> dict[str, Any]:
        return {
            "version": self.version.ref if self.version else None,
            "version_id": self.version.id if self.version else None,
            "counts": self.counts, "overruled": list(self.overruled), "stale": list(self.stale),
            "deferred": self.deferred,
        }  # fmt: skip


def commit(
    store: Store,
    version: Version,
    review: Review,
    gate: Gate,
    *,
    to: str | None = None,
    message: str | None = None,
) -> Committed:
    """Seal the version that `review` makes of `version`, as the next one of its branch or of `to`.

    Raises RefusedError where decisions are in conflict, where an edit that the gate does not accept has no note, and
    where the branch moved on. The same decisions make no second version.
    """
    decided = {key: row for key, row in review.rows.items() if row.action not in (None, "defer")}
    if conflicts := [row for row in review.rows.values() if row.theirs]:
        raise RefusedError(
            f"{len(conflicts)} rows were decided differently by two reviewers, such as {_listed(conflicts)}. Settle "
            f"them: recast review {version.ref} --queue conflicts"
        )
    found, stale = _found(store, version, decided.values())
    rows: list[dict[str, Any]] = []
    overruled: list[Standing] = []
    unexplained: list[tuple[Standing, str]] = []
    for standing, row in found:
        refused = _refused(gate, row, standing)
        if refused and not standing.note.strip():
            unexplained.append((standing, refused))
        overruled += [standing] if refused else []
        rows.append(_decided(row, standing, gate, review.header.reviewer, overruled=bool(refused)))
    if unexplained:
        standing, said = unexplained[0]
        raise RefusedError(
            f"the gate {gate.name} does not accept {len(unexplained)} edits that have no note, such as that of row "
            f"{standing.row_id} ({said}). Mend them, or say in a note why they are right: recast review {version.ref}"
        )
    counts = dict(Counter(ACTIONS[standing.action] for standing, _ in found if standing.action).most_common())
    deferred = sum(row.action == "defer" for row in review.rows.values())
    made = None
    if rows:
        made = _sealed(store, version, review, gate, rows, counts, len(overruled), to, message)
    return Committed(made, counts, _ids(overruled), _ids(stale), deferred)


def _sealed(
    store: Store, version: Version, review: Review, gate: Gate, rows: Sequence[dict[str, Any]], counts: dict[str, int],
    overruled: int, to: str | None, message: str | None,
) -> Version:  # fmt: skip
    own = version.name if version.branch == MAIN else f"{version.name}/{version.branch}"
    target = to or own
    identity = fingerprint(
        [version.id, [[row["row_id"], row["target"], row["completion"], row["meta"]] for row in rows]]
    )
    if store.has(target):
        for earlier in store.log(target):
            if earlier.meta.get("review", {}).get("decisions_id") == identity:
                return earlier
    told = {
        "of": version.ref, "decisions_id": identity, "counts": counts, "overruled": overruled, "gate": gate.id,
        "queues": dict(Counter(row.queue or "unknown" for row in review.rows.values() if row.action).most_common()),
        "reviewers": sorted({review.header.reviewer, *(row.by for row in review.rows.values() if row.by)}),
    }  # fmt: skip
    said = ", ".join(f"{rows} {name}" for name, rows in counts.items())
    return store.commit(
        rows,
        target,
        parent=version,
        expect_parent=version.ref if target == own else None,
        mode="patch",
        message=message or f"review of {version.ref}: {said}",
        author=review.header.reviewer,
        meta={"review": told},
    )


def _found(
    store: Store, version: Version, decided: Iterable[Standing]
) -> tuple[list[tuple[Standing, dict[str, Any]]], list[Standing]]:
    """The rows that were decided about, in row order, and the decisions whose text is another by now."""
    standings = {(row.row_id, row.target): row for row in decided}
    live = store.open(version).live()
    keys = list(zip(live["row_id"].to_pylist(), live["target"].to_pylist(), strict=True))
    places = pa.array([number for number, key in enumerate(keys) if key in standings], pa.int64())
    rows = fetch(
        store.root, live["part"].take(places), live["pos"].take(places), VERSION_SCHEMA.names
    ).to_pylist()
    found: list[tuple[Standing, dict[str, Any]]] = []
    there = set(keys)
    stale = [row for key, row in standings.items() if key not in there]
    for row in rows:
        standing = standings[row["row_id"], row["target"]]
        if standing.seen == seen_of(row["completion"]):
            found.append((standing, decode_row(row)))
        else:
            stale.append(standing)
    return found, stale


def _refused(gate: Gate, row: Mapping[str, Any], standing: Standing) -> str:
    """Why the gate does not accept an edit; empty where it does, and for other decisions."""
    if standing.action != "edit":
        return ""
    verdict = gate.verify(row, standing.text or "")
    return (
        ""
        if verdict.accepted
        else next((c.message for c in verdict.checks if c.reason and c.message), verdict.reason)
    )


def _decided(
    row: dict[str, Any], standing: Standing, gate: Gate, reviewer: str, *, overruled: bool
) -> dict[str, Any]:
    """The row as the new version has it."""
    assert standing.action is not None
    said = {
        "decision": ACTIONS[standing.action], "reasons": list(standing.reasons), "note": standing.note.strip(),
        "by": standing.by if standing.by != reviewer else "", "gate_overruled": overruled,
    }  # fmt: skip
    meta = {**(row["meta"] or {}), "review": {name: value for name, value in said.items() if value}}
    reason = standing.reasons[0] if standing.reasons else "reviewed"
    if standing.action == "edit" and standing.text != row["completion"]:
        row = {
            **row, **dict.fromkeys(_OF_THE_TEXT), "completion": standing.text, "decision": DecisionKind.EDITED.value,
            "reason": reason, "gate_id": gate.id,
        }  # fmt: skip
    elif standing.action == "expert" and row["completion"] != row["demonstration"]:
        row = {
            **row, **dict.fromkeys((*_OF_THE_TEXT, "gate_id")), "completion": row["demonstration"],
            "decision": DecisionKind.FALLBACK.value, "reason": reason, "nll_completion": row["nll_demonstration"],
        }  # fmt: skip
    return {**row, "meta": meta}


def _ids(rows: Sequence[Standing]) -> tuple[str, ...]:
    return tuple(row.row_id for row in rows)


def _listed(rows: Sequence[Standing]) -> str:
    return ", ".join(row.row_id for row in rows[:SHOWN])
