"""A version's rows as trainers in Python read them: which columns, and prompt and completion as lists of turns."""

from __future__ import annotations

import json
from typing import Any, Literal, get_args

import pyarrow as pa

from recast.curate.errors import UsageError
from recast.curate.records import Messages
from recast.curate.schema import VERSION_SCHEMA

Format = Literal["rows", "messages", "prompt_completion"]
DATASET_COLUMNS: dict[Format, tuple[str, ...]] = {
    "rows": tuple(VERSION_SCHEMA.names),
    "messages": ("messages", "answer", "task", "row_id"),
    "prompt_completion": ("prompt", "completion", "answer", "task", "row_id"),
}
"""Columns of a data set by format."""
TURNS: dict[Format, tuple[str, ...]] = {
    "rows": ("messages",),
    "messages": ("messages",),
    "prompt_completion": ("prompt", "completion"),
}
"""Those of them that hold lists of {role, content}."""


def require(format: str) -> None:
    """Raise UsageError for a format that there is not."""
    if format not in get_args(Format):
        raise UsageError(f"a version is no {format!r}; formats are {', '.join(DATASET_COLUMNS)}.")


def columns(format: Format) -> list[str]:
    """Columns of the store that rows of the format are made of."""
    return [n for n in VERSION_SCHEMA.names if n in {*DATASET_COLUMNS[format], "messages", "completion"}]


def prompts(batch: pa.RecordBatch | pa.Table) -> list[Messages]:
    """The column `messages`, decoded."""
    return [json.loads(text) for text in batch.column("messages").to_pylist()]


def turns(format: Format, prompts: list[Messages], completions: list[str]) -> dict[str, list[Messages]]:
    """The columns of a format that hold turns."""
    if format == "rows":
        return {"messages": prompts}
    said = [{"role": "assistant", "content": text} for text in completions]
    if format == "messages":
        return {"messages": [[*prompt, turn] for prompt, turn in zip(prompts, said, strict=True)]}
    return {"prompt": prompts, "completion": [[turn] for turn in said]}


def rows(format: Format, batch: pa.RecordBatch | pa.Table) -> list[dict[str, Any]]:
    """A batch with `columns` as dicts; turns keep every member that the store has, as what it says."""
    made: dict[str, list[Any]] = {
        name: batch.column(name).to_pylist() for name in DATASET_COLUMNS[format] if name not in TURNS[format]
    }
    made |= turns(format, prompts(batch), batch.column("completion").to_pylist())
    ordered = [made[name] for name in DATASET_COLUMNS[format]]
    return [dict(zip(DATASET_COLUMNS[format], values, strict=True)) for values in zip(*ordered, strict=True)]
