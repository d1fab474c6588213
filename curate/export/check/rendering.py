"""A line as a trainer's tokenizer has it: rendered by the chat template, as ids, with a mark for each that trains.

example = spans(tokenizer, turns, None, chosen=[1])       # the second turn trains, from its header to its end
example.ids, example.trained                              # as many truth values as tokens
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from recast.curate.chat import check_template
from recast.curate.export.formats import Line
from recast.curate.records import Messages


class NotRead(ValueError):
    """Why the trainer would not train a line: it raises, or drops it."""


@dataclass(frozen=True, slots=True)
class Example:
    """A line as tokens. `prompt` is how many of them come before the first that trains."""

    ids: list[int]
    trained: list[bool]

    @property
    def prompt(self) -> int:
        return self.trained.index(True) if True in self.trained else len(self.ids)


def tools_of(line: Line) -> list[Any] | None:
    tools = line.get("tools")
    return json.loads(tools) if isinstance(tools, str) else tools or None


def text_of(tokenizer: Any, turns: Messages, tools: Any = None, *, asks: bool = False) -> str:
    """The rendered conversation; `asks` ends it where the assistant begins."""
    check_template(tokenizer)
    try:
        return tokenizer.apply_chat_template(turns, tools=tools, tokenize=False, add_generation_prompt=asks)
    except Exception as error:  # a template may raise anything
        raise NotRead(f"the chat template fails on it ({error})") from error


def ids_of(tokenizer: Any, turns: Messages, tools: Any = None, *, asks: bool = False) -> list[int]:
    return list(tokenizer(text_of(tokenizer, turns, tools, asks=asks), add_special_tokens=False)["input_ids"])


def with_marks(tokenizer: Any, turns: Messages, tools: Any, template: str | None = None) -> Example:
    """The whole conversation, trained where the template's own generation markers say so."""
    try:
        done = tokenizer.apply_chat_template(
            turns,
            tools=tools,
            chat_template=template,
            tokenize=True,
            return_dict=True,
            return_assistant_tokens_mask=True,
        )
    except Exception as error:  # a template may raise anything
        raise NotRead(f"the chat template fails on it ({error})") from error
    return Example(list(done["input_ids"]), [bool(mark) for mark in done["assistant_masks"]])


def has_marks(tokenizer: Any) -> bool:
    return "generation %}" in tokenizer.chat_template or "generation -%}" in tokenizer.chat_template


def assistants(turns: Messages) -> list[int]:
    return [n for n, turn in enumerate(turns) if turn["role"] == "assistant"]


def after(ids: list[int], start: int) -> Example:
    return Example(ids, [n >= start for n in range(len(ids))])


def split_turns(line: Line) -> tuple[Messages, Messages]:
    """Prompt and completion of a line, whatever its columns are called."""
    if "messages" in line:
        return line["messages"][:-1], line["messages"][-1:]
    if "input" in line:
        return line["input"], line["output"]
    return line["prompt"], line["completion"]


def common(a: Sequence[int], b: Sequence[int]) -> int:
    """How many tokens `a` and `b` begin with alike."""
    return next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def spans(
    tokenizer: Any, turns: Messages, tools: Any, chosen: Sequence[int], *, header: bool = False
) -> Example:
    """The whole conversation, trained from the assistant's header (with `header`, from before it) to the turn's end.

    By characters of the rendered text, as tokens that straddle a boundary belong to the answer; by counts of tokens
    where a shorter conversation is not how the whole one begins.
    """
    text = text_of(tokenizer, turns, tools)
    done = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids, offsets = list(done["input_ids"]), done["offset_mapping"]
    trained = [False] * len(ids)
    for n in chosen:
        begins = text_of(tokenizer, turns[:n], tools, asks=not header)
        ends = text_of(tokenizer, turns[: n + 1], tools)
        if text.startswith(begins) and text.startswith(ends):
            for m, (a, b) in enumerate(offsets):
                trained[m] = trained[m] or (a < b and a < len(ends) and len(begins) < b)
            continue
        first = len(ids_of(tokenizer, turns[:n], tools, asks=not header))
        last = len(ids_of(tokenizer, turns[: n + 1], tools))
        trained[first:last] = [True] * len(trained[first:last])
    return Example(ids, trained)
