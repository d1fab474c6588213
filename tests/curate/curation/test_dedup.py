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


def test_texts_may_come_in_any_number_of_batches():
    texts = [LONG, "x y z", "other words here", LONG + " indeed", "X Y Z"]
    finder = DuplicateFinder()
    for batch in (texts[:2], texts[2:4], [], texts[4:]):
        finder.add(batch)
    assert (
        finder.found()
        == near_duplicates(texts)
        == [None, None, None, Duplicate(0, False), Duplicate(1, True)]
    )


def test_a_copy_of_a_near_duplicate_points_to_the_row_that_stays():
    texts = [LONG, LONG + " indeed", LONG + " indeed"]
    assert near_duplicates(texts) == [None, Duplicate(0, False), Duplicate(0, False)]


def test_duplicates_of_duplicates_are_one_group_in_whatever_order():
    """Each text has the one before it and two words more: neighbours are near, the ends are not."""
    chain = [" ".join([*LONG.split()[2 * i :], *(f"new{n}" for n in range(2 * i))]) for i in range(5)]
    assert near_duplicates([chain[0], chain[4]], threshold=0.7) == [None, None]
    random = np.random.default_rng(0)
    for _ in range(10):
        order = random.permutation(5)
        found = firsts([chain[i] for i in order], threshold=0.7)
        assert found == [None, 0, 0, 0, 0]


def test_groups_are_those_of_the_set_of_texts_whatever_their_order():
    random = np.random.default_rng(1)
    vocabulary = np.array([f"w{i}" for i in range(500)])
    texts = [" ".join(random.choice(vocabulary, 24)) for _ in range(60)]
    for _ in range(240):  # copies with a word or two changed, of copies, too
        changed = np.array(texts[random.integers(len(texts))].split())
        changed[random.integers(24)] = vocabulary[random.integers(500)]
        texts.append(" ".join(changed))

    def groups(order: np.ndarray) -> set[frozenset[int]]:
        found = firsts([texts[i] for i in order], threshold=0.7)
        members: dict[int, set[int]] = {}
        for place, first in enumerate(found):
            members.setdefault(int(order[place if first is None else first]), set()).add(int(order[place]))
        return set(map(frozenset, members.values()))

    once = groups(np.arange(len(texts)))
    assert 20 < len(once) < 200
    assert all(groups(random.permutation(len(texts))) == once for _ in range(5))


def test_without_a_threshold_only_exact_duplicates_count():
    finder = DuplicateFinder(None)
    finder.add([LONG, LONG + " indeed", LONG])
    assert finder.found() == [None, None, Duplicate(0, True)]


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
    # a chain: each is near the one before it, so they are one group
    angles = np.array([0.0, 0.1, 0.2])
    assert semantic_duplicates(np.stack([np.cos(angles), np.sin(angles)], 1), 0.99) == [None, 0, 0]
    assert semantic_duplicates(np.stack([np.cos(angles), np.sin(angles)], 1)[[0, 2, 1]], 0.99) == [None, 0, 0]


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
