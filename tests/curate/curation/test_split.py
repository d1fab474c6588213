"""Held-out rows hang on their ids alone."""

from __future__ import annotations

from recast.curate.curation.split import held_out, parted

IDS = [str(i) for i in range(200)]


def test_adding_rows_moves_none() -> None:
    before = dict(zip(IDS, held_out(IDS, 0.3), strict=True))
    more = [f"more-{i}" for i in range(100)]
    mixed = [*more[:50], *reversed(IDS), *more[50:]]
    after = dict(zip(mixed, held_out(mixed, 0.3), strict=True))
    assert {i: after[i] for i in IDS} == before
    assert 40 < sum(before.values()) < 80, "about 0.3 of 200"


def test_the_targets_of_a_row_stay_on_one_side() -> None:
    ids = [row_id for row_id in IDS for _ in range(3)]
    held = held_out(ids, 0.2)
    assert all(held[i] == held[i + 1] == held[i + 2] for i in range(0, len(ids), 3))
    same = held_out(["a", "b", "a", "b"], 1e-9)
    assert sum(same) == 2 and same[:2] == same[2:], "the one that is always held out, with all its targets"


def test_something_is_held_out_and_something_is_not() -> None:
    assert sum(held_out(IDS, 1e-9)) == 1
    assert sum(held_out(IDS, 1 - 1e-9)) == 199
    assert held_out([], 0.5) == []
    assert held_out(["alone"], 0.5) == [True]


def test_both_sides_keep_the_order() -> None:
    assert parted([1, 2, 3, 4], [False, True, False, True]) == ([1, 3], [2, 4])
