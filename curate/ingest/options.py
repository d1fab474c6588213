"""Questions with options: how the options read in a prompt, and which of them a number means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from recast.curate.fingerprint import canonical_json
from recast.curate.ingest.values import RowError, scalar

FROM_ONE = ", options from 1"
"""Ends the name of a format whose answers count the options from 1."""


def options(value: Any) -> list[tuple[str, str]]:
    """(label, text) of each option of a cell: a list of texts or objects, or an object of labels or of two lists."""
    if value is None:
        return []
    if isinstance(value, Mapping):
        texts, labels = value.get("text"), value.get("label")
        if isinstance(texts, list) and isinstance(labels, list) and len(texts) == len(labels):
            return [(_text(label), _text(text)) for label, text in zip(labels, texts, strict=True)]
        return [(str(label), _text(text)) for label, text in value.items()]
    if not isinstance(value, list):
        return []
    found = []
    for n, option in enumerate(value):
        label, text = letter(n), option
        if isinstance(option, Mapping) and set(option) & {"label", "key"} and set(option) & {"text", "value"}:
            label = _text(option.get("label", option.get("key")))
            text = option.get("text", option.get("value"))
        found.append((label, _text(text)))
    return found


def letter(n: int) -> str:
    return chr(ord("A") + n) if n < 26 else str(n + 1)


def counted_from_one(rows: Iterable[Mapping[str, Any]], choices: str, answer: str) -> bool:
    """Whether answers that are numbers count options from 1: one is the number of options, and none is 0."""
    seen = [(_index(row.get(answer)), len(options(row.get(choices)))) for row in rows]
    numbers = [(n, count) for n, count in seen if n is not None and count]
    return bool(numbers) and any(n == count for n, count in numbers) and not any(n == 0 for n, _ in numbers)


def chosen(answer: Any, found: list[tuple[str, str]], from_one: bool) -> str | None:
    """The label of the option that a number means; None where the answer is no number, or is an option's own text or
    label. Raises RowError for a number that counts no option."""
    index = _index(answer)
    if index is None or not found:
        return None
    counts = 0 <= index - from_one < len(found)
    if (isinstance(answer, str) or not counts) and any(str(index) in pair for pair in found):
        return None
    if not counts:
        raise RowError(
            f"the answer is {index}, but the options are counted from {int(from_one)} to "
            f"{len(found) - 1 + from_one}"
        )
    return found[index - from_one][0]


def _index(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.strip().isdecimal() and len(value.strip()) < 4:
        return int(value)
    return value if isinstance(value, int) else None


def _text(value: Any) -> str:
    text = scalar(value)
    return canonical_json(value) if text is None else text
