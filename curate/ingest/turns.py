"""Conversations: whose turn each is, which one is learnt, and what of that turn is no text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from recast.curate.ingest.values import RowError, kind, only_text

Turns = list[dict[str, Any]]

ROLES = {
    "human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "chatgpt": "assistant",
    "model": "assistant", "bot": "assistant", "ai": "assistant", "chatbot": "assistant", "function_call": "assistant",
    "system": "system", "developer": "developer", "tool": "tool", "function": "tool", "observation": "tool",
    "ipython": "tool",
}  # fmt: skip
_NOT_LEARNT = (
    "weight",
    "train",
    "training",
    "trainable",
    "loss",
)  # a turn in which one of these is 0 or false
_SPOKEN = re.compile(
    r"(?:^|\n\n)(Human|Assistant): ?"
)  # conversations of Anthropic's preferences, as one text


def messages_of(value: Any) -> Turns | None:
    """The turns of a list of them, or of one that stands alone; None for everything else."""
    if isinstance(value, str):
        return None
    if isinstance(value, Mapping) and ("role" in value or "from" in value):
        value = [value]
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        return [message(turn) for turn in value]
    return None


def marked(value: Any) -> Turns:
    """The turns of a text that marks who speaks; none where it is no such text."""
    if not isinstance(value, str) or not value.lstrip().startswith("Human:"):
        return []
    pieces = _SPOKEN.split("\n\n" + value.lstrip())[1:]
    return [
        message({"role": who, "content": said}) for who, said in zip(pieces[::2], pieces[1::2], strict=True)
    ]


def decoded(value: Any) -> Any:
    """A list that a table (CSV, Parquet) holds as JSON text, decoded."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def message(value: Any) -> dict[str, Any]:
    """One turn as role, content and whatever else it has. Raises RowError for a role that nobody knows."""
    if not isinstance(value, Mapping):
        raise RowError(f"a turn is {kind(value)}, expected an object with role and content")
    said = "role" if value.get("role") is not None else "from"
    text = "content" if value.get("content") is not None or "value" not in value else "value"
    role = value.get(said)
    if not isinstance(role, str):
        raise RowError("a turn has no role")
    known = ROLES.get(role.strip().lower())
    if known is None:
        raise RowError(f"a turn is from {role!r}; known are {', '.join(ROLES)}")
    more = {k: v for k, v in value.items() if k not in (said, text) and v is not None}
    return {"role": known, "content": value.get(text), **more}


def split(messages: Turns, turn: int, begin: int = 0) -> tuple[Turns, str, dict[str, Any]]:
    """Split a conversation at the `turn`-th assistant turn, from `begin` on, that speaks and is to be learnt.

    Returns what comes before, its text, and for `meta` what else there is: of the turn itself (`completion_turn`),
    and after it (`later_turns`). Raises RowError where no turn can be learnt.
    """
    at = [n for n, m in enumerate(messages) if n >= begin and m["role"] == "assistant" and _learnt(m)]
    if not at:
        calls = any(m.get("tool_calls") or m.get("function_call") for m in messages)
        what = "only calls of tools" if calls else "no assistant turn with text"
        raise RowError(f"{what}, so there is no text to learn")
    try:
        n = at[turn]
    except IndexError:
        raise RowError(
            f"turn {turn} asked for, but the assistant speaks {len(at)} time{'s' * (len(at) > 1)}"
        ) from None
    if n == 0:
        raise RowError("the conversation begins with the assistant, so there is no prompt")
    learnt = messages[n]
    more = {k: v for k, v in learnt.items() if k not in ("role", "content")}
    if not isinstance(learnt["content"], str) and only_text(learnt["content"]) is None:
        more["content"] = learnt["content"]  # images, sounds and thoughts beside the text
    rest: dict[str, Any] = {}
    if more:
        rest["completion_turn"] = more
    if messages[n + 1 :]:
        rest["later_turns"] = messages[n + 1 :]
    return messages[:n], flat(learnt["content"]), rest


def _learnt(turn: Mapping[str, Any]) -> bool:
    off = any(turn.get(name) in (0, "0") or str(turn.get(name)).lower() == "false" for name in _NOT_LEARNT)
    return bool(flat(turn["content"]).strip()) and not off


def flat(content: Any) -> str:
    """Text of a content that is a string or a list of parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        return "".join(
            p["text"] for p in content if isinstance(p, Mapping) and isinstance(p.get("text"), str)
        )
    return ""
