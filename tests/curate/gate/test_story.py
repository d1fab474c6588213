"""What `wording` and `roles` refuse, and what they leave alone: rows made up for the purpose."""

from __future__ import annotations

from typing import Any

import pytest

from recast.curate.gate.checks.case import Case, CheckConfig
from recast.curate.gate.checks.sums.steps import StepsCheck
from recast.curate.gate.checks.words.roles import RolesCheck
from recast.curate.gate.checks.words.wording import WordingCheck

CRAYONS: dict[str, Any] = {
    "messages": [{"role": "user", "content": "Lea has 80 crayons. A box holds 8 crayons. How many boxes?"}],
    "demonstration": "If a box holds 8 crayons: 80 crayons / 8 crayons per box = 10 boxes. Lea fills 10 boxes.",
}
BOOKS: dict[str, Any] = {
    "messages": [
        {"role": "user", "content": "Tim has 44 books and Sam has 52 books. How many do they have together?"}
    ],
    "demonstration": "Tim has 44 books and Sam has 52 books. Together they have 44 + 52 = 96 books.",
}
FISH: dict[str, Any] = {
    "messages": [
        {
            "role": "user",
            "content": "Ben gave Max 18 fish. Now Max has 49 fish. How many fish did Max have to begin with?",
        }
    ],
    "demonstration": "Max has 49 fish now. 49 - 18 = 31 fish. Max had 31 fish to begin with.",
}
BAKED: dict[str, Any] = {
    "messages": [
        {
            "role": "user",
            "content": "Flo used 5 cups of flour and 2 of oil. How much more flour than oil did she use?",
        }
    ],
    "demonstration": "Flo used 5 - 2 = 3 cups more flour than oil.",
    "answer": "3",
}
WAGES: dict[str, Any] = {
    "messages": [{"role": "user", "content": "Ann earns twice as much as Tom, who earns 9 dollars a day."}],
    "demonstration": "Tom earns 9 dollars every day. Ann earns twice as much as Tom, 2 * 9 = 18 dollars.",
}


def reason(check: CheckConfig, text: str, row: dict[str, Any]) -> str:
    return check.run(Case(text, row["demonstration"], row)).reason


@pytest.mark.parametrize(
    ("text", "row", "said"),
    [
        ("Tom earns 9 dollars every week.", WAGES, "other_wording"),
        ("Tom loses 9 dollars every day.", WAGES, "other_wording"),
        ("Tom earns 7 dollars every day.", WAGES, "other_wording"),
        ("Ann earns half as much as Tom.", WAGES, "other_wording"),
        (
            "2 * 9 = 18. Ann earns twice as much as Tom, 18 euros.",
            WAGES,
            "other_wording",
        ),  # the sum stands elsewhere
        (
            "He earns 7 dollars every day.",
            WAGES,
            "other_wording",
        ),  # one word before a number is enough
        ("44 + 52 = 96. Together they lost 96 books.", BOOKS, "other_wording"),
        ("44 + 52 = 96. Together they have 96 books.", BOOKS, ""),
        ("Tom gets 9 dollars every day.", WAGES, ""),
        ("Each day Tom earns 9 dollars.", WAGES, ""),
        ("Together both have 44 + 52 = 96 books.", BOOKS, ""),
    ],
)
def test_a_word_in_another_place_than_its_own(text, row, said):
    assert reason(WordingCheck(), text, row) == said


@pytest.mark.parametrize(
    ("text", "row", "said"),
    [
        ("80 crayons / 8 crayons per box = 10 crayons per box.", CRAYONS, "other_unit"),
        ("80 crayons / 8 crayons per box = 10 crayons.", CRAYONS, "other_unit"),
        ("80 crayons / 8 crayons per box = 10 boxes.", CRAYONS, ""),
        ("80 crayons / 8 crayons per box = 10 boxes of crayons.", CRAYONS, ""),
        ("So the initial number of fish was 49.", FISH, "other_part"),
        ("So the initial number of fish was 49 - 18 = 31.", FISH, ""),
        (
            "To find the fish that Max has now, we subtract: 49 - 18 = 31.",
            FISH,
            "other_part",
        ),  # 49, says the question
        ("To find the fish that Max had to begin with, we subtract: 49 - 18 = 31.", FISH, ""),
        ("The total number of books Sam has is 44 + 52 = 96 books.", BOOKS, "one_for_all"),
        ("Tim and Sam have 44 + 52 = 96 books.", BOOKS, ""),
        ("Sam has 52 books.", BOOKS, ""),
        ("80 crayons / 10 boxes = 10 boxes.", CRAYONS, "other_unit"),  # crayons a box, if anything
        ("80 crayons / 8 boxes = 10 crayons.", CRAYONS, ""),
        ("Flo used 3 cups of flour.", BAKED, "other_part"),
        ("Flo used 3 more cups of flour.", BAKED, ""),
        ("5 cups - 2 cups = 3 cups. The answer is 3.", BAKED, ""),  # a sum compares
    ],
)
def test_a_number_plays_its_own_part(text, row, said):
    assert reason(RolesCheck(), text, row) == said


def test_an_aside_on_given_numbers_is_allowed_once():
    row = {
        "messages": [
            {"role": "user", "content": "A zoo has 12 lionesses, 6 lions and 14 cubs. How many are there?"}
        ],
        "demonstration": "12 + 6 + 14 = 32",
        "answer": "32",
    }
    assert reason(StepsCheck(), "There are 12 + 6 = 18 grown ones, and 12 + 6 + 14 = 32 in all.", row) == ""
    twice = "There are 12 + 6 = 18 grown ones, 14 - 6 = 8 more cubs, and 12 + 6 + 14 = 32 in all."
    assert reason(StepsCheck(), twice, row) == "stray_sum"


def test_a_check_afterwards_is_no_circle():
    row = {
        "messages": [
            {"role": "user", "content": "He reads 10 of 120 pages a day. How many days does he read?"}
        ],
        "demonstration": "120 / 10 = 12 days",
        "answer": "12",
    }
    assert reason(StepsCheck(), "It takes 120 / 10 = 12 days. Indeed 12 * 10 = 120 pages.", row) == ""
