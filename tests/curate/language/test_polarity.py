"""Clauses that turn what another says, and those that only seem to."""

from __future__ import annotations

import pytest

from recast.curate.language.polarity import clauses, opposed, opposites


@pytest.mark.parametrize(
    ("ours", "theirs", "turned"),
    [
        ("The price fell by 12 dollars.", "The price rose by 12 dollars.", "rose/fell"),
        ("Ann has 5 fewer pens.", "Ann has 5 more pens.", "more/fewer"),
        ("Tom received 5 pens.", "Tom gave 5 pens.", "gave/received"),
        ("Ann received 5 pens.", "Tom gave 5 pens.", ""),
        ("Ann has 5 more than Tom.", "Tom has 5 fewer than Ann.", ""),
        ("Jane did not eat 4 pens.", "Jane did eat 4 pens.", "not"),
        ("5 pens that are not red", "5 pens", ""),
        ("5 pens without caps", "5 pens with no caps", ""),
        ("5 pens without caps", "5 pens with caps", "with/without"),
        ("5 shirts have collars", "5 shirts have no collars", "no"),
        ("He did not lose 5 pens.", "He lost 5 pens.", "not"),
        ("He did not lose 5 pens.", "He gained 5 pens.", ""),
    ],
)
def test_a_clause_is_held_against_another(ours, theirs, turned):
    assert opposed(clauses(ours)[0], clauses(theirs)[0]) == turned


def test_a_sentence_is_cut_where_it_turns_to_something_else():
    found = clauses("At noon 47 people get off, and 13 more get on, but nobody waits.")
    assert [sorted(clause.numbers) for clause in found] == [[47], [13]]
    assert [clause.said for clause in found] == [("off",), ("more", "on")]


def test_a_clause_with_a_sum_is_about_its_result():
    assert clauses("She gave away 12 - 5 = 7 pens")[0].numbers == {7}


def test_opposites():
    assert "fewer" in opposites("more") and opposites("pen") == ()
