"""Duplicates are found, unlike texts are kept apart, and the first row of a group stands for it."""

from __future__ import annotations

import numpy as np

from recast.curate.curation.dedup import Duplicate, DuplicateFinder, near_duplicates, semantic_duplicates

LONG = (
    "the quick brown fox jumps over the lazy dog and then it runs home to sleep until the next morning comes"
)


def firsts(texts: list[str], **options: float) -> list[int | None]:
    return [found and found.first for found in near_duplicates(texts, **options)]


def test_exact_duplicates_ignore_case_and_white_space():
    texts = [LONG, "something else entirely in this row", LONG.upper() + "  ", LONG.replace(" ", "\n")]
    assert near_duplicates(texts) == [None, None, Duplicate(0, True), Duplicate(0, True)]


def test_a_word_added_at_the_end_is_a_near_duplicate_and_half_another_text_is_not():
    half = (
        " ".join(LONG.split()[:10])
        + " while a cat sits quietly under the old tree and watches it go by again"
    )
    assert near_duplicates([LONG, LONG + " indeed", half]) == [None, Duplicate(0, False), None]


def test_word_order_counts():
    assert firsts([LONG, " ".join(reversed(LONG.split()))]) == [None, None]


def test_short_and_empty_texts():
    assert firsts(["", "a", "A", " ", "a b", "b a"]) == [None, None, 1, 0, None, None]
    assert near_duplicates([]) == []
    assert near_duplicates(["one"]) == [None]


def test_what_came_in_an_earlier_batch_is_remembered():
    finder = DuplicateFinder()
    assert finder.add([LONG, "x y z"]) == [None, None]
    assert finder.add(["other words here", LONG + " indeed"]) == [None, Duplicate(0, False)]
    assert finder.add(["X Y Z"]) == [Duplicate(1, True)]


def test_a_copy_of_a_near_duplicate_points_to_the_row_that_stays():
    texts = [LONG, LONG + " indeed", LONG + " indeed"]
    assert near_duplicates(texts)[2] == Duplicate(0, False)
    finder = DuplicateFinder()
    assert [finder.add([text])[0] for text in texts][2] == Duplicate(0, False)


def test_without_a_threshold_only_exact_duplicates_count():
    assert DuplicateFinder(None).add([LONG, LONG + " indeed", LONG]) == [None, None, Duplicate(0, True)]


def test_the_estimate_keeps_the_threshold_on_random_texts():
    random = np.random.default_rng(0)
    vocabulary = np.array([f"w{i}" for i in range(3000)])
    base = [random.choice(vocabulary, 40) for _ in range(200)]
    texts = [" ".join(t) for t in base]
    near = [" ".join([*t[:-1], "other"]) for t in base]  # 37 of 38 shingles in common: Jaccard 37/39
    far = [
        " ".join(np.where(np.arange(40) % 4 == 0, "other", t)) for t in base
    ]  # two in three shingles changed
    found = firsts(texts + near + far)
    assert found[:200] == [None] * 200
    assert np.mean([first == i for i, first in enumerate(found[200:400])]) > 0.97
    assert found[400:] == [None] * 200


def test_semantic_duplicates_by_hand():
    # cosines to row 0: 1, 0.995 (0.1 rad), 0, -1
    points = [[1.0, 0.0], [1.0, 0.1], [0.0, 2.0], [-1.0, 0.0]]
    assert semantic_duplicates(points, 0.99) == [None, 0, None, None]
    assert semantic_duplicates(points, 0.999) == [None] * 4
    # a chain: each is near the one before it, but only the first stays
    angles = np.array([0.0, 0.1, 0.2])
    assert semantic_duplicates(np.stack([np.cos(angles), np.sin(angles)], 1), 0.99) == [None, 0, None]


def test_semantic_duplicates_reach_over_blocks(monkeypatch):
    monkeypatch.setattr("recast.curate.curation.dedup.BLOCK_ROWS", 2)
    random = np.random.default_rng(0)
    points = random.standard_normal((7, 8))
    assert semantic_duplicates(np.concatenate([points, points[::-1]]), 0.999) == [None] * 7 + [
        6,
        5,
        4,
        3,
        2,
        1,
        0,
    ]
