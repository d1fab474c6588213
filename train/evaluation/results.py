"""What a model did with the questions of some suites: one record a question, figures over them, a file."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from recast.curate.errors import DataError
from recast.curate.files import whole


class Outcome(StrEnum):
    RIGHT = "right"
    WRONG = "wrong"
    FORMAT = "format"  # no answer found in the completion
    UNDECIDED = "undecided"  # an answer whose equivalence could not be decided; counts as not right


@dataclass(frozen=True, slots=True)
class ItemResult:
    """What one model did with one question."""

    suite: str
    item_id: str
    task: str
    outcome: Outcome  # of the greedy answer, or of the likeliest choice
    extracted: str | None
    answer: str
    text: str
    gold_loglik: float | None  # nats per token of the reference answer
    samples: tuple[Outcome, ...] = ()  # of further answers drawn at a temperature
    majority: Outcome | None = None  # of the answer that most samples give
    kl: float | None = None  # nats per token by which the model left another one in an answer of its own
    reward: float | None = None  # of the greedy answer by a grader; None where there is no score


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts and means over some items. `accuracy` is in [0, 1]."""

    num: int
    right: int
    wrong: int
    format_failures: int
    undecided: int
    gold_loglik: float | None  # mean over items of the mean per token; None without reference texts
    num_samples: int = 0  # a question that has any
    num_sampled: int = 0  # questions with samples; those with choices have none
    pass_at: dict[int, float] | None = None
    """k -> share in [0, 1] of the questions with samples; None without any."""
    majority: float | None = None
    """Share of them whose commonest sampled answer is right (maj@num_samples)."""
    kl: float | None = None
    reward: float | None = None
    """Mean over the answers that a grader scored."""
    num_graded: int = 0

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
        with whole(Path(path)) as temporary, temporary.open("w", encoding="utf-8") as file:
            file.write(json.dumps({"model": self.model, "num": len(self.items)}) + "\n")
            for item in self.items:
                # ASCII, not `files.write_lines`: what a model says may hold half a character, which UTF-8 refuses
                file.write(json.dumps(asdict(item)) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> EvalResult:
        """Read what `save` wrote. Raises DataError for anything else."""
        try:
            lines = Path(path).read_text(encoding="utf-8").split("\n")
        except FileNotFoundError:
            raise DataError(f"there is no evaluation at {path}; `recast eval` writes one.") from None
        try:
            header, *rows = [json.loads(line) for line in lines if line]
            items = tuple(_item(row) for row in rows)
            model, num = header["model"], header["num"]
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(f"{path} is not a file of evaluation results: {error}") from error
        if num != len(items):
            raise DataError(f"{path} should hold {num} items and holds {len(items)}: evaluate again.")
        return cls(model=model, items=items)


def pass_at(k: int, num_samples: int, num_right: int) -> float:
    """Chance that at least one of `k` answers is right, without bias from `num_samples` of which `num_right` are.

    1 - C(n - c, k) / C(n, k): Chen et al. 2021 (arXiv 2107.03374), equation 1.
    """
    return 1.0 - math.comb(num_samples - num_right, k) / math.comb(num_samples, k)


def powers_of_two(most: int) -> list[int]:
    """1, 2, 4, ... and `most` itself."""
    return [*(1 << i for i in range(most.bit_length()) if 1 << i < most), most]


def _item(row: dict[str, Any]) -> ItemResult:
    majority = row.get("majority")
    return ItemResult(
        **row
        | {
            "outcome": Outcome(row["outcome"]),
            "samples": tuple(Outcome(outcome) for outcome in row.get("samples", ())),
            "majority": None if majority is None else Outcome(majority),
        }
    )


def _figures(items: Sequence[ItemResult]) -> Figures:
    count = {outcome: sum(i.outcome is outcome for i in items) for outcome in Outcome}
    drawn = [i for i in items if i.samples]
    fewest = min((len(i.samples) for i in drawn), default=0)
    return Figures(
        num=len(items),
        right=count[Outcome.RIGHT],
        wrong=count[Outcome.WRONG],
        format_failures=count[Outcome.FORMAT],
        undecided=count[Outcome.UNDECIDED],
        gold_loglik=_mean([i.gold_loglik for i in items]),
        num_samples=fewest,
        num_sampled=len(drawn),
        pass_at={k: _mean_pass(drawn, k) for k in powers_of_two(fewest)} if drawn else None,
        majority=sum(i.majority is Outcome.RIGHT for i in drawn) / len(drawn) if drawn else None,
        kl=_mean([i.kl for i in items]),
        reward=_mean([i.reward for i in items]),
        num_graded=sum(i.reward is not None for i in items),
    )


def _mean_pass(items: Sequence[ItemResult], k: int) -> float:
    right = [(len(i.samples), i.samples.count(Outcome.RIGHT)) for i in items]
    return sum(pass_at(k, n, c) for n, c in right) / len(right)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _plain(figures: Figures) -> dict[str, Any]:
    # JSON has no other keys than text: a result is the same before it is written and after it is read
    passed = None if figures.pass_at is None else {str(k): share for k, share in figures.pass_at.items()}
    return asdict(figures) | {"accuracy": figures.accuracy, "pass_at": passed}
