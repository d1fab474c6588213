"""Content identity: canonical JSON to sha256.

Canonical means sorted keys, no insignificant white space, UTF-8 without escapes, and no value that
JSON cannot hold: an object of an unknown type is refused, never turned into a string, because two
different objects may print alike.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

ROW_ID_DIGITS = 32


def canonical_json(value: Any) -> str:
    """Return the canonical JSON text of `value`. Raises TypeError or ValueError for what JSON cannot hold."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


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
