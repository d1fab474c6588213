"""How rows of the usual data sets become prompts and completions.

`detect` looks at the first rows of a file and proposes a mapping from our fields to theirs; `apply` turns one row into
the columns of a version, and into candidates that its data set rejects. Every value of a row ends in its prompt, its
completion, its answer, in `meta` or in a rejected candidate, or the row is refused. Knows nothing of files.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from recast.curate.errors import DataError, UsageError
from recast.curate.fingerprint import ROW_ID_DIGITS, canonical_json
from recast.curate.ingest import turns
from recast.curate.ingest.options import FROM_ONE, chosen, counted_from_one, options
from recast.curate.ingest.turns import Turns, decoded, messages_of
from recast.curate.ingest.values import RowError, blank, keep, kind, prose, scalar
from recast.curate.records import DecisionKind
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
    "answer": (
        "answer", "final_answer", "answer_value", "final_decision", "ground_truth", "gold", "answerkey", "label",
    ),
    "task": ("task", "subject", "category", "family"),
    "system": ("system", "system_prompt"),
    "input": ("input",),
    "context": ("context", "contexts", "passage"),
    "choices": ("choices", "options"),
    "tools": ("tools",),
    "target": ("target",),
    "chosen": ("chosen",),
    "rejected": ("rejected",),
    "good": (),  # whether a completion is to be learnt; `label` where it holds truth values
}  # fmt: skip
FIELDS = tuple(ALIASES)
PREFERENCE, UNPAIRED = "preference", "unpaired preference"
_BESIDE = ("tools", "choices")  # what a prompt shows of them is not all: they are in `meta`, too
_JUDGED = (
    "completion",
    "response",
    "output",
    "messages",
    "conversations",
)  # completions that a label may judge
_GOLD = re.compile(r"\n?####\s*(.+?)\s*\Z")  # GSM8K: the final answer on the last line


@dataclass(frozen=True, slots=True)
class Applied:
    """One row as it is read: columns of VERSION_SCHEMA, and texts that its data set says are worse."""

    row: dict[str, Any]  # `messages` and `meta` as JSON text
    rejected: tuple[str, ...] = ()
    good: bool = True  # False: the row's own completion is one to reject


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
    if not isinstance(_example(rows, mapping.get("target")), int):
        mapping.pop("target", None)
    said_otherwise = {"prompt", "completion"} & set(given)
    if {"chosen", "rejected"} <= set(mapping) and not said_otherwise:
        return PREFERENCE, _without(mapping, "messages", "completion", "good")
    mapping = _without(mapping, "chosen", "rejected")
    example = _example(rows, mapping.get("messages"))
    talk = decoded(example)
    if isinstance(talk, list) and not said_otherwise:
        mapping = _without(mapping, "prompt", "completion", "input", "context", "choices")
        first = next((m for m in talk if isinstance(m, Mapping)), {})
        return _judged(rows, where, "sharegpt" if "from" in first else "messages", mapping, lower, given)
    mapping.pop("messages", None)
    if "completion" not in mapping and "answer" in mapping and "prompt" in mapping:
        mapping["completion"] = mapping["answer"]  # question/answer: the answer is the text
    if "prompt" not in mapping or "completion" not in mapping:
        raise DataError(
            _unknown(where, columns, "prompt" if "prompt" not in mapping else "completion", example)
        )
    names = [mapping[field].lower() for field in ("prompt", "completion")]
    name = "alpaca" if "instruction" in names else "/".join(names)
    if mapping["completion"] == mapping.get("answer"):
        name = "question/answer"
    if {"choices", "answer"} <= set(mapping) and counted_from_one(
        rows, mapping["choices"], mapping["answer"]
    ):
        name += FROM_ONE
    return _judged(rows, where, name, mapping, lower, given)


def _unknown(where: str, columns: Sequence[str], what: str, example: Any) -> str:
    if isinstance(example, str) and example.lstrip().startswith("[{"):
        return (
            f"{where}: the conversation is text that is no JSON ({example.strip()[:60]}...). Write it with "
            "json.dumps, or the file as JSON lines."
        )
    return (
        f"{where}: cannot tell what the {what} is among the columns {', '.join(columns) or '(none)'}. Say it with "
        "--map, as in --map prompt=QUESTION --map completion=SOLUTION --map answer=ANSWER --map id=ID."
    )


def _judged(
    rows: Sequence[Mapping[str, Any]], where: str, name: str, mapping: dict[str, str], lower: Mapping[str, str],
    given: Mapping[str, str],
) -> tuple[str, dict[str, str]]:  # fmt: skip
    """Read `label` as what it is: an answer only where nothing else is one and it is the text to learn or an option; a
    judgement of the completion where it holds truth values; and else one more column."""
    label = lower.get("label")
    if "good" in mapping:
        return UNPAIRED, mapping
    learnt = mapping.get("completion", mapping.get("messages"))
    if label is None or label in given.values() or label == learnt:
        return name, mapping
    if mapping.get("answer") == label:
        if "choices" in mapping:
            return name, mapping
        mapping = _without(mapping, "answer")
    values = [_truth(row[label]) for row in rows if not blank(row.get(label))]
    if (learnt or "").lower() in _JUDGED and values and None not in values and "good" not in given:
        if not any(_number(row.get(label)) for row in rows):
            return UNPAIRED, mapping | {"good": label}
        raise DataError(
            f"{where}: the column {label!r} holds 0 and 1 beside a completion. Say --map good={label} where 1 is "
            "a completion to learn and 0 one to reject, or --map good= to keep it as it is in meta."
        )
    return name, mapping


def _number(value: Any) -> bool:
    return (isinstance(value, int | float) and not isinstance(value, bool)) or value in ("0", "1")


def _truth(value: Any) -> bool | None:
    if isinstance(value, bool | int | float):
        return {1: True, 0: False}.get(value)  # pyright: ignore[reportArgumentType]
    return {"true": True, "false": False, "1": True, "0": False}.get(str(value).strip().lower())


def _without(mapping: Mapping[str, str], *fields: str) -> dict[str, str]:
    return {ours: theirs for ours, theirs in mapping.items() if ours not in fields}


def _check_given(given: Mapping[str, str], columns: Sequence[str], where: str) -> None:
    if unknown := set(given) - set(FIELDS):
        raise UsageError(f"--map knows the fields {', '.join(FIELDS)}, not {', '.join(sorted(unknown))}.")
    for ours, theirs in given.items():
        if theirs and theirs not in columns:
            raise UsageError(
                f"--map {ours}={theirs}: {where} has no column {theirs!r}; it has {', '.join(columns)}."
            )


def apply(row: Mapping[str, Any], mapping: Mapping[str, str], name: str, turn: int = -1) -> Applied:
    """Read one row of a file whose format is `name`, as `detect` says it. Raises RowError."""
    if name == "recast":
        return Applied(_own(row))
    used: set[str] = set()  # columns of which nothing is left to keep
    good = True
    if "good" in mapping and name == UNPAIRED:
        good = _good(row.get(mapping["good"]), mapping["good"])
        used.add(mapping["good"])
    if name == PREFERENCE:
        messages, completion, extra, rejected = _preferred(row, mapping, turn, used)
    else:
        rejected = ()
        messages, completion, extra = _read(row, mapping, name, turn, used)
    if system := prose(_cell(row, mapping, "system")):
        messages = [{"role": "system", "content": system}, *messages]
        used.add(mapping["system"])
    answer = _answered(row, mapping, name, completion, used)
    task = _cell(row, mapping, "task")
    task = task if isinstance(task, str) and task else None
    if task:
        used.add(mapping["task"])
    identifier = row.get(mapping["id"]) if "id" in mapping else None
    for field in ("id", "target"):
        if field in mapping:
            used.add(mapping[field])
    beside = [mapping.get(field) for field in _BESIDE]
    meta = {
        k: v
        for k, v in row.items()
        if k not in used and (not blank(v) or k in beside or k not in mapping.values())
    }
    for key, value in extra.items():
        keep(meta, key, value)
    text = canonical_json(messages)
    out: dict[str, Any] = dict.fromkeys(VERSION_SCHEMA.names)
    out |= {
        "row_id": _identifier(identifier) if identifier is not None else _content_id(text, completion),
        "target": _target(row, mapping),
        "messages": text,
        "completion": completion,
        "answer": answer,
        "task": task,
        "demonstration": completion,
        "decision": "expert",
        "meta": canonical_json(meta) if meta else None,
    }
    return Applied(out, rejected, good)


def _read(
    row: Mapping[str, Any], mapping: Mapping[str, str], name: str, turn: int, used: set[str]
) -> tuple[Turns, str, dict[str, Any]]:
    """Prompt, completion and what else its turns say."""
    if "messages" in mapping:
        talk = decoded(row.get(mapping["messages"]))
        if not isinstance(talk, list) or not talk:
            found = "an empty list" if talk == [] else kind(talk)
            raise RowError(f"the conversation is {found}, expected a list of turns")
        used.add(mapping["messages"])
        return turns.split([turns.message(m) for m in talk], turn)
    completion, column = row.get(mapping["completion"]), mapping["completion"]
    spoken = messages_of(completion)
    text = None
    if spoken is None:
        label = _label(row, mapping, name, completion)
        text = label or scalar(completion)
        if text is None:
            raise RowError(f"the completion ({column!r}) is {kind(completion)}, expected text")
        if not text.strip():
            raise RowError(f"the completion ({column!r}) is empty")
        spoken = [{"role": "assistant", "content": text}]
        if not label:  # the number that a label stands for stays in `meta`
            used.add(column)
    else:
        used.add(column)
    prompt = _prompt(row, mapping, used)
    if text is not None and turn in (0, -1):
        return prompt, text, {}
    return turns.split([*prompt, *spoken], turn, len(prompt))


def _prompt(row: Mapping[str, Any], mapping: Mapping[str, str], used: set[str]) -> Turns:
    prompt, column = row.get(mapping["prompt"]), mapping["prompt"]
    if (messages := messages_of(prompt)) is None:
        if not isinstance(prompt, str) or not prompt.strip():
            what = "empty" if isinstance(prompt, str) else f"{kind(prompt)}, expected text or messages"
            raise RowError(f"the prompt ({column!r}) is {what}")
        messages = [{"role": "user", "content": _question(row, mapping, prompt, used)}]
    used.add(column)
    return messages


def _question(row: Mapping[str, Any], mapping: Mapping[str, str], prompt: str, used: set[str]) -> str:
    pieces = [prompt]
    if context := prose(_cell(row, mapping, "context")):
        pieces.insert(0, context)
        used.add(mapping["context"])
    if more := prose(_cell(row, mapping, "input")):
        pieces.append(more)
        used.add(mapping["input"])
    if choices := options(_cell(row, mapping, "choices")):
        pieces.append("\n".join(f"{label}. {text}" for label, text in choices))
    return "\n\n".join(pieces)


def _label(row: Mapping[str, Any], mapping: Mapping[str, str], name: str, answer: Any) -> str | None:
    """The label of the option that an answer counts; None where it is no number or there are no options."""
    if not {"choices", "answer"} <= set(mapping) or answer is not row.get(mapping["answer"]):
        return None
    return chosen(answer, options(row.get(mapping["choices"])), name.endswith(FROM_ONE))


def _answered(
    row: Mapping[str, Any], mapping: Mapping[str, str], name: str, completion: str, used: set[str]
) -> str | None:
    """The final answer: the row's own, an option's label, or what the completion ends with."""
    value = row.get(mapping["answer"]) if "answer" in mapping else None
    if label := _label(row, mapping, name, value):
        return label  # the number itself stays in `meta`
    if mapping.get("answer") == mapping.get("completion"):
        if mapping.get("choices") and isinstance(value, str) and 0 < len(value.strip()) <= 3:
            return value
        value = None
    text = canonical_json(value) if isinstance(value, list | Mapping) else scalar(value)
    if not blank(text):
        used.add(mapping["answer"])
        return text
    return gold[1] if (gold := _GOLD.search(completion[-400:])) else None


# preferences


def _good(value: Any, column: str) -> bool:
    if (good := _truth(value)) is None:
        raise RowError(f"the judgement ({column!r}) is {kind(value)}, expected true or false")
    return good


def _preferred(
    row: Mapping[str, Any], mapping: Mapping[str, str], turn: int, used: set[str]
) -> tuple[Turns, str, dict[str, Any], tuple[str, ...]]:
    """Prompt, chosen text, what else its turns say, and the text that was rejected."""
    prompt = (
        _prompt(row, mapping, used) if "prompt" in mapping and not blank(row.get(mapping["prompt"])) else []
    )
    messages, completion, extra = _side(row, mapping["chosen"], prompt, turn)
    used |= {mapping["chosen"], mapping["rejected"]}
    if blank(row.get(mapping["rejected"])):
        return messages, completion, extra, ()
    other, worse, more = _side(row, mapping["rejected"], prompt, turn)
    if other != messages:
        raise RowError("the chosen and the rejected text answer different prompts")
    for key, value in more.items():
        keep(extra, f"rejected_{key}", value)
    return messages, completion, extra, (worse,)


def _side(row: Mapping[str, Any], column: str, prompt: Turns, turn: int) -> tuple[Turns, str, dict[str, Any]]:
    """One side of a preference: a text, turns that follow the prompt, or turns that begin with it."""
    value = row.get(column)
    spoken = messages_of(value) or ([] if prompt else turns.marked(value))
    if not spoken:
        text = scalar(value)
        if text is None or not text.strip():
            raise RowError(
                f"the side {column!r} is {kind(value) if text is None else 'empty'}, expected text"
            )
        spoken = [{"role": "assistant", "content": text}]
    if spoken[0]["role"] == "assistant" or not prompt:
        whole, begin = [*prompt, *spoken], len(prompt)
    elif all(said in spoken for said in prompt):
        whole, begin = spoken, 0
    else:
        raise RowError(f"the side {column!r} is a conversation without the prompt")
    if not whole[:-1]:
        raise RowError(f"there is no prompt: neither a column of it nor turns before {column!r}")
    return turns.split(whole, turn, begin)


# our own exports


def _own(row: Mapping[str, Any]) -> dict[str, Any]:
    out = {name: row.get(name) for name in VERSION_SCHEMA.names}
    if "version" in row:  # `messages` is the whole conversation there, as readers of other tools expect it
        row = {name: value for name, value in row.items() if name not in ("version", "tools")}
        out["messages"] = _prompt_of(out["messages"])
    for name, shape in (("messages", list), ("meta", dict)):
        out[name] = _json(name, out[name], shape)
    if not isinstance(out["answer"], str | None):
        out["answer"] = scalar(out["answer"]) or canonical_json(out["answer"])
    out["target"] = out["target"] or 0
    for field in VERSION_SCHEMA:
        value = out[field.name]
        if value is None and (field.nullable or field.name == "target"):
            continue
        if pa.types.is_string(field.type):
            if not isinstance(value, str):
                raise RowError(f"{field.name!r} is {kind(value)}, expected text")
        elif pa.types.is_integer(field.type):
            out[field.name] = _whole(field.name, value, field.type.bit_width)
        elif isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 3e38:
            raise RowError(f"{field.name!r} is {kind(value)}, expected a number")
    if out["decision"] not in set(DecisionKind):
        raise RowError(f"'decision' is {out['decision']!r:.40}, expected one of {', '.join(DecisionKind)}")
    if unknown := {k: v for k, v in row.items() if k not in out}:
        meta = json.loads(out["meta"] or "{}")
        for key, value in unknown.items():
            keep(meta, key, value)
        out["meta"] = canonical_json(meta)
    return out


def _prompt_of(messages: Any) -> Any:
    """What comes before the turn to learn, with calls as they were before a table made text of them."""
    turns = decoded(messages)
    whole = isinstance(turns, list) and turns and all(isinstance(turn, Mapping) for turn in turns)
    if not whole or turns[-1].get("role") != "assistant":
        raise RowError("'messages' does not end with the assistant's turn, as an export writes it")
    return [_without_cells(turn) for turn in turns[:-1]]


def _without_cells(turn: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in turn.items() if value is not None or name == "content"}
    for name in ("tool_calls", "function_call"):
        if isinstance(calls := kept.get(name), str):
            try:
                kept[name] = json.loads(calls)
            except (ValueError, RecursionError) as wrong:
                raise RowError(f"{name!r} of a turn is text that is no JSON ({wrong})") from wrong
    return kept


def _json(name: str, value: Any, shape: type) -> str | None:
    """`messages` or `meta` as JSON text, which must hold a list of objects or an object."""
    if value is None:
        return None
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError) as wrong:
        raise RowError(f"{name!r} is text that is no JSON ({wrong})") from wrong
    if not isinstance(found, shape) or (
        shape is list and not all(isinstance(turn, Mapping) for turn in found)
    ):
        what = "a list of turns" if shape is list else "an object"
        raise RowError(f"{name!r} is {kind(found)}, expected {what}")
    return value if isinstance(value, str) else canonical_json(value)


def _whole(name: str, value: Any, bits: int) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a column with a gap in it reaches us as floats
    if not isinstance(value, int) or isinstance(value, bool) or not -(1 << bits - 1) <= value < 1 << bits - 1:
        raise RowError(f"{name!r} is {value!r:.40}, expected a whole number of at most {bits} bits")
    if name == "target" and value < 0:
        raise RowError(f"'target' is {value}, expected 0 or more: which of a row's rewrites it is")
    return value


# fields


def _cell(row: Mapping[str, Any], mapping: Mapping[str, str], field: str) -> Any:
    """The row's value of a field that it may not have; a column may be called nothing at all."""
    return row.get(mapping[field]) if field in mapping else None


def _identifier(value: Any) -> str:
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))  # a column of whole numbers with a gap in it reaches us as floats
    found = "empty" if value == "" else repr(value) if isinstance(value, float) else kind(value)
    raise RowError(f"the id is {found}, expected text or a whole number")


def _content_id(messages: str, completion: str) -> str:
    """fingerprint.row_id, from messages that are canonical JSON already."""
    text = f'{{"completion":{canonical_json(completion)},"messages":{messages}}}'
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:ROW_ID_DIGITS]


def _target(row: Mapping[str, Any], mapping: Mapping[str, str]) -> int:
    value = row.get(mapping["target"], 0) if "target" in mapping else 0
    if not isinstance(value, int) or isinstance(value, bool):
        raise RowError(f"the target is {kind(value)}, expected a whole number")
    return _whole("target", value, 32)


def _first(aliases: Sequence[str], columns: Mapping[str, str]) -> str | None:
    return next((a for a in aliases if a in columns), None)


def _example(rows: Sequence[Mapping[str, Any]], column: str | None) -> Any:
    return next((row[column] for row in rows if column is not None and row.get(column) is not None), None)
