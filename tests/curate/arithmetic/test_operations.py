"""Words of operations against the sums that they stand beside, sums that are words, letters without a value."""

from __future__ import annotations

import pytest

from recast.curate.arithmetic.equalities import false_equalities
from recast.curate.arithmetic.operations import left_open, miscalled, misnamed, unshown, with_itself
from recast.curate.arithmetic.unbound import unbound


@pytest.mark.parametrize(
    "sentence",
    [
        "Here we multiply to get it: 48/2 = 24.",
        "Then add: 24 * 2 = 48.",
        "We subtract 12 from the rest: 12 + 5 = 17.",
        "Adding 12 gives 24 - 12 = 12 squares.",
        "First divide by 3: 5 + 3 = 8.",
    ],
)
def test_a_sum_called_another_operation_is_misnamed(sentence):
    assert len(misnamed(sentence)) == 1


@pytest.mark.parametrize(
    "sentence",
    [
        "We multiply: 48 * 2 = 96.",
        "We divide by a half: 5 * 2 = 10, so we multiply by 2.",
        "We multiply by 1/4: 100 / 4 = 25.",
        "Now divide to get 50 * 0.5 = 25.",
        "He adds 2 spoons a pound, so he will need 2 * 5 = 10 spoons.",
        "The sisters add up to 3 * 16 = 48 years.",
        "The sum of their ages is 90, so Betty is 90 - 40 = 50.",
        "After adding 15 gallons a trip it takes 105 / 15 = 7 trips.",
        "We add 4 and subtract 2: 10 + 4 - 2 = 12.",
        "We multiply.",
    ],
)
def test_what_happens_in_the_story_or_fits_the_sum_is_not_misnamed(sentence):
    assert misnamed(sentence) == []


@pytest.mark.parametrize(
    "sentence",
    [
        "The sum of 3 and 4 is 12.",
        "Add 12 apples and 5 pears to get 18.",
        "Since seven plus seven makes nineteen, we go on.",
        "Six and five make fourteen.",
        "Half of 48 is 28.",
        "Half of 48, which is 28, is left.",
        "Subtracting 119 from 65899 gives 66018 people.",
        "Divide 16 by 3 to get 48.",
        "40 is multiplied by 117, and it gives you 77.",
    ],
)
def test_a_false_sum_in_words_is_found(sentence):
    assert len(false_equalities(sentence)) == 1


@pytest.mark.parametrize(
    "sentence",
    [
        "The sum of 3 and 4 is 7.",
        "30 plus 28 plus 32 equals 90.",
        "Half of forty-eight is twenty-four.",
        "He paid half of 48, which is 24.",
        "Subtracting 5 from 12 gives 7.",
        "A total of 13.0 books and 17.0 pens, which is 13.0 + 17.0 = 30.0.",
        "3 and 4 make friends.",
    ],
)
def test_true_sums_in_words_and_what_is_no_sum_are_not(sentence):
    assert false_equalities(sentence) == []


def test_letters_are_unbound_where_none_is_ever_a_number():
    assert unbound("Let r = 2s + 5 and s = 3t, hence r = t.") == ("r", "s")
    for text in (
        "Let x be it. 2x = 10, so x = 5.",
        "s = 20 * 2 = 40",
        "Then 5 = t.",
        "No letters: 3 x 4 = 12.",
    ):
        assert unbound(text) == (), text


@pytest.mark.parametrize(
    ("text", "source", "found"),
    [
        ("We get it by dividing the time. So 8 * 3 = 24.", "8 * 3 = 24", True),
        ("We get it by multiplying them. So 8 * 3 = 24.", "8 * 3 = 24", False),
        ("They divided the cost by the tickets. So 8 * 3 = 24.", "8 * 3 = 24", True),
        ("They divided the cake among them. So 8 * 3 = 24.", "8 * 3 = 24", False),  # a story
        ("We divide by 4, that is 8 * 0.25 = 2.", "8 / 4 = 2", False),  # a part of a whole
        (
            "We get it by dividing them. So 8 * 3 = 24.",
            "We divide 24 by 3.",
            False,
        ),  # the source speaks of it
        ("We get it by dividing the time.", "8 * 3 = 24", False),  # it shows no sum
        ("We get it by dividing. So 8 miles/hour x 3 hours = 24.", "8 miles/hour x 3 hours = 24", True),
        ("By dividing we get it: 8 * 3 = 24.", "x / y", False),
    ],
)
def test_an_operation_that_no_sum_has_is_seen(text, source, found):
    assert bool(unshown(text, source)) is found


@pytest.mark.parametrize(
    "text",
    [
        "It is the weight of each book divided by the weight of each book.",
        "We divide the total number of pens by the total number of pens.",
        "Find the number of pens that she has and divide it by the number of pens that she has.",
        "Subtract what he spent on it from what he spent on it to get the rest.",
    ],
)
def test_an_operation_between_twice_the_same_is_seen(text):
    assert with_itself(f"There are 3 of them. {text}")


@pytest.mark.parametrize(
    "text",
    [
        "We subtract the number of pens she lost from the number of pens she had.",
        "He walked from the house of Ann to the house of Ann.",  # works nothing out
        "Add up. He walked from the house of Ann to the house of Ann.",
        "We subtract the number of pens from the total number of pens.",
        "We multiply the number of boxes by the number of pens in each.",
    ],
)
def test_different_quantities_of_one_operation_are_not_the_same(text):
    assert not with_itself(text)


def test_work_is_not_called_what_no_sum_of_it_is() -> None:
    assert (
        miscalled("So 15 + 24 = 39. It is a multiplication problem.", "15 + 24 = 39")
        == "multiplication problem"
    )
    assert miscalled("So 15 + 24 = 39. It is an addition problem.", "15 + 24 = 39") == ""
    assert (
        miscalled("Half of 8: 8 * 0.5 = 4, a division problem.", "8 * 0.5 = 4") == ""
    )  # a part is taken by either


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("So his pay is $40 – $36.", "$40 – $36"),  # 36 is what 40 - 4 comes to
        ("So his pay is $40 - $4.", ""),
        ("He put 5 * 40 boxes into each.", "5 * 40"),
        ("40 - 4 = 36, then 36 * 30 = 1080.", ""),
        ("It is open from 5-6 on week 12 of 40.", ""),
    ],
)
def test_a_sum_that_comes_to_nothing_is_one_of_the_row(text, found):
    source = "40 - 4 = 36. 36 * 30 = 1080."
    assert left_open(text, ("He earns $40.", source), [(40, 4), (36, 30)]) == found


def test_a_division_without_a_result_is_by_the_number_of_the_source() -> None:
    source = "58/2 = 29 pens, 1/2 of it"
    assert left_open("They sold 58/29 pens.", (source,), [(58, 2)]) == "58/29"
    assert left_open("They sold 58/2 pens, and 1/2 of them on 11/12.", (source,), [(58, 2)]) == ""
