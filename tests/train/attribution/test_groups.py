"""What is said of groups of changed rows."""

from __future__ import annotations

import math

import numpy as np
import pytest

from recast.curate import intervals
from recast.train.attribution.groups import CANNOT_TELL, HELPS, HURTS, effects, gains, student_t


def test_a_group_helps_or_hurts_where_its_interval_leaves_out_zero():
    values = [2.0] * 8 + [-1.0] * 8 + [3.0, -3.0] * 4
    found = effects(values, {"good": range(8), "bad": range(8, 16), "either": range(16, 24)})
    assert [(e.group, e.says) for e in found] == [("bad", HURTS), ("either", CANNOT_TELL), ("good", HELPS)]
    assert (found[0].value, found[0].low, found[0].high) == (-1.0, -1.0, -1.0), "every resample is the same"


def test_little_is_said_of_few_rows_and_nothing_of_none():
    found = effects([1.0] * 4 + [math.nan] * 3, {"four": range(4), "too long": range(4, 7)})
    assert [(e.group, e.rows, e.says) for e in found] == [("four", 4, CANNOT_TELL)]


def test_rows_without_a_figure_are_left_out():
    (found,) = effects([1.0, math.nan, 3.0, 1.0, 3.0, 2.0], {"all": range(6)})
    assert (found.rows, found.value) == (5, 2.0)


def test_intervals_of_many_groups_are_wider_than_that_of_one():
    values = [float(i % 7) for i in range(60)]
    alone = effects(values, {"a": range(60)})[0]
    among = next(
        e
        for e in effects(values, {"a": range(60), **{str(i): range(60) for i in range(19)}})
        if e.group == "a"
    )
    assert among.high - among.low > 1.2 * (alone.high - alone.low), (
        "99.75 % instead of 95 %: 3.02 for 1.96 deviations"
    )


def test_the_worst_group_comes_first_whatever_the_order():
    groups = {"b": range(5, 10), "a": range(5)}
    assert [e.group for e in effects([1.0] * 5 + [0.0] * 5, groups)] == ["b", "a"]


@pytest.mark.parametrize("seed", [0, 1])
def test_the_same_seed_gives_the_same_interval(seed):
    values = [float(i * i % 11) for i in range(40)]
    assert effects(values, {"a": range(40)}, seed=seed) == effects(values, {"a": range(40)}, seed=seed)


def test_a_gain_is_sure_where_seeds_and_questions_agree():
    same = np.full((3, 4), -1.0)
    seeds_differ = np.array([[1.0] * 4, [-1.0] * 4, [3.0] * 4])
    found = gains({"differ": seeds_differ, "worse": same})
    assert [(g.group, g.value, g.says) for g in found] == [
        ("worse", -1.0, HURTS),
        ("differ", 1.0, CANNOT_TELL),
    ]
    assert (found[0].low, found[0].high) == (-1.0, -1.0)
    # no question differs from another, so V = 4 / 3 at 2 degrees of freedom; two groups leave 2.5 % to each
    assert found[1].high - 1.0 == pytest.approx(6.2053 * math.sqrt(4 / 3), rel=1e-3)


def test_a_gain_is_as_unsure_as_its_questions_and_its_seeds_together():
    of = np.array([[0.0, 2.0], [2.0, 4.0]])
    (found,) = gains({"all": of})
    # means 1 and 3 of questions and of seeds alike: V = 2 / 2 + 2 / 2 = 2, freedom 2^2 / (1 + 1) = 2
    assert found.value == 2.0 and found.high - 2.0 == pytest.approx(4.3027 * math.sqrt(2), rel=1e-3)


def test_a_gain_covers_what_it_says_where_seeds_and_questions_are_drawn():
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        of = 0.5 + rng.normal(size=(1, 30)) + 0.3 * rng.normal(size=(3, 1)) + 0.5 * rng.normal(size=(3, 30))
        (found,) = gains({"one": of})
        held += found.low <= 0.5 <= found.high
    assert held >= 372, "93 % of 400"


@pytest.mark.parametrize("freedom", [1, 2, 5, 30, 400])
def test_students_quantile_is_that_of_the_closed_form(freedom):
    assert student_t(freedom, 0.05) == pytest.approx(intervals.student_t(freedom), abs=3e-3)
    assert student_t(2, 0.01) == pytest.approx(9.925, abs=1e-3)
