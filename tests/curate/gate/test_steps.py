"""The check of the steps: what counts as a step told, what as reasoning, and what cannot be said."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from recast.curate.gate.checks.case import Case
from recast.curate.gate.checks.sums.grounds import Sum, core, grounded, sums
from recast.curate.gate.checks.sums.numbers import NumbersCheck
from recast.curate.gate.checks.sums.steps import StepsCheck
from recast.curate.gate.gate import load_gate

QUESTION = "Natalia sold 48 clips in April and half as many in May. How many did she sell in both?"
TOLD = "She sold 48 / 2 = 24 clips in May.\nIn both months she sold 48 + 24 = 72 clips.\n#### 72"
STRICT = StepsCheck(sums=True, detours=False)


def case(
    completion: str, demonstration: str = TOLD, question: str = QUESTION, answer: str = "72", **models
) -> Case:
    row: dict[str, Any] = {
        "messages": [{"role": "user", "content": question}],
        "demonstration": demonstration,
        "answer": answer,
    }
    return Case(completion, demonstration, row, models=models)


def reason(completion: str, check: StepsCheck = STRICT, **kwargs: Any) -> str:
    return check.run(case(completion, **kwargs)).reason


@pytest.mark.parametrize(
    ("completion", "default", "strict"),
    [
        ("May brought 48 / 2 = 24 clips, so both brought 48 + 24 = 72.", "", ""),
        ("Half of 48 is 24. The two months, 48 and 24 clips, make 72 clips.", "", "missing_step"),
        ("Half of 48 is 24. Then 48 and 24 make 72 clips together.", "", ""),
        ("In May it was half of the 48, so 24 clips, and 72 in both months.", "", "no_reasoning"),
        # another way: 1.5 times April's
        ("Both months are 1 + 1/2 = 1.5 times April, that is 48 * 1.5 = 72 clips.", "", "missing_step"),
        ("May: 50% of 48 is 24 clips. All in all 48 + 24 = 72 clips.", "", ""),
        ("The answer is 72.", "missing_step", "missing_step"),
        ("48 / 2 = 24\n48 + 24 = 72\nThe answer is 72.", "no_reasoning", "no_reasoning"),
        ("numbers: 24, 72. The answer is 72.", "no_reasoning", "no_reasoning"),
        ("24 = 24 and 72 = 72, as one sees.", "no_reasoning", "no_reasoning"),
        ("We have 23 + 1 = 24. We have 71 + 1 = 72.", "no_reasoning", "no_reasoning"),
        ("We get 24 * 1 = 24. We get 72 * 1 = 72.", "no_reasoning", "no_reasoning"),
        ("First both: 48 + 24 = 72 clips. Then May: 48 / 2 = 24 clips.", "missing_step", "missing_step"),
        ("A baker had 24 loaves with 3 more: 21 + 3 = 24, then 72: 64 + 8 = 72.", "no_reasoning", "no_reasoning"),
        ("In May she sold 48 / 2 = 24 clips. The answer is 72.", "missing_step", "missing_step"),
    ],
)  # fmt: skip
def test_a_step_is_told_or_founded(completion, default, strict):
    assert reason(completion, StepsCheck()) == default
    assert reason(completion) == strict


ONE = (
    "Jose has 7 bottle caps and gets 2 more.\n7 bottle caps + 2 bottle caps = 9 bottle caps\nThe answer is 9."
)
JOSE = "Jose starts with 7 bottle caps. He gets 2 more from Rebecca. How many does he have?"


@pytest.mark.parametrize(
    ("completion", "expected"),
    [
        ("He has 7 caps + 2 caps = 9 caps then.", ""),
        ("With 7 caps at first and 2 more he has 9 caps.", ""),
        ("The answer is 9. The answer is 9.", "no_reasoning"),
        ("1. The answer is 9. 2. The answer is 9.", "no_reasoning"),
        ("Jose starts with 7 bottle caps. He gets 2 more from Rebecca. The answer is 9.", "no_reasoning"),
        ("Jose starts with 7 bottle caps and now has 9 caps.", "no_reasoning"),
        ("He then has 8 + 1 = 9 caps.", "no_reasoning"),
        ("He then has 9 + 0 = 9 caps.", "no_reasoning"),
    ],
)
def test_where_the_answer_is_not_in_the_question_it_must_be_reasoned(completion, expected):
    assert reason(completion, StepsCheck(), demonstration=ONE, question=JOSE, answer="9") == expected


UNREAD = "Of 12 pens Lea loses some to 3 friends, and in the end has 9 left.\nThe answer is 9."


def test_a_demonstration_without_a_step_that_can_be_read_decides_nothing():
    question = "Lea has a dozen pens and gives them away. How many are left?"
    told = "After her friends took theirs, Lea is left with 9 pens."
    check, row = StepsCheck(), {"demonstration": UNREAD, "question": question, "answer": "9"}
    assert reason(told, check, **row) == "no_step_read"
    assert check.run(case(told, **row)).status.value == "undecided"
    assert reason("The answer is 9.", check, **row) == "no_reasoning"
    for model in ("judge", "entails"):
        assert reason(told, check, **row, **{model: lambda *_: 1.0}) == "", "that check decides"


@pytest.mark.parametrize(
    ("demonstration", "question", "answer"),
    [
        ("9", "Which is more, 9 or 8?", "9"),  # the answer stands in the question, and nobody says why
        ("Of 12 colours we take the third, blue.", "Which of 12 colours?", "blue"),  # it is no number
    ],
)
def test_where_no_step_is_needed_none_is_asked_for(demonstration, question, answer):
    row: dict[str, Any] = {"demonstration": demonstration, "question": question, "answer": answer}
    assert reason(f"The answer is {answer}.", StepsCheck(), **row) == ""


def test_a_chain_says_the_values_of_its_sides():
    demonstration = "60 / 2 = 30, and 30 - 5 = 25.\n#### 25"
    row: dict[str, Any] = {"demonstration": demonstration, "question": "Half of 60 less 5?", "answer": "25"}
    assert reason("It is 60/2 - 5 = 30 - 5 = 25 then.", **row) == ""
    assert reason("It is 60/2 - 5 = 25 then.", **row) == "missing_step"
    assert reason("It is 60/2 - 5 = 25 then.", StepsCheck(), **row) == "", (
        "one sum for two is a way of its own"
    )


def test_a_detour_on_known_numbers_is_free_and_one_that_ends_in_a_step_stands_for_its_work():
    demonstration = "10 + 20 + 30 = 60 cards in all.\n#### 60"
    row: dict[str, Any] = {
        "demonstration": demonstration,
        "question": "Ann has 10, Bea 20, Cem 30. Together?",
        "answer": "60",
    }
    assert reason("Ann and Bea have 10 + 20 = 30, so all have 30 + 30 = 60 cards.", **row) == ""
    assert reason("First 20 - 10 = 10, by the way. All have 10 + 20 + 30 = 60 cards.", **row) == ""
    assert reason("All have 2 * 30 = 60 cards.", **row) == "missing_step", "other operands"
    numbers = NumbersCheck()
    assert numbers.run(case("Ann and Bea have 10 + 20 = 30, so 60.", **row)).reason == ""
    assert numbers.run(case("Ann and Bea have 13 + 17 = 30, so 60.", **row)).reason == "invented_number"


def test_what_a_sum_stands_on():
    def sound(text: str, question: str = QUESTION) -> list[bool]:
        return [founded for _, founded in grounded(text, question, TOLD)]

    assert sound("48 / 2 = 24, 48 + 24 = 72") == [True, True]
    assert sound("48 + 24 = 72, 48 / 2 = 24") == [False, True], "24 comes later"
    assert sound("In May 24 were sold. 48 + 24 = 72") == [True], "a step that is told before"
    assert sound("23 + 1 = 24") == [False]
    assert sound("0.8 * 50 = 40", "What are 50 after 20% off?") == [True], "what 20 % leaves"
    assert sound("1200 / 60 = 20", "$12 an hour, that is a lot.") == [False]
    assert sound("$12 are 1200 cents, and 1200 / 60 = 20", "$12 an hour") == [True], "in another unit"
    assert sound("There are 6 red and 2 blue ones, 8 in all. 8 * 9 = 72", "6 red, 2 blue, 9 each") == [True]


def test_the_same_work_in_another_writing():
    assert len({core(v) for v in (Fraction(1, 5), Fraction(2, 10), 20, 5, -2000)}) == 1, "a fifth"
    assert len({core(v) for v in (Fraction(1, 4), 25, 4, 400)}) == 1
    assert Sum((20, 5), 4).work != Sum((2, 2), 4).work, "20 / 5 is not 2 * 2"
    assert core(3) != core(2) and core(15) != core(3)
    (percent,), (fraction,), (decimal,) = (
        sums("25% of 80 is 20"),
        sums("1/4 * 80 = 20"),
        sums("0.25 * 80 = 20"),
    )
    assert percent.work == fraction.work == decimal.work
    assert Sum((24, 1), 24).vacuous and Sum((24, 0), 24).vacuous and not Sum((24, 2), 48).vacuous


def test_the_strict_gate_asks_more_than_the_default_one_and_keeps_the_tasks():
    strict, default = load_gate("strict"), load_gate("auto")
    row: dict[str, Any] = {
        "messages": [{"role": "user", "content": QUESTION}],
        "demonstration": TOLD,
        "answer": "72",
        "task": None,
    }
    other = "Both months are 1 + 1/2 = 1.5 times April, that is 48 * 1.5 = 72 clips. The answer is 72."
    own = "May brought 48 / 2 = 24 clips, so both months brought 48 + 24 = 72. The answer is 72."
    assert default.verify(row, other).accepted and strict.verify(row, other).reason == "missing_step"
    assert default.verify(row, own).accepted and strict.verify(row, own).accepted
    assert (
        strict.verify(row, own.replace("May brought", "Of 13 shops, May brought")).reason == "invented_number"
    )
    assert [c.name for c in strict.checks_for({"task": "choice"})] == [
        c.name for c in default.checks_for({"task": "choice"})
    ]


def test_an_answer_that_is_given_directly_still_asks_for_some_reasoning():
    row: dict[str, Any] = {"demonstration": "The answer is 9.", "question": "How many?", "answer": "9"}
    assert reason("The answer is 9.", StepsCheck(), **row) == "no_reasoning"
    assert reason("Nine planets were once counted, that is 9.", StepsCheck(), **row) == ""


def test_an_answer_given_directly_is_told_with_a_number_that_it_stands_on():
    row: dict[str, Any] = {"demonstration": "The answer is 47.", "answer": "47"}
    several = row | {"question": "Ann has 81 pens and gives 34 away. How many has she now?"}
    assert reason("So Ann ends up with 47.", StepsCheck(), **several) == "no_step_read"
    assert reason("Ann had 81 pens and now has 47.", StepsCheck(), **several) == ""
    assert reason("Ann has 81 - 34 = 47 pens.", StepsCheck(), **several) == ""
    assert (
        reason("A horse lived for 47 years.", StepsCheck(), **row, question="How old was it in 1990?") == ""
    )


def test_an_answer_that_the_question_holds_still_asks_for_words_where_the_demonstration_has_some():
    row: dict[str, Any] = {"question": "He runs 25 km at 5 km per hour. How long?", "answer": "5"}
    worded = row | {"demonstration": "He needs as long as it is fast."}
    assert reason("The answer is 5.", StepsCheck(), **worded) == "no_reasoning"
    assert reason("He runs for 5 hours in all.", StepsCheck(), **worded) == ""
    assert reason("The answer is 5.", StepsCheck(), **row, demonstration="5") == ""


def test_a_sum_of_ones_own_leads_somewhere():
    row: dict[str, Any] = {
        "demonstration": "10 trays / 5 trays per trip = 2 trips.\n#### 2",
        "question": "Ned carries 5 trays at a time. How many trips for 10 trays?",
        "answer": "2",
    }
    good = "We divide the trays: 10 / 5 = 2 trips."
    assert reason(good, StepsCheck(), **row) == ""
    assert reason(f"He makes 10 * 5 = 50 trips. {good}", StepsCheck(), **row) == "stray_sum"
    assert reason(f"He makes 10 + 5 = 15 trips. {good}", StepsCheck(), **row) == "stray_sum"
    assert reason(f"{good} As a check, 2 * 5 = 10 trays.", StepsCheck(), **row) == "", "10 is known"
    assert reason("Half of the trays are 10 / 2 = 5 trays, so 10 / 5 = 2 trips.", StepsCheck(), **row) == ""


def test_a_question_that_is_quoted_tells_no_step():
    row: dict[str, Any] = {
        "demonstration": "4 boys + 5 girls = 9 children.\n#### 9",
        "question": "There are 4 boys and 5 girls in a daycare. How many children?",
        "answer": "9",
    }
    told = "There are 4 boys and 5 girls in the daycare, so there are 9 children"
    assert reason(f"{told}.", StepsCheck(), **row) == ""
    assert reason(f'The answer to the question "{told}" is 9.', StepsCheck(), **row) != ""
