"""Suites: files of questions with known answers.

A suite is JSONL, one question a line: `prompt` (text) or `messages`, `answer`, optionally `completion`
(a reference answer text, whose likelihood is measured), `choices`, `task` and `id`. A question with
`choices` is answered by the likeliest of them (`answer`: the letter, the position from 0, or the text of the
right one), any other by what the model says. What published suites call these fields is read, too (`FIELDS`), so the
files of MMLU and PubMedQA are suites as they come.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from recast.curate.errors import DataError
from recast.curate.records import Messages

# What a field is called, most specific first: ours, the pocket world's, PubMedQA's (upper case), MMLU's.
FIELDS: dict[str, tuple[str, ...]] = {
    "prompt": ("prompt", "question", "QUESTION"),
    "context": ("context", "CONTEXTS"),
    "answer": ("answer", "final_decision"),
    "completion": ("completion", "solution"),
    "task": ("task", "subject"),
}
DECISIONS = ("yes", "no", "maybe")  # the choices of PubMedQA, whose rows do not list them


@dataclass(frozen=True, slots=True)
class Item:
    """One question of a suite."""

    suite: str
    item_id: str
    task: str
    messages: Messages
    answer: str  # for a question with choices, the text of the right one
    completion: str | None = None  # a reference answer text
    choices: tuple[str, ...] = ()  # none: the answer is said freely
    row: Mapping[str, Any] = field(
        default_factory=dict[str, Any]
    )  # the question as its file has it, for graders


def load_suites(suites: Mapping[str, Any] | Iterable[str | Path]) -> list[Item]:
    """Read suites into items.

    `suites` maps names to JSONL paths or lists of rows, or is a list of paths (named by their stems). Raises
    DataError naming file and line of what is no question with an answer.
    """
    named: Mapping[str, Any]
    if isinstance(suites, Mapping):
        named = {str(name): source for name, source in suites.items()}
    else:
        paths = [Path(p) for p in suites]
        named = {path.stem: path for path in paths}
        if len(named) < len(paths):
            raise DataError(f"two suites share a name: {', '.join(str(p) for p in paths)}. Rename one file.")
    items: list[Item] = []
    for name, source in named.items():
        read = _suite_items(name, source)
        if not read:
            raise DataError(f"suite {name} ({source}) holds no questions.")
        items.extend(read)
    if not items:
        raise DataError("no suites were given; expected at least one JSONL file with `prompt` and `answer`.")
    return items


def _suite_items(name: str, source: Any) -> list[Item]:
    if isinstance(source, str | Path):
        path = Path(source)
        if not path.is_file():
            raise DataError(f"suite {name}: there is no file {path}.")
        rows = []
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
            if not line.strip():
                continue
            try:
                rows.append((f"{path}, line {number}", json.loads(line)))
            except ValueError as error:
                raise DataError(f"{path}, line {number}: not JSON ({error}).") from error
    else:
        rows = [(f"suite {name}, row {i}", row) for i, row in enumerate(source)]
    items = [_item(name, str(i), where, row) for i, (where, row) in enumerate(rows)]
    seen: dict[str, str] = {}
    for (where, _), item in zip(rows, items, strict=True):
        if item.item_id in seen:
            raise DataError(f"{where}: id {item.item_id!r} was used before ({seen[item.item_id]}).")
        seen[item.item_id] = where
    return items


def _item(suite: str, position: str, where: str, row: Any) -> Item:
    if not isinstance(row, Mapping):
        raise DataError(f"{where}: expected an object with `prompt` and `answer`, not {type(row).__name__}.")
    found = {field: next((row[n] for n in names if n in row), None) for field, names in FIELDS.items()}
    messages = row.get("messages") or _asked(found["prompt"], found["context"])
    answer = found["answer"]
    if not messages or not isinstance(messages, list):
        raise DataError(f"{where}: no question; expected `prompt` (text) or `messages`, found {sorted(row)}.")
    if answer is None or answer == "":
        raise DataError(f"{where}: no `answer` to compare with; found {sorted(row)}.")
    choices = row.get("choices") or (DECISIONS if "final_decision" in row else ())
    if choices:
        answer = _right_choice(where, choices, answer)
    completion = found["completion"]
    return Item(
        suite=suite,
        item_id=str(row.get("id", position)),
        task=str(found["task"] or suite),
        messages=messages,
        answer=str(answer),
        completion=None if completion is None else str(completion),
        choices=tuple(str(choice) for choice in choices),
        row=row,
    )


def _asked(prompt: Any, context: Any) -> Messages | None:
    """The question, after the passages that it is about."""
    if not prompt:
        return None
    passages = [context] if isinstance(context, str) else list(context or ())
    return [{"role": "user", "content": "\n\n".join([*map(str, passages), str(prompt)])}]


def _right_choice(where: str, choices: Any, answer: Any) -> str:
    """The text of the right choice. Raises DataError where `answer` names none of them."""
    if not isinstance(choices, Sequence) or isinstance(choices, str) or len(choices) < 2:
        raise DataError(f"{where}: `choices` is {choices!r}; expected a list of at least two texts.")
    texts = [str(choice) for choice in choices]
    if isinstance(answer, int) and not isinstance(answer, bool) and 0 <= answer < len(texts):
        return texts[answer]
    if isinstance(answer, str) and answer in texts:
        return answer
    letters = ascii_uppercase[: len(texts)]
    if isinstance(answer, str) and len(answer) == 1 and answer.upper() in letters:
        return texts[letters.index(answer.upper())]
    raise DataError(
        f"{where}: the answer {answer!r} is none of the {len(texts)} choices. Give its letter ({letters[0]} to "
        f"{letters[-1]}), its position from 0, or its text."
    )
