"""Amounts that words call one, against each other, against units and against what the row knows."""

from __future__ import annotations

import pytest

from recast.curate.arithmetic.alike import unfounded, unlike


@pytest.mark.parametrize(
    "text",
    [
        "He runs 2 hours, which is 120 minutes.",
        "The 90 minutes, which is 1.5 hours, are over.",
        "He pays 5 dollars, which is 500 cents.",
        "She has 4 quarters and 8 dimes, which is 180 cents.",
        "She buys 3 bags of 4 buns, which is 12 buns.",
        "She has 9 buns, which is 3 more than 6.",
        "6 + 7 = 13 eggs, which is 1 more than a dozen.",
        "She earns $20 an hour, which is $160 a day.",
        "He has 20 pens, which is 4 packs of 5.",
        "36 / 3, which is 12, is left.",
        "So 2 dozen eggs are equal to 24 eggs.",
        "1 medium bean is the same as 3 small beans.",
        "This is the same as 3 * 4 = 12.",
        "The rest is equal to 45.",
        "12 is twice 6, and 15 is 3 more than 12.",
        "Tom's 12 buns are twice as many as Ann's 6.",
        "Half of that, which is 6, is left from 12.",
        "Including the 5 that he had, he has 12.",
        "Including the 10% tip, it costs 5 dollars.",
        "8 out of 12 eggs are left.",
        "He took 20 buns out of 5 jars.",
        "We combine the 6 red and the 7 blue beads into 13 beads.",
        "He combined 3 piles and 2 piles into 1 pile.",
        "The sum of the 5 tests, which is 65 + 94 + 81 + 86 + 74 = 400.",
    ],
)
def test_amounts_that_are_one_and_what_calls_none_so_are_not_found(text):
    assert unlike(text, frozenset((4, 5, 6, 12)), frozenset((60, 100))) == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("He runs 2 hours, which is 100 minutes.", "2 hours, which is 100 minutes"),
        ("5 hours are equal to 200 minutes.", "hours are equal to 200 minutes"),
        ("He pays 5 dollars, which equals 50 cents.", "5 dollars, which equals 50 cents"),
        ("She has 12 buns, which is 15 buns.", "12 buns, which is 15 buns"),
        ("6 * 7 = 42 eggs, which is 17 eggs.", "42 eggs, which is 17 eggs"),
        ("It takes 75 * 8 = 600 watts, which is 18000/1000 = 18 kWh.", "600 watts, which is 18000/1000"),
        ("It takes 75 * 8 = 600 watts, which is 19 kWh.", "600 watts, which is 19 kWh"),
        ("40 / 8, which is 6, is left.", "40 / 8, which is 6"),
        ("126 - 81 = 45 pens. It is the same as the original 126 pens.", "It is the same as the original 126 pens"),
        ("45 pens are the same as 54 pens.", "pens are the same as 54 pens"),
        ("12 is twice 8.", "12 is twice 8"),
        ("24 clips, which is half of 40 clips.", "24 clips, which is half of 40 clips"),
        ("15 is 5 more than 12.", "15 is 5 more than 12"),
        ("She spent half of that on pens, which is 35.", "half of that on pens, which is 35"),
        ("Including the 15 buns, she has 9 buns.", "Including the 15 buns, she has 9 buns"),
        ("So 15 out of 12 are left.", "15 out of 12"),
        ("We combine the 6 red beads and the 7 blue beads into 12 beads.",
         "combine the 6 red beads and the 7 blue beads into 12 beads"),
    ],
)  # fmt: skip
def test_amounts_that_words_call_one_and_that_are_not_are_found(text, said):
    assert unlike(text, frozenset((4, 5, 6, 12)), frozenset((60, 100))) == said


def test_a_number_that_the_row_knows_may_make_one_amount_of_another():
    text = "So 6 * 2 = 12 boxes, which is 96 pens."
    assert unlike(text, frozenset((6, 2))) == "12 boxes, which is 96 pens"
    assert unlike(text, frozenset((6, 2, 8))) == ""


def test_a_sameness_that_is_only_described_needs_a_source() -> None:
    said = "This is the same as the number of pens before."
    assert unfounded(f"There are 44 pens. {said}", "How many pens?", "28 + 16 = 44") == said.rstrip(".")
    assert unfounded(said, "How many pens?", "That is the same number as before.") == ""
