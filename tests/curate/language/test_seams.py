"""Where a copy goes on with words that do not follow there, and what a copy may do."""

import pytest

from recast.curate.language.story.seams import seam

QUESTION = (
    "Bea bakes 12 rolls for the fair in her town. A roll takes 30 grams of flour and 2 grams of salt. "
    "The flour costs $3 a kilogram, and each of her 4 friends eats as many rolls as the others. What do they pay?"
)
EXPERT = (
    "Bea needs 12 * 30 = <<12*30=360>>360 grams of flour for the rolls that she bakes.\n"
    "She needs 12 * 2 = <<12*2=24>>24 grams of salt for the rolls that she bakes.\n"
    "In 2020, the flour cost 3 * 2 = $<<3*2=6>>6 in the shop of her town.\n"
    "Each of the friends eats 12 / 4 = <<12/4=3>>3 rolls at the fair, so the friends who eat rolls pay $6.\n"
    "#### 6"
)
COPIED = (
    "12 * 30 = 360. Bea needs 360 grams of flour for the rolls that she bakes. "
    "12 * 2 = 24. She needs 24 grams of salt for the rolls that she bakes. "
)
LAST = " The answer is 6."


def found(sentence: str, before: str = COPIED) -> tuple[str, str] | None:
    return seam(f"{before}{sentence}{LAST}", QUESTION, EXPERT)


@pytest.mark.parametrize(
    ("sentence", "where"),
    [
        # words left out, another occurrence of a word gone on from, words of elsewhere put in
        ("Each of the friends at the fair, so they pay $6.", ("each of the friends", "at the fair so")),
        ("Each of the flour for the rolls that she bakes.", ("each of the", "flour for the rolls")),
        ("In 2020, the flour cost $6 in the shop of the rolls.", ("in the shop of", "the rolls")),
        ("In 2020, the flour cost of salt $6 in the shop of her town.", ("2020 the flour cost", "of salt")),
        # an end that needs more, and things that the source does not know
        ("So the friends who eat rolls.", ("friends who eat rolls", "")),
        ("Each of the friends eats 3 candles at the fair.", ("the friends eats 3", "candles at the fair")),
        ("Each of the friends eats 3 miles at the fair.", ("the friends eats 3", "miles at the fair")),
        ("Each of the friends who eat 3 rolls at the fair.", None),  # a clause begins there: not seen
    ],
)
def test_a_copy_that_loses_its_place(sentence, where):
    assert found(sentence) == where


@pytest.mark.parametrize(
    "sentence",
    [
        "In 2020, the flour cost $6 in the shop of her town.",
        "The flour cost $6 in the shop of her town.",
        "Each of the friends eats 3 rolls at the fair, so the friends pay $6.",
        "Each of the friends eats 3 rolls at the fair.",
        "Each of the friends eats 3 rolls.",
        "At the fair, each of the friends eats 3 rolls.",
        "They pay $6.",
        "They eat 3 rolls each at the fair.",
        "So every friend of hers has 3 rolls, for which all of them have to pay $6 in total.",
        "Each friend eats 3 rolls at the fair and pays for them.",
        "Bea eats 3 rolls at the fair, so the friends who eat rolls pay $6.",
        "Each of the friends ate 3 rolls at the fair, so the friends who ate rolls paid $6.",
        "Each of the friends eats 12 / 4 = 3 rolls at the fair.",
        "Each of the friends eats 3 pieces at the fair, so the friends who eat rolls pay $6.",
        "The friends who eat rolls pay $6, or 6 dollars.",
        "The 3 of her friends pay $6 at the fair.",
    ],
)
def test_what_a_copy_may_do(sentence):
    assert found(sentence) is None


def test_what_tells_more_may_be_left_out():
    question = (
        "The total cost of a very large and heavy box is $5, and the town pays for the boxes that Bea sends."
    )
    expert = f"{question} So the town pays 2 * 5 = $10 for each of them. She sends 2 boxes in a day."
    text = "So the town pays $10 for each of them. {} She sends 2 boxes in a day."
    for sentence in (
        "The cost of a very large and heavy box is $5, and the town pays for the boxes that Bea sends.",
        "The total cost of a large and heavy box is $5.",
        "The total cost is $5, and the town pays for the boxes.",
    ):
        assert seam(text.format(sentence), question, expert) is None
    assert (
        seam(text.format("The total cost of a very large pays for the boxes."), question, expert) is not None
    )


def test_a_text_in_other_words_is_not_judged():
    other = "360 grams of flour are what 12 rolls ask for. The salt they ask for is 24 grams. "
    assert found("Each of the flour for the rolls that she bakes.", before=other) is None


def test_a_preposition_keeps_its_number_in_any_text():
    question = "How many kids came in 2005, if in 2006 there were 15?"
    expert = "In 2005, 15 * 2 = 30 kids came."
    assert seam("15 * 2 = 30. In 30 kids came.", question, expert) == ("in", "30 kids came")
    assert seam("15 * 2 = 30. In 2005, 30 kids came.", question, expert) is None
    assert seam("15 * 2 = 30. In all 30 kids came.", question, expert) is None
