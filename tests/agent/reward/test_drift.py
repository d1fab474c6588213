"""Drift: rewrites that cost more than their demonstrations, or speak of other things."""

import pytest

from recast.agent.reward.drift import warnings, word_drift


@pytest.mark.parametrize(
    ("text", "demonstration", "expected"),
    [
        ("Sam sells apples.", "Sam sells apples.", 0.0),
        ("Sam sells apples: 3 + 4 = 7", "Sam sells 12 apples", 0.0),  # numbers are the gate's
        ("Sam selling apple", "Sam sells apples", 1 / 3),  # selli and sells are two stems
        ("Sam sells", "Sam sells red apples", 1 - 2 * 2 / 6),  # words gone
        ("Sam sells red apples", "Sam sells", 1 - 2 * 2 / 6),  # words new
        ("the train leaves", "Sam sells apples", 1.0),
        ("7", "12", 0.0),  # no words at all
        ("", "Sam", 1.0),
    ],
)
def test_word_drift_is_the_share_of_stems_not_in_common(
    text: str, demonstration: str, expected: float
) -> None:
    assert word_drift(text, demonstration) == pytest.approx(expected)


def test_warnings_name_figure_and_limit() -> None:
    assert warnings(0.05, 0.5) == {} == warnings(None, None) == warnings(-1.0, 0.0)
    found = warnings(0.117, 0.61)
    assert list(found) == ["less_likely", "word_drift"]
    assert "0.117" in found["less_likely"] and "0.05" in found["less_likely"]
    assert "0.61" in found["word_drift"] and "0.5" in found["word_drift"]
