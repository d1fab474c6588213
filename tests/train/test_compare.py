"""Gain, forgetting and their uncertainty, against numbers worked out by hand and by scipy."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from curate.errors import DataError, UsageError
from train.compare import _Bootstrap, compare, mcnemar
from train.evaluate import EvalResult, ItemResult, Outcome


def result(model: str, tables: dict[tuple[str, str], str], gold: float | None = None) -> EvalResult:
    """`tables`: (suite, task) -> one letter an item: r right, w wrong, f format failure."""
    outcome = {"r": Outcome.RIGHT, "w": Outcome.WRONG, "f": Outcome.FORMAT}
    return EvalResult(
        model,
        tuple(
            ItemResult(suite, f"{task}{i}", task, outcome[letter], "1", "1", "text", gold)
            for (suite, task), letters in tables.items()
            for i, letter in enumerate(letters)
        ),
    )


def repeated(r: EvalResult, times: int) -> EvalResult:
    return EvalResult(
        r.model, tuple(replace(i, item_id=f"{i.item_id}x{n}") for i in r.items for n in range(times))
    )


ADD, SUB, TARGET = ("general", "add"), ("general", "sub"), ("down", "down")
BASE = result("base", {ADD: "rrrrrrrrrr", SUB: "rrww", TARGET: "wwww"}, gold=-0.5)
RAW = result("raw", {ADD: "rrrrrwwwff", SUB: "wrrw", TARGET: "rrrw"}, gold=-1.25)
OURS = result("ours", {ADD: "rrrrrrrrrw", SUB: "rrww", TARGET: "rrrr"})


def test_gain_and_forgetting_by_hand():
    c = compare(BASE, [RAW], target=["down"]).changes[0]
    assert c.downstream == 75 and c.gain.value == 75
    # add falls from 100 to 50, sub stays at 50: the mean of the two tasks falls by 25 points
    assert c.forgetting.value == pytest.approx(25)
    assert c.general_accuracy == pytest.approx(50)
    assert (c.worst.task, c.worst.change) == ("add", -50)
    assert (c.right_to_wrong, c.wrong_to_right) == (6, 1)  # sub: one lost, one won, hidden in the net figure
    assert {t.task: t.format_failures for t in c.general} == {"add": 2, "sub": 0}
    assert c.gold_loglik_change == pytest.approx(-0.75)


def test_tasks_weigh_alike_whatever_their_size():
    comparison = compare(BASE, [RAW], target=["down"])
    assert comparison.base_general == pytest.approx((100 + 50) / 2)


def test_pairs_compare_two_tuned_models_directly():
    (pair,) = compare(BASE, [RAW, OURS], target=["down"]).pairs
    assert pair.downstream.value == pytest.approx(25)  # 100 - 75
    assert pair.forgetting.value == pytest.approx(5 - 25)  # ours forgets 10/2 points
    assert pair.forgetting_ratio == pytest.approx(0.2)
    assert pair.forgetting.low < 0 < pair.forgetting.high  # so few items show nothing
    assert pair.verdict.startswith("ours does not clearly differ from raw in forgetting")
    many = compare(repeated(BASE, 20), [repeated(RAW, 20), repeated(OURS, 20)], target=["down"])
    assert many.pairs[0].forgetting.high < 0
    assert many.pairs[0].verdict.startswith("ours forgets 20.0 points less than raw")


def test_verdicts_say_only_what_the_interval_allows():
    c = compare(BASE, [OURS], target=["down"]).changes[0]
    assert c.forgetting.low <= 0 <= c.forgetting.high
    assert "gains 100.0 points on the target" in c.verdict
    assert "no clear forgetting (+5.0 points)" in c.verdict
    c = compare(repeated(BASE, 20), [repeated(RAW, 20)], target=["down"]).changes[0]
    assert "forgets 25.0 points on the general suites" in c.verdict


def test_without_a_target_everything_is_general():
    c = compare(BASE, {"renamed": RAW}).changes[0]
    assert c.model == "renamed" and c.gain is None and len(c.general) == 3


def test_a_target_can_be_a_task_and_must_exist():
    c = compare(BASE, [RAW], target=["sub"]).changes[0]
    assert [t.task for t in c.target] == ["sub"] and [t.task for t in c.general] == ["add", "down"]
    with pytest.raises(
        UsageError, match="no suite or task is called nope; there are add, down, general, sub"
    ):
        compare(BASE, [RAW], target=["nope"])


def test_results_over_other_items_are_refused():
    shorter = result("shorter", {ADD: "rrr", SUB: "rrww", TARGET: "wwww"})
    with pytest.raises(DataError, match=r"7 items of general/add are in one only \(such as 'add3'\)"):
        compare(BASE, [shorter])
    changed = EvalResult("changed", (*BASE.items[:-1], replace(BASE.items[-1], answer="2")))
    with pytest.raises(DataError, match="the suite has changed"):
        compare(BASE, [changed])


def test_the_same_model_changes_nothing():
    comparison = compare(BASE, [BASE, BASE])
    c = comparison.changes[0]
    assert (c.forgetting.value, c.forgetting.low, c.forgetting.high, c.p_value) == (0, 0, 0, 1)
    assert comparison.pairs[0].forgetting_ratio is None


def test_plain_data_for_json():
    plain = json.loads(json.dumps(compare(BASE, [RAW, OURS], target=["down"]).to_dict()))
    assert plain["changes"][0]["forgetting"]["value"] == pytest.approx(25)


def test_mcnemar_is_the_exact_binomial_test():
    assert mcnemar(0, 0) == 1
    assert mcnemar(5, 5) == 1
    # 6 discordant items, all one way: 2 * (1/2)**6
    assert mcnemar(6, 0) == pytest.approx(2 / 64)
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    for lost, won in rng.integers(0, 60, size=(50, 2)).tolist():
        if lost + won:
            assert mcnemar(lost, won) == pytest.approx(stats.binomtest(lost, lost + won).pvalue, rel=1e-9)
    assert 0 < mcnemar(3000, 2700) < 0.001 and math.isfinite(mcnemar(30000, 30000))


def test_the_interval_is_that_of_resampled_items():
    rng = np.random.default_rng(1)
    tasks = [rng.choice([-1.0, 0.0, 1.0], p=[0.2, 0.7, 0.1], size=n) for n in (40, 90)]
    ours = _Bootstrap(10_000, seed=0).interval(tasks)
    draws = [
        np.mean([rng.choice(task, size=len(task)).mean() for task in tasks]) for _ in range(4000)
    ]  # the same thing, item by item
    low, high = np.percentile(100 * np.array(draws), [2.5, 97.5])
    assert ours.value == pytest.approx(100 * np.mean([t.mean() for t in tasks]))
    assert ours.low == pytest.approx(low, abs=0.6) and ours.high == pytest.approx(high, abs=0.6)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(2)
    p = [0.25, 0.65, 0.10]  # items lost, kept, won: a true change of 15 points
    boot = _Bootstrap(1000, seed=0)
    covered = 0
    for _ in range(400):
        interval = boot.interval([rng.choice([1.0, 0.0, -1.0], p=p, size=n) for n in (60, 100)])
        covered += interval.low <= 15 <= interval.high
    assert 0.92 <= covered / 400 <= 0.98
