"""Exact-answer suites: how many questions a model answers, and how likely it finds the reference answer.

A suite is JSONL, one question a line: `prompt` (text) or `messages`, `answer`, optionally `completion`
(a reference answer text, whose likelihood is measured), `task` and `id`. The pocket world's `question`
and `solution` are read as prompt and completion.

Answers are extracted from every style by `curate.answers` and compared by equivalence, the same for
every model. What has no answer at all is a format failure, counted apart from wrong answers: a foreign
format alone is not forgetting. The mean log-likelihood of the reference answers knows no extraction and
stands beside the accuracy. Models come in as two callables; this module loads none.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from curate import answers
from curate.errors import DataError
from curate.records import Messages

# prompts -> completions; greedy for an evaluation that repeats
Generate = Callable[[Sequence[Messages]], Sequence[str]]
# (prompts, completions) -> mean log p per token in nats, end of turn included
Loglik = Callable[[Sequence[Messages], Sequence[str]], Sequence[float]]
Progress = Callable[[Mapping[str, Any]], None]


class Outcome(StrEnum):
    RIGHT = "right"
    WRONG = "wrong"
    FORMAT = "format"  # no answer found in the completion
    UNDECIDED = "undecided"  # an answer whose equivalence could not be decided; counts as not right


@dataclass(frozen=True, slots=True)
class Item:
    """One question of a suite."""

    suite: str
    item_id: str
    task: str
    messages: Messages
    answer: str
    completion: str | None  # a reference answer text


@dataclass(frozen=True, slots=True)
class ItemResult:
    """What one model did with one question."""

    suite: str
    item_id: str
    task: str
    outcome: Outcome
    extracted: str | None
    answer: str
    text: str
    gold_loglik: float | None  # nats per token of the reference answer


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts and means over some items. `accuracy` is in [0, 1]."""

    num: int
    right: int
    wrong: int
    format_failures: int
    undecided: int
    gold_loglik: float | None  # mean over items of the mean per token; None without reference texts

    @property
    def accuracy(self) -> float:
        return self.right / self.num


@dataclass(frozen=True, slots=True)
class EvalResult:
    """The items of one model, in the order of the suites."""

    model: str
    items: tuple[ItemResult, ...]

    def figures(self, suite: str | None = None, task: str | None = None) -> Figures:
        """Figures of the items of a suite, of a task, or of all. Raises DataError where there are none."""
        chosen = [i for i in self.items if suite in (None, i.suite) and task in (None, i.task)]
        if not chosen:
            raise DataError(
                f"no items of suite {suite!r} and task {task!r} in the results of {self.model}; it has "
                f"{', '.join(f'{s}/{t}' for s, t in self.groups())}."
            )
        return _figures(chosen)

    def groups(self) -> list[tuple[str, str]]:
        """The `(suite, task)` pairs, in order of appearance."""
        return list(dict.fromkeys((i.suite, i.task) for i in self.items))

    def by_task(self) -> dict[tuple[str, str], Figures]:
        """Figures of every `(suite, task)`."""
        members: dict[tuple[str, str], list[ItemResult]] = {}
        for item in self.items:
            members.setdefault((item.suite, item.task), []).append(item)
        return {key: _figures(group) for key, group in members.items()}

    def to_dict(self) -> dict[str, Any]:
        """Figures by suite and task, without the items."""
        suites: dict[str, Any] = {}
        for (suite, task), figures in self.by_task().items():
            entry = suites.setdefault(suite, _plain(self.figures(suite)) | {"tasks": {}})
            entry["tasks"][task] = _plain(figures)
        return {"model": self.model, "suites": suites}

    def save(self, path: str | Path) -> None:
        """Write the items as JSONL after a header line, whole or not at all."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        tmp = path.with_name(path.name + ".tmp")
        with tmp.open("w") as file:
            file.write(json.dumps({"model": self.model, "num": len(self.items)}) + "\n")
            for item in self.items:
                file.write(json.dumps(asdict(item)) + "\n")
            file.flush()
            os.fsync(file.fileno())
        tmp.replace(path)

    @classmethod
    def load(cls, path: str | Path) -> EvalResult:
        """Read what `save` wrote. Raises DataError for anything else."""
        lines = Path(path).read_text().splitlines()
        try:
            header, *rows = [json.loads(line) for line in lines]
            items = tuple(ItemResult(**row | {"outcome": Outcome(row["outcome"])}) for row in rows)
            model, num = header["model"], header["num"]
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(f"{path} is not a file of evaluation results: {error}") from error
        if num != len(items):
            raise DataError(f"{path} should hold {num} items and holds {len(items)}: evaluate again.")
        return cls(model=model, items=items)


def evaluate(
    suites: Mapping[str, Any] | Iterable[str | Path],
    generate: Generate,
    loglik: Loglik | None = None,
    *,
    model: str = "model",
    chunk: int = 256,
    progress: Progress | None = None,
) -> EvalResult:
    """Ask every question of `suites` and measure its reference answer.

    `suites` maps names to JSONL paths or lists of rows, or is a list of paths (named by their stems).
    Questions go to the model shortest first, `chunk` at a time, so that batches hold prompts of like
    length; results come back in the order of the suites. `progress` gets `{"done", "total"}`.
    """
    items = load_suites(suites)
    order = sorted(range(len(items)), key=lambda i: sum(len(m["content"]) for m in items[i].messages))
    texts: list[str] = [""] * len(items)
    gold: list[float | None] = [None] * len(items)
    for first in range(0, len(order), chunk):
        part = order[first : first + chunk]
        for i, text in zip(part, generate([items[i].messages for i in part]), strict=True):
            texts[i] = text
        scored = [i for i in part if items[i].completion is not None] if loglik else []
        if loglik and scored:
            values = loglik([items[i].messages for i in scored], [items[i].completion or "" for i in scored])
            for i, value in zip(scored, values, strict=True):
                gold[i] = None if math.isnan(value) else float(value)  # NaN: longer than the model takes
        if progress:
            progress({"done": min(first + chunk, len(order)), "total": len(order)})
    return EvalResult(model, tuple(grade(*triple) for triple in zip(items, texts, gold, strict=True)))


def grade(item: Item, text: str, gold_loglik: float | None = None) -> ItemResult:
    """Extract the answer of `text` and compare it with the item's."""
    extracted = answers.final_answer(text)
    if extracted is None:
        outcome = Outcome.FORMAT
    else:
        equal = answers.equivalent(extracted, item.answer)
        outcome = Outcome.UNDECIDED if equal is None else Outcome.RIGHT if equal else Outcome.WRONG
    return ItemResult(item.suite, item.item_id, item.task, outcome, extracted, item.answer, text, gold_loglik)


def load_suites(suites: Mapping[str, Any] | Iterable[str | Path]) -> list[Item]:
    """Read suites into items. Raises DataError naming file and line of what is no question with an answer."""
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
        for number, line in enumerate(path.read_text().splitlines(), 1):
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
    prompt = row.get("prompt", row.get("question"))
    messages = row.get("messages") or (prompt and [{"role": "user", "content": prompt}])
    answer = row.get("answer")
    if not messages or not isinstance(messages, list):
        raise DataError(f"{where}: no question; expected `prompt` (text) or `messages`, found {sorted(row)}.")
    if answer is None or answer == "":
        raise DataError(f"{where}: no `answer` to compare with; found {sorted(row)}.")
    return Item(
        suite=suite,
        item_id=str(row.get("id", position)),
        task=str(row.get("task") or suite),
        messages=messages,
        answer=str(answer),
        completion=row.get("completion", row.get("solution")),
    )


def _figures(items: Sequence[ItemResult]) -> Figures:
    logliks = [i.gold_loglik for i in items if i.gold_loglik is not None]
    count = {outcome: sum(i.outcome is outcome for i in items) for outcome in Outcome}
    return Figures(
        num=len(items),
        right=count[Outcome.RIGHT],
        wrong=count[Outcome.WRONG],
        format_failures=count[Outcome.FORMAT],
        undecided=count[Outcome.UNDECIDED],
        gold_loglik=sum(logliks) / len(logliks) if logliks else None,
    )


def _plain(figures: Figures) -> dict[str, Any]:
    return asdict(figures) | {"accuracy": figures.accuracy}
