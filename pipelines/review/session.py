"""One reviewer at one version: rows by their place in the queue, decisions, edits under the gate.

    with Session(store, version, queue_name="risk", reviewer="ann", gate=gate) as session:
        session.row(session.next_open(0))
        session.decide({"id": "...", "row_id": "r1", "action": "accept", "seen": "..."})

Nothing here knows of HTTP. Texts are read by place from the parts, a row when it comes up; the order of a queue is
numbers. Every change goes through the log, which has it on disk before anything here answers.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recast.curate.errors import UsageError
from recast.curate.gate.audit import of_own_text
from recast.curate.gate.gate import Gate
from recast.curate.history import lineage
from recast.curate.history.diff import Diff
from recast.curate.history.query import holds
from recast.curate.history.reviews import REASONS, seen_of
from recast.curate.intervals import wilson
from recast.curate.records import DecisionKind, Verdict
from recast.curate.store.store import Store
from recast.curate.store.versions import Version
from recast.pipelines.review import candidates, queues, render
from recast.pipelines.review.active import OPEN, Active
from recast.pipelines.review.decisions import Event, Key, Standing, event_from, now, splice
from recast.pipelines.review.log import file_name, log_of
from recast.pipelines.review.rows import Rows

MOST_NOTE = 4000  # characters of a note
_STATES = ("undecided", "deferred", "suspect", "accepted", "edited", "expert", "conflict")


class NeedsNote(UsageError):
    """An edit that the gate refuses stands only with a note."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What the gate says of a text."""

    verdict: Verdict

    def to_json(self) -> dict[str, Any]:
        return {
            "status": str(self.verdict.status), "reason": self.verdict.reason,
            **render.checks_told(self.verdict.checks),
        }  # fmt: skip


class Session:
    """Rows, queue and decisions. Its methods may be called from several threads."""

    def __init__(
        self,
        store: Store,
        version: Version,
        *,
        reviewer: str,
        gate: Gate,
        queue_name: queues.Name = "risk",
        where: str | None = None,
        against: Diff | None = None,
        seed: int = 0,
        below: float = 0.02,
    ) -> None:
        """Open the reviewer's log and build the queue. Raises UsageError where the queue is empty, or the log taken."""
        self.store, self.version, self.reviewer, self.gate, self.against = (
            store,
            version,
            reviewer,
            gate,
            against,
        )
        self._lock = threading.RLock()
        self.rows = Rows(store, version, against)
        self._kept = candidates.keeper(store, version)
        self.log = log_of(store, version, reviewer)
        try:
            self.queue = queues.build(
                store, self.rows.snapshot, self.rows.numbers, queue_name, where=where, against=against, seed=seed,
                conflicts=(key for key, row in self.log.review.rows.items() if row.theirs), beside=self._kept,
            )  # fmt: skip
            if not len(self.queue.rows):
                raise UsageError(
                    f"no row of {version.ref} is in the queue `{queue_name}` ({self.queue.said})."
                )
        except BaseException:
            self.log.close()
            raise
        self.below, self.active = below, None
        self._told: tuple[int, dict[str, Any]] = (-1, {})
        if queue_name == "active":
            self.active = Active(self.queue.rows, self.queue.risks(), self.rows.keys)
            self.queue = replace(self.queue, rows=self.active.rows)
        self.shown = self.queue.rows  # as filtered
        self._queued = np.zeros(len(self.rows), bool)
        self._queued[self.queue.rows] = True
        self._done = sum(row.settled and bool(self._queued[number]) for number, row in self._standings())
        self.filter = ""

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.log.close()

    @property
    def file_name(self) -> str:
        """The reviewer's name as that of files."""
        return file_name(self.reviewer)

    # reading

    def facts(self) -> dict[str, Any]:
        """What the page needs once."""
        return {
            "version": self.version.ref, "reviewer": self.reviewer, "gate": self.gate.name,
            "reasons": list(REASONS.items()),
            "queue": queues.summary(self.queue), "open": self.next_open(-1), **self.progress(),
        }  # fmt: skip

    def progress(self) -> dict[str, Any]:
        """How far the review is, and what a random queue says of the whole."""
        with self._lock:
            review = self.log.review
            counts = review.counts()
            total = len(self.shown)
            return {
                "counts": counts, "total": total, "filter": self.filter, "rows": len(self.queue.rows),
                "done": self._done, "rate": review.rows_an_hour(),
                "undo": review.last is not None, "estimate": self._estimate(),
                "active": self._told_active() if self.active else None,
            }  # fmt: skip

    def _estimate(self) -> dict[str, float] | None:
        """Share of refused rows among those that came up at random, with its 95 % interval."""
        counts = self.log.review.counts("random")
        drawn = sum(rows for action, rows in counts.items() if action not in (*OPEN, "conflict"))
        if not drawn:
            return None
        refused = drawn - counts.get("accept", 0)
        low, high = wilson(refused, drawn)
        return {"rows": drawn, "refused": refused, "low": low, "high": high}

    def next_open(self, after: int) -> int | None:
        """The first place behind `after` whose row is not settled, then from the front; None where all are, or where an
        active queue knows enough."""
        if self.active and not self.filter and self._told_active()["sure"]:
            return None
        rows = self.log.review.rows
        for place in (*range(after + 1, len(self.shown)), *range(0, min(after + 1, len(self.shown)))):
            standing = rows.get(self.rows.keys[self.shown[place]])
            if standing is None or standing.action is None or standing.theirs is not None:
                return place
        return None

    def _told_active(self) -> dict[str, Any]:
        """Asked for twice with each decision, and as long as the rows that were looked at."""
        assert self.active is not None
        review = self.log.review
        if self._told[0] != len(review):
            self._told = len(review), self.active.told(review, self.below)
        return self._told[1]

    def row(self, place: int, view: render.View = "side") -> dict[str, Any]:
        """The row at a place of the queue, as the page shows it. Raises UsageError where there is no such place."""
        with self._lock:
            if not 0 <= place < len(self.shown):
                raise UsageError(f"there is no row {place + 1}; the queue has {len(self.shown)}.")
            number = int(self.shown[place])
            row = self.rows.read(number)
        judged = self._judged(row)
        names, before = ("Expert", row["demonstration"])
        if self.against is not None and (was := self.rows.was((row["row_id"], row["target"]))) is not None:
            names, before = self.against.a.ref, was
        with self._lock:
            standing = self.standing_told(self.log.review.standing(self.rows.keys[number]))
            signs = self.queue.signs(number)
        return {
            "place": place,
            "row_id": row["row_id"],
            "target": row["target"],
            "seen": seen_of(row["completion"]),
            "decision": row["decision"],
            "task": row["task"],
            "answer": row["answer"],
            "reason": row["reason"],
            "question": render.turns(row["messages"]),
            "panes": render.panes(before, row["completion"], view, judged.verdict.checks, (names, _called(row))),
            "checks": judged.to_json(),
            "nll": {name: row[f"nll_{name}"] for name in ("demonstration", "completion", "self")},
            "rate": row["pass_rate"],
            "signs": signs,
            "standing": standing,
        }  # fmt: skip

    def more(self, row_id: str, target: int) -> dict[str, Any]:
        """What is asked for after the row stands: other candidates, and every text that it has had."""
        key = self.rows.known(row_id, target)
        row = self.full(key)
        sampled = candidates.of_row(self.store, self._kept, key)
        events = lineage.blame(self.store, self.version.ref, row_id, target)
        return {
            "candidates": [
                {
                    "status": c.status, "reason": c.reason, "nll": c.nll, "attempt": c.attempt, "chosen": c.chosen,
                    "times": times, "nodes": render.text(c.text[: render.MAX_CHARS]),
                    "text": c.text if len(c.text) <= render.MAX_CHARS else None,
                    "says": [k["message"] for k in c.checks if k.get("status") != "pass" and k.get("message")],
                }
                for c, times in _once(sampled) if c.text != row["completion"]
            ],
            "sampled": len(sampled),
            "history": [_told(event) for event in events],
            "meta": {k: v for k, v in (row["meta"] or {}).items() if k != "review"},
            "source": row["source"],
        }  # fmt: skip

    def texts(self, row_id: str, target: int) -> dict[str, str]:
        """The texts of a row whole: what an edit begins with."""
        row = self.full(self.rows.known(row_id, target))
        return {"completion": row["completion"], "demonstration": row["demonstration"]}

    def full(self, key: Key) -> dict[str, Any]:
        """All columns of a row."""
        return self.rows.read(self.rows.numbers[key])

    def find(self, wanted: str) -> int:
        """The place of a row in the queue by its number there (from 1) or the start of its id. Raises UsageError."""
        with self._lock:
            if wanted.isascii() and wanted.isdigit() and 1 <= int(wanted) <= len(self.shown):
                return int(wanted) - 1
            for place, number in enumerate(self.shown):
                if self.rows.keys[number][0].startswith(wanted):
                    return place
        raise UsageError(
            f"{wanted!r} is neither a number from 1 to {len(self.shown):,} nor the start of a row's id in this queue."
        )

    def narrow(self, wanted: str) -> dict[str, Any]:
        """Keep of the queue the rows that hold all words of `wanted`; `is:deferred` by what stands about them;
        `sql: CONDITION` by a condition over their columns; nothing keeps all. Raises UsageError."""
        wanted = wanted.strip()
        if wanted.startswith("sql:"):
            kept = holds(self.store, self.version, wanted.removeprefix("sql:"))
        elif wanted.startswith("is:"):
            kept = self._in_state(wanted.removeprefix("is:").strip())
        elif wanted:
            kept = queues.found_by_words(self.rows.snapshot, wanted)
        else:
            kept = np.ones(len(self.rows), bool)
        rows = self.queue.rows[kept[self.queue.rows]]
        if not len(rows):
            raise UsageError(f"no row of the queue fulfils {wanted!r}.")
        with self._lock:
            self.shown, self.filter = rows, wanted
            return {"open": self.next_open(-1), **self.progress()}

    def _standings(self) -> Iterator[tuple[int, Standing]]:
        """What stands about rows, by their numbers. A file that was merged may speak of rows that are not there."""
        for key, row in self.log.review.rows.items():
            if (number := self.rows.numbers.get(key)) is not None:
                yield number, row

    def _in_state(self, state: str) -> NDArray[np.bool_]:
        if state not in _STATES:
            raise UsageError(f"rows are not {state!r}; they are {', '.join(_STATES)}.")
        named = {"deferred": "defer", "accepted": "accept", "edited": "edit"}.get(state, state)
        with self._lock:
            if state == "undecided":
                kept = np.ones(len(self.rows), bool)
                for number, row in self._standings():
                    kept[number] = row.action is None
                return kept
            kept = np.zeros(len(self.rows), bool)
            for key, row in self.log.review.rows.items():
                kept[self.rows.numbers[key]] = (
                    row.theirs is not None if state == "conflict" else row.action == named
                )
        return kept

    # deciding

    def decide(self, asked: Mapping[str, Any], place: int = -1) -> dict[str, Any]:
        """Write what the page asks for (`decide`, `reasons` or `note`), and say what stands then and which open row
        comes after `place`.

        Raises UsageError for a row that is not there or reads otherwise, NeedsNote for an edit that the gate refuses
        and that has no note.
        """
        event = replace(event_from({**asked, "at": now(), "by": "", "theirs": None}, "the request"))
        if event.kind not in ("decide", "reasons", "note"):
            raise UsageError(f"a page cannot write {event.kind!r} here.")
        key = self.rows.known(*event.key)
        if len(event.note) > MOST_NOTE:
            raise UsageError(f"the note has {len(event.note):,} characters; at most {MOST_NOTE:,} are kept.")
        if event.kind == "decide":
            row = self.full(key)
            if event.seen != seen_of(row["completion"]):
                raise UsageError(f"row {key[0]} reads otherwise in {self.version.ref}; load the page again.")
            if event.action == "edit":
                self._allowed(row, event)
            event = replace(event, queue=self.queue.name, text=event.text if event.action == "edit" else None)
        with self._lock:
            self._append(event, key)
            standing = self.standing_told(self.log.review.standing(key))
            return {"standing": standing, "open": self.next_open(place), **self.progress()}

    def _allowed(self, row: dict[str, Any], event: Event) -> None:
        assert event.text is not None
        note = event.note or self.log.review.standing(event.key).note
        judged = self.judge(row, event.text)
        if not judged.verdict.accepted and not note.strip():
            said = next(
                (c.message or c.reason for c in judged.verdict.checks if c.reason), judged.verdict.reason
            )
            raise NeedsNote(
                f"the gate does not accept this text ({said}). A note (n) that says why it is right lets it stand."
            )

    def draft(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Keep an edit as it is typed, and say what the gate holds of it. `asked`: id, row_id, target, text."""
        text = asked.get("text")
        if not isinstance(text, str):
            raise UsageError(
                f"`text` is {type(text).__name__}; expected the text as it stands in the editor."
            )
        key = self.rows.known(str(asked.get("row_id")), asked.get("target", 0))
        with self._lock:
            start, end, put = splice(self.log.review.standing(key).draft or "", text)
            self.log.append(
                event_from(
                    {
                        "id": asked.get("id"), "kind": "draft", "row_id": key[0], "target": key[1], "at": now(),
                        "start": start, "end": end, "text": put,
                    },
                    "the request",
                )
            )  # fmt: skip
        row = self.full(key)
        judged = self.judge(row, text)
        shown = render.panes(row["completion"], text, "side", judged.verdict.checks, ("Before", "As edited"))[
            -1
        ]
        return {"checks": judged.to_json(), "pane": shown}

    def undo(self, id_: str) -> dict[str, Any]:
        """Take back the newest decision; says which row it was about, and where it stands."""
        with self._lock:
            review = self.log.review
            if id_ not in review:
                last = review.last
                if last is None:
                    raise UsageError("nothing is left to undo.")
                self._append(Event(id_, "undo", at=now(), undoes=last.id), last.key)
            undone = review.undone(id_)
            number = self.rows.numbers.get(undone.key, -1)
            found = np.flatnonzero(self.shown == number)
            return {
                "row_id": undone.row_id, "target": undone.target, "place": int(found[0]) if len(found) else None,
                "standing": self.standing_told(review.standing(undone.key)), **self.progress(),
            }  # fmt: skip

    def _append(self, event: Event, key: Key) -> None:
        """Write an event about the row `key`, and count the queue's rows that are settled."""
        was = self.log.review.standing(key).settled
        self.log.append(event)
        if self._queued[self.rows.numbers[key]]:
            self._done += self.log.review.standing(key).settled - was

    def judge(self, row: Mapping[str, Any], text: str) -> Judged:
        """The gate's verdict about `text` in place of the row's completion."""
        verdict = self.gate.verify(row, text)
        return Judged(of_own_text(verdict) if text == row["demonstration"] else verdict)

    def standing_told(self, standing: Standing) -> dict[str, Any]:
        theirs = standing.theirs
        return {
            "action": standing.action, "by": standing.by or self.reviewer, "note": standing.note,
            "reasons": list(standing.reasons), "draft": standing.draft, "text": standing.text,
            "theirs": theirs and {
                "by": theirs.by, "action": theirs.action, "note": theirs.note, "reasons": list(theirs.reasons),
                "nodes": render.text((theirs.text or "")[: render.MAX_CHARS]),
            },
        }  # fmt: skip

    # rows

    def _judged(self, row: dict[str, Any]) -> Judged:
        if "judged" not in row:
            row["judged"] = self.judge(row, row["completion"])
        return row["judged"]


def _once(sampled: Sequence[candidates.Sampled]) -> Iterator[tuple[candidates.Sampled, int]]:
    """Each text once, with how often it was sampled."""
    times = Counter(c.text for c in sampled)
    first = {c.text: c for c in reversed(sampled)}
    return ((first[text], count) for text, count in times.items())


def _called(row: Mapping[str, Any]) -> str:
    """What the row's text is called."""
    return {
        DecisionKind.REWRITE.value: "Rewrite", DecisionKind.REPAIR.value: "Repair", DecisionKind.EDITED.value: "Edited",
        DecisionKind.GENERATED.value: "Generated", DecisionKind.FALLBACK.value: "Kept",
    }.get(row["decision"], "Text")  # fmt: skip


def _told(event: lineage.Event) -> dict[str, Any]:
    """One text of a row's history."""
    row = event.row or {}
    text = row.get("completion") or ""
    return {
        "version": event.version.ref, "op": event.op, "by": event.version.author, "message": event.version.message,
        "at": event.version.created_at.isoformat(timespec="minutes"), "decision": row.get("decision") or "removed",
        "reason": row.get("reason"), "nodes": render.text(text[:1200]), "cut": len(text) > 1200,
    }  # fmt: skip
