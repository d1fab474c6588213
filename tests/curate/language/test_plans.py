"""Plans in words, right ones in many wordings and wrong ones of every kind, against the steps of a row."""

from __future__ import annotations

import pytest

from recast.curate.language.story.plans import MAX_PLANS, Step, plans, unfit

BEADS = (
    "Mia has 34 red beads and 21 blue beads. She loses 13 beads. How many beads does she still have?",
    "Mia has 34 + 21 = 55 beads. After losing 13 she has 55 - 13 = 42 beads left.",
    (Step((34, 21), 55), Step((55, 13), 42)),
)
PENS = (
    "A box holds 8 pens. Tom buys 6 boxes. How many pens does he have?",
    "6 * 8 = 48 pens.",
    (Step((6, 8), 48),),
)
STAMPS = (
    "Lea has 48 stamps. She puts them on 6 pages. How many stamps are on each page?",
    "48 stamps / 6 pages = 8 stamps per page.",
    (Step((48, 6), 8),),
)
MONEY = (
    "Ann saves 12 dollars, then spends 5 dollars on a book and earns 9 dollars. How much money does she have?",
    "12 - 5 + 9 = 16 dollars.",
    (Step((12, 5, 9), 16),),
)
PAGES = (
    "Ian read 12 pages on Monday and 15 pages on Tuesday. How many pages did he read?",
    "12 + 15 = 27 pages.",
    (Step((12, 15), 27),),
)


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (BEADS, "First we add the number of red beads and the number of blue beads: 34 + 21. Then we subtract the 13."),
        (BEADS, "We add 34 and 21 to get 55, then subtract 13 from the sum."),
        (BEADS, "To find how many she still has, we add the red and blue beads together and subtract the 13 she lost."),
        (BEADS, "Add the two numbers together to get the total number of beads, which is 55. Now subtract 13."),
        (BEADS, "We subtract 13 from 55."),
        (BEADS, "To find the total number of beads, we can add the number of red beads to the number of blue beads."),
        (BEADS, "Subtracting the 13 beads that she lost from the total number of beads gives us 42."),
        (BEADS, "To find the number of beads left, subtract the number of beads lost from the total number of beads."),
        (BEADS, "The number of beads left is the total number of beads minus the number of beads lost."),
        (BEADS, "Adding 34, 21 and then taking away 13, we have 42."),
        (PENS, "We multiply the number of boxes by the number of pens in each box."),
        (PENS, "Multiplying 8 pens by 6 boxes gives 48 pens."),
        (PENS, "To find how many pens he has, multiply the pens per box by the boxes he buys."),
        (PENS, "The total number of pens is the product of the number of boxes and the number of pens in each box."),
        (STAMPS, "To find how many stamps are on each page, divide the total number of stamps by the number of pages."),
        (STAMPS, "Dividing the 48 stamps by the 6 pages gives 8 stamps per page."),
        (MONEY, "We subtract the 5 dollars she spent from the 12 dollars she saved and add the 9 dollars she earned."),
        (MONEY, "To find the money she has, subtract what she spent from what she saved, then add what she earned."),
        (MONEY, "We subtract 5 from 12 and then add 9 to the result."),
        (PAGES, "To find the total, we add the pages of Monday and the pages of Tuesday."),
        (PAGES, "We add the two amounts 12 and 15."),
        (PAGES, "Let us add the 15 pages to the 12 pages."),
        (PAGES, "Add up the pages: 12 + 15 = 27."),
        (PAGES, "Adding the 7 books that he owns does not change the number of pages."),
        # 5 goes into 15, and beside it into the sum of all
        (("", "", (Step((3, 5), 15), Step((15, 7), 22), Step((22, 5), 27))), "First we add 5 and 15."),
        (PAGES, "He adds 7 stickers to the total."),  # a story
    ],
)  # fmt: skip
def test_a_plan_that_the_steps_follow_fits(row, text):
    prompt, source, steps = row
    assert unfit(text, prompt, source, steps) == ""


@pytest.mark.parametrize(
    ("row", "text", "said"),
    [
        # a number that goes into no sum, alone or together
        (BEADS, "We subtract 42 from the total.", "subtract 42 from the total"),
        (BEADS, "First we add the red beads, and then we add 42 to the sum.", "add 42 to the sum"),
        (PENS, "We multiply the number of boxes by the 48 pens.", "multiply the number of boxes by the 48 pens"),
        (BEADS, "We add the three numbers 34, 21 and 55.", "add the three numbers 34, 21 and 55"),
        # the wrong way around
        (BEADS, "We subtract 55 from 13.", "subtract 55 from 13"),
        (BEADS, "We subtract 55 from 34.", "subtract 55 from 34"),
        (MONEY, "We subtract 12 from 5 and add 9.", "subtract 12 from 5"),
        (STAMPS, "We divide 6 by 48.", "divide 6 by 48"),
        (STAMPS, "We divide the number of pages by the number of stamps.",
         "divide the number of pages by the number of stamps"),
        (BEADS, "We subtract the initial number of beads from the number of beads she lost.",
         "subtract the initial number of beads from the number of beads she lost"),
        # more terms than any sum has
        (PAGES, "We add the pages of Monday and the pages of Tuesday to the total.",
         "add the pages of Monday and the pages of Tuesday to the total"),
        (PAGES, "We add the three amounts.", "add the three amounts"),
        (MONEY, "We subtract the money she spent and the money she earned from the money she saved.",
         "subtract the money she spent and the money she earned from the money she saved"),
        (MONEY, "We subtract the money that she spent and earned from the money she saved.",
         "subtract the money that she spent and earned from the money she saved"),
        # what it sets out to find
        (PAGES, "To find the total number of pages, we add the pages of Monday to the total number of pages.",
         "add the pages of Monday to the total number of pages"),
        (PENS, "To find the number of pens, we multiply the number of pens by the number of boxes.",
         "multiply the number of pens by the number of boxes"),
        (BEADS, "To find the beads she has left, we subtract the beads she has left from the total.",
         "subtract the beads she has left from the total"),
        (BEADS, "The number of beads left is the total number of beads minus the number of beads left.",
         "The number of beads left is the total number of beads minus the number of beads left"),
        # things that no sum counts
        (("Mia has 2 books of 34 and 21 pages.", "34 + 21 = 55 pages.", (Step((34, 21), 55),)),
         "To find the pages, we add the number of books to the 34 pages.", "add the number of books to the 34 pages"),
        # an operation by a noun
        (PAGES, "The answer is the product of the pages on Monday and those on Tuesday.", "is the product of the "),
        (PENS, "It is the difference between the pens and the boxes.", "is the difference between the "),
    ],
)  # fmt: skip
def test_a_plan_that_does_otherwise_than_the_steps_is_found(row, text, said):
    prompt, source, steps = row
    assert unfit(text, prompt, source, steps) == said


def test_what_the_source_plans_and_a_row_without_steps_are_left_alone():
    prompt, source, steps = BEADS
    assert unfit("We add 7 to it.", prompt, source, steps) == "add 7 to it"
    assert unfit("We add 7 to it.", prompt, f"{source} We add 7 to it.", steps) == ""
    assert unfit("We add 7 to it.", prompt, source, ()) == ""
    assert unfit("We add 7 to it.", prompt, source, steps, frozenset((7,))) == ""  # it stands beside a sign


def test_a_plan_has_its_terms_its_base_and_what_it_is_for():
    (plan,) = plans(
        "To find how many Mrs. Hill has left, we subtract the 3 red and the 4 blue ones from all of them."
    )
    assert plan.kind == "subtract"
    assert plan.terms == ("the 3 red", "the 4 blue ones")
    assert plan.base == "all of them"
    assert plan.goal == "how many Mrs Hill has left"


def test_a_text_of_nothing_but_plans_is_read_up_to_a_bound():
    assert len(plans("We add 1 to it. " * 5000)) == MAX_PLANS


def test_two_numbers_are_worked_as_the_sum_of_just_them_works_them() -> None:
    rows = (Step((45, 9), 5),)
    assert unfit("We divide 45 by 9 to find it.", "", "45 / 9 = 5", rows) == ""
    assert unfit("We multiply 45 by 9 to find it.", "", "45 / 9 = 5", rows) == "multiply 45 by 9"
    assert unfit("Then we divide 5 by 9.", "", "5 * 9 = 45", (Step((5, 9), 45),)) == "divide 5 by 9"
