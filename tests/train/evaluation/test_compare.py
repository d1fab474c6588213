"""Gain, forgetting and their uncertainty, against numbers worked out by hand and by scipy."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace
from typing import TypeVar

import numpy as np
import pytest

from recast.curate.errors import DataError, UsageError
from recast.train.evaluation.bootstrap import interval, mcnemar, resampled_accuracies, widening
from recast.train.evaluation.compare import compare
from recast.train.evaluation.results import EvalResult, ItemResult, Outcome

T = TypeVar("T")


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


def known(figure: T | None) -> T:
    """A figure of a comparison that has a target and general tasks; without them it would be None."""
    assert figure is not None
    return figure


ADD, SUB, TARGET = ("general", "add"), ("general", "sub"), ("down", "down")
BASE = result("base", {ADD: "rrrrrrrrrr", SUB: "rrww", TARGET: "wwww"}, gold=-0.5)
RAW = result("raw", {ADD: "rrrrrwwwff", SUB: "wrrw", TARGET: "rrrw"}, gold=-1.25)
OURS = result("ours", {ADD: "rrrrrrrrrw", SUB: "rrww", TARGET: "rrrr"})


def test_gain_and_forgetting_by_hand():
    c = compare(BASE, [RAW], target=["down"]).changes[0]
    assert c.downstream == 75 and known(c.gain).value == 75
    # add falls from 100 to 50, sub stays at 50: the mean of the two tasks falls by 25 points
    assert known(c.forgetting).value == pytest.approx(25)
    assert c.general_accuracy == pytest.approx(50)
    assert (known(c.worst).task, known(c.worst).change) == ("add", -50)
    assert (c.right_to_wrong, c.wrong_to_right) == (6, 1)  # sub: one lost, one won, hidden in the net figure
    assert {t.task: t.format_failures for t in c.general} == {"add": 2, "sub": 0}
    assert c.gold_loglik_change == pytest.approx(-0.75)


def test_tasks_weigh_alike_whatever_their_size():
    comparison = compare(BASE, [RAW], target=["down"])
    assert comparison.base_general == pytest.approx((100 + 50) / 2)


def test_every_suite_has_its_own_forgetting_whatever_its_number_of_tasks():
    # mmlu: three tasks that lose 100, 0 and 50 points; facts: one that gains 50
    law, art, sea, facts = ("mmlu", "law"), ("mmlu", "art"), ("mmlu", "sea"), ("facts", "facts")
    before = result("base", {law: "rrrr", facts: "wwrr", art: "rw", sea: "rrrw", TARGET: "wwww"})
    after = result("tuned", {law: "wwww", facts: "rrrr", art: "rw", sea: "rwww", TARGET: "rrrr"})
    c = compare(before, [after], target=["down"]).changes[0]
    mmlu, rest = c.suites
    assert (mmlu.suite, mmlu.num_tasks, rest.suite, rest.num_tasks) == ("mmlu", 3, "facts", 1)
    assert mmlu.forgetting.value == pytest.approx(50) and known(rest.forgetting).value == pytest.approx(-50)
    assert (mmlu.worst.task, mmlu.right_to_wrong, mmlu.wrong_to_right) == ("law", 6, 0)
    assert (rest.right_to_wrong, rest.wrong_to_right) == (0, 2)
    # the overall figure weighs the four tasks alike: (100 + 0 + 50 - 50) / 4
    assert known(c.forgetting).value == pytest.approx(25)


def test_the_only_general_suite_has_the_interval_of_all_tasks():
    arms = {"raw": [RAW], "ours": seeds("ours", "rrrrrrrrrr", "rrrrrrrrww")}
    for change in compare(BASE, arms, target=["down"]).changes:
        (suite,) = change.suites
        assert suite.forgetting == change.forgetting and suite.worst == change.worst
    without = compare(BASE, [RAW], target=["down", "general"]).changes[0]
    assert without.suites == () and without.forgetting is None


def test_the_interval_of_a_suite_is_that_of_its_own_items():
    several = {("a", "a"): "rrrrrrrrrr" * 20, ("b", "b"): "rrrrrwwwww" * 20}
    lost = {("a", "a"): "rrrrrrrrww" * 20, ("b", "b"): "rrrrwwwwww" * 20}
    a, b = compare(result("base", several), [result("tuned", lost)]).changes[0].suites
    # of 200 items 40 and 20 are lost: a share p has the standard error 100 sqrt(p (1 - p) / 200)
    assert a.forgetting.value == 20 and a.forgetting.high - known(a.forgetting).low == pytest.approx(
        11.1, abs=0.6
    )
    assert b.forgetting.value == 10 and b.forgetting.high - known(b.forgetting).low == pytest.approx(
        8.3, abs=0.6
    )


def test_pairs_compare_two_tuned_models_directly():
    (pair,) = compare(BASE, [RAW, OURS], target=["down"]).pairs
    assert known(pair.downstream).value == pytest.approx(25)  # 100 - 75
    forgetting = known(pair.forgetting)
    assert forgetting.value == pytest.approx(5 - 25)  # ours forgets 10/2 points
    assert known(pair.forgetting_ratio).value == pytest.approx(0.2)
    assert forgetting.low < 0 < forgetting.high  # so few items show nothing
    assert pair.verdict.startswith("ours does not clearly differ from raw in forgetting")
    many = compare(repeated(BASE, 20), [repeated(RAW, 20), repeated(OURS, 20)], target=["down"])
    assert known(many.pairs[0].forgetting).high < 0
    assert many.pairs[0].verdict.startswith("ours forgets 20.0 points less than raw")


def test_verdicts_say_only_what_the_interval_allows():
    c = compare(BASE, [OURS], target=["down"]).changes[0]
    forgetting = known(c.forgetting)
    assert forgetting.low <= 0 <= forgetting.high
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
    forgetting = known(c.forgetting)
    assert (forgetting.value, forgetting.low, forgetting.high, c.p_value) == (0, 0, 0, 1)
    assert comparison.pairs[0].forgetting_ratio is None


def test_plain_data_for_json():
    plain = json.loads(json.dumps(compare(BASE, [RAW, OURS], target=["down"]).to_dict()))
    assert plain["changes"][0]["forgetting"]["value"] == pytest.approx(25)
    assert plain["changes"][0]["suites"][0]["forgetting"] == plain["changes"][0]["forgetting"]


def test_the_verb_prints_a_line_for_every_suite(recast, tmp_path):
    facts = ("facts", "facts")
    before = result("base", {ADD: "rrrr", SUB: "rrww", facts: "wwww", TARGET: "wwww"})
    after = result("tuned", {ADD: "rrww", SUB: "rrww", facts: "rwww", TARGET: "rrrr"})
    before.save(tmp_path / "b.jsonl")
    after.save(tmp_path / "t.jsonl")
    said = recast("compare", "b.jsonl", "t.jsonl", "--target", "down")
    lines = [line.split() for line in said.out.splitlines()]
    (general,) = [line for line in lines if line[:2] == ["tuned", "general"]]
    assert general[2:4] == ["2", "+25.0"] and general[-4:] == ["2", "0", "add", "-50.0"]
    (rest,) = [line for line in lines if line[:2] == ["tuned", "facts"]]
    assert rest[2:4] == ["1", "-25.0"] and rest[-4:] == ["0", "1", "facts", "+25.0"]


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


def change(tasks, seed, num_resamples=10_000):
    """Interval of the mean over tasks of (before - after), in points; a task is a (2, N) array."""
    everything = [range(len(tasks))]
    (drawn_B2,) = resampled_accuracies(tasks, everything, num_resamples, np.random.default_rng(seed))
    value = float(np.mean([t[0].mean() - t[1].mean() for t in tasks]))
    return interval(100 * value, 100 * (drawn_B2[:, 0] - drawn_B2[:, 1]))


def answers(rng, size):
    """(2, size) right or wrong before and after: 25 % lost, 10 % won, a true change of 15 points."""
    kinds = np.array([[1, 0], [1, 1], [0, 0], [0, 1]], dtype=float)
    return kinds[rng.choice(4, p=[0.25, 0.45, 0.20, 0.10], size=size)].T


def test_the_interval_is_that_of_resampled_items():
    rng = np.random.default_rng(1)
    tasks = [answers(rng, n) for n in (40, 90)]
    ours = change(tasks, seed=0)
    draws = []
    for _ in range(4000):  # the same thing, item by item
        picked = [t[:, rng.integers(t.shape[1], size=t.shape[1])] for t in tasks]
        draws.append(np.mean([p[0].mean() - p[1].mean() for p in picked]))
    low, high = np.percentile(100 * np.array(draws), [2.5, 97.5])
    assert ours.value == pytest.approx(100 * np.mean([t[0].mean() - t[1].mean() for t in tasks]))
    assert ours.low == pytest.approx(low, abs=0.6) and ours.high == pytest.approx(high, abs=0.6)


def test_the_interval_is_scipys():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(3)
    for table in range(50):
        pair = answers(rng, int(rng.integers(60, 200)))
        ours = change([pair], seed=table)
        theirs = stats.bootstrap(
            (pair[0], pair[1]),
            lambda a, b, axis=-1: 100 * (a.mean(axis=axis) - b.mean(axis=axis)),
            paired=True,
            n_resamples=5000,
            method="percentile",
            rng=np.random.default_rng(table),
        ).confidence_interval
        # both are percentiles of few thousand draws on a grid of 100 / n points
        assert ours.low == pytest.approx(theirs.low, abs=2 * 100 / pair.shape[1])
        assert ours.high == pytest.approx(theirs.high, abs=2 * 100 / pair.shape[1])


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(2)
    covered = 0
    for trial in range(400):
        found = change([answers(rng, n) for n in (60, 100)], seed=trial, num_resamples=1000)
        covered += found.low <= 15 <= found.high
    assert 0.92 <= covered / 400 <= 0.98


def seeds(name: str, *letters: str) -> list[EvalResult]:
    return [result(name, {ADD: text, SUB: "rrww", TARGET: "rrrr"}) for text in letters]


def test_an_arm_of_several_seeds_is_their_mean():
    arms = {"ours": seeds("ours", "rrrrrrrrrr", "rrrrrrrrww"), "raw": [RAW]}
    ours, raw = compare(BASE, arms, target=["down"]).changes
    assert (ours.num_runs, raw.num_runs) == (2, 1)
    # add: 100 and 80, so 10 lost on average; sub as before: (10 + 0) / 2
    assert known(ours.forgetting).value == pytest.approx(5)
    assert ours.right_to_wrong == 1 and ours.p_value is None and raw.p_value is not None


def test_seeds_that_differ_widen_the_interval():
    base = repeated(BASE, 40)
    alike = [repeated(r, 40) for r in seeds("a", "rrrrrrrrww", "rrrrrrrrww", "rrrrrrrrww")]
    apart = [repeated(r, 40) for r in seeds("b", "rrrrrrrrrr", "rrrrrrwwww", "rrrrrrrrww")]
    changes = compare(base, {"steady": alike, "loose": apart}, target=["down"]).changes
    steady, loose = (known(change.forgetting) for change in changes)
    assert steady.value == pytest.approx(loose.value)
    assert loose.high - loose.low > 2 * (steady.high - steady.low)


def test_the_ratio_of_forgetting_has_an_interval_of_its_own():
    many = compare(repeated(BASE, 40), [repeated(RAW, 40), repeated(OURS, 40)], target=["down"]).pairs[0]
    ratio = known(many.forgetting_ratio)
    assert ratio.value == pytest.approx(0.2)  # 5 points against 25
    assert 0.1 < ratio.low < 0.2 < ratio.high < 0.3


def test_paired_seeds_of_two_arms_share_what_they_have_in_common():
    # seed i of both arms loses the same items: however seeds and items are drawn, the arms do not differ
    a, b = seeds("a", "rrrrrrrrrr", "rrrrrrwwww"), seeds("b", "rrrrrrrrrr", "rrrrrrwwww")
    pair = compare(BASE, {"a": a, "b": b}, target=["down"]).pairs[0]
    forgetting, ratio = known(pair.forgetting), known(pair.forgetting_ratio)
    assert (forgetting.low, forgetting.high) == (0, 0)
    assert ratio.low == pytest.approx(1) or ratio.low == np.inf


def test_kl_is_the_mean_over_the_targets_questions():
    drifted = EvalResult("ours", tuple(replace(i, kl=0.5 if i.suite == "down" else 9.0) for i in OURS.items))
    assert compare(BASE, [drifted], target=["down"]).changes[0].kl == 0.5
    assert compare(BASE, [OURS], target=["down"]).changes[0].kl is None


def worlds(num_seeds: int, spread: float, trial: int) -> tuple[EvalResult, dict[str, list[EvalResult]]]:
    """A base that is always right, and two arms that answer 70 % and 40 % of 2 x 80 questions, give or take `spread`
    points from seed to seed.
    """
    rng = np.random.default_rng([trial, num_seeds])

    def answered(name: str, share: float) -> EvalResult:
        letters = {key: "".join(np.where(rng.uniform(size=80) < share, "r", "w")) for key in (ADD, SUB)}
        return result(name, letters)

    arms = {
        name: [answered(name, share + spread / 100 * rng.standard_normal()) for _ in range(num_seeds)]
        for name, share in (("better", 0.7), ("worse", 0.4))
    }
    return result("base", {ADD: "r" * 80, SUB: "r" * 80}), arms


@pytest.mark.parametrize("num_seeds", [3, 8])
def test_intervals_over_few_seeds_that_differ_cover_the_truth_as_often_as_they_say(num_seeds):
    covered = np.zeros(3)
    for trial in range(200):
        base, arms = worlds(num_seeds, spread=5.0, trial=trial)
        found = compare(base, arms, num_resamples=400)
        (pair,) = found.pairs
        figures = found.changes[0].forgetting, pair.forgetting, pair.forgetting_ratio
        intervals = map(known, figures)
        covered += [i.low <= truth <= i.high for i, truth in zip(intervals, (30, 30, 2.0), strict=True)]
    assert (covered / 200 >= 0.92).all() and (covered / 200 <= 0.98).all(), covered


def test_seeds_that_do_not_differ_leave_the_interval_of_the_items():
    one = [result("a", {ADD: "rrrrrrrrww" * 8, SUB: "rrrw" * 20, TARGET: "rrrr"})]
    base = result("base", {ADD: "r" * 80, SUB: "r" * 80, TARGET: "rrrr"})
    alone, thrice = (known(compare(base, {"a": one * n}).changes[0].forgetting) for n in (1, 3))
    assert thrice.low == pytest.approx(alone.low, abs=0.5) and thrice.high == pytest.approx(
        alone.high, abs=0.5
    )


def test_what_few_seeds_make_too_narrow_is_widened_by_students_quantile():
    """Three seeds 10 points apart and items that make no difference: s^2 = 100, resampled (S - 1) / S of s^2 / S."""
    figure_S = np.array([10.0, 20.0, 30.0])
    values_BS = np.tile(figure_S, (27, 1))
    every_draw_B = np.array([np.mean(draw) for draw in itertools.product(figure_S, repeat=3)])
    # t(2) / z * sqrt((100 / 3) / (200 / 9))
    assert widening([(figure_S, values_BS)], every_draw_B) == pytest.approx(
        4.303 / 1.96 * math.sqrt(1.5), rel=1e-3
    )
    assert widening([(figure_S[:1], values_BS[:, :1])], every_draw_B) == 1.0
