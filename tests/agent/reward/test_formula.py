"""Group rewards against numbers worked out by hand, all three modes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from recast.agent.reward.formula import FREE_OVERLAP, GroupReward, MeasuredGroup, Weights, group_reward
from recast.agent.reward.ledger import alarms, gate_share, group_fates, judge_disagreement, shaping_shares
from recast.curate.gate.gate import decide
from recast.curate.records import Check, CheckStatus, Verdict, VerdictStatus


def rewarded(feasible: Any, nll: Any, embeddings: Any, *, mode: Any, **measured: Any) -> GroupReward:
    """The reward of a group under the mode's own weights; lists become arrays."""
    arrays: dict[str, Any] = {n: np.array(v) if isinstance(v, list) else v for n, v in measured.items()}
    group = MeasuredGroup(
        np.array(feasible, bool), np.array(nll, np.float64), embeddings=embeddings, **arrays
    )
    return group_reward(group, Weights.of(mode))


def by_hand(feasible: list[bool], nll: list[float], embeddings: np.ndarray) -> list[float]:
    """The published formula written out with loops (arXiv 2602.11220, the released code)."""
    chosen = [i for i, ok in enumerate(feasible) if ok]
    if not chosen:
        return [0.0] * len(feasible)
    mean = sum(nll[i] for i in chosen) / len(chosen)
    spread = (
        math.sqrt(sum((nll[i] - mean) ** 2 for i in chosen) / len(chosen)) + 1e-6 if len(chosen) > 1 else 1.0
    )

    def distance(a: int, b: int) -> float:
        x, y = embeddings[a], embeddings[b]
        return (1 - float(x @ y) / float(np.linalg.norm(x) * np.linalg.norm(y))) / 2

    def mean_distance(of: list[int]) -> float:
        pairs = [(a, b) for i, a in enumerate(of) for b in of[i + 1 :]]
        return sum(distance(a, b) for a, b in pairs) / len(pairs) if pairs else 0.0

    rewards = []
    for i, ok in enumerate(feasible):
        if not ok:
            rewards.append(0.0)
            continue
        d = 1 / (1 + math.exp((nll[i] - mean) / (spread + 1e-6)))
        marginal = max(0.0, mean_distance(chosen) - mean_distance([j for j in chosen if j != i]))
        rewards.append(1 + 0.35 * d + 0.5 * (marginal if len(chosen) > 1 else 0.0))
    return rewards


@pytest.mark.parametrize("k", range(1, 11))
@pytest.mark.parametrize("fate", ["all", "some", "one", "none"])
def test_paper_mode_is_the_published_formula(k: int, fate: str) -> None:
    random = np.random.default_rng(k)
    nll = random.uniform(0.2, 2.0, k)
    embeddings = random.normal(size=(k, 5))
    feasible = {
        "all": [True] * k,
        "some": [i % 3 != 1 for i in range(k)],
        "one": [i == k // 2 for i in range(k)],
        "none": [False] * k,
    }[fate]
    found = rewarded(feasible, nll, embeddings, mode="paper")
    assert found.reward.tolist() == pytest.approx(by_hand(feasible, nll.tolist(), embeddings), abs=1e-6)


def test_paper_mode_by_hand() -> None:
    # NLLs 1, 2, 3: z = -1.2247, 0, 1.2247, so d = 0.772897, 0.5, 0.227103; the last candidate is refused
    found = rewarded([True, True, True, False], [1.0, 2.0, 3.0, math.nan], None, mode="paper")
    assert found.alignment.tolist() == pytest.approx([0.772897, 0.5, 0.227103, 0.0], abs=1e-5)
    assert found.reward.tolist() == pytest.approx([1.270514, 1.175, 1.079486, 0.0], abs=1e-5)


def test_a_single_feasible_candidate_gets_half_the_alignment_in_paper_mode() -> None:
    found = rewarded([False, True], [9.0, 0.4], np.eye(2), mode="paper")
    assert found.reward.tolist() == pytest.approx([0.0, 1 + 0.35 * 0.5])


def test_anchored_alignment_runs_from_the_demonstration_to_own_samples_and_no_further() -> None:
    # l_demo 1.2, l_self 0.2: 1.2 -> 0, 0.7 -> 1/2, 0.2 -> 1, below saturates, above clips
    found = rewarded(
        [True] * 5, [1.2, 0.7, 0.2, 0.01, 2.0], None, mode="anchored", nll_demonstration=1.2, nll_self=0.2
    )
    assert found.alignment.tolist() == pytest.approx([0.0, 0.5, 1.0, 1.0, 0.0])
    assert found.reward.tolist() == pytest.approx([1.0, 1.175, 1.35, 1.35, 1.0])


def test_anchored_alignment_holds_where_the_demonstration_is_likelier_than_own_samples() -> None:
    # gap -0.1 counts as 0.05: at the own level 1, 0.025 above it 1/2, 0.05 above it 0
    found = rewarded(
        [True] * 4, [0.5, 0.525, 0.55, 0.4], None, mode="anchored", nll_demonstration=0.4, nll_self=0.5
    )
    assert found.alignment.tolist() == pytest.approx([1.0, 0.5, 0.0, 1.0])


def test_typical_alignment_is_bought_by_no_predictable_padding() -> None:
    # the tripled text has the lower mean NLL (0.63 against 0.79) and the higher excess (121 against 42)
    found = rewarded(
        [True, True, True, True],
        [0.79, 0.63, 0.5, 0.5],
        None,
        mode="typical",
        excess=[42.0, 121.0, 12.0, -3.0],
        excess_demonstration=60.0,
    )
    assert found.alignment.tolist() == pytest.approx([1 - 42 / 60, 0.0, 1 - 12 / 60, 1.0])


def test_typical_scale_is_never_narrower_than_own_samples_spread() -> None:
    found = rewarded([True], [0.5], None, mode="typical", excess=[2.5], excess_demonstration=1.0)
    assert found.alignment.tolist() == pytest.approx([0.5])


def test_every_term_is_exactly_zero_outside_the_gate() -> None:
    found = rewarded(
        [True, False, True],
        [0.3, 0.3, 0.4],
        np.eye(3),
        nll_demonstration=1.0,
        nll_self=0.2,
        overlap=[0.9, 0.9, 0.0],
        mode="anchored",
    )
    for column in (found.reward, found.alignment, found.diversity, found.copy):
        assert column[1] == 0.0
    assert found.reward[0] > 1 and found.reward[2] > 1


def test_all_infeasible_gives_zeros_without_asking_for_anchors() -> None:
    found = rewarded(
        [False] * 3, [math.nan] * 3, np.eye(3), nll_demonstration=0.0, nll_self=0.0, mode="anchored"
    )
    assert found.reward.tolist() == [0.0, 0.0, 0.0]


def test_diversity_favours_the_one_that_differs_on_the_scale_of_alignment() -> None:
    embeddings = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    # b = 1/4, 1/4, 1/2: z = -0.7071, -0.7071, 1.4142, logistic 0.3303, 0.3303, 0.8044
    found = rewarded([True] * 3, [0.2] * 3, embeddings, nll_demonstration=1.0, nll_self=0.2, mode="anchored")
    assert found.diversity.tolist() == pytest.approx([0.33025, 0.33025, 0.80442], abs=1e-4)


def test_novelty_takes_the_place_of_embeddings_and_has_its_say_however_alike_the_texts_are() -> None:
    # novelties 0.2, 0.2, 0.5: z = -0.7071, -0.7071, 1.4142, logistic 0.3303, 0.3303, 0.8044; the refused one has none
    options: dict[str, Any] = {"mode": "anchored", "nll_demonstration": 1.0, "nll_self": 0.2}
    gate, nll = [True, True, True, False], [0.2, 0.2, 0.2, math.nan]
    found = rewarded(gate, nll, np.eye(4), novelty=[0.2, 0.2, 0.5, 0.0], **options)
    assert found.diversity.tolist() == pytest.approx([0.33025, 0.33025, 0.80442, 0.0], abs=1e-4)
    alike = rewarded(gate, nll, np.eye(4), novelty=[0.2, 0.2, 0.35, 0.0], **options)
    assert alike.diversity.tolist() == pytest.approx(found.diversity.tolist()), (
        "half the spread, the same say"
    )
    # 0.006, 0.006 and -0.012 off the mean, below the floor of 0.02: z = 0.3, 0.3, -0.6
    noise = rewarded(gate, nll, np.eye(4), novelty=[0.218, 0.218, 0.2, 0.0], **options)
    assert noise.diversity.tolist() == pytest.approx([0.57444, 0.57444, 0.35434, 0.0], abs=1e-4)


def test_a_single_accepted_candidate_adds_no_diversity() -> None:
    found = rewarded([False, True], [math.nan, 0.2], np.eye(2), mode="paper", novelty=[0.0, 1.0])
    assert found.diversity.tolist() == [0.0, 0.0]
    found = rewarded(
        [False, True],
        [0.2, 0.2],
        np.eye(2),
        mode="typical",
        excess=[1.0, 1.0],
        excess_demonstration=9.0,
        novelty=[0.0, 1.0],
    )
    assert found.diversity.tolist() == [0.0, 0.0]


def test_the_copy_penalty_begins_at_the_free_overlap() -> None:
    found = rewarded(
        [True] * 3,
        [0.2] * 3,
        None,
        nll_demonstration=1.0,
        nll_self=0.2,
        overlap=[FREE_OVERLAP, 0.8, 1.0],
        mode="anchored",
    )
    assert found.copy.tolist() == pytest.approx([0.0, 0.2, 0.4])
    assert found.reward.tolist() == pytest.approx([1.35, 1.33, 1.31])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mode": "anchored", "nll_self": 0.1}, "nll_demonstration"),
        ({"mode": "anchored", "nll_self": math.nan, "nll_demonstration": 1.0}, "nll_self"),
        ({"mode": "typical"}, "excess"),
        ({"mode": "other"}, "none of paper"),
    ],
)
def test_what_a_mode_lacks_is_named(options: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        rewarded([True], [0.2], None, **options)


def test_a_feasible_candidate_without_nll_is_refused() -> None:
    with pytest.raises(ValueError, match="candidate 1"):
        rewarded([True, True], [0.2, math.nan], None, nll_demonstration=1.0, nll_self=0.1, mode="anchored")


def group(reward: list[float], alignment: list[float], diversity: list[float]) -> GroupReward:
    return GroupReward(*(np.array(c) for c in (reward, alignment, diversity, [0.0] * len(reward))))


def test_shares_of_the_shaping_variance_by_hand() -> None:
    # alignment 0.35 * (0, 1), diversity 0.15 * (1, 0), centred: -+0.175 and +-0.075, their sum -+0.1
    groups = [group([1.15, 1.35], [0.0, 1.0], [1.0, 0.0])]
    shares = shaping_shares(groups, {"alignment": 0.35, "diversity": 0.15, "copy": -0.1})
    assert shares == pytest.approx({"alignment": 1.75, "diversity": -0.75, "copy": 0.0})


def test_shares_are_zero_where_nothing_varies() -> None:
    shares = shaping_shares([group([1.35, 0.0], [1.0, 0.0], [0.0, 0.0])], {"alignment": 0.35})
    assert shares == {"alignment": 0.0}


def test_gate_share_is_one_without_shaping_and_falls_with_it() -> None:
    assert gate_share([[1.0, 0.0]]) == pytest.approx(1.0)
    assert gate_share([[1.0, 1.5]]) == pytest.approx(0.0)
    # rewards 0, 1, 1.5 (mean 5/6): total 25/36 + 1/36 + 16/36 = 42/36, among the passed 2/16 = 1/8
    assert gate_share([[0.0, 1.0, 1.5]]) == pytest.approx(1 - (1 / 8) / (42 / 36))


def test_gate_share_leaves_out_who_has_no_reward_and_groups_in_which_none_passed() -> None:
    assert gate_share([[1.0, 1.5, None], [0.0, 0.0, None], [None, None]]) == pytest.approx(0.0)
    assert gate_share([[0.0, 0.0]]) == 0.0


def test_gate_share_weighs_groups_alike_where_trl_scales_by_group() -> None:
    # whole variance 1/2 of the gate in the first, 1/8 of shaping in the second; scaled by group 1 to 1
    groups = [[1.0, 0.0], [1.0, 1.5]]
    assert gate_share(groups, "batch") == pytest.approx((1 / 2) / (1 / 2 + 1 / 8))
    assert gate_share(groups, "group") == pytest.approx(1 / 2)


def verdict(answer: CheckStatus, judge: CheckStatus) -> Verdict:
    return decide((Check("answer", answer), Check("copy", CheckStatus.PASS), Check("judge", judge)))


def test_a_judge_disagrees_where_it_is_fooled_or_stricter_than_all_else() -> None:
    passed, failed, open_ = CheckStatus.PASS, CheckStatus.FAIL, CheckStatus.UNDECIDED
    agree = [verdict(passed, passed), verdict(failed, failed)]
    assert judge_disagreement(agree) == 0.0
    assert judge_disagreement([*agree, verdict(failed, passed), verdict(passed, failed)]) == 0.5
    assert judge_disagreement([*agree, verdict(passed, open_)]) == 0.0, "undecided is no contradiction"
    assert judge_disagreement([Verdict(VerdictStatus.ACCEPTED)]) is None, "no judge"


def test_group_fates() -> None:
    fates = group_fates([[True, True], [True, False], [False, False], [False, False]])
    assert fates == {"groups_all_pass": 0.25, "groups_mixed": 0.25, "groups_all_fail": 0.5}


def line(**figures: float) -> dict[str, float]:
    healthy = {
        "step": 1,
        "share_alignment": 0.7,
        "share_diversity": 0.3,
        "repetition": 0.01,
        "mean_tokens": 80.0,
        "pair_distance": 0.2,
        "opening_entropy": 2.0,
        "kl": 0.01,
        "judge_disagreement": 0.05,
        "advantage_all_fail": 0.0,
    }
    return {**healthy, **figures}


WEIGHTS = {"alignment": 0.35, "diversity": 0.15, "copy": -0.1}


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        ({}, set()),
        ({"share_diversity": 0.004, "share_alignment": 0.996}, {"weak_diversity"}),
        ({"repetition": 0.2}, {"repetition"}),
        ({"mean_tokens": 40.0}, {"mean_tokens"}),
        ({"repetition": 0.05}, set()),  # a rise of 0.04
        ({"mean_tokens": 50.0}, set()),
        ({"pair_distance": 0.05}, {"pair_distance"}),
        ({"pair_distance": 0.11}, set()),
        ({"opening_entropy": 0.3}, {"opening_entropy"}),
        ({"opening_entropy": 1.1}, set()),
        ({"kl": 0.6}, {"kl"}),
        ({"kl": 0.4}, set()),
        ({"kl": None}, set()),  # beta 0: not measured
        ({"judge_disagreement": 0.25}, {"judge_disagreement"}),
        ({"judge_disagreement": None}, set()),
        ({"nll_gain": 0.06}, {"less_likely"}),
        ({"nll_gain": 0.04}, set()),
        ({"word_drift": 0.55}, {"word_drift"}),
        ({"word_drift": 0.45}, set()),
        ({"nll_gain": None, "word_drift": None}, set()),  # nothing was accepted
        ({"share_copy": 0.0}, set()),  # a copy term that never acts is what one hopes for
        ({"share_alignment": 0.0, "share_diversity": 0.0}, set()),  # nothing varies: no term is the weak one
    ],
)
def test_alarms_compare_the_last_steps_with_the_first(later: dict[str, float], expected: set[str]) -> None:
    assert set(alarms([line()] * 5 + [line(**later)] * 5, WEIGHTS)) == expected


def test_no_alarm_before_there_is_something_to_compare() -> None:
    assert alarms([line()] * 5 + [line(repetition=1.0)] * 4, WEIGHTS) == {}


def test_an_advantage_in_a_group_in_which_none_passed_is_said_at_once() -> None:
    found = alarms([line(), line(step=2, advantage_all_fail=0.3)], WEIGHTS)
    assert set(found) == {"advantage_all_fail"} and "step 2" in found["advantage_all_fail"]


def test_candidates_that_were_alike_from_the_start_did_not_grow_alike() -> None:
    assert alarms([line(pair_distance=0.002)] * 5 + [line(pair_distance=0.0)] * 5, WEIGHTS) == {}


def test_a_term_without_weight_raises_no_alarm() -> None:
    steps = [line(share_diversity=0.0, share_alignment=1.0)] * 10
    assert alarms(steps, {**WEIGHTS, "diversity": 0.0}) == {}


def test_a_base_of_its_own_takes_the_place_of_one() -> None:
    found = rewarded(
        [True, True, False],
        [0.2, 0.2, math.nan],
        None,
        nll_demonstration=1.0,
        nll_self=0.2,
        base=[1.0, 0.5, 0.5],
        mode="anchored",
    )
    # alignment 1 at the level of own samples
    assert found.reward.tolist() == pytest.approx([1.35, 0.85, 0.0])
