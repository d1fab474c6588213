"""What every trainer would train of the same rows: nothing is written, the first rows of a version are enough.

for each in compare(store.open("gsm8k"), tokenizer, "last", "trl"):
    each.checked.trained, each.refused, each.differ
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recast.curate.chat import end_of_turn
from recast.curate.export.check.masks import MASKS
from recast.curate.export.check.measure import LIMITS, Checked, count, drop
from recast.curate.export.check.rendering import Example, NotRead
from recast.curate.export.formats import Asked, Line, Slots, Turns
from recast.curate.export.registry import find
from recast.curate.export.rows import Row, Survey, rows_of
from recast.curate.export.slots import line_of
from recast.curate.schema import VERSION_SCHEMA
from recast.curate.store.snapshot import Snapshot

ROWS = 1_000
_PLAIN = ("messages", "prompt-completion", "prompt-completion-strings")  # of no trainer


@dataclass(slots=True)
class Compared:
    """One trainer's account."""

    trainer: str
    turns: Turns
    """Which turns it was told to train: what was asked, or the only ones that it can be told."""
    checked: Checked
    refused: dict[str, int] = field(default_factory=dict[str, int])
    differ: int = 0
    """Rows of which it trains other tokens than the trainer that it is compared with, refused ones left out."""

    def to_json(self) -> dict[str, Any]:
        said = self.checked.to_json()
        kept = (
            "lines",
            "tokens_trained",
            "tokens_masked",
            "cut",
            "dropped",
            "end_of_turn_trained",
            "max_length",
        )
        told = {name: said[name] for name in kept}
        return {
            "trainer": self.trainer,
            "turns": self.turns,
            "refused": self.refused,
            "differ": self.differ,
            **told,
        }


def compare(
    snapshot: Snapshot,
    tokenizer: Any,
    turns: Turns,
    to: str,
    *,
    max_length: int | None = None,
    rows: int = ROWS,
) -> list[Compared]:
    """SFT by every trainer whose rendering can be repeated, on the first `rows` rows.

    `to` is the trainer that the others are compared with. `max_length` in tokens, for all of them; None is what each
    does by default.
    """
    found = _first(snapshot, rows)
    survey = Survey(tools=any(row.tools for row in found), spoken=any(len(row.said) > 2 for row in found))
    trained = {
        name: _trained(name, found, survey, tokenizer, turns, max_length)
        for name in MASKS
        if name not in _PLAIN
    }
    reference = (trained[to] if to in trained else _trained(to, found, survey, tokenizer, turns, max_length))[
        1
    ]
    compared = []
    for each, learnt in trained.values():
        each.differ = sum(learnt[row] != reference[row] for row in learnt.keys() & reference.keys())
        compared.append(each)
    return compared


def _first(snapshot: Snapshot, rows: int) -> list[Row]:
    found: list[Row] = []
    for batch in snapshot.batches(VERSION_SCHEMA.names):
        found += rows_of(batch.slice(0, rows - len(found)))
        if len(found) >= rows:
            break
    return found


Learnt = Mapping[tuple[str, int], Sequence[int]]


def _trained(
    name: str, rows: list[Row], survey: Survey, tokenizer: Any, turns: Turns, max_length: int | None
) -> tuple[Compared, Learnt]:
    """A trainer's account, and the tokens that it trains of each row."""
    form, _, shape = find(name, "sft")
    only: Turns = shape.trains if shape.trains in ("last", "all") else turns
    asked = Asked(
        name=name, slug=name, version="", version_id="", folder=Path(name), train=Path(name), validation=None,
        objective="sft", turns=only, survey=survey,
    )  # fmt: skip
    limit, overlong = LIMITS.get(name, (None, "cut"))
    compared = Compared(name, only, Checked(name, max_length or limit))
    learnt: dict[tuple[str, int], Sequence[int]] = {}
    stop = end_of_turn(tokenizer)
    for row in rows:
        if refusal := shape.refuses(row, asked, form.trainer):
            compared.refused[refusal.reason] = compared.refused.get(refusal.reason, 0) + 1
            continue
        tokens: list[int] = []
        for line in _lines(shape.lines, row, asked):
            try:
                example = MASKS[name](line, tokenizer, only)
            except NotRead as why:
                compared.checked.lines += 1
                drop(compared.checked, str(why), row.row_id)
                continue
            count(compared.checked, example, row.row_id, overlong, stop)
            tokens += _tokens(example)
        learnt[row.row_id, row.target] = tokens
    return compared, learnt


def _lines(lines: Any, row: Row, asked: Asked) -> list[Line]:
    return [line_of(lines.of(asked), row)] if isinstance(lines, Slots) else list(lines(row, asked))


def _tokens(example: Example) -> list[int]:
    return [token for token, trains in zip(example.ids, example.trained, strict=True) if trains]
