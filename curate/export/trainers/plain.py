"""Files for any reader: whole rows (`jsonl`, `parquet`), conversations, pairs of prompt and completion.

`jsonl` and `parquet` hold everything and import again as it was. `messages` is the conversation with the turn to learn
as its last; what reads it trains, as a rule, every turn of the assistant, so rows with an earlier one need
`--turns all`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from recast.curate.export.formats import (
    FACTS,
    TALK,
    Asked,
    Format,
    Line,
    Refusal,
    Shape,
    Slots,
    arguments_as_objects,
    one_question,
    unmarked,
)
from recast.curate.export.rows import ALL, Kind, Row
from recast.curate.export.slots import Slot, constant, stored, stored_json, turns
from recast.curate.records import Messages
from recast.curate.schema import VERSION_SCHEMA


def _everything(asked: Asked) -> Mapping[str, Slot]:
    return _stored(turns(), asked) | {"meta": stored_json("meta")} | asked.tools(text=False) | _version(asked)


def _table(asked: Asked) -> Mapping[str, Slot]:
    return _stored(turns(shaped=all_cells), asked) | _version(asked)


def _stored(messages: Slot, asked: Asked) -> dict[str, Slot]:
    return {name: messages if name == "messages" else stored(name) for name in VERSION_SCHEMA.names}


def _version(asked: Asked) -> dict[str, Slot]:
    return {"version": constant(asked.version)}


def all_cells(turns: Messages) -> Messages:
    return [cells(turn) for turn in turns]


def cells(turn: dict[str, Any]) -> dict[str, Any]:
    """A turn as a row of a table: calls, which have any shape, as JSON text."""
    return {
        k: v if v is None or isinstance(v, str) else json.dumps(v, ensure_ascii=False)
        for k, v in turn.items()
    }


def talk(asked: Asked) -> pa.DataType:
    """Turns with the members that occur in the version, all of them text."""
    return pa.list_(pa.struct([pa.field(m, pa.string()) for m in ("role", "content", *asked.survey.members)]))


def _table_schema(asked: Asked) -> pa.Schema:
    fields = [pa.field("messages", talk(asked)) if f.name == "messages" else f for f in VERSION_SCHEMA]
    return pa.schema([*fields, pa.field("version", pa.string())])


def whole_turns(turns: Messages) -> Messages:
    """Turns as chat templates read them."""
    return unmarked(arguments_as_objects(turns))


def _messages(asked: Asked) -> Mapping[str, Slot]:
    """The whole conversation, its last turn the one to learn."""
    return {"messages": turns(shaped=whole_turns), **asked.tools(text=False), **ANSWER_SLOTS, **asked.facts}


def messages_schema(_: Asked) -> pa.Schema:
    return pa.schema([pa.field("messages", TALK), *ANSWER, *FACTS])


def _pair(asked: Asked) -> Mapping[str, Slot]:
    return {
        "prompt": turns(said=False, shaped=whole_turns),
        "completion": turns(prompt=False, shaped=whole_turns),
        **asked.tools(text=False),
        **ANSWER_SLOTS,
        **asked.facts,
    }


ANSWER_SLOTS = {"answer": stored("answer"), "task": stored("task")}
ANSWER = [pa.field("answer", pa.string()), pa.field("task", pa.string())]


def pair_schema(_: Asked) -> pa.Schema:
    return pa.schema([pa.field("prompt", TALK), pa.field("completion", TALK), *ANSWER, *FACTS])


def _strings(row: Row, asked: Asked) -> Iterable[Line]:
    yield (
        {"prompt": row.prompt[0]["content"], "completion": row.said["content"]}
        | {"answer": row.answer, "task": row.task}
        | asked.row_facts(row)
    )


def _single(row: Row, asked: Asked) -> Refusal | None:
    if one_question(row):
        return None
    return Refusal("several_turns", f"has a prompt of {len(row.prompt)} turns", "a string holds one")


def _strings_schema(_: Asked) -> pa.Schema:
    return pa.schema([pa.field("prompt", pa.string()), pa.field("completion", pa.string()), *ANSWER, *FACTS])


_NAMED = ("{slug}", "{slug}.validation")  # a folder may hold many versions
JSONL = Format(
    "jsonl",
    "any reader",
    {"sft": Shape(Slots(_everything), ALL, trains="reader", whole=True, many=True, files=_NAMED)},
    "every column, `messages` the whole conversation, one object a line",
)
PARQUET = Format(
    "parquet",
    "any reader",
    {
        "sft": Shape(
            Slots(_table),
            ALL - {Kind.PARTS},
            trains="reader",
            schema=_table_schema,
            parquet=True,
            whole=True,
            many=True,
            files=_NAMED,
        )
    },
    "the same as a table; calls are JSON text",
)
MESSAGES = Format(
    "messages",
    "readers of conversations",
    {
        "sft": Shape(
            Slots(_messages),
            ALL - {Kind.MARKED},
            trains="all",
            schema=messages_schema,
            many=True,
            notes=("What reads `messages` decides what is trained: as a rule every turn of the assistant.",),
        )
    },
    "`messages`, the conversation with its completion, and `tools`",
)
PAIRS = Format(
    "prompt-completion",
    "readers of pairs",
    {"sft": Shape(Slots(_pair), ALL - {Kind.MARKED}, trains="last", schema=pair_schema, many=True)},
    "`prompt` and `completion`, lists of turns",
)
STRINGS = Format(
    "prompt-completion-strings",
    "readers of pairs of texts",
    {"sft": Shape(_strings, frozenset(), trains="last", schema=_strings_schema, many=True, fits=_single)},
    "`prompt` and `completion` as texts: rows of one question",
)
