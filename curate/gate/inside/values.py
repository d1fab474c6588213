"""Values and messages that cross between the tests and the code: JSON with types, and nothing else.

>>> encode((1, {2}), refer=None)
{'tuple': [1, {'set': [2]}]}
"""

from __future__ import annotations

import builtins
import json
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing costs a tenth of a run's start
    from collections.abc import Callable
    from typing import Any, NoReturn, TypeAlias

    Wire: TypeAlias = "bool | int | float | str | list[Wire] | dict[str, Wire] | None"
    """JSON, the form of all that crosses."""
    Anything: TypeAlias = Any
    """What the code of strangers makes or asks for: nothing is known of it, and whatever is done with it may raise."""

MAX_MESSAGE = 64 << 20
"""Bytes of one message that is read."""
# with the builtin names, `isinstance` would leave a type checker with a list of it knows not what
LIST: Anything = list
DICT: Anything = dict
PLAIN: tuple[Anything, ...] = (tuple, set, frozenset)


class UnplainError(Exception):
    """A value that cannot cross."""


def encode(value: object, refer: Callable[[Anything], Wire] | None) -> Wire:
    """`value` as JSON with types; `refer(value)` stands for what is not plain. A subclass crosses as its base."""
    if value is None or value is True or value is False:
        return value
    if isinstance(value, int):
        value = int.__add__(value, 0)
        return value if -(2**53) < value < 2**53 else {"int": hex(value)}
    if isinstance(value, float):
        return float.__mul__(value, 1.0)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, LIST):
        return [encode(each, refer) for each in LIST.__iter__(value)]
    for kind in PLAIN:
        if isinstance(value, kind):
            return {kind.__name__: [encode(each, refer) for each in kind.__iter__(value)]}
    if isinstance(value, DICT):
        return {"dict": [[encode(k, refer), encode(v, refer)] for k, v in DICT.items(value)]}
    if isinstance(value, (bytes, bytearray)):
        return {type(value).__name__ if type(value) is bytearray else "bytes": bytes(value).hex()}
    if isinstance(value, complex):
        return {"complex": [value.real, value.imag]}
    return refer(value) if refer else refuse(value)


def refuse(value: object) -> NoReturn:
    raise UnplainError(f"a value of type {type(value).__name__}")


def decode(read: Wire, resolve: Callable[[Anything], Anything]) -> Anything:
    """The value that `encode` has written. Raises UnplainError for anything else."""
    if read is None or type(read) in (bool, int, float, str):
        return read
    if type(read) is list:
        return [decode(each, resolve) for each in read]
    if type(read) is not dict or len(read) != 1:
        raise UnplainError("no value")
    fields: dict[str, Anything] = read
    ((name, inner),) = fields.items()
    if name in ("tuple", "set", "frozenset"):
        return getattr(builtins, name)([decode(each, resolve) for each in inner])
    if name == "dict":
        return {decode(k, resolve): decode(v, resolve) for k, v in inner}
    if name == "int":
        return int(inner, 16)
    if name in ("bytes", "bytearray"):
        return getattr(builtins, name).fromhex(inner)
    if name == "complex":
        return complex(*inner)
    if name == "object":
        return resolve(inner)
    raise UnplainError(f"no value of kind {name!r}")


def send(pipe: int, message: Wire) -> None:
    text = json.dumps(message).encode()
    text = struct.pack(">Q", len(text)) + text
    while text:
        text = text[os.write(pipe, text) :]


def receive(pipe: int) -> Anything:
    """The next message, or None where the other side has ended."""
    head = read_exactly(pipe, 8)
    if head is None:
        return None
    (length,) = struct.unpack(">Q", head)
    if length > MAX_MESSAGE:
        raise UnplainError(f"a message of {length} bytes")
    text = read_exactly(pipe, length)
    return None if text is None else json.loads(text)


def read_exactly(pipe: int, count: int) -> bytes | None:
    found = bytearray()
    while len(found) < count:
        chunk = os.read(pipe, min(count - len(found), 1 << 20))
        if not chunk:
            return None
        found += chunk
    return bytes(found)
