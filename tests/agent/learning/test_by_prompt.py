"""Micro-batches of candidates that belong together."""

from __future__ import annotations

from typing import Any

import torch

from recast.agent.learning.trl_trainer import by_prompt

PROMPTS = torch.tensor([[0, 7], [5, 6], [0, 7], [5, 6], [0, 7], [5, 6]])
MASK = torch.tensor([[0, 1], [1, 1]] * 3)
ADVANTAGES = torch.tensor([0.0, 1.0, 0.0, 2.0, 0.0, 3.0])


def batches() -> list[dict[str, Any]]:
    """Candidates 0 to 5, of prompt (7) and prompt (5, 6) in turn, two a micro-batch; `row` says which is which."""
    return [
        {
            "prompt_ids": PROMPTS[i : i + 2],
            "prompt_mask": MASK[i : i + 2],
            "advantages": ADVANTAGES[i : i + 2],
            "row": torch.arange(i, i + 2),
            "num_items_in_batch": torch.tensor(9),
            "images": None,
        }
        for i in (0, 2, 4)
    ]


def rows(made: list[dict[str, Any]]) -> list[list[int]]:
    return [batch["row"].tolist() for batch in made]


def test_candidates_of_a_prompt_go_together_in_pieces_of_the_same_size() -> None:
    made = by_prompt(batches(), idle_last=False)
    assert rows(made) == [[0, 2], [4, 1], [3, 5]]
    assert [b["num_items_in_batch"].item() for b in made] == [9, 9, 9] and made[0]["images"] is None
    assert made[1]["prompt_ids"].tolist() == [[0, 7], [5, 6]]


def test_candidates_without_an_advantage_come_last() -> None:
    assert rows(by_prompt(batches(), idle_last=True)) == [[1, 3], [5, 0], [2, 4]]


def test_padding_is_no_part_of_a_prompt() -> None:
    given = batches()
    given[1]["prompt_ids"] = torch.tensor([[9, 7], [5, 6]])  # row 2: another filler under the mask
    assert rows(by_prompt(given, idle_last=False)) == [[0, 2], [4, 1], [3, 5]]
