"""Intervals in closed form against scipy and by hand."""

from __future__ import annotations

import pytest
from scipy import stats

from recast.curate.intervals import half_width, student_t, wilson


@pytest.mark.parametrize("freedom", [1, 2, 5, 10, 11, 12, 20, 40, 1000])
def test_quantiles_of_students_t_are_those_of_scipy(freedom: int) -> None:
    assert student_t(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), abs=3e-3)


def test_wilsons_interval_by_hand() -> None:
    # 8 of 10: centre (0.8 + 1.9207/10) / (1 + 3.8415/10) = 0.7167, half width 0.2266
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-3)
    assert wilson(0, 32)[0] == 0 and wilson(32, 32)[1] == pytest.approx(1)
    assert wilson(0, 0) == (0.0, 1.0)


def test_a_mean_of_two_is_hardly_known() -> None:
    # sd 14.14, over sqrt(2) is 10, times t(1) = 12.706
    assert half_width([70.0, 90.0]) == pytest.approx(127.06, abs=0.01)


def test_one_value_has_no_interval() -> None:
    with pytest.raises(ValueError, match="at least 1 degree"):
        student_t(0)
