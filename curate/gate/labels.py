"""Labelled completions: text of known worth, from a JSONL file or made by `curate.gate.perturbation.perturb`.

A line is a row with a completion and whether it is right:

    {"messages": [...], "demonstration": "...", "answer": "17", "completion": "...", "right": true}

`question` may stand for `messages`, `right: null` for text about which people differ, `kind` for what was done to
it, and `scores` for what models said of it (`similarity`, `entails`, `judge`), so that a gate that asks models can
be measured without them. What else the line holds belongs to the row.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from recast.curate.errors import DataError

SCORES = ("similarity", "entails", "judge")
_OWN = ("completion", "right", "kind", "scores", "question")
_LEFT_OUT = ("decision", "reason", "source", "run_id", "agent_id", "gate_id", "template_id", "engine", "seed")


@dataclass(frozen=True, slots=True)
class Labelled:
    """A completion of known worth. `right` is None for kinds about which people differ (a unit left off)."""

    row: Mapping[str, Any]
    completion: str
    right: bool | None
    kind: str
    scores: Mapping[str, float] = field(default_factory=dict[str, float])

    def models(self) -> dict[str, Callable[..., float]]:
        """What a gate may ask in place of models: the scores that came with the label."""

        def saying(score: float) -> Callable[..., float]:
            return lambda *_: score

        return {name: saying(score) for name, score in self.scores.items()}

    def to_json(self) -> dict[str, Any]:
        row = {k: v for k, v in self.row.items() if v is not None and k not in (*_OWN, *_LEFT_OUT)}
        said = {"completion": self.completion, "right": self.right, "kind": self.kind}
        return {**row, **said, **({"scores": dict(self.scores)} if self.scores else {})}


def read(path: Path) -> Iterator[Labelled]:
    """Yield the labels of a JSONL file. Raises DataError that names the line and what is wrong with it."""
    try:
        file = path.open(encoding="utf-8")
    except OSError as error:
        raise DataError(
            f"cannot read the labels {path}: {error.strerror}. `recast gate perturb` makes some."
        ) from error
    count = 0
    with file:
        try:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield _label(line, f"{path}, line {number}")
                    count += 1
        except UnicodeDecodeError as error:
            raise DataError(f"{path} is not UTF-8 text: {error}.") from error
    if not count:
        raise DataError(f"{path} holds no labels. Each line is a JSON object with `completion` and `right`.")


def _label(line: str, where: str) -> Labelled:
    try:
        value: Any = json.loads(line)
    except ValueError as error:
        raise DataError(f"{where} is not JSON: {error}.") from error
    if not isinstance(value, dict):
        raise DataError(f"{where} holds a {type(value).__name__}; expected an object with `completion`.")
    found = cast(dict[str, Any], value)
    completion, right = found.get("completion"), found.get("right")
    scores: Any = found.get("scores") or {}
    if not isinstance(completion, str):
        raise DataError(f"{where}: `completion` is {completion!r}; expected the text that is judged.")
    if "right" not in found or not (right is None or isinstance(right, bool)):
        raise DataError(f"{where}: `right` is {right!r}; expected true, false, or null for undecided.")
    if not isinstance(scores, dict) or not all(
        name in SCORES and isinstance(score, int | float)
        for name, score in cast(dict[str, Any], scores).items()
    ):
        raise DataError(f"{where}: `scores` is {scores!r}; expected numbers for some of {', '.join(SCORES)}.")
    row = {k: v for k, v in found.items() if k not in _OWN}
    if not row.get("messages") and isinstance(found.get("question"), str):
        row["messages"] = [{"role": "user", "content": found["question"]}]
    return Labelled(
        row, completion, right, str(found.get("kind") or "labelled"), cast(dict[str, float], scores)
    )
