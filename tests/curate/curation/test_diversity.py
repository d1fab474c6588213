"""Group terms and corpus metrics against values worked out by hand."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import numpy as np
import pytest

from recast.curate.curation import diversity

# unit vectors at 0, 0 and 90 degrees: distances (1 - cos)/2 are 0 between the first two and 1/2 to the third
THREE = [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]


def test_mean_distances_by_hand():
    assert diversity.mean_distances_K(THREE) == pytest.approx([0.25, 0.25, 0.5])
    assert diversity.mean_distances_K([[1.0, 0.0]]) == pytest.approx([0.0])


def test_group_terms_by_hand():
    # b = (1/2, 1/2, 1), mean 2/3, std = sqrt(2)/6 = 0.23570; z = -0.7071, -0.7071, 1.4142
    expected = [1 / (1 + math.exp(0.70711)), 1 / (1 + math.exp(0.70711)), 1 / (1 + math.exp(-1.41421))]
    assert diversity.group_terms_K(THREE) == pytest.approx(expected, abs=1e-4)


def test_group_terms_leave_out_infeasible_candidates_and_small_groups():
    assert diversity.group_terms_K(THREE, [True, False, False]).tolist() == [0.0, 0.0, 0.0]
    two = diversity.group_terms_K(THREE, [True, False, True])
    assert two.tolist() == [0.5, 0.0, 0.5]  # both are as far from the other
    assert diversity.group_terms_K([[1.0, 0.0]]).tolist() == [0.0]


def test_the_floor_keeps_noise_from_being_spread():
    random = np.random.default_rng(0)
    nearly = np.ones((8, 16)) + 1e-4 * random.standard_normal((8, 16))
    assert np.ptp(diversity.group_terms_K(nearly)) < 1e-3
    assert diversity.group_terms_K(np.zeros((3, 4))) == pytest.approx([0.5] * 3)


def test_paper_marginals_by_hand():
    # D(S) = (0 + 1/2 + 1/2)/3 = 1/3; without a text of the pair: 1/2, without the third: 0
    assert diversity.paper_marginals_K(THREE) == pytest.approx([0.0, 0.0, 1 / 3])
    assert diversity.paper_marginals_K(THREE, [True, False, False]).tolist() == [0.0, 0.0, 0.0]
    assert diversity.paper_marginals_K(THREE, [True, False, True]) == pytest.approx([0.5, 0.0, 0.5])


def test_a_text_adds_the_phrases_that_few_others_have():
    kept = diversity.Phrases()
    assert kept.novelty("a b") == 1.0
    kept.add("a b")
    kept.add("a c")
    # words a (two texts have it) and d (none): (1/3 + 1)/2; the pair "a d": 1; there is no phrase of three
    assert kept.novelty("a d") == pytest.approx((2 / 3 + 1) / 2)
    assert kept.novelty("a a a d") == pytest.approx((2 / 3 + 1 + 1) / 3), "a phrase said again counts once"
    kept.remove("a c")
    assert kept.novelty("a b") == pytest.approx(0.5)
    assert kept.novelty("") == 0.0


def test_novelty_is_the_same_to_the_last_bit_in_every_process():
    """Sets of words are gone through in another order in each, and of near equals the larger is kept."""
    code = (  # word k stands in k of the texts kept: 1/2, 1/3, ... whose sum hangs on their order
        "from recast.curate.curation.diversity import Phrases; kept = Phrases();"
        "words = [f'w{k}' for k in range(60)];"
        "[kept.add(' '.join(words[k:])) for k in range(60)];"
        "print(kept.novelty(' '.join(words)).hex())"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3", "4")
    }
    assert len(said) == 1


def test_novelties_of_a_group_are_those_beside_all_others():
    # words: "a b" shares both with its twin, "c d" none with either
    assert diversity.novelties_K(["a b", "a b", "c d"]) == pytest.approx([0.5, 0.5, 1.0])
    assert diversity.novelties_K(["a b"]) == pytest.approx([1.0])
    assert diversity.novelties_K([]).tolist() == []


def test_distinct_n_by_hand():
    # bigrams: (a b) (b a) (a b) and (a b): 2 distinct of 4
    assert diversity.distinct_n(["a b a b", "a b"], 2) == pytest.approx(0.5)
    assert diversity.distinct_n([""], 2) == 0.0


def test_self_bleu_is_one_for_equal_texts_and_nearly_zero_for_disjoint_ones():
    same = diversity.self_bleu(["one two three four five"] * 4)
    assert same.mean == pytest.approx(1.0)
    assert diversity.self_bleu(["a b c d e", "f g h i j", "k l m n o"]).mean < 1e-6
    assert diversity.self_bleu(["alone"]).mean == 0.0


def test_self_bleu_does_not_depend_on_anything_but_its_seed():
    texts = [f"there are {i} of {i * 7 % 5} in the box number {i % 3}" for i in range(60)]
    assert diversity.self_bleu(texts, sample=20, seed=3) == diversity.self_bleu(texts, sample=20, seed=3)


def test_vendi_counts_distinct_texts():
    assert diversity.vendi(np.eye(5)) == pytest.approx(5.0)
    assert diversity.vendi(np.ones((5, 3))) == pytest.approx(1.0)
    assert diversity.vendi([[1, 0], [1, 0], [0, 1], [0, 1]]) == pytest.approx(2.0)  # more rows than columns
    assert diversity.vendi(np.zeros((0, 3))) == 0.0


def test_entropies_by_hand():
    assert diversity.opening_entropy(["we add 1 and 2 now", "we add 7 and 9 then"]) == pytest.approx(0.0)
    assert diversity.opening_entropy(["we add", "they take"]) == pytest.approx(math.log(2))
    assert diversity.length_entropy(["a", "b " * 20]) == pytest.approx(math.log(2))
    assert diversity.entropy([]) == 0.0


def test_cluster_coverage_by_hand():
    reference = [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]
    assert diversity.cluster_coverage(reference, reference) == 1.0
    assert diversity.cluster_coverage([[0.9, 0.1]], reference) == pytest.approx(1 / 3)
    assert diversity.cluster_coverage([[1.0, 0.0]], [[1.0, 0.0]] * 5) == 1.0
    assert diversity.cluster_coverage(np.zeros((0, 2)), reference) == 0.0


def shares_of_variance(spreads) -> list[float]:
    """Share of the diversity term in the variance of the shaping, in groups of 8 that all pass.

    Candidate i is a common direction plus noise of relative length s_i, so that cos(i, j) is about
    1 / sqrt((1 + s_i^2) (1 + s_j^2)): 0.9 to 0.99 for s in 0.1 to 0.33. Alignment is a logistic of standard scores.
    """
    random = np.random.default_rng(1)
    shares = []
    for _ in range(300):
        noise = random.standard_normal((8, 256)) / 16
        group = np.eye(1, 256)[0] + np.asarray(spreads(random))[:, None] * noise
        unit = diversity.normalise_ND(group)
        cosines = (unit @ unit.T)[~np.eye(8, dtype=bool)]
        assert cosines.min() > 0.85 and cosines.max() < 0.999
        alignment = 0.35 / (1.0 + np.exp(-random.standard_normal(8)))
        term = 0.15 * diversity.group_terms_K(group)
        shares.append(float(term.var() / (term.var() + alignment.var())))
    return shares


def test_the_term_carries_a_fair_share_of_shaping_variance_in_realistic_groups():
    mixed = shares_of_variance(lambda random: random.uniform(0.1, 0.33, 8))
    assert 0.10 <= np.mean(mixed) <= 0.40


def test_candidates_that_are_all_equally_different_get_no_spread():
    assert np.mean(shares_of_variance(lambda random: [0.2] * 8)) < 0.06
