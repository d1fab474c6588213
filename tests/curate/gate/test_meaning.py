"""Right rewrites made wrong in meaning by one phrase: written before the checks, questions from GSM8K test and mwp.

`meaning_cases.json` names the question by file and place, so that it holds no row of theirs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recast.curate.gate.checks.case import Case
from recast.curate.gate.checks.words.polarity import PolarityCheck
from recast.curate.gate.checks.words.quantities import QuantitiesCheck
from recast.curate.gate.gate import load_gate
from recast.curate.records import CheckStatus

CASES = json.loads((Path(__file__).parent / "meaning_cases.json").read_text(encoding="utf-8"))
# `arithmetic` judges the sums that are told in words
NEW = {"names", "arithmetic", "operations", "symbols", "quantities", "polarity"}
LEAST = {
    "unit": 16,
    "operation": 13,
    "new person": 6,
    "opposite": 4,
    "negation": 2,
    "invented fact": 2,
    "owner": 1,
}


@pytest.fixture(scope="module")
def told(shared_data: Path) -> list[tuple[dict, str, str]]:
    """(row, kind or `right`, completion)."""
    return list(_told(shared_data))


def _told(shared_data: Path) -> Iterator[tuple[dict, str, str]]:
    files: dict[str, list[dict]] = {}
    for case in CASES:
        name = case["source"]
        if name not in files:
            lines = (shared_data / name).read_text(encoding="utf-8").splitlines()
            files[name] = [json.loads(line) for line in lines]
        at = case["at"]
        found = files[name][at] if isinstance(at, int) else next(r for r in files[name] if r["item_id"] == at)
        row = {
            "messages": [{"role": "user", "content": found["question"]}],
            "demonstration": found.get("answer") or found["answer_cot"],
        }
        for text in case["right"]:
            yield row, "right", text
        for wrong in case["wrong"]:
            yield row, wrong["kind"], case["right"][wrong["of"]].replace(wrong["old"], wrong["new"])


def refused(row: dict, text: str) -> set[str]:
    checks = load_gate("math").verify(row, text).checks
    return NEW & {check.name for check in checks if check.status is not CheckStatus.PASS}


def test_no_right_rewrite_is_refused_for_its_words(told):
    assert [text for row, kind, text in told if kind == "right" and refused(row, text)] == []


def test_most_wrong_ones_are(told):
    seen = dict.fromkeys(LEAST, 0)
    for row, kind, text in told:
        if kind != "right":
            seen[kind] += bool(refused(row, text))
    assert {kind: count for kind, count in seen.items() if count < LEAST[kind]} == {}


ROW = {
    "messages": [
        {"role": "user", "content": "Ann has 35 clips and 12 pens. Bob has 20 clips. How many clips?"}
    ],
    "demonstration": "35 + 20 = 55 clips. So there are 55 clips.",
}


CUPS = {
    "messages": [
        {"role": "user", "content": "There are 11 bags for 2 guests. In each are 3 cups. How many?"}
    ],
    "demonstration": "11 * 3 = 33. So every guest gets 33 / 2 = 16.5 cups, and 2 * 5 = 10 spoons.\n#### 33",
}


@pytest.mark.parametrize(
    ("completion", "reason"),
    [
        ("11 * 3 = 33 balls.", "other_unit"),  # no ball in the row
        ("11 * 3 = 33 cups.", ""),
        ("2 * 5 = 10 guests.", "other_unit"),
        ("2 * 5 = 10 spoons.", ""),
    ],
)
def test_what_a_result_counts(completion, reason):
    assert QuantitiesCheck().run(Case(completion, CUPS["demonstration"], CUPS)).reason == reason


def test_a_sign_of_money_before_things_that_are_counted():
    row: dict[str, Any] = {"messages": [{"role": "user", "content": "Bags cost $10. How many for $110?"}]}
    row["demonstration"] = "110 / 10 = 11. He can buy 11 bags."
    case = Case("He can buy $11 bags.", row["demonstration"], row)
    assert QuantitiesCheck().run(case).reason == "other_unit"
    case = Case("He can buy 11 bags for $110.", row["demonstration"], row)
    assert QuantitiesCheck().run(case).reason == ""


def test_quarters_are_coins_where_they_are_counted():
    row: dict[str, Any] = {
        "messages": [{"role": "user", "content": "Jo has 6 quarters. How many cents has she?"}]
    }
    row["demonstration"] = "6 quarters * 25 cents per quarter = 150 cents"
    case = Case("Jo has 6 cents, so she has 6 * 25 = 150 cents.", row["demonstration"], row)
    assert QuantitiesCheck().run(case).reason == "other_unit"
    case = Case("Jo has 6 quarters, so she has 6 * 25 = 150 cents.", row["demonstration"], row)
    assert QuantitiesCheck().run(case).reason == ""


@pytest.mark.parametrize(
    ("completion", "reason"),
    [
        ("There are 55 metres.", "other_unit"),
        ("There are 55 clips.", ""),
        ("So we know that Ann has 20 clips.", "other_owner"),
        ("So we know that Bob has 20 clips.", ""),
        ("There are 55 items in all.", ""),
        ("Ann has 35 pens and 12 clips.", "other_unit"),
        ("Ann has $35.", "other_unit"),
        ("One hour has 60 minutes.", ""),
        ("In town there are 391 dogs.", "invented_quantity"),
        ("Together that are 47 things of Ann.", ""),
        ("It goes into a formula, which is 100.", "invented_quantity"),
        ("In step 2 we add.", ""),
        ("Or else: the answer is 56.", ""),  # `answer` judges answers
    ],
)
def test_quantities(completion, reason):
    case = Case(completion, ROW["demonstration"], ROW)
    assert QuantitiesCheck().run(case).reason == reason


def test_a_quantity_made_up_may_be_allowed():
    case = Case("In town there are 391 dogs.", ROW["demonstration"], ROW)
    assert QuantitiesCheck(invented=False).run(case).reason == ""


def test_a_bare_sum_turns_nothing():
    source = "48 * 3/4 = 36 walk. 48 - 36 = 12 do not."
    assert PolarityCheck().run(Case("A quarter do not walk. 48 - 36 = 12.", source, {})).reason == ""


def test_a_clause_that_says_it_as_another_of_the_source_turns_nothing():
    source = "The price rose by 12 dollars. Before that the price fell by 12 dollars."
    assert PolarityCheck().run(Case("The price fell by 12 dollars.", source, {})).reason == ""
    assert PolarityCheck().run(Case("The price fell by 13 dollars.", source, {})).reason == ""


@pytest.mark.parametrize(
    ("told", "turned"),
    [
        ("Both beds are not the same size so she needs 64 bags.", True),
        ("Both beds are not the same size.", True),
        ("Both beds are the same size.", False),
        ("The bags that are not open are 10 of the bags.", False),  # it is said so
        ("The beds are not full.", False),  # other words than the source's
        ("Beds are not so.", False),  # too short to be known as another's
    ],
)
def test_a_sentence_of_the_source_with_a_denial_put_in(told, turned):
    source = "Both beds are the same size so she needs 2 * 32 = 64 bags. The bags that are not open are 10 of the bags."
    assert (PolarityCheck().run(Case(told, source, {})).reason == "opposite_statement") == turned
