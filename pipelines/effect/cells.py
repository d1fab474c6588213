"""Finished cells as lines of JSON: small enough to be committed, enough for every figure, so that a proof goes on from
them although models and machines are gone.

    {"name": "sft-rl-rewrites-n0-0", "fixed": "81c2...", "outcomes": {"craft/craft": "RRWF...", ...}, ...}

Outcomes of questions stand in the order of the suites, a letter each, so that arms are compared question by question
and seed by seed. A line counts as long as the settings that it names are those of its proof, or of its cell: each proof
says which, and what else a line holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, TypeVar

from recast.curate.errors import DataError
from recast.curate.files import append_line, read_lines
from recast.train.evaluation.results import EvalResult, ItemResult, Outcome

FILE = "cells.jsonl"
LETTERS = {Outcome.RIGHT: "R", Outcome.WRONG: "W", Outcome.FORMAT: "F", Outcome.UNDECIDED: "U"}
READ = {letter: outcome for outcome, letter in LETTERS.items()}


class Record(Protocol):
    """What a proof keeps of a finished cell: a dataclass that names the cell and what was fixed."""

    @property
    def name(self) -> str: ...
    @property
    def fixed(self) -> str: ...


R = TypeVar("R", bound=Record)


def by_task(items: Iterable[ItemResult]) -> dict[str, list[ItemResult]]:
    """The questions of every "suite/task", in order."""
    found: dict[str, list[ItemResult]] = {}
    for item in items:
        found.setdefault(f"{item.suite}/{item.task}", []).append(item)
    return found


def lettered(items: Iterable[ItemResult]) -> dict[str, str]:
    """ "suite/task" -> a letter a question."""
    return {key: "".join(LETTERS[item.outcome] for item in group) for key, group in by_task(items).items()}


def evaluation(
    name: str, outcomes: Mapping[str, str], gold: Mapping[str, Sequence[float | None]] | None = None
) -> EvalResult:
    """What `lettered` was made of, for `train.evaluation.compare`; `gold` are log-likelihoods of reference answers."""
    items = []
    for key, letters in outcomes.items():
        suite, task = key.split("/", 1)
        known = (gold or {}).get(key) or [None] * len(letters)
        for i, (letter, loglik) in enumerate(zip(letters, known, strict=True)):
            items.append(ItemResult(suite, f"{task}-{i}", task, READ[letter], None, "", "", loglik))
    return EvalResult(name, tuple(items))


def read(path: Path, made: Callable[[dict[str, Any]], R], *, counts: Callable[[R], bool]) -> dict[str, R]:
    """The lines of `path` that count, by cell; the last of a cell counts.

    Raises DataError for a line of which `made` (which may raise TypeError or KeyError) makes no record.
    """
    found = {}
    for number, line in enumerate(read_lines(path), 1):
        try:
            one = made(line)
        except (TypeError, KeyError) as error:
            raise DataError(f"{path}, line {number} is no measurement of a cell: {error}.") from error
        if counts(one):
            found[one.name] = one
    return found


def append(path: Path, one: Any) -> None:
    """Add the record `one`, a dataclass."""
    path.parent.mkdir(parents=True, exist_ok=True)
    append_line(path, asdict(one))
