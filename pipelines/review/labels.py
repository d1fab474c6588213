"""What people decided, as labels of the gate, and how often it was wrong on the rows that they saw.

    seen = reviewed(store, "mine@v3")           a version that `recast review --commit` made, or a file of decisions
    seen.labels()                               completions of known worth, as `curate.gate.labels` reads them
    seen.found(gate)                            {"rows": 100, "accepted": ..., "wrong": ..., "reasons": ...}

A text that was accepted is right; one that the expert's or a reviewer's own text was preferred to is wrong, and an
edited text is right. Where the expert is suspected, the text has no label. Rows are up for review because a gate
accepted them, so among them the share of wrong text that passes says nothing; the share of accepted text that is wrong
does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from recast.curate.errors import UsageError
from recast.curate.gate.gate import Gate
from recast.curate.gate.labels import Labelled
from recast.curate.history.diff import diff
from recast.curate.history.reviews import ACTIONS, seen_of
from recast.curate.intervals import wilson
from recast.curate.schema import VERSION_SCHEMA, decode_row
from recast.curate.store.gather import fetch
from recast.curate.store.store import Store
from recast.curate.store.versions import Version
from recast.pipelines.review import candidates, queues
from recast.pipelines.review.active import Active
from recast.pipelines.review.decisions import Action, Event, Header, Key, Review, Standing
from recast.pipelines.review.log import read
from recast.pipelines.review.rows import Rows

RIGHT = {"accept": True, "expert": False, "edit": False}
"""What a decision says of the text that it is about; of others it says nothing."""
SETTLES: tuple[Action, ...] = ("accept", "expert", "edit", "suspect")
KIND = "reviewed"


@dataclass(frozen=True, slots=True)
class Reviewed:
    """Decisions about a version, and its rows that they are about."""

    store: Store
    version: Version
    review: Review
    said: str  # what these labels are called
    drawn: bool  # whether rows came up by the order of an active review
    rows: tuple[dict[str, Any], ...]  # that read as they did when they were decided about

    def labels(self) -> Iterator[Labelled]:
        """A label for each text that people said something of, edits included."""
        for row in self.rows:
            standing = self.review.standing(_key(row))
            if standing.action in RIGHT:
                yield Labelled(row, row["completion"], RIGHT[standing.action], f"{KIND}/{standing.action}")
            if standing.action == "edit" and standing.text not in (None, row["completion"]):
                assert standing.text is not None
                yield Labelled(row, standing.text, True, f"{KIND}/as edited")

    def found(self, gate: Gate) -> dict[str, Any]:
        """Of the reviewed rows that `gate` accepts, how many people found wrong, with a 95 % Wilson interval, and for
        which `reasons`. `queues`: how rows came up; `by_order`: what the first rows of the drawn order say of all rows
        that were up for review, at any time (`pipelines.review.active`), None where rows came up otherwise."""
        judged = [row for row in self.rows if self.review.standing(_key(row)).action in RIGHT]
        accepted = {
            _key(row)
            for row, verdict in zip(
                judged, gate.verify_many(judged, [row["completion"] for row in judged]), strict=True
            )
            if verdict.accepted
        }
        standings = [self.review.standing(key) for key in accepted]
        wrong = [standing for standing in standings if not RIGHT[standing.action or ""]]
        came = Counter(standing.queue or "unknown" for standing in standings)
        why = Counter(reason for standing in wrong for reason in standing.reasons or ("none",))
        low, high = wilson(len(wrong), len(accepted))
        return {
            "version": self.version.ref, "rows": len(judged), "accepted": len(accepted), "wrong": len(wrong),
            "share": len(wrong) / len(accepted) if accepted else 0.0, "interval": [low, high],
            "reasons": dict(why.most_common()), "queues": dict(came.most_common()),
            "by_order": self._by_order(accepted) if self.drawn else None,
        }  # fmt: skip

    def _by_order(self, accepted: set[Key]) -> dict[str, Any]:
        """The interval of the share of rows that are wrong and accepted, among all that were up for review."""
        rows = Rows(self.store, self.version)
        kept = candidates.keeper(self.store, self.version)
        queue = queues.build(self.store, rows.snapshot, rows.numbers, "active", beside=kept)
        plan = Active(queue.rows, queue.risks(), rows.keys)

        def wrong(key: Key, standing: Standing) -> bool:
            return key in accepted and not RIGHT[standing.action or ""]

        low, high = plan.interval(self.review, wrong)
        looked = plan.looked(self.review)
        return {"looked": looked, "rows": len(queue.rows), "interval": [low, high]}


def reviewed(store: Store, name: str) -> Reviewed:
    """The decisions that `name` stands for: a version that was committed from a review, or a file of decisions.

    Raises UsageError where it is neither, and where nothing was decided.
    """
    if not store.has(name) and Path(name).is_file():
        review = read(Path(name))
        version = store.resolve(review.header.version)
        if version.id != review.header.version_id:
            raise UsageError(
                f"{name} is about {review.header.version} ({review.header.version_id}), and in {store.root} that is "
                f"{version.id}: another store."
            )
        said = f"{Path(name).name} of {review.header.reviewer}"
        came = {standing.queue for standing in review.rows.values()}
    else:
        made = store.resolve(name)
        version, review = _of_version(store, made)
        said, came = made.ref, made.meta["review"].get("queues", {})
    rows = tuple(_found(store, version, review))
    if not any(review.standing(_key(row)).action in RIGHT for row in rows):
        raise UsageError(
            f"{name} holds no decision that says of a text whether it is right. Review some rows first."
        )
    called = f"what people decided ({said}) of {version.ref}"
    return Reviewed(store, version, review, called, "active" in came, rows)


def _of_version(store: Store, made: Version) -> tuple[Version, Review]:
    """The version that was reviewed, and the decisions as the rows of `made` tell them."""
    told = made.meta.get("review")
    if not told:
        raise UsageError(
            f"{made.ref} is no version that `recast review --commit` made. Name one, or a file of decisions: "
            f"{store.root}/reviews/."
        )
    version = store.resolve(told["of"])
    review = Review(Header(version.ref, version.id, made.author))
    found = diff(store, version, made)
    changed = found.changes.filter(pc.equal(found.changes["op"], "change"))
    named: dict[str, Action] = {ACTIONS[action]: action for action in SETTLES}
    (queue,) = told["queues"] if len(told.get("queues") or ()) == 1 else ("",)
    before, after = (
        fetch(store.root, changed[f"part_{side}"], changed[f"pos_{side}"], VERSION_SCHEMA.names).to_pylist()
        for side in ("before", "after")
    )
    for was, now in zip(before, map(decode_row, after), strict=True):
        said = (now["meta"] or {}).get("review", {})
        if said.get("decision") in named:
            action = named[said["decision"]]
            text = now["completion"] if action == "edit" else None
            seen = seen_of(was["completion"])
            id_ = "/".join(map(str, _key(now)))
            reasons = tuple(said.get("reasons", ()))
            event = Event(
                id_, "decide", *_key(now), seen=seen, action=action, text=text, queue=queue, reasons=reasons
            )
            review.apply(event)
    return version, review


def _found(store: Store, version: Version, review: Review) -> Iterator[dict[str, Any]]:
    """The rows that were decided about, in the order of the version, where they read as they did then."""
    live = store.open(version).live()
    keys = list(zip(live["row_id"].to_pylist(), live["target"].to_pylist(), strict=True))
    places = pa.array([n for n, key in enumerate(keys) if key in review.rows], pa.int64())
    for row in fetch(
        store.root, live["part"].take(places), live["pos"].take(places), VERSION_SCHEMA.names
    ).to_pylist():
        if review.standing(_key(row)).seen == seen_of(row["completion"]):
            yield decode_row(row)


def _key(row: Mapping[str, Any]) -> Key:
    return row["row_id"], row["target"]
