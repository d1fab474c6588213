"""The prompts of a run: which can be used, which are validation, which come at which step.

found = prompts(rows, None, tokenizer, config, longest=2048)
found.train, found.validation, found.skipped
steps = order(len(found.train), config)        # steps[3]: places of the prompts of step 4
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recast.curate import chat
from recast.curate.curation.split import held_out, parted
from recast.curate.errors import DataError
from recast.train.graders.format.rows import PromptRow, normalised, refuse_shared
from recast.train.reinforcement import hints
from recast.train.reinforcement.config import RlConfig

SOLUTIONS = ("completion", "demonstration")
"""Columns that a hint may show, the accepted text of a version before what it was made from."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A row as it is asked: its token ids, and the token ids of a hint by the number of slices that it shows."""

    row: PromptRow
    ids: list[int]
    hints: list[list[int]]  # [0] is empty; [n] the whole completion

    @property
    def key(self) -> str:
        return normalised(self.row.messages)


@dataclass(frozen=True, slots=True)
class Prompts:
    """Both sides, and how many rows were left out for which reason."""

    train: list[Prompt]
    validation: list[Prompt]
    skipped: dict[str, int]

    @property
    def longest(self) -> int:
        """Tokens of the longest training prompt with its longest hint."""
        return max(len(p.ids) + max(map(len, p.hints)) for p in self.train)

    def identity(self) -> list[Any]:
        """What of the rows decides what a run ends in."""
        return [[p.row.item for p in side] for side in (self.train, self.validation)]


def prompts(
    rows: Sequence[PromptRow],
    validation: Sequence[PromptRow] | None,
    tokenizer: Any,
    config: RlConfig,
    *,
    longest: int | None,
) -> Prompts:
    """The prompts of `rows` and `validation`; without the latter, a share of `rows` by the hash of the prompt.

    A prompt counts once, however many rows have it. `longest` is the most tokens of the model. Raises DataError where
    a prompt stands on both sides, or too few are left.
    """
    skipped: Counter[str] = Counter()
    if validation is None:
        kept = _each_once(rows, skipped)
        held = held_out([normalised(row.messages) for row in kept], config.heldout)
        train_rows, validation_rows = parted(kept, held)
    else:
        train_rows, validation_rows = _each_once(rows, skipped), _each_once(validation, skipped)
        refuse_shared(train_rows, validation_rows)
    train, measured = (
        [
            prompt
            for row in side
            if (prompt := _prompt(row, tokenizer, config, longest, skipped, hinted=hinted)) is not None
        ]
        for side, hinted in ((train_rows, config.hinted_steps > 0), (validation_rows, False))
    )
    if len(train) < config.prompts_per_step or not measured:
        raise DataError(
            f"{len(train)} prompts to learn from and {len(measured)} for validation (skipped: "
            f"{dict(skipped) or 'none'}); expected at least the {config.prompts_per_step} of one step, and 1. Give "
            "more rows, or set rl.prompts_per_step lower."
        )
    return Prompts(train, measured[: config.heldout_rows], dict(skipped))


def order(num_prompts: int, config: RlConfig) -> list[list[int]]:
    """Places of the prompts of every step: shuffled pass after shuffled pass, whose last prompts wait where they fill
    no whole step. No prompt comes twice in a step."""
    size = config.prompts_per_step
    found: list[list[int]] = []
    while len(found) < config.steps:
        fresh = np.random.default_rng([config.seed, len(found)]).permutation(num_prompts).tolist()
        found += [fresh[i : i + size] for i in range(0, num_prompts - size + 1, size)]
    return found[: config.steps]


def _each_once(rows: Sequence[PromptRow], skipped: Counter[str]) -> list[PromptRow]:
    first: dict[str, PromptRow] = {}
    for row in rows:
        if first.setdefault(normalised(row.messages), row) is not row:
            skipped["same_prompt"] += 1
    return list(first.values())


def _prompt(
    row: PromptRow,
    tokenizer: Any,
    config: RlConfig,
    longest: int | None,
    skipped: Counter[str],
    *,
    hinted: bool,
) -> Prompt | None:
    ids = chat.prompt_ids(tokenizer, row.messages)
    shown: list[list[int]] = [[]]
    if hinted:
        solution = next((row.columns[name] for name in SOLUTIONS if row.columns.get(name)), None)
        if isinstance(solution, str):
            texts = hints.prefixes(solution, config.hint_pieces)
            shown = [list(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts]
        else:
            skipped["no_hint"] += 1  # is asked without one
    if longest is not None and len(ids) + max(map(len, shown)) + config.max_tokens > longest:
        skipped["too_long"] += 1
        return None
    return Prompt(row, ids, shown)
