"""Rows of a version as an export sees them: the prompt, the assistant's turn with all that it has, and what is unusual.

    for row in rows_of(batch):
        row.prompt, row.said          # turns before, and the turn to learn, as {role, content, ...}
        kinds(row)                    # frozenset() of a plain row; {Kind.TOOLS, Kind.CALLS} of one that calls tools

What a turn has beside role and text is known by name (tool calls, thoughts); a trainer that lacks one of them refuses
the row, which no other member of a turn can cause: chat templates never look at them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from recast.curate.fingerprint import canonical_json
from recast.curate.records import Message, Messages
from recast.curate.schema import VERSION_SCHEMA
from recast.curate.store.snapshot import Snapshot

COLUMNS = (
    "row_id",
    "target",
    "messages",
    "completion",
    "demonstration",
    "answer",
    "task",
    "decision",
    "meta",
)
REASONING = ("reasoning_content", "reasoning", "thinking")
CALLS = ("tool_calls", "tool_call_id", "function_call")
MEMBERS = ("role", "content", "name", *REASONING, *CALLS)
"""Members of a turn that are written; others (ids, dates, weights) mean nothing to a chat template."""
_MARKS = ("weight", "train", "training", "trainable", "loss")  # as `ingest.turns` reads them
_PLAIN = {"role", "content"}


class Kind(StrEnum):
    """What a row can have that not every trainer knows."""

    HISTORY = "earlier_turns"
    TOOLS = "tools"
    CALLS = "tool_calls"
    REASONING = "reasoning"
    DEVELOPER = "developer_role"
    PARTS = "not_text"
    MARKED = "marked_turns"


HAS = {
    Kind.HISTORY: "an earlier turn of the assistant",
    Kind.TOOLS: "definitions of tools",
    Kind.CALLS: "tool calls or their results",
    Kind.REASONING: "reasoning beside the text",
    Kind.DEVELOPER: "a turn of the developer",
    Kind.PARTS: "a turn that is not text (parts, or nothing but a call)",
    Kind.MARKED: "an earlier turn of the assistant that is marked as not to be learnt",
}
"""What a row of a kind has, for a sentence."""
ALL = frozenset(Kind)
TALKS = frozenset({Kind.HISTORY})
"""What every trainer of chats knows."""
TOOLED = frozenset({Kind.TOOLS, Kind.CALLS, Kind.REASONING})


class Row(NamedTuple):
    """One row. `said` is the turn to learn; `rejected` are texts that the gate refused for this row, oldest first."""

    row_id: str
    target: int
    prompt: Messages
    said: Message
    answer: str | None = None
    task: str | None = None
    decision: str = "expert"
    tools: list[Any] | None = None
    rejected: tuple[str, ...] = ()
    stored: dict[str, Any] | None = None  # the row as the store has it, for formats that leave nothing out

    @property
    def turns(self) -> Messages:
        return [*self.prompt, self.said]


def columns(*, whole: bool, spoken: bool) -> list[str]:
    """Columns of the store that `rows_of` needs; `spoken` as `Survey` has it."""
    return VERSION_SCHEMA.names if whole else [name for name in COLUMNS if spoken or name != "demonstration"]


def rows_of(batch: pa.RecordBatch, *, whole: bool = False) -> list[Row]:
    """The rows of a batch with `columns`. `whole`: turns keep members that mean nothing to a chat template, and
    `stored` has every column."""
    there = batch.schema.names
    values = [
        batch.column(name).to_pylist() if name in there else [None] * batch.num_rows for name in COLUMNS
    ]
    stored = batch.to_pylist() if whole else [None] * batch.num_rows
    return [_row(*each, stored=all_) for *each, all_ in zip(*values, stored, strict=True)]


def _row(
    row_id: str, target: int, messages: str, completion: str, demonstration: str | None, answer: str | None,
    task: str | None, decision: str, meta: str | None, *, stored: dict[str, Any] | None,
) -> Row:  # fmt: skip
    prompt = json.loads(messages)
    if stored is None:
        prompt = [known(turn) for turn in prompt]
    said: dict[str, Any] = {"content": completion, "role": "assistant"}
    tools = None
    if meta is not None and (
        '"tools"' in meta or '"completion_turn"' in meta
    ):  # parsing all costs as much as the rest
        more = json.loads(meta)
        tools = more.get("tools") or None
        turn = more.get("completion_turn")
        if isinstance(turn, dict) and completion == demonstration:  # thoughts and calls are of this text only
            said |= {k: v for k, v in turn.items() if k in MEMBERS and k != "role" and v is not None}
    return Row(row_id, target, prompt, said, answer, task, decision, tools, (), stored)


def known(turn: Message) -> Message:
    """`turn` without what has no meaning to a chat template; marks against learning it become `train: False`."""
    if turn.keys() == _PLAIN:
        return turn
    kept = {k: v for k, v in turn.items() if k in MEMBERS and (v is not None or k == "content")}
    if kept.get("role") == "assistant" and unlearnt(turn):
        kept["train"] = False
    return kept


def unlearnt(turn: Mapping[str, Any]) -> bool:
    """Whether a turn says of itself that it is not to be learnt."""
    return any(name in turn and str(turn[name]).lower() in ("0", "0.0", "false") for name in _MARKS)


def kinds(row: Row) -> frozenset[Kind]:
    """What `row` has that not every trainer knows."""
    found: set[Kind] = set()
    if row.tools:
        found.add(Kind.TOOLS)
    for turn in row.prompt:
        role = turn.get("role")
        if role == "assistant":
            found.add(Kind.HISTORY)
        elif role == "developer":
            found.add(Kind.DEVELOPER)
        elif role == "tool":
            found.add(Kind.CALLS)
        if len(turn) > 2 or type(turn.get("content")) is not str:
            _unusual(turn, found)
    if len(row.said) > 2 or type(row.said["content"]) is not str:
        _unusual(row.said, found)
    return frozenset(found)


def _unusual(turn: Message, found: set[Kind]) -> None:
    calls = any(turn.get(name) for name in ("tool_calls", "function_call"))
    if calls or turn.get("tool_call_id"):
        found.add(Kind.CALLS)
    if any(turn.get(name) for name in REASONING):
        found.add(Kind.REASONING)
    if turn.get("train") is False:
        found.add(Kind.MARKED)
    if not isinstance(turn.get("content"), str) and not (calls and turn.get("content") is None):
        found.add(Kind.PARTS)


def prompt_key(row: Row) -> str:
    """The prompt by which a row is held out or not: who says what, and nothing else of the row or of other rows."""
    return canonical_json([{"content": turn.get("content"), "role": turn.get("role")} for turn in row.prompt])


@dataclass(frozen=True, slots=True)
class Survey:
    """What occurs anywhere in a version, by the text of its rows alone: a name in a text counts, too.

    Readers that guess columns from the first rows must see from the start what later ones have.
    """

    tools: bool = False
    spoken: bool = False  # some completion has more than text
    members: tuple[str, ...] = ()  # of turns, beside role and content, in the order of MEMBERS

    def unforeseen(self, row: Row) -> bool:
        """Whether a turn of `row` has a member that the survey has not found."""
        return any(
            len(turn) > 2 and not _UNUSUAL.isdisjoint(turn.keys() - set(self.members)) for turn in row.turns
        )


def survey(snapshot: Snapshot, *, turns: bool = False) -> Survey:
    """What occurs in a version. Without `turns`, those before completions, which are most of its text, are not read:
    `members` may then be too few (`Survey.unforeseen`)."""
    tools = spoken = False
    found = set[str]()
    for batch in snapshot.batches(["messages", "meta"] if turns else ["meta"]):
        meta = batch.column("meta")
        tools = tools or _occurs(meta, '"tools"')
        spoken = spoken or _occurs(meta, '"completion_turn"')
        for column in batch.columns if any(_occurs(c, _ANY_MEMBER) for c in batch.columns) else ():
            found |= {name for name in _UNUSUAL - found if _occurs(column, f'"{name}"')}
    return Survey(tools, spoken, tuple(name for name in MEMBERS if name in found))


_UNUSUAL = set(MEMBERS) - _PLAIN
_ANY_MEMBER = f'"(?:{"|".join(sorted(_UNUSUAL))})"'


def _occurs(column: pa.Array, pattern: str) -> bool:
    return column.null_count < len(column) and bool(pc.any(pc.match_substring_regex(column, pattern)).as_py())
