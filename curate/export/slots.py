"""Columns of a format, said once and rendered three ways: a row at a time, as JSON text, as Arrow columns.

    {"messages": TURNS, "answer": Stored("answer"), "version": FACTS...}

Most rows of most versions are a question, with or without a system turn and earlier turns, and its answer as text.
`plain` finds them by their stored text, and a whole batch of them becomes JSON lines or columns without a Python object
for any of them. All other rows go through `Slot.of`, which knows everything; the lines are the same, byte for byte.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from recast.curate.export.rows import Row
from recast.curate.export.talks import Parted, integers, turns_of
from recast.curate.records import Messages

_TEXT = r'"(?:[^"\\]|\\.)*"'
_SYSTEM, _USER, _SAID = (
    rf'\{{"content":{_TEXT},"role":"{role}"\}}' for role in ("system", "user", "assistant")
)
_PLAIN = rf"^\[(?:{_SYSTEM},)?{_USER}\]$"  # canonical JSON
_TALK = rf"^\[(?:{_SYSTEM},)?{_USER}(?:,{_SAID},{_USER})*\]$"
_TURN = pa.struct([pa.field("content", pa.string()), pa.field("role", pa.string())])
_SAYS = '","role":"assistant"}'
_PROMPTS = pa.schema([pa.field("m", pa.list_(_TURN))])
Piece = pa.Array | str


# What follows is made from buffers: `pa.array` and `pa.scalar` import pandas to look at a value, which takes longer
# than many an export.


def _string(text: str) -> pa.Scalar:
    data = text.encode()
    ends = np.array([0, len(data)], np.int32)
    return pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(ends), pa.py_buffer(data)])[0]


def truths(values: Sequence[bool] | np.ndarray) -> pa.BooleanArray:
    bits = np.packbits(np.asarray(values, bool), bitorder="little")
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, pa.py_buffer(bits)])


def _joined(*pieces: Piece) -> pa.Array:
    """The pieces of each row one after the other; null where one is."""
    whole = [_string(piece) if isinstance(piece, str) else piece for piece in pieces]
    return pc.binary_join_element_wise(*whole, _string(""))


def plain(batch: pa.RecordBatch, *, talks: bool = False) -> np.ndarray:
    """bool[rows]: rows that are a question, with or without a system turn before it, and a text.

    `talks`: those of several turns, too, where user and assistant speak by turns.
    """
    shaped = pc.match_substring_regex(batch.column("messages"), _TALK if talks else _PLAIN)
    meta = batch.column("meta")
    unusual = pc.or_(pc.match_substring(meta, '"tools"'), pc.match_substring(meta, '"completion_turn"'))
    found = pc.and_not(shaped, pc.coalesce(unusual, truths([False])[0]))
    return np.from_dlpack(found.cast(pa.uint8())).astype(bool)  # `to_numpy` of truth values imports pandas


class Plain:
    """A batch of plain rows."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self.batch = batch

    def __len__(self) -> int:
        return self.batch.num_rows

    @cached_property
    def prompt(self) -> pa.Array:
        """The turns before, as JSON text without the brackets around them."""
        return pc.binary_slice(self.batch.column("messages").cast(pa.binary()), 1, -1).cast(pa.string())

    @cached_property
    def said(self) -> list[Piece]:
        """The completion as a JSON string."""
        return quoted(self.batch.column("completion"))

    @cached_property
    def prompt_turns(self) -> Parted:
        """The turns before."""
        if parted := turns_of(self.batch.column("messages")):
            return parted
        texts = _joined('{"m":', self.batch.column("messages"), "}\n")
        block = max(1 << 20, texts.nbytes + 1)  # in one piece: the reader cuts blocks at lines
        table = pyarrow.json.read_json(
            pa.BufferReader(_bytes_of(texts)),
            pyarrow.json.ReadOptions(use_threads=False, block_size=block),
            pyarrow.json.ParseOptions(explicit_schema=_PROMPTS, unexpected_field_behavior="error"),
        )
        found = table.column(0).combine_chunks()
        ends = np.from_dlpack(found.offsets).astype(np.int64)
        return Parted(ends, found.values.field("role"), found.values.field("content"))

    def turns(self, kind: Any, *, prompt: bool, said: bool) -> pa.Array:
        """Lists of turns of the type `kind`: the turns before, the turn to learn, or both."""
        count = len(self)
        nothing = Parted(np.zeros(count + 1, np.int64), pa.nulls(0, pa.string()), pa.nulls(0, pa.string()))
        ends, roles, contents = self.prompt_turns if prompt else nothing
        if said:
            # each list grows by one: where its last turn goes, a turn of the completions is taken
            sizes = np.diff(ends) + 1
            ends = np.concatenate([[0], np.cumsum(sizes)])
            source = np.empty(ends[-1], np.int64)
            last = ends[1:] - 1
            inner = np.ones(len(source), bool)
            inner[last] = False
            source[inner] = np.arange(len(roles))
            source[last] = len(roles) + np.arange(count)
            index = integers(source)
            contents = pa.concat_arrays([contents, self.batch.column("completion")]).take(index)
            roles = pa.concat_arrays([roles, pa.repeat(_string("assistant"), count)]).take(index)
        known = {"role": roles, "content": contents}
        members = [kind.value_type.field(n) for n in range(kind.value_type.num_fields)]
        fields = [known.get(m.name, pa.nulls(len(roles), m.type)) for m in members]
        turns = pa.StructArray.from_arrays(fields, fields=members)
        return pa.ListArray.from_arrays(integers(ends.astype(np.int32)), turns, type=kind)


@dataclass(frozen=True, slots=True)
class Slot:
    """A column: what it is of any row, and of a batch of plain rows as pieces of JSON text and as an Arrow array."""

    of: Callable[[Row], Any]
    text: Callable[[Plain], list[Piece]]
    column: Callable[[Plain, pa.DataType], pa.Array]


def turns(
    *, prompt: bool = True, said: bool = True, shaped: Callable[[Messages], Messages] = lambda turns: turns,
    last: Mapping[str, Any] | None = None, earlier: Mapping[str, Any] | None = None,
) -> Slot:  # fmt: skip
    """Turns of a row. `shaped` is what a reader wants of turns with more than role and content, and must leave others
    as they are but for members beside: `last` of the last turn, `earlier` of the assistant's before it."""
    more, before = (
        "".join(f",{json.dumps(k)}:{json.dumps(v)}" for k, v in (members or {}).items())
        for members in (last, earlier)
    )

    def of(row: Row) -> Messages:
        chosen = shaped(row.turns)
        chosen = chosen if said else chosen[:-1]
        return chosen if prompt else chosen[-1:]

    def text(rows: Plain) -> list[Piece]:
        asked = rows.prompt if prompt else ""
        if prompt and before:  # no text holds this: there a quote has a backslash before it
            asked = pc.replace_substring(rows.prompt, _SAYS, f"{_SAYS[:-1]}{before}}}")
        begins: list[Piece] = ["[", asked]
        if not said:
            return [*begins, "]"]
        comma = "," if prompt else ""
        return [*begins, comma + '{"content":', *rows.said, f',"role":"assistant"{more}}}]']

    return Slot(of, text, lambda rows, kind: rows.turns(kind, prompt=prompt, said=said))


def stored(name: str) -> Slot:
    """A column of the version that a row has by the same name."""

    def column(rows: Plain, kind: pa.DataType) -> pa.Array:
        return rows.batch.column(name).cast(kind)

    def of(row: Row) -> Any:
        return row.stored[name] if row.stored is not None else getattr(row, name)

    return Slot(of, lambda rows: as_json(rows.batch.column(name)), column)


def stored_json(name: str) -> Slot:
    """A column of the version that is JSON text, as what it says."""

    def of(row: Row) -> Any:
        assert row.stored is not None
        return None if row.stored[name] is None else json.loads(row.stored[name])

    return Slot(of, lambda rows: [pc.coalesce(rows.batch.column(name), _string("null"))], stored(name).column)


def constant(text: str) -> Slot:
    said = _dumps(text)
    return Slot(
        lambda row: text,
        lambda rows: [said],
        lambda rows, kind: pa.repeat(_string(text), len(rows)).cast(kind),
    )


def unusual(of: Callable[[Row], Any]) -> Slot:
    """What a plain row has not: null in all of them."""
    return Slot(of, lambda rows: ["null"], lambda rows, kind: pa.nulls(len(rows), kind))


def line_of(slots: Mapping[str, Slot], row: Row) -> dict[str, Any]:
    return {name: slot.of(row) for name, slot in slots.items()}


def lines_of(slots: Mapping[str, Slot], rows: Plain) -> memoryview:
    """The lines of plain rows, as UTF-8 with their ends."""
    pieces: list[Piece] = []
    for n, (name, slot) in enumerate(slots.items()):
        pieces += [("," if n else "{") + json.dumps(name, ensure_ascii=False) + ":", *slot.text(rows)]
    merged: list[Piece] = []
    for piece in [*pieces, "}\n"]:
        if isinstance(piece, str) and merged and isinstance(merged[-1], str):
            merged[-1] += piece
        else:
            merged.append(piece)
    lines = _joined(*merged)
    data = _octets(lines)
    if data.size and data.max() >= 0x80:  # letters beyond ASCII, and perhaps these signs
        for sign in BREAKS:
            lines = pc.replace_substring(lines, sign, f"\\u{ord(sign):04x}")
    return _bytes_of(lines)


BREAKS = "\u0085\u2028\u2029"
"""What `str.splitlines` takes for the end of a line and JSON does not escape: readers that cut so break in them."""


def _bytes_of(texts: pa.Array) -> memoryview:
    """The texts one after the other, without a copy."""
    _, offsets, values = texts.buffers()
    if not len(texts) or values is None or offsets is None:
        return memoryview(b"")
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return memoryview(values)[ends[0] : ends[-1]]


def each_of(texts: pa.Array) -> Iterator[memoryview]:
    """Each text as UTF-8, without a copy."""
    whole = _bytes_of(texts)
    ends = np.from_dlpack(pc.binary_length(texts)).cumsum().tolist()
    begin = 0
    for end in ends:
        yield whole[begin:end]
        begin = end


def _octets(texts: pa.Array) -> np.ndarray:
    """uint8[bytes]: the texts one after the other."""
    return np.frombuffer(_bytes_of(texts), np.uint8)


def table_of_plain(slots: Mapping[str, Slot], rows: Plain, schema: pa.Schema) -> pa.RecordBatch:
    """The columns of plain rows."""
    return pa.RecordBatch.from_arrays(
        [slots[field.name].column(rows, field.type) for field in schema], schema=schema
    )


_dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def quoted(texts: pa.Array) -> list[Piece]:
    """`texts` as JSON strings; null as null."""
    data = _octets(texts)
    escaped = texts
    for sign, written in _ESCAPES.items():
        if (data == ord(sign)).any():
            escaped = pc.replace_substring(escaped, sign, written)
    left = _octets(escaped)
    if left.size and left.min() < 0x20:
        return [pa.array([_dumps(text) for text in texts.to_pylist()], pa.string())]
    if not texts.null_count:
        return ['"', escaped, '"']  # the quotes join what stands around them
    return [pc.coalesce(_joined('"', escaped, '"'), _string("null"))]


def as_json(values: pa.Array) -> list[Piece]:
    """Values of a column as JSON text."""
    if values.null_count == len(values):
        return ["null"]
    if pa.types.is_string(values.type):
        return quoted(values)
    if pa.types.is_integer(values.type):
        return [pc.coalesce(values.cast(pa.string()), _string("null"))]
    return [pa.array([_dumps(value) for value in values.to_pylist()], pa.string())]
