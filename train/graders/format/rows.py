"""Rows that graders read: JSONL files of reinforcement fine-tuning, and what of a row is `item`.

A line is `{"messages": [..., {"role": "user", ...}], ...}`: a prompt that ends with the user, and any further columns,
which graders reach as `{{ item.NAME }}`. `recast export craft --to openai --as rft -o rft` writes such files from a
version.

    train, validation = read(Path("train.jsonl")), read(Path("validation.jsonl"))
    refuse_shared(train, validation)
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from recast.curate.errors import DataError
from recast.curate.files import write_lines
from recast.curate.fingerprint import canonical_json
from recast.curate.records import Messages

ROLES = ("system", "developer", "user", "assistant", "tool")
SHOWN_PAIRS = 5


@dataclass(frozen=True, slots=True)
class PromptRow:
    """A prompt with its columns, and where it stands, for messages to people."""

    messages: Messages
    columns: Mapping[str, Any]
    where: str

    @property
    def item(self) -> dict[str, Any]:
        """What a grader sees of the row."""
        return {**self.columns, "messages": self.messages}


def read(path: Path) -> list[PromptRow]:
    """The rows of a JSONL file. Raises DataError that names the line and what is wrong with it."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}. Expected JSONL of prompts.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text: {error}.") from error
    rows: list[PromptRow] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        where = f"{path.name}, line {number}"
        try:
            value: Any = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where} is not JSON: {error}.") from error
        if not isinstance(value, dict):
            raise DataError(f"{where} holds a {type(value).__name__}; expected an object with `messages`.")
        rows.append(prompt_row(cast("dict[str, Any]", value), where))
    if not rows:
        raise DataError(
            f"{path} holds no rows. Each line is a JSON object with `messages` that end with the user."
        )
    return rows


def prompt_row(row: Mapping[str, Any], where: str) -> PromptRow:
    """A row of a file or of a version. Raises DataError for a prompt that no model could be asked."""
    columns = item_of(row)
    messages: Any = columns.pop("messages", None)
    if not isinstance(messages, list) or not messages:
        raise DataError(f"{where}: `messages` is {_shown(messages)}; expected a list of turns.")
    for number, turn in enumerate(cast("list[Any]", messages)):
        told = cast("dict[str, Any]", turn) if isinstance(turn, dict) else {}
        if told.get("role") not in ROLES:
            raise DataError(
                f"{where}: `messages[{number}]` is {_shown(turn)}; expected a turn whose role is one of "
                f"{', '.join(ROLES)}."
            )
        if not isinstance(told.get("content"), str) and not told.get("tool_calls"):
            raise DataError(
                f"{where}: `messages[{number}].content` is {_shown(told.get('content'))}; expected text."
            )
    if messages[-1]["role"] != "user":
        raise DataError(
            f"{where}: the last turn is the {messages[-1]['role']}'s; expected the user's, which the model is to "
            "answer."
        )
    return PromptRow(cast(Messages, messages), columns, where)


def item_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """What a grader sees of a row: its columns, and those that a version keeps in `meta`. Absent ones are left out."""
    item = {key: value for key, value in row.items() if value is not None}
    for key in ("messages", "meta"):
        if isinstance(item.get(key), str):
            try:
                item[key] = json.loads(item[key])  # as a version stores them
            except (ValueError, RecursionError):
                continue
    meta = item.get("meta")
    return {**cast("dict[str, Any]", meta), **item} if isinstance(meta, dict) else item


def write(path: Path, rows: Iterable[PromptRow]) -> None:
    """Write rows as such a file, whole or not at all."""
    write_lines(path, (row.item for row in rows))


def refuse_shared(train: Sequence[PromptRow], validation: Sequence[PromptRow]) -> None:
    """Raise DataError that names the rows where a prompt stands on both sides: the reward on it would measure memory.

    Prompts are the same where roles and words are, whatever their case, white space and Unicode form.
    """
    known: dict[str, PromptRow] = {}
    for row in train:
        known.setdefault(normalised(row.messages), row)
    shared = [(known[key], row) for row in validation if (key := normalised(row.messages)) in known]
    if not shared:
        return
    pairs = "; ".join(f"{one.where} and {two.where}" for one, two in shared[:SHOWN_PAIRS])
    more = f"; and {len(shared) - SHOWN_PAIRS} more" if len(shared) > SHOWN_PAIRS else ""
    raise DataError(
        f"{len(shared)} of {len(validation)} validation prompts are training prompts, too: {pairs}{more}. Take them "
        "out of one side."
    )


def normalised(messages: Messages) -> str:
    """A prompt as it counts for being the same: roles, and words without case, white space and Unicode form."""
    said: list[list[str]] = []
    for turn in messages:
        content: Any = turn.get("content")
        text = content if isinstance(content, str) else canonical_json(content)
        said.append([str(turn.get("role")), " ".join(unicodedata.normalize("NFKC", text).casefold().split())])
    return canonical_json(said)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
