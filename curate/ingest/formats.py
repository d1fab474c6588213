"""How rows of the usual data sets become prompts and completions.

`detect` looks at the first rows of a file and proposes a mapping from our fields to theirs; `apply` turns
one row into the columns of a version. Knows nothing of files.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from recast.curate.errors import DataError, UsageError
from recast.curate.fingerprint import ROW_ID_DIGITS, canonical_json
from recast.curate.schema import VERSION_SCHEMA

# Our field -> what others call it, in order of preference; compared without case.
ALIASES: dict[str, tuple[str, ...]] = {
    "id": ("row_id", "id", "item_id", "task_id", "example_id", "uid", "uuid", "question_id", "pubid"),
    "messages": ("messages", "conversations", "conversation"),
    "prompt": ("prompt", "question", "problem", "instruction", "query"),
    "completion": (
        "completion", "solution", "answer_cot", "response", "output", "rationale", "cot", "long_answer",
        "canonical_solution", "explanation",
    ),
    "answer": ("answer", "final_answer", "answer_value", "final_decision", "ground_truth", "gold", "label"),
    "task": ("task", "subject", "category", "family"),
    "system": ("system", "system_prompt"),
    "input": ("input",),
    "context": ("context", "contexts", "passage"),
    "choices": ("choices", "options"),
    "tools": ("tools",),
    "target": ("target",),
}  # fmt: skip
FIELDS = tuple(ALIASES)
_ROLES = {
    "human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "chatgpt": "assistant",
    "function_call": "assistant", "system": "system", "tool": "tool", "function": "tool", "observation": "tool",
}  # fmt: skip
_GOLD = re.compile(r"\n?####\s*(.+?)\s*\Z")  # GSM8K: the final answer on the last line


class RowError(ValueError):
    """Why one row cannot be read. It is data, counted and reported, never a crash."""


def detect(
    rows: Sequence[Mapping[str, Any]], where: str, given: Mapping[str, str] | None = None
) -> tuple[str, dict[str, str]]:
    """Return (name of the format, mapping of our fields to columns) from the first rows of a file.

    `given` is what a user says of it, and wins; an empty column name drops a field. Raises DataError naming
    the columns found where no prompt or completion is among them, UsageError where `given` fits no column.
    """
    columns = list(dict.fromkeys(c for row in rows for c in row))
    given = dict(given or {})
    _check_given(given, columns, where)
    if not given and {"row_id", "messages", "completion", "demonstration", "decision"} <= set(columns):
        return "recast", {c: c for c in columns if c in VERSION_SCHEMA.names}
    lower = {c.lower(): c for c in reversed(columns)}
    mapping = {ours: lower[a] for ours in FIELDS for a in [_first(ALIASES[ours], lower)] if a}
    mapping = {ours: theirs for ours, theirs in {**mapping, **given}.items() if theirs}
    if "prompt" not in mapping and "input" in mapping:
        mapping["prompt"] = mapping.pop("input")  # input/output, without an instruction
    if not isinstance(_example(rows, mapping.get("target", "")), int):
        mapping.pop("target", None)
    said_otherwise = {"prompt", "completion"} & set(given)
    turns = _decoded(_example(rows, mapping.get("messages", "")))
    if isinstance(turns, list) and not said_otherwise:
        for lost in ("prompt", "completion", "input", "context", "choices"):
            mapping.pop(lost, None)
        first = next((m for m in turns if isinstance(m, Mapping)), {})
        return ("sharegpt" if "from" in first else "messages"), mapping
    mapping.pop("messages", None)
    if "completion" not in mapping and "answer" in mapping and "prompt" in mapping:
        mapping["completion"] = mapping["answer"]  # question/answer: the answer is the text
    if "prompt" not in mapping or "completion" not in mapping:
        raise DataError(
            f"{where}: cannot tell what the {'prompt' if 'prompt' not in mapping else 'completion'} is among the "
            f"columns {', '.join(columns) or '(none)'}. Say it with --map, as in "
            "--map prompt=QUESTION --map completion=SOLUTION --map answer=ANSWER --map id=ID."
        )
    if mapping["completion"] == mapping.get("answer"):
        return "question/answer", mapping
    names = [mapping[field].lower() for field in ("prompt", "completion")]
    return "alpaca" if "instruction" in names else "/".join(names), mapping


def _check_given(given: Mapping[str, str], columns: Sequence[str], where: str) -> None:
    if unknown := set(given) - set(FIELDS):
        raise UsageError(f"--map knows the fields {', '.join(FIELDS)}, not {', '.join(sorted(unknown))}.")
    for ours, theirs in given.items():
        if theirs and theirs not in columns:
            raise UsageError(
                f"--map {ours}={theirs}: {where} has no column {theirs!r}; it has {', '.join(columns)}."
            )


def apply(row: Mapping[str, Any], mapping: Mapping[str, str], kind: str, turn: int = -1) -> dict[str, Any]:
    """Columns of VERSION_SCHEMA for one row; `messages` and `meta` as JSON text. Raises RowError."""
    if kind == "recast":
        return _own(row)
    out: dict[str, Any] = dict.fromkeys(VERSION_SCHEMA.names)
    rest: dict[str, Any] = {}
    if "messages" in mapping:
        messages, completion, after = _turns(row.get(mapping["messages"]), turn)
        rest.update(after)
        if "system" in mapping and isinstance(row.get(mapping["system"]), str) and row[mapping["system"]]:
            messages = [{"role": "system", "content": row[mapping["system"]]}, *messages]
    else:
        messages, completion = _pair(row, mapping)
    answer = row.get(mapping["answer"]) if "answer" in mapping else None
    if mapping.get("answer") == mapping.get("completion") and not (mapping.get("choices") and _short(answer)):
        answer = None
    if answer is None and (gold := _GOLD.search(completion[-400:])):
        answer = gold[1]
    used = {theirs for ours, theirs in mapping.items() if ours not in ("tools", "choices")}
    rest.update({k: v for k, v in row.items() if k not in used})
    text = canonical_json(messages)
    identifier = row.get(mapping["id"]) if "id" in mapping else None
    out |= {
        "row_id": _identifier(identifier) if identifier is not None else _content_id(text, completion),
        "target": _target(row, mapping),
        "messages": text,
        "completion": completion,
        "answer": _answer(answer),
        "task": _optional(row, mapping, "task"),
        "demonstration": completion,
        "decision": "expert",
        "meta": canonical_json(rest) if rest else None,
    }
    return out


def _own(row: Mapping[str, Any]) -> dict[str, Any]:
    out = {name: row.get(name) for name in VERSION_SCHEMA.names}
    for name in ("messages", "meta"):
        if out[name] is not None and not isinstance(out[name], str):
            out[name] = canonical_json(out[name])
    for name in ("row_id", "messages", "completion", "demonstration", "decision"):
        if not isinstance(out[name], str):
            raise RowError(f"{name!r} is {_kind(out[name])}, expected text")
    out["target"] = out["target"] or 0
    if unknown := {k: v for k, v in row.items() if k not in out}:
        meta = json.loads(out["meta"] or "{}")
        out["meta"] = canonical_json({**meta, **unknown})
    return out


def _turns(value: Any, turn: int) -> tuple[list[dict[str, Any]], str, dict[str, Any]]:
    """Split a conversation at its `turn`-th assistant turn that speaks; what follows it goes to `meta`.

    A turn of weight 0 is one that OpenAI's fine-tuning does not train on, and so is none of them.
    """
    value = _decoded(value)
    if not isinstance(value, list) or not value:
        found = "an empty list" if value == [] else _kind(value)
        raise RowError(f"the conversation is {found}, expected a list of turns")
    messages = [_message(m) for m in value]
    at = [
        n for n, m in enumerate(messages) if m["role"] == "assistant" and _spoken(m) and m.get("weight") != 0
    ]
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
    completion = messages[n]
    if n == 0:
        raise RowError("the conversation begins with the assistant, so there is no prompt")
    extra = {k: v for k, v in completion.items() if k not in ("role", "content")}
    rest: dict[str, Any] = {}
    if extra:
        rest["completion_turn"] = extra
    if messages[n + 1 :]:
        rest["later_turns"] = messages[n + 1 :]
    return messages[:n], _flat(completion["content"]), rest


def _decoded(value: Any) -> Any:
    """A list that a table (CSV, Parquet) holds as JSON text, decoded."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _message(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise RowError(f"a turn is {_kind(value)}, expected an object with role and content")
    out = {k: v for k, v in value.items() if k not in ("from", "value", "role", "content") and v is not None}
    role = value.get("role", value.get("from"))
    if not isinstance(role, str):
        raise RowError("a turn has no role")
    if "from" in value and role not in _ROLES:
        raise RowError(f"a turn is from {role!r}; known are {', '.join(_ROLES)}")
    return {"role": _ROLES.get(role, role), "content": value.get("content", value.get("value")), **out}


def _spoken(message: Mapping[str, Any]) -> bool:
    return bool(_flat(message["content"]).strip())


def _flat(content: Any) -> str:
    """Text of a content that is a string or a list of parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(
            p.get("text", "") for p in content if isinstance(p, Mapping) and isinstance(p.get("text"), str)
        )
    return ""


def _pair(row: Mapping[str, Any], mapping: Mapping[str, str]) -> tuple[list[dict[str, Any]], str]:
    prompt, completion = row.get(mapping["prompt"]), row.get(mapping["completion"])
    if isinstance(completion, list) and completion and isinstance(completion[-1], Mapping):
        completion = _flat(completion[-1].get("content"))  # TRL conversational
    if isinstance(completion, int | float) and not isinstance(completion, bool):
        completion = json.dumps(completion)
    if not isinstance(completion, str):
        raise RowError(f"the completion ({mapping['completion']!r}) is {_kind(completion)}, expected text")
    if not completion.strip():
        raise RowError(f"the completion ({mapping['completion']!r}) is empty")
    if isinstance(prompt, list) and prompt and isinstance(prompt[0], Mapping):
        messages = [_message(m) for m in prompt]
    elif isinstance(prompt, str) and prompt.strip():
        messages = [{"role": "user", "content": _question(row, mapping, prompt)}]
    else:
        what = "empty" if isinstance(prompt, str) else f"{_kind(prompt)}, expected text or messages"
        raise RowError(f"the prompt ({mapping['prompt']!r}) is {what}")
    if system := _optional(row, mapping, "system"):
        messages.insert(0, {"role": "system", "content": system})
    return messages, completion


def _question(row: Mapping[str, Any], mapping: Mapping[str, str], prompt: str) -> str:
    pieces = []
    if context := _lines(row.get(mapping.get("context", ""))):
        pieces.append(context)
    pieces.append(prompt)
    if more := _lines(row.get(mapping.get("input", ""))):
        pieces.append(more)
    choices = row.get(mapping.get("choices", ""))
    if isinstance(choices, list) and choices:
        pieces.append("\n".join(f"{_letter(n)}. {c}" for n, c in enumerate(choices)))
    return "\n\n".join(pieces)


def _lines(value: Any) -> str:
    if isinstance(value, list):
        return "\n\n".join(str(v) for v in value)
    return value if isinstance(value, str) and value.strip() else ""


def _letter(n: int) -> str:
    return chr(ord("A") + n) if n < 26 else str(n + 1)


def _short(answer: Any) -> bool:
    return isinstance(answer, str) and len(answer.strip()) <= 3


def _identifier(value: Any) -> str:
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))  # a column of whole numbers with a gap in it reaches us as floats
    found = "empty" if value == "" else repr(value) if isinstance(value, float) else _kind(value)
    raise RowError(f"the id is {found}, expected text or a whole number")


def _content_id(messages: str, completion: str) -> str:
    """fingerprint.row_id, from messages that are canonical JSON already."""
    text = f'{{"completion":{canonical_json(completion)},"messages":{messages}}}'
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:ROW_ID_DIGITS]


def _target(row: Mapping[str, Any], mapping: Mapping[str, str]) -> int:
    value = row.get(mapping["target"], 0) if "target" in mapping else 0
    if not isinstance(value, int) or isinstance(value, bool):
        raise RowError(f"the target is {_kind(value)}, expected a whole number")
    return value


def _answer(value: Any) -> str | None:
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    return value if isinstance(value, str) else canonical_json(value)


def _optional(row: Mapping[str, Any], mapping: Mapping[str, str], name: str) -> str | None:
    value = row.get(mapping[name]) if name in mapping else None
    return value if isinstance(value, str) and value else None


def _kind(value: Any) -> str:
    return "missing" if value is None else f"a {type(value).__name__}"


def _first(aliases: Sequence[str], columns: Mapping[str, str]) -> str | None:
    return next((a for a in aliases if a in columns), None)


def _example(rows: Sequence[Mapping[str, Any]], column: str) -> Any:
    return next((row[column] for row in rows if row.get(column) is not None), None)
