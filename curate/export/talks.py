"""Conversations out of their stored text, a whole batch at once and without a parser.

    parted = turns_of(batch.column("messages"))       # of rows that `slots.plain` has found
    parted.ends, parted.roles, parted.contents

The text is canonical JSON, and its rows are known to be `[{"content":"...","role":"..."},...]`. There a quote inside a
text has a backslash before it, so `{"c` begins a turn and stands nowhere else, and what ends a turn is as long as its
role: a text is found by where it lies. A parser of JSON takes three times as long.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

ROLES = ("user", "assistant", "system")
_BEGINS, _MIDDLE, _ENDS = b'{"content":"', b'","role":"', b'"}'
_LAST_LETTERS = np.zeros(256, np.int64)  # of a role -> its place in ROLES
_LENGTHS = np.array([len(role) for role in ROLES])
_ESCAPED = np.zeros(256, np.uint8)  # letter after a backslash -> the sign that both stand for
for _place, _role in enumerate(ROLES):
    _LAST_LETTERS[ord(_role[-1])] = _place
for _letter, _sign in zip(b'"\\/bfnrt', b'"\\/\b\f\n\r\t', strict=True):
    _ESCAPED[_letter] = _sign


class Parted(NamedTuple):
    """Turns of all rows, one after the other; those of row `n` end before `ends[n + 1]`."""

    ends: np.ndarray  # int64[rows + 1]
    roles: pa.Array
    contents: pa.Array


def turns_of(messages: pa.Array) -> Parted | None:
    """The turns of plain rows. None where a text has a sign that is written as its number (`\\u0001`): who parses it
    tells the sign."""
    _, offsets, values = messages.buffers()
    if not len(messages) or values is None or offsets is None:
        nothing = pa.nulls(0, pa.string())
        return Parted(np.zeros(len(messages) + 1, np.int64), nothing, nothing)
    rows = np.frombuffer(offsets, np.int32)[messages.offset : messages.offset + len(messages) + 1]
    data = np.frombuffer(values, np.uint8)[rows[0] : rows[-1]]
    rows = rows.astype(np.int64) - rows[0]
    begin = _places(data, "{")
    begin = begin[(data[begin + 1] == ord('"')) & (data[begin + 2] == ord("c"))]
    ends = np.searchsorted(begin, rows)
    stop = np.append(begin[1:], 0) - 1  # behind its `}`: at the comma, or at the `]` of the row
    stop[ends[1:] - 1] = rows[1:] - 1
    role = _LAST_LETTERS[data[stop - len(_ENDS) - 1]]
    contents = _texts(data, begin + len(_BEGINS), stop - len(_ENDS) - _LENGTHS[role] - len(_MIDDLE))
    if contents is None:
        return None
    return Parted(ends, pa.array(ROLES, pa.string()).take(integers(role)), contents)


def _texts(data: np.ndarray, begin: np.ndarray, stop: np.ndarray) -> pa.Array | None:
    """The JSON strings between `begin` and `stop` (int64[texts], without their quotes) as what they say."""
    escapes = _places(data, "\\")
    if not len(escapes):
        return _between(data, begin, stop)
    # of backslashes side by side every second one is a sign
    number = np.arange(len(escapes))
    first = np.maximum.accumulate(np.where(np.diff(escapes, prepend=-2) != 1, number, 0))
    escapes = escapes[(number - first) % 2 == 0]
    letters = data[escapes + 1]
    signs = _ESCAPED[letters]
    if not signs.all():
        return None
    data = data.copy()
    data[escapes + 1] = signs
    begins = np.sort(np.concatenate([begin, escapes + 1]), kind="stable")
    stops = np.sort(np.concatenate([stop, escapes]), kind="stable")
    pieces = np.append(np.searchsorted(begins, begin), len(begins)).astype(np.int32)
    listed = pa.ListArray.from_arrays(integers(pieces), _between(data, begins, stops))
    return pc.binary_join(listed, "")


def _places(data: np.ndarray, sign: str) -> np.ndarray:
    """int64[found]: where a sign stands that is rare, so that eight bytes without it are passed over at once."""
    there = np.zeros(-(-len(data) // 8) * 8, bool)
    np.equal(data, ord(sign), out=there[: len(data)])
    eights = np.flatnonzero(there.view(np.uint64) != 0)
    eight, place = np.nonzero(there.reshape(-1, 8)[eights])
    return eights[eight] * 8 + place


def _between(data: np.ndarray, begin: np.ndarray, stop: np.ndarray) -> pa.Array:
    """The stretches of `data` from `begin` to `stop`, which are in order and do not overlap."""
    cuts = np.stack([begin, stop], 1).reshape(-1).astype(np.int32)
    buffers = [None, pa.py_buffer(cuts), pa.py_buffer(data)]
    stretches = pa.Array.from_buffers(pa.string(), len(cuts) - 1, buffers)
    return stretches.take(integers(np.arange(0, len(cuts), 2)))


def integers(values: np.ndarray) -> pa.Array:
    """`values` as Arrow has them; `pa.array` would import pandas to look at them, which takes longer than many an
    export."""
    kind = pa.int64() if values.dtype == np.int64 else pa.int32()
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])
