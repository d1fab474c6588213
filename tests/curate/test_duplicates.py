"""Duplicates are found, unlike texts are kept apart, and the first row of a group stands for it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from curate.duplicates import near_duplicates

LONG = (
    "the quick brown fox jumps over the lazy dog and then it runs home to sleep until the next morning comes"
)


def test_exact_duplicates_ignore_case_and_white_space():
    found = near_duplicates(
        [LONG, "something else entirely in this row", LONG.upper() + "  ", LONG.replace(" ", "\n")]
    )
    assert found.representative_N.tolist() == [0, 1, 0, 0]
    assert found.exact_N.tolist() == [True, True, True, True]
    assert found.duplicate_N.tolist() == [False, False, True, True]
    assert found.num_groups == 1


def test_a_word_added_at_the_end_is_a_near_duplicate_and_half_another_text_is_not():
    half = (
        " ".join(LONG.split()[:10])
        + " while a cat sits quietly under the old tree and watches it go by again"
    )
    found = near_duplicates([LONG, LONG + " indeed", half])
    assert found.representative_N.tolist() == [0, 0, 2]
    assert found.exact_N.tolist() == [True, False, True]


def test_word_order_counts():
    words = LONG.split()
    assert not near_duplicates([LONG, " ".join(reversed(words))]).duplicate_N.any()


def test_short_and_empty_texts():
    found = near_duplicates(["", "a", "A", " ", "a b", "b a", None])
    assert found.representative_N.tolist() == [0, 1, 1, 0, 4, 5, 0]
    assert near_duplicates([]).representative_N.tolist() == []
    assert near_duplicates(["one"]).representative_N.tolist() == [0]


def test_arrow_columns_and_slices_give_the_same_as_lists():
    texts = ["skip me", LONG, "x y z", LONG]
    column = pa.chunked_array([pa.array(texts[:2]), pa.array(texts[2:])])
    assert near_duplicates(column).representative_N.tolist() == [0, 1, 2, 1]
    assert near_duplicates(pa.array(texts).slice(1)).representative_N.tolist() == [0, 1, 0]


def test_the_estimate_keeps_the_threshold_on_random_texts():
    random = np.random.default_rng(0)
    vocabulary = np.array([f"w{i}" for i in range(3000)])
    base = [random.choice(vocabulary, 40) for _ in range(200)]
    texts = [" ".join(t) for t in base]
    near = [" ".join([*t[:-1], "other"]) for t in base]  # 37 of 38 shingles in common: Jaccard 37/39
    far = [
        " ".join(np.where(np.arange(40) % 4 == 0, "other", t)) for t in base
    ]  # two in three shingles changed
    found = near_duplicates(texts + near + far)
    assert not found.duplicate_N[:200].any()
    assert found.duplicate_N[200:400].mean() > 0.97
    assert not found.duplicate_N[400:].any()
    assert (found.representative_N[200:400][found.duplicate_N[200:400]] < 200).all()
