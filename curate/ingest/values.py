"""Values of a row as text, and what is no value. A cell that stays out of a text goes to `meta`, so nothing is lost."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from recast.curate.fingerprint import canonical_json


class RowError(ValueError):
    """Why one row cannot be read. It is data, counted and reported, never a crash."""


def kind(value: Any) -> str:
    """What `value` is, for a sentence: "missing", "a dict", "NaN"."""
    if value is None:
        return "missing"
    return str(value) if isinstance(value, float) and not _finite(value) else f"a {type(value).__name__}"


def blank(value: Any) -> bool:
    """Whether `value` says nothing: null, or white space."""
    return value is None or (isinstance(value, str) and not value.strip())


def scalar(value: Any) -> str | None:
    """A text, number, truth value or time as text; None for everything else, NaN and infinity with it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int) or (isinstance(value, float) and _finite(value)):
        return json.dumps(value)
    if isinstance(value, Decimal):
        return str(value)
    return value.isoformat() if isinstance(value, datetime.date | datetime.time) else None


def prose(value: Any) -> str | None:
    """A cell as a passage of a prompt: the members of a list below each other, objects as JSON; None where it says
    nothing that can be written."""
    if value is None:
        return None
    if isinstance(value, list | tuple):
        if text := only_text(value):
            return text
        pieces = [
            scalar(member) if scalar(member) is not None else canonical_json(member) for member in value
        ]
        return (
            "\n\n".join(piece for piece in pieces if piece is not None)
            if not all(map(blank, pieces))
            else None
        )
    if isinstance(value, Mapping):
        return canonical_json(value) if value else None
    text = scalar(value)
    return None if blank(text) else text


def only_text(content: Any) -> str | None:
    """The text of a list of parts of chat content that holds text and nothing else; None for any other list."""
    if not content or not all(
        isinstance(part, Mapping)
        and isinstance(part.get("text"), str)
        and part.get("type", "text") == "text"
        and set(part) <= {"type", "text"}
        for part in content
    ):
        return None
    return "".join(part["text"] for part in content)


def keep(meta: dict[str, Any], name: str, value: Any) -> None:
    """Set `meta[name]`, under a longer name where the row brought a value of that name itself."""
    while name in meta:
        name += "_"
    meta[name] = value


def _finite(value: float) -> bool:
    return value - value == 0
