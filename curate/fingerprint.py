"""Content identity: canonical JSON to sha256.

Canonical means sorted keys, no insignificant white space, UTF-8 without escapes. What tables hold and JSON cannot
(NaN, dates, durations, decimals, bytes) becomes an object of one key that names its type, as {"$float":"NaN"}; an
object of an unknown type is refused, never turned into a string, because two different objects may print alike.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import math
import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

ROW_ID_DIGITS = 32


def canonical_json(value: Any) -> str:
    """Return the canonical JSON text of `value`.

    Raises TypeError for an object of an unknown type and for keys that cannot be sorted, RecursionError for what is
    nested too deeply.
    """
    try:
        return _ENCODER.encode(value)
    except (TypeError, ValueError):  # rare, so plain values pay nothing for it
        return _ENCODER.encode(plain(value))


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def plain(value: Any) -> Any:
    """`value` with everything that JSON cannot hold as an object that names its type. Raises TypeError."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": _NOT_FINITE[str(value)]}
    if isinstance(value, Mapping):
        return {key: plain(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [plain(member) for member in value]
    for kind, name, written in _TYPES:
        if isinstance(value, kind):
            return {name: written(value)}
    raise TypeError(f"a {type(value).__name__} has no place in JSON")


_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_TYPES: tuple[tuple[type, str, Any], ...] = (
    (datetime.datetime, "$datetime", lambda v: v.isoformat()),  # before the date that it is, too
    (datetime.date, "$date", lambda v: v.isoformat()),
    (datetime.time, "$time", lambda v: v.isoformat()),
    (datetime.timedelta, "$seconds", lambda v: str(_seconds(v))),
    (Decimal, "$decimal", str),
    (bytes, "$base64", lambda v: base64.b64encode(v).decode()),
    (uuid.UUID, "$uuid", str),
)


def _seconds(value: datetime.timedelta) -> Decimal:
    whole = value.days * 86_400 + value.seconds
    nanoseconds = value.microseconds * 1000 + getattr(value, "nanoseconds", 0)  # pandas counts these, too
    return Decimal(whole) + Decimal(nanoseconds) / 10**9


def fingerprint(value: Any) -> str:
    """Return the sha256 (64 hex digits) of the canonical JSON of `value`."""
    # surrogatepass: a lone surrogate in a user's text must have an identity, not crash the import
    return hashlib.sha256(canonical_json(value).encode("utf-8", "surrogatepass")).hexdigest()


def row_id(messages: list[dict[str, Any]], completion: str) -> str:
    """Identity of a demonstration without an id of its own: prompt and expert text, nothing else."""
    return fingerprint({"messages": messages, "completion": completion})[:ROW_ID_DIGITS]


def prompt_hash(messages: list[dict[str, Any]]) -> str:
    """Identity of a prompt. Keys caches together with backbone, template and sampling."""
    return fingerprint(messages)


def seed_of(root: int, *parts: str | int) -> int:
    """Seed in [0, 2**63) for one unit of work, so that order, batching and resume cannot change it."""
    digest = hashlib.sha256(canonical_json([root, *parts]).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") >> 1
