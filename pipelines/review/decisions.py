"""What people decided about rows: events, what stands after them, undo, and two reviewers beside each other.

    review = Review(Header(version="craft@v2", version_id="ab...", reviewer="ann"))
    review.apply(Event(id="...", kind="decide", row_id="r1", action="accept", ...))
    review.standing(("r1", 0)).action          "accept"

Nothing that was said ever changes: an undo is an event, too. An event's id is made by whoever asks for it, so that
asking again after a crash adds nothing. Where events lie is the business of `pipelines.review.log`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cache
from itertools import pairwise
from typing import Any, Literal

from recast.curate.errors import DataError, UsageError
from recast.curate.history.reviews import FORMAT, REASONS

Key = tuple[str, int]
Kind = Literal["decide", "reasons", "note", "draft", "undo", "conflict"]
Action = Literal["accept", "expert", "edit", "suspect", "defer"]

PAUSE_S = 300.0
"""A longer gap between two decisions is a pause, and counts as this much work at most."""

PACE_ROWS = 60
"""Decisions whose pace is told."""


@dataclass(frozen=True, slots=True)
class Header:
    """The first line of a file of decisions."""

    version: str  # ref
    version_id: str
    reviewer: str
    review: int = FORMAT


@dataclass(frozen=True, slots=True)
class Event:
    """One line. Which fields have a meaning depends on `kind`; the others are empty and are not written."""

    id: str
    kind: Kind
    row_id: str = ""
    target: int = 0
    at: str = ""  # ISO 8601, UTC
    by: str = ""  # empty: the reviewer of the file
    seen: str = ""  # of the completion that was decided about, `curate.history.reviews.seen_of`
    action: Action | None = None  # decide
    text: str | None = None  # decide edit: the whole text; draft: what comes between `start` and `end`
    start: int = 0  # draft: characters of the text before that stay in front,
    end: int = 0  # and behind
    reasons: tuple[str, ...] = ()  # of `curate.history.reviews`
    note: str = ""
    undoes: str = ""  # undo: id of the event
    queue: str = ""  # decide: how the row came up; only `random` gives an honest share
    theirs: dict[str, Any] | None = None  # conflict: the other reviewer's decision, as an event

    @property
    def key(self) -> Key:
        return self.row_id, self.target

    def to_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value or name in ("id", "kind")}


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands about a row after all events."""

    row_id: str
    target: int
    action: Action | None = None
    text: str | None = None  # of an edit
    seen: str = ""
    by: str = ""
    at: str = ""
    queue: str = ""
    reasons: tuple[str, ...] = ()
    note: str = ""
    draft: str | None = None  # an edit that was begun
    theirs: Event | None = None  # another reviewer's decision, which this one does not agree with

    @property
    def settled(self) -> bool:
        """Whether the row needs no further look."""
        return self.action is not None and self.action != "defer" and self.theirs is None


class Review:
    """The events of one reviewer, and what stands about each row."""

    def __init__(self, header: Header) -> None:
        self.header = header
        self.rows: dict[Key, Standing] = {}
        self._events: dict[str, Event] = {}
        self._of: dict[Key, list[Event]] = {}
        self._undone: set[str] = set()
        self._line: list[Event] = []  # decisions that stand, oldest first
        self._tally: Counter[tuple[str, str]] = Counter()  # (what stands, queue) -> rows

    def __contains__(self, id_: str) -> bool:
        return id_ in self._events

    def __len__(self) -> int:
        return len(self._events)

    def standing(self, key: Key) -> Standing:
        return self.rows.get(key) or Standing(*key)

    def apply(self, event: Event) -> None:
        """Count `event`, once."""
        if event.id in self._events:
            return
        self._events[event.id] = event
        if event.kind == "undo":
            undone = self._events.get(event.undoes)
            if undone is not None and undone.kind == "decide" and undone.id not in self._undone:
                self._undone.add(undone.id)
                self._line.remove(undone)
                self._put(undone.key, self._without(undone))
            return
        row = self.standing(event.key)
        if event.kind == "draft":
            before = row.draft or ""
            text = before[: event.start] + (event.text or "") + before[len(before) - event.end :]
            self._put(event.key, replace(row, draft=text))
            return
        self._of.setdefault(event.key, []).append(event)
        if event.kind == "decide":
            self._line.append(event)
        self._put(event.key, _after(row, event))

    def _put(self, key: Key, row: Standing) -> None:
        """Counts are kept, not counted: they are asked for after every decision."""
        if key in self.rows:
            self._tally[_counted(self.rows[key])] -= 1
        self._tally[_counted(row)] += 1
        self.rows[key] = row

    def _without(self, undone: Event) -> Standing:
        """The row from its events. An edit that was undone is a draft again."""
        draft = undone.text if undone.action == "edit" else self.standing(undone.key).draft
        found = Standing(*undone.key)
        for event in self._of[undone.key]:
            if event.id not in self._undone:
                found = _after(found, event)
        return replace(found, draft=draft)

    @property
    def last(self) -> Event | None:
        """The decision that `undo` would take back: the newest of this reviewer's own."""
        return next((event for event in reversed(self._line) if not event.by), None)

    def undone(self, id_: str) -> Event:
        """The decision that the undo of this id took back."""
        return self._events[self._events[id_].undoes]

    def counts(self, queue: str | None = None) -> dict[str, int]:
        """Rows by action, of one queue or of all; a row in conflict counts as `conflict`."""
        found: Counter[str] = Counter()
        for (what, came_by), rows in self._tally.items():
            if what and rows and queue in (None, came_by):
                found[what] += rows
        return dict(found)

    def rows_an_hour(self) -> float | None:
        """The pace of this reviewer's newest decisions, pauses left out; None before the third."""
        newest = self._line[-PACE_ROWS:]
        times = [datetime.fromisoformat(e.at).timestamp() for e in newest if e.at and not e.by]
        if len(times) < 3:
            return None
        worked = sum(min(max(b - a, 0.0), PAUSE_S) for a, b in pairwise(times))
        return 3600 * (len(times) - 1) / worked if worked else None


def _counted(row: Standing) -> tuple[str, str]:
    return "conflict" if row.theirs else row.action or "", row.queue


def _after(row: Standing, event: Event) -> Standing:
    if event.kind == "reasons":
        return replace(row, reasons=event.reasons)
    if event.kind == "note":
        return replace(row, note=event.note)
    if event.kind == "conflict":
        return replace(row, theirs=event_from(event.theirs or {}, "a conflict"))
    return replace(
        row, action=event.action, text=event.text, seen=event.seen, by=event.by, at=event.at, queue=event.queue,
        reasons=event.reasons or row.reasons, note=event.note or row.note, draft=None, theirs=None,
    )  # fmt: skip


def splice(before: str, after: str) -> tuple[int, int, str]:
    """(start, end, text): what a draft event says of the step from one draft to the next, the first from nothing."""
    from recast.curate.history.word_diff import common_start

    start = common_start(before, after)
    end = common_start(before[start:][::-1], after[start:][::-1])
    return start, end, after[start : len(after) - end]


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def event_from(value: Mapping[str, Any], where: str) -> Event:
    """An event from its JSON object. Raises DataError that names what is wrong."""
    from pydantic import ValidationError

    try:
        json.dumps(value, ensure_ascii=False).encode()
        event = _adapter().validate_python(dict(value))
    except UnicodeEncodeError as half:
        raise DataError(f"{where} is no event: it holds half of a character ({half}).") from half
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise DataError(
            f"{where} is no event: `{'.'.join(map(str, first['loc']))}`: {first['msg']}."
        ) from error
    wrong = ""
    if event.kind == "decide" and event.action is None:
        wrong = "it decides and has no `action`"
    elif event.action == "edit" and event.text is None:
        wrong = "it edits and has no `text`"
    elif unknown := [reason for reason in event.reasons if reason not in REASONS]:
        wrong = f"there is no reason {unknown[0]!r}; reasons are {', '.join(REASONS)}"
    elif event.kind == "decide" and not event.seen:
        wrong = "it decides and does not say about which text (`seen`)"
    elif event.kind != "undo" and not event.row_id:
        wrong = "it names no row"
    if wrong:
        raise DataError(f"{where} is no event: {wrong}.")
    return event


@cache
def _adapter() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(Event)


@dataclass(frozen=True, slots=True)
class Merged:
    """What another reviewer's decisions come to beside one's own."""

    agreed: int  # both say the same
    taken: tuple[Event, ...]  # decided by the other alone
    conflicts: tuple[Event, ...]  # decided differently: these rows are queued

    def to_json(self) -> dict[str, int]:
        return {"agreed": self.agreed, "taken": len(self.taken), "conflicts": len(self.conflicts)}


def merge(mine: Review, theirs: Review) -> Merged:
    """Compare decision by decision; a deferred row is undecided. Doing it again finds nothing new to take."""
    if mine.header.version_id != theirs.header.version_id:
        raise UsageError(
            f"these decisions are about {theirs.header.version} ({theirs.header.version_id}), not about "
            f"{mine.header.version} ({mine.header.version_id}); merge the versions that they made with `recast merge`."
        )
    agreed = 0
    taken: list[Event] = []
    conflicts: list[Event] = []
    for key, row in theirs.rows.items():
        if not row.settled:
            continue
        own = mine.standing(key)
        by = row.by or theirs.header.reviewer
        id_ = f"{row.at}/{by}/{'/'.join(map(str, key))}"
        said = Event(
            id_, "decide", *key, at=row.at, by=by, seen=row.seen, action=row.action, text=row.text, reasons=row.reasons,
            note=row.note, queue=row.queue,
        )  # fmt: skip
        if own.action in (None, "defer"):
            taken.append(said)
        elif (own.action, own.text) == (row.action, row.text):
            agreed += 1
        elif f"{id_}/conflict" not in mine:
            conflicts.append(Event(f"{id_}/conflict", "conflict", *key, at=now(), theirs=said.to_json()))
    return Merged(agreed, tuple(taken), tuple(conflicts))
