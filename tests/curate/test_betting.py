"""The interval of a rare share from a weighted sample: what it holds at any time, and what it takes."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from recast.curate.betting import Seen, drawn


def seen(rows: int, looked: int, wrong: int = 0) -> Seen:
    """`wrong` ones evenly among those looked at, of rows that are all alike."""
    said = np.zeros(looked, bool)
    said[np.linspace(looked // (wrong + 1), looked - 1, wrong).astype(int)] = True
    return Seen(np.zeros(rows, int), (1.0,), said)


def test_nothing_seen_says_nothing_and_all_seen_says_all() -> None:
    assert seen(100, 0).interval() == (0.0, 1.0)
    assert seen(100, 100, 4).interval() == (0.04, 0.04)
    assert seen(100, 100).interval() == (0.0, 0.0)


def test_what_was_seen_bounds_the_share_from_both_sides() -> None:
    low, high = seen(1000, 300, 30).interval()
    assert 0.03 <= low < 0.1 < high < 0.2, "30 of 1,000 are wrong at least, for they were seen"
    # 0.98^100 = 0.13 is no proof of fewer than 2 %; 0.98^300 = 0.002 is
    assert seen(100_000, 100).interval()[1] > 0.02 > seen(100_000, 300).interval()[1]


def test_a_row_that_was_seen_is_not_drawn_again() -> None:
    """90 of 100 without a wrong one leave 10 rows that may be; of 100,000 rows far more."""
    assert seen(100, 90).interval()[1] < 0.03 < seen(100_000, 90).interval()[1]


@pytest.mark.parametrize("wrong", [(), (0,), (3,), (0, 1), (0, 4), (2, 3, 5)])
def test_of_all_orders_few_miss_the_truth_at_any_time(wrong: tuple[int, ...]) -> None:
    """Six rows, two of them of twice the weight: each order by its chance, looked at to the end."""
    groups, weights = np.array([0, 0, 1, 1, 1, 1]), (2.0, 1.0)
    missed = whole = 0.0
    for order in permutations(range(6)):
        left, chance = 8.0, 1.0
        for row in order:
            chance *= weights[groups[row]] / left
            left -= weights[groups[row]]
        whole += chance
        said = np.isin(order, wrong)
        for looked in range(7):
            low, high = Seen(groups[list(order)], weights, said[:looked]).interval()
            if not low - 1e-12 <= len(wrong) / 6 <= high + 1e-12:
                missed += chance
                break
    assert whole == pytest.approx(1.0) and missed <= 0.05


def test_the_order_has_every_row_and_the_heavy_ones_sooner() -> None:
    groups = np.repeat([0, 1], [100, 900])
    order = drawn(groups, (9.0, 1.0), seed=3)
    assert sorted(order) == list(range(1000)) and np.array_equal(order, drawn(groups, (9.0, 1.0), seed=3))
    # half of the weight lies on a tenth of the rows, so about 20 of the first 40 are of it
    assert 10 <= (groups[order[:40]] == 0).sum() <= 30


def test_predictions_that_come_true_say_more_than_random_order() -> None:
    """Twenty of 4,000 rows are wrong, all in a group of 250: 60 of them seen with 5 wrong, 600 others with none."""
    groups = np.concatenate([np.tile([0, *[1] * 10], 60), np.repeat([0, 1], [190, 3150])])
    said = np.zeros(660, bool)
    said[[110, 220, 330, 440, 550]] = True
    assert (groups[:660][said] == 0).all()
    in_groups = Seen(groups, (1.5, 1.0), said).interval()[1]
    alike = Seen(np.zeros(4000, int), (1.0,), said).interval()[1]
    assert in_groups < 0.9 * alike


def test_how_many_rows_it_takes_is_said_where_it_can_be_done() -> None:
    left = seen(5000, 60).rows_left(0.02)
    # so few right rows leave room for a few wrong ones in what comes, of which an estimate must allow
    assert (
        left is not None
        and seen(5000, 60 + left).interval()[1] < 0.02 < seen(5000, 60 + left // 3).interval()[1]
    )
    assert seen(5000, 400).rows_left(0.02) == 0
    assert seen(5000, 100, 9).rows_left(0.02) is None, "nine of a hundred look like no 2 %"
    # three wrong ones of 126 are too many, and so one must look at 124 right ones at least
    assert 120 < (seen(126, 0).rows_left(0.02) or 0) <= 126
