"""Hints: schedule and slices by hand, and that their tokens are learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from recast.pipelines.wiring.reinforcement import machinery
from recast.train.model.loading import load
from recast.train.reinforcement import hints
from recast.train.reinforcement.config import RlConfig
from recast.train.reinforcement.rl import rl
from recast.train.reinforcement.trl_trainer import hint_rows
from recast.train.sft.examples import tokenize
from recast.train.sft.scoring import mean_nll, prepare
from tests.train.reinforcement.toys import TINY, Constant, rows

FOUR = RlConfig(hint="cosine", hint_steps=4)


def test_the_share_falls_along_a_half_cosine() -> None:
    # 0.05 + 0.45 (1 + cos(pi t / 4)), cos(pi / 4) = 0.70710678
    expected = {1: 0.818198, 2: 0.5, 3: 0.181802, 4: 0.05, 5: 0.0, 0: 0.0}
    assert {t: hints.share(t, FOUR) for t in expected} == pytest.approx(expected, abs=1e-6)


def test_slices_have_rounded_borders() -> None:
    assert hints.borders(7, 5) == [0, 1, 3, 4, 6, 7]  # 0, 1.4, 2.8, 4.2, 5.6, 7
    assert hints.borders(3, 5) == [0, 1, 2, 3]
    assert hints.borders(0, 5) == [0]


def test_a_solution_is_cut_at_its_sentences_and_loses_nothing() -> None:
    text = "We add.  1 + 2 = 3.\nThe answer is 3.\n"
    assert "".join(hints.pieces(text)) == text
    assert hints.prefixes(text, 5) == ["", "We add.", "We add.  1 + 2 = 3.", text.rstrip()]
    assert hints.prefixes(text, 2) == ["", "We add.  1 + 2 = 3.", text.rstrip()]  # borders 0, 1.5, 3


def test_slices_are_drawn_anew_for_each_row_and_step_and_alike_again() -> None:
    drawn = [hints.shown(2, f"row {i}", 4, FOUR) for i in range(400)]
    assert drawn == [hints.shown(2, f"row {i}", 4, FOUR) for i in range(400)]
    assert sum(drawn) / 400 == pytest.approx(4 * 0.5, abs=0.15)  # three deviations of the mean, 1 / sqrt(400)
    assert set(drawn) == {0, 1, 2, 3, 4}
    assert hints.shown(5, "row 1", 4, FOUR) == 0, "after the steps with hints"
    assert hints.shown(1, "row 1", 0, FOUR) == 0, "a row without a solution"


def test_hints_of_a_micro_batch_stand_once_with_their_prompts_on_the_left() -> None:
    inputs = {
        "prompt_ids": torch.tensor([[0, 5, 6, 7], [4, 5, 6, 7], [0, 5, 6, 7], [0, 0, 8, 9]]),
        "prompt_mask": torch.tensor([[0, 1, 1, 1], [1, 1, 1, 1], [0, 1, 1, 1], [0, 0, 1, 1]]),
        "hint_lengths": torch.tensor([2, 1, 2, 0]),
    }
    ids, mask, width = hint_rows(inputs, pad_id=0)
    assert width == 2
    assert ids.tolist() == [[0, 0, 5, 6, 7], [4, 5, 6, 7, 0]]
    assert mask.tolist() == [[0, 0, 1, 1, 1], [1, 1, 1, 1, 0]]


@pytest.mark.parametrize("algorithm", ["grpo", "rloo"])
def test_the_tokens_of_a_hint_are_learned_even_where_no_answer_earns(
    tmp_path: Path, tiny_model: Path, algorithm: str
) -> None:
    settings: dict[str, Any] = {
        **TINY, "algorithm": algorithm, "hint": "cosine", "hint_steps": 8, "hint_weight": 1.0, "steps": 8,
        "eval_every": 8, "lr": 3e-3, "beta": 0.0, "micro_batch": 4,
    }  # fmt: skip
    out = tmp_path / "out"
    rl(rows(), tiny_model, Constant(0.0), RlConfig(**settings), out, machinery(), force=True)

    def nll(folder: Path) -> float:
        model, tokenizer = load(folder, dtype="float32")
        told = [{"messages": r.messages, "completion": r.columns["completion"]} for r in rows()]
        examples, _ = tokenize(told, tokenizer, 512)
        return mean_nll(
            prepare(model, examples, bf16=False),
            examples,
            pad_id=tokenizer.pad_token_id,
            batch_size=8,
            bf16=False,
        )

    assert nll(out) < nll(tiny_model) - 0.02
