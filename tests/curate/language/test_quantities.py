"""What numbers count, and whose they are."""

from __future__ import annotations

import pytest

from recast.curate.language.quantities import quantities
from recast.curate.language.tokens import number, read


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("48 red clips in May", [(48, {"red", "clip"})]),
        ("$18 and 18 dollars", [(18, {"dollar"}), (18, {"dollar"})]),
        ("12 pieces of cake", [(12, {"piece", "cake"})]),
        ("a 120-page book", [(120, {"page", "book"})]),
        ("6 pages a week", [(6, {"page"})]),
        ("twenty-four boxes", [(24, {"box"})]),
        ("2 of her friends", [(2, {"friend"})]),
        ("3 more pens", [(3, {"pen"})]),
        ("20% of them", [(20, {"percent"})]),
        ("7 left", [(7, set())]),
        ("1,200 votes, 5 x 3 = 15 seats", [(1200, {"vote"}), (5, set()), (3, set()), (15, {"seat"})]),
        ("In $\\frac{48}{2} = 24$ steps", [(48, set()), (2, set()), (24, {"step"})]),
    ],
)
def test_a_number_counts_the_nouns_after_it(text, expected):
    assert [(q.value, set(q.nouns)) for q in quantities(text)] == expected


def test_a_name_that_begins_a_sentence_owns_its_numbers():
    assert [q.owner for q in quantities("Tom has 5 pens. He buys 3. So then Tom has 8.")] == [
        "Tom",
        "",
        "Tom",
    ]
    assert [q.owner for q in quantities("Tom has 5 pens and Ann has 3.")] == ["", ""], (
        "who has what is grammar"
    )
    assert [q.owner for q in quantities("Tom has half of 8 pens.")] == [""]


def test_what_a_sum_makes_is_told_from_its_operands_and_from_definitions():
    assert [q.computed for q in quantities("12 + 5 = 17 pens")] == [False, False, True]
    assert [q.computed for q in quantities("30 years = 35 years - 5 years")] == [False, False, False]
    assert [q.computed for q in quantities("speed = 5")] == [False]
    assert [q.computed for q in quantities("240 / 12 = 20 minutes/day")] == [False, False, True]


def test_tokens_are_words_numbers_and_signs():
    (sentence,) = read("Ann's $5<<5=5>> is 50% of ten.")
    assert sentence.tokens == ("Ann's", "$5", "is", "50%", "of", "ten", ".")
    assert [number(token) for token in sentence.tokens] == [None, 5, None, 50, None, 10, None]
    assert not sentence.computes and read("5 + 1 = 6")[0].computes
