"""What is recorded of a run and read out of it, without a model."""

from __future__ import annotations

from typing import Any

import pytest

from recast.train.graders.records import Grade
from recast.train.reinforcement.config import RlConfig
from recast.train.reinforcement.course import alarms, has_fallen, ranked
from recast.train.reinforcement.prompts import order
from recast.train.reinforcement.rollouts import Batch, kinds, reward, spread
from recast.train.reinforcement.signal import signal

CONFIG = RlConfig(prompts_per_step=2, samples=5)


class Said:
    """An answer of two tokens."""

    text, token_ids, logprobs, finish_reason = "4", [1, 2], [-0.1, -0.1], "stop"


def batch(rewards: list[float | None], samples: int) -> Batch:
    count = len(rewards)
    grades = [Grade("toy", "toy", r or 0.0, scored=r is not None) for r in rewards]
    return Batch([[1]] * count, [0] * count, [Said()] * count, rewards, grades, samples, 0.0)


def steps(count: int = 10, /, **ends: tuple[float, float]) -> list[dict[str, Any]]:
    """Lines of steps whose figures jump from one value to the other half-way."""
    return [
        {"step": i, "reward": 0.5, **{name: a if i < count // 2 else b for name, (a, b) in ends.items()}}
        for i in range(count)
    ]


def measured(*rewards: float) -> dict[int, dict[str, Any]]:
    return {10 * i: {"reward": r} for i, r in enumerate(rewards)}


@pytest.mark.parametrize(
    ("name", "ends", "heldout"),
    [
        ("kl", {"kl": (0.0, 0.6)}, ()),
        ("mean_tokens", {"mean_tokens": (100.0, 39.0)}, ()),
        ("entropy", {"entropy": (1.0, 0.09)}, ()),
        ("unscored", {"unscored": (0, 3)}, ()),  # of 10 answers a step
        ("gap", {"reward": (0.2, 0.5)}, (0.2, 0.4, 0.3)),
    ],
)
def test_each_alarm_rings_for_its_reason_alone(
    name: str, ends: dict[str, tuple[float, float]], heldout: tuple[float, ...]
) -> None:
    assert set(alarms(steps(**ends), measured(*heldout), CONFIG)) == {name}
    assert alarms(steps(9, **ends), measured(*heldout), CONFIG) == {}, "too few steps to say"


def test_no_alarm_where_all_is_well() -> None:
    well = steps(
        kl=(0.0, 0.4), mean_tokens=(100.0, 41.0), entropy=(1.0, 0.11), unscored=(0, 2), reward=(0.2, 0.5)
    )
    assert alarms(well, measured(0.2, 0.4, 0.36), CONFIG) == {}


def test_the_best_step_is_a_trained_one_and_the_earliest_of_equals() -> None:
    assert ranked(measured(0.5, 0.5, 0.7, 0.7, 0.1)) == [20, 30, 10, 0, 40]
    assert ranked({0: {"reward": None}, 5: {"reward": 0.0}})[0] == 5


def test_validation_has_fallen_when_the_last_measurements_all_lie_below_the_best() -> None:
    assert has_fallen(measured(0.1, 0.5, 0.4, 0.4), 2)
    assert not has_fallen(measured(0.1, 0.5, 0.4, 0.5), 2)
    assert not has_fallen(measured(0.1, 0.5, 0.4, 0.4), None)


def test_steps_take_whole_passes_and_no_prompt_twice() -> None:
    config = RlConfig(steps=5, prompts_per_step=3)
    found = order(7, config)
    assert [len(step) for step in found] == [3] * 5
    assert all(len(set(step)) == 3 for step in found)
    assert not set(found[0]) & set(found[1]), "two steps of one pass"
    assert found == order(7, config) != order(7, config.model_copy(update={"seed": 1}))


def test_rewards_are_counted_by_kind() -> None:
    assert kinds([0.0, 1.0, 0.1, 0.0]) == {"0": 2, "0.1": 1, "1": 1}
    assert kinds([0.05 + i / 10 for i in range(10)]) == {
        "0.05 to 0.23": 2, "0.23 to 0.41": 2, "0.41 to 0.59": 2, "0.59 to 0.77": 2, "0.77 to 0.95": 2,
    }, "five equal ranges where there are too many kinds"  # fmt: skip


def test_groups_teach_only_where_their_scored_answers_differ() -> None:
    assert spread([[0, 0], [0, 1], [None, 1], [1, 1]]) == 0.25


@pytest.mark.parametrize(
    ("grade", "text", "expected"),
    [
        (Grade("g", "numeric", 1.0), "The answer is 4.", 1.0),
        (Grade("g", "numeric", 0.0), "The answer is 5.", 0.1),
        (Grade("g", "numeric", 0.0), "who knows", 0.0),
        (Grade("g", "numeric", 0.0, scored=False), "The answer is 5.", None),
    ],
)
def test_a_wrong_answer_that_can_be_read_earns_a_part(
    grade: Grade, text: str, expected: float | None
) -> None:
    assert reward(grade, text, 0.1) == expected
    assert reward(grade, text, None) == (grade.reward if grade.scored else None)


def test_the_signal_of_answers_that_differ() -> None:
    found = signal(batch([0.0, 1.0, 0.5, 0.5, None, 0.0], 2))
    assert found.problems == []
    assert (found.mean, found.success, found.spread) == (0.4, 0.6, pytest.approx(1 / 3))
    assert (found.lowest, found.highest, found.between, found.unscored) == (0.0, 1.0, 0.4, 1)


def test_answers_that_earn_alike_within_each_prompt_teach_nothing() -> None:
    found = signal(batch([0.0, 0.0, 1.0, 1.0], 2))
    assert found.problems == ["all answers to a prompt earned the same"]
    assert any("--hint cosine" in words for words in found.advice)
