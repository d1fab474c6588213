"""PPO: advantages and losses by hand, and the first step of real tokens."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from recast.pipelines.wiring.reinforcement import machinery
from recast.train.model.loading import load
from recast.train.reinforcement.config import PRESETS, RlConfig
from recast.train.reinforcement.ppo import (
    PPO,
    answers,
    explained,
    gae,
    policy_loss,
    token_rewards,
    value_loss,
    whitened,
)
from recast.train.reinforcement.prompts import prompts
from recast.train.reinforcement.rollouts import Rollouts
from tests.train.reinforcement.toys import TINY, Arms, rows

REWARD = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
VALUE = torch.tensor([[0.5, 0.6, 0.7], [0.25, 9.0, 9.0]])
MASK = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]])


def test_advantages_worked_by_hand() -> None:
    # deltas 0 + 0.6 - 0.5, 0 + 0.7 - 0.6, 1 - 0.7; lambda 0.5: 0.1 + 0.5 (0.1 + 0.5 * 0.3)
    advantage, target = gae(REWARD, VALUE, MASK, 0.5)
    assert advantage[0].tolist() == pytest.approx([0.225, 0.25, 0.3])
    assert target[0].tolist() == pytest.approx([0.725, 0.85, 1.0])
    assert advantage[1].tolist() == pytest.approx([0.75, 0.0, 0.0]), "nothing flows in from padding"
    assert target[1].tolist() == pytest.approx([1.0, 0.0, 0.0])


def test_with_lambda_1_and_no_value_every_token_has_the_whole_outcome() -> None:
    advantage, target = gae(REWARD, torch.zeros_like(VALUE), MASK, 1.0)
    assert advantage.tolist() == target.tolist() == [[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]]


def test_kl_is_paid_at_every_token_and_the_grade_at_the_last() -> None:
    found = token_rewards(
        torch.tensor([1.0]), torch.tensor([[0.1, -0.2, 9.0]]), torch.tensor([[1.0, 1.0, 0.0]]), 0.5
    )
    assert found[0].tolist() == pytest.approx([-0.05, 1.1, 0.0])


def test_advantages_are_whitened_over_tokens_alone() -> None:
    found = whitened(torch.tensor([[1.0, 3.0, 50.0]]), torch.tensor([[1.0, 1.0, 0.0]]))
    assert found[0].tolist() == pytest.approx([-1.0, 1.0, 0.0])


def test_a_ratio_earns_up_to_its_clip_and_pays_beyond_it() -> None:
    mask, old = torch.ones(2, 1), torch.zeros(2, 1)
    advantage = torch.tensor([[1.0], [-1.0]])
    loss, clipped = policy_loss(old, old, advantage, mask, 0.2)
    assert (loss.tolist(), clipped.tolist()) == ([-1.0, 1.0], [0.0, 0.0]), "the ratio is 1 at first"
    loss, clipped = policy_loss(torch.full((2, 1), 0.5), old, advantage, mask, 0.2)
    assert loss.tolist() == pytest.approx([-1.2, math.exp(0.5)])
    assert clipped.tolist() == [1.0, 0.0]


def test_a_value_that_moves_beyond_its_clip_costs_what_it_would_at_the_clip() -> None:
    one = torch.ones(1, 1)
    given = (one * 1.0, one * 0.5, one * 2.0, one)
    assert value_loss(*given, None).item() == pytest.approx(0.5)  # 1/2 (1 - 2)^2
    assert value_loss(*given, 0.2).item() == pytest.approx(0.845)  # 1/2 (0.7 - 2)^2


def test_explained_variance_at_both_ends() -> None:
    target = torch.tensor([0.0, 1.0, 2.0])
    assert explained(target, target) == 1.0
    assert explained(torch.ones(3), target) == pytest.approx(0.0)


def test_a_pass_has_the_log_probabilities_that_were_drawn_with_and_warming_up_moves_the_head_alone(
    tiny_model: Path,
) -> None:
    model, tokenizer = load(tiny_model, dtype="float32")
    config = RlConfig(**{**TINY, "algorithm": "ppo", "value_warmup": 1, "beta": 0.1})
    data = prompts(rows(), None, tokenizer, config, longest=None)
    learner = PPO(model, tokenizer, config, micro=3, bf16=False)
    rollouts = Rollouts(machinery().draw, learner.policy, tokenizer, Arms(), config)  # pyright: ignore[reportArgumentType]
    batch = rollouts.of_step(data.train[:2], 1)
    told = answers(batch, tokenizer.pad_token_id, "cpu")
    assert told is not None
    with torch.no_grad():
        found = learner.passed(told)
    for n, drawn in enumerate(batch.drawn):
        size = len(drawn.token_ids)
        assert found.logp[n, :size].tolist() == pytest.approx(drawn.logprobs, abs=1e-4)
        assert not found.logp[n, size:].any() and not found.value[n].any(), "the head is zero at first"

    def weights() -> list[torch.Tensor]:
        return [w.detach().clone() for w in learner.weights]

    before = weights()
    figures = learner.step(batch, 1)
    assert all(torch.equal(a, b) for a, b in zip(before, weights(), strict=True))
    assert learner.value.weight.any() and figures["kl"] == pytest.approx(0.0, abs=1e-6)
    learner.step(rollouts.of_step(data.train[:2], 2), 2)
    assert not all(torch.equal(a, b) for a, b in zip(before, weights(), strict=True))


def test_the_preset_of_reft_is_a_run_of_ppo() -> None:
    config = RlConfig(**PRESETS["reft"])
    config.check()
    assert (config.algorithm, config.partial, config.gae_lambda) == ("ppo", 0.1, 0.95)
