"""Stated equalities in every notation: found, decided, or honestly undecided."""

from __future__ import annotations

from fractions import Fraction

import pytest

from recast.curate.arithmetic.equalities import equalities, step_results
from recast.curate.arithmetic.parser import evaluate
from recast.curate.maths.numbers import numbers

TRUE = [
    "12 + 5 = 17",
    "Sam has 12 + 5 = 17 apples.",
    "48/2 = <<48/2=24>>24 clips",
    "$x_0 = 14$ \\\\ $x_1 = x_0 + 5 = 19$, $x_2 = x_1 - 3 = 16$",
    "29 species * 7 pairs per species = 203 pairs",
    "\\frac{48}{2} = 24",
    "1{,}200 \\times 3 = 3{,}600",
    "20% of 50 is 10",
    "a = 14\nb = a + 5  # 19\nprint(b)",
    "12 + 5 -> 17",
    "[14] +5 => [19]",
    "12 plus 5 equals 17",
    "10/3 = 3.33",
    "11/3 = 3.66",
    "10/3 = 3.33 and then 3.33 * 3 = 10",
    "Day 2 = 5 + 3 = 8",
    "60 + 60 = 2 hours",
    "10/50*100=20%",
    "100% - 30% = 70%",
    "2 1/2 + 1/2 = 3",
    "- 3 + 4 = 7",
    "1. 3 + 4 = 7",
    "**5 + 3 = 8**",
    "5 × 3 − 1 = 14",
    "2x = 10 => x = 5",
    "18 = 12 + 6",
    "$5/hour * 8 hours = $40",
    "50¢ * 4 = $2",
    "2^3 = 8",
    "5m + 3m = 8m",
    "$x_1 = 14 + 3 = 17$ \\\\ $x_2 = 2 x_1 = 34$",
    "(1 + 2)(3 + 4) = 21",
    "5 + 3 = 8 apples - 2 more than before",
    "n = 27\nn = n * 3  # 81\nn = n * 3  # 243\nprint(n)",
    "x = 2\nx = x + 1 = 3",
    "over 50:40 - 4 - 24 = 12",
    "50 + 100 + 1,120 * 2 - .5 = 2,389.5",
    "each side is √(144) = 12 and √9 = 3",
    "he reads 4 / 3 = 1 and 1/3 hours",
    "261 fishbowls * 23 fish per bowl = 6003 fish",  # 261 * 23 = 6003
    "2 bananas + (7 bananas/package * 1 package) = 2 + 7 = 9 bananas",
    "$12/hour * 3 hours = $36",
    "600 bags of dog food - 327 bags of cat food = 273 more bags of dog food",
    "5256 grown-ups + 2987 children = 8243 people",
    "12 pieces of candy/friend * 35 friends = 420 pieces",
    "8 times * 2 oranges per time = 16 oranges",
    "501 lbs. - 294 lbs. = 207 lbs.",
    "3 lbs. coffee * 40 cups per lb. = 120 cups",
    "5 (initial oranges) - 2 (thrown away) + 28 (new ones) = 31 oranges",
    "0.375 of one pizza + 0.5 of another pizza = 0.875 of a pizza",
    "33 lost/given cards + 45 remaining cards = 78 cards",
    "45 flowers that are not pink + 60 flowers = 105 flowers",
    "50 skittles - 20 M&Ms = 30 more skittles",
    "$50/sq m * 2000 sq m = $100000",
    "$400 000 x 3/100 = $12 000",
    "1.50 € / 3 = 0.50 €",
    "Left = 96 - 15 - 23\nLeft = 58",
    "Number of cards = 23 + 25\n= 48",
    "60/2 - 5 = 30 - 5 = 25",
    "2 hours = 120 minutes",
    "3 dozen = 36",
    "3 dozen eggs + 6 eggs = 42 eggs",
    "x + 34 = 60, so x = 26",
    "$\\sqrt{8} = 2\\sqrt{2}$",
    "\\sqrt2 = 1.41",
    "7.666666666666667 - 3.3333333333333335 = 4.333333333333334",  # of floats
    "half of 48 is 24",
    "a third of 48 clips is 16 clips",
    "40 plus 23 equals 63",
    "6 and 7 make 13",
    "3 apples, 6 pears and seven plums make 16 in all",
    "12 less 5 leaves 7",
    "subtract 5 from 12 to get 7",
    "Adding 5 to 12, we get 17.",
    "twice 8 is 16",
    "25% of 80 is 20",
    "25 percent of 80 is 20",
    "the sum of 3 apples, 4 pears and 5 plums is 12",
    "the difference between 5 and 12 is 7",
    "ten times ten is 100",
    "5 more than 12 is 17",
]
FALSE = [
    "over 50:40 - 4 - 24 = 13",
    "50 + 100 + 1,120 * 2 - .5 = 2,389",
    "n = 27\nn = n * 3  # 82",
    "n = 27\nn = n * 3  # 81\nn = n * 3  # 81",
    "12 + 5 = 18",
    "each side is √(144) = 13",
    "he reads 4 / 3 = 1 and 2/3 hours",
    "Sam has 12 + 5 = 18 apples.",
    "48/2 = <<48/2=25>>25 clips",
    "$x_0 = 14$ \\\\ $x_1 = x_0 + 5 = 19$, $x_2 = x_1 - 3 = 66$",
    "$x_1 = 14 + 5 = 19$ \\\\ $x_1 = 20$",
    "344 books - 136 school books = 207 books",
    "\\frac{48}{2} = 25",
    "20% of 50 is 11",
    "a = 14\nb = a + 5  # 20\nprint(b)",
    "12 + 5 -> 18",
    "12 plus 5 equals 18",
    "5 times 3 is 16",
    "12.3 + 5.4 = 17.6",
    "7 / 2 = 3",
    "2x = 10 => x = 6",
    "5 + 3 = 8 - 2 = 6",
    "60 + 60 = 3 hours",
    "x_1 - 3 = 66 where x_1 = 14 + 5 = 19",
    "5 × 3 − 1 = 15",
    "$x_1 = 14 + 3 = 17$ \\\\ $x_2 = 2 x_1 = 35$",
    "5m + 3m = 9m",
    "261 fishbowls * 23 fish per bowl = 6004 fish",
    "600 bags of dog food - 327 bags of cat food = 274 more bags of dog food",
    "501 lbs. - 294 lbs. = 208 lbs.",
    "Left = 96 - 15 - 23\nLeft = 59",
    "60/2 - 5 = 30 - 5 = 26",
    "60/2 - 5 = 31 - 5 = 26",
    "\\sqrt8 = 4\\sqrt3",  # 2.83 and 6.93
    "$\\sqrt{8} = 3\\sqrt{2}$",
    "half of 48 is 25",
    "half of 48 clips are 25 clips",
    "6 and 7 make 14",
    "since seven plus seven makes nineteen",
    "12 less 5 leaves 8",
    "subtract 5 from 12 to get 8",
    "we would subtract 19 from 19, which gives us 40",
    "dividing 12 by 4 gives 4",
    "Adding 5 to 12, we get 18.",
    "twice 8 is 18",
    "25 percent of 80 is 25",
    "the sum of 3, 4 and 5 is 13",
    "forty plus twenty-three equals sixty-four",
]
SILENT = [
    "",
    "Tom has 5 more than 12, so 18.",
    "x = 5",
    "There are 3 = three of them",
    "if x <= 5 and y != 7",
    "The score was 3:2 at 5:30.",
    "1 cm : 25 km",
    "1 cm = 25 km",
    "3 boxes = 12 eggs",
    "3 dozen = 37",  # a dozen may be the name of something
    "6 men and 7 women make 20 chairs",
    "Machines 6 and 7 make 20 parts",
    "more than half of 48 is 30",
    "half of 48 students are 12 years old",
    "Cost = 5 * n\nCost = 7",
    "2x + y = 7",
    "subtract 5 from both sides to get 7",
    "6 and 7 are the numbers",
]


@pytest.mark.parametrize("text", TRUE)
def test_true_equalities_are_true(text):
    truths = [e.truth for e in equalities(text)]
    assert truths and all(truths)


@pytest.mark.parametrize("text", FALSE)
def test_a_false_equality_is_found_in_any_notation(text):
    assert False in [e.truth for e in equalities(text)]


@pytest.mark.parametrize("text", SILENT)
def test_text_without_arithmetic_states_nothing(text):
    assert not [e for e in equalities(text) if e.truth is not None]


@pytest.mark.parametrize(
    "text", ["y + 5 = 12", "f(3) + 1 = 7", "9^9^9^9 = 4", "cost per book * 5 = 20", "5 / 0 = 3"]
)
def test_what_cannot_be_known_is_undecided(text):
    assert [e.truth for e in equalities(text)] == [None]


def test_step_results_are_those_of_operations_in_order():
    assert step_results("48/2 = <<48/2=24>>24, so 48+24 = <<48+24=72>>72\n#### 72") == (24, 72)
    assert step_results("def f():\n    a = 29\n    b = 7\n    c = a * b\n    c += 1\n    return c") == (
        203,
        204,
    )
    assert step_results("$x_0 = 14$ $x_1 = x_0 + 5 = 19$") == (19,)
    assert step_results("10 / 4 = 2.5") == (Fraction(5, 2),)
    assert step_results("The sky is blue.") == ()


def test_two_sums_under_one_name_are_two_sums():
    truths = [e.truth for e in equalities("Total = 3 apples + 4 apples\nTotal = 5 apples + 6 apples")]
    assert False not in truths
    assert False not in [e.truth for e in equalities("x = 2 + 3\nx = 2 - 3\nx = 5\nx = -1")], "two solutions"


def test_what_an_equation_is_solved_to_is_its_result():
    (equation,) = equalities("x + 34 = 60. Then x = 26.")
    assert (equation.truth, equation.result, equation.operands) == (True, 26, (34, 60))
    assert step_results("y + 34 = 60") == (), "nothing is worked out"


def test_a_side_says_the_sums_inside_the_side_before_it():
    first, second = equalities("60/2 - 5 = 30 - 5 = 25")
    assert first.inner == (((60, 2), 30),), "30 for 60 / 2"
    assert (second.operands, second.result) == ((30, 5), 25)


def test_a_percentage_is_an_operand_as_a_fraction():
    (equality,) = equalities("25% of 80 is 20")
    assert equality.operands == (Fraction(1, 4), 80)


UNITS = [
    "",
    " apples",
    " bags of dog food",
    " t-shirts",
    " boxes/week",
    " (initial ones)",
    " lbs.",
    " large red kites",
]


@pytest.mark.parametrize("seed", range(40))
def test_units_between_the_numbers_change_nothing(seed):
    from random import Random

    random = Random(seed)
    numbers = [random.randint(2, 99) for _ in range(random.randint(2, 4))]
    signs = [random.choice("+-*") for _ in numbers[1:]]
    work = "".join(f" {sign} {n}" for sign, n in zip(["", *signs], numbers, strict=True)).strip()
    stated = evaluate(work)
    assert isinstance(stated, int)
    for result, truth in ((stated, True), (stated + 1, False)):
        pieces = [str(numbers[0]) + random.choice(UNITS)]
        for sign, number in zip(signs, numbers[1:], strict=True):
            pieces += [sign, f"{number}{random.choice(UNITS)}"]
        (bare,) = equalities(f"{work} = {result}")
        (told,) = equalities(f"{' '.join(pieces)} = {result} in all")
        assert (bare.truth, told.truth) == (truth, truth), pieces
        assert (bare.operands, bare.result) == (told.operands, told.result)


SAID = {
    "+": "{a} plus {b} is {c}|{a} and {b} make {c}|adding {b} to {a} gives {c}|the sum of {a} and {b} is {c}",
    "-": "{a} less {b} is {c}|{b} less than {a} is {c}|subtracting {b} from {a} leaves {c}|{b} from {a} leaves {c}",
    "*": "{a} times {b} is {c}|the product of {a} and {b} is {c}|multiplying {a} by {b}, we get {c}",
}


@pytest.mark.parametrize(
    ("sign", "said"), [(sign, form) for sign, forms in SAID.items() for form in forms.split("|")]
)
def test_a_sum_in_words_is_what_it_is_in_signs(sign, said):
    for a, b in ((12, 5), (120, 37), (99, 98)):
        value = evaluate(f"{a} {sign} {b}")
        assert isinstance(value, int)
        for stated in (value, value + 1):
            (found,) = equalities(f"Here {said.format(a=a, b=b, c=stated)}.")
            assert (found.truth, found.result, set(found.operands)) == (stated == value, stated, {a, b}), said


def test_numbers_reads_commas_percent_and_signs():
    assert numbers("$1,200 at 20%, -3 and .5") == {1200, 20, Fraction(1, 5), 3, -3, Fraction(1, 2)}


def test_evaluate_is_exact_and_refuses_what_is_no_expression():
    assert evaluate("1/3 + 1/6") == Fraction(1, 2)
    assert evaluate("$1,200 * 2") == 2400
    assert evaluate("__import__('os')") is None
    assert evaluate("9^9^9^9") is None
    assert evaluate("") is None


@pytest.mark.parametrize(
    "text",
    [
        "(" * 100_000,
        "1=" * 20_000,
        "and " * 20_000 + "=",
        "9^" * 5_000 + "9 = 1",
        "\\frac{" * 20_000,
        "{" * 1_000_000,
        "x" * 100_000 + " = 1",
        "1 + " * 900 + "1 = 2",
    ],
)
def test_hostile_text_ends_quickly(text):
    import time

    start = time.process_time()
    equalities(text)
    assert time.process_time() - start < 5.0


def test_random_text_of_its_own_alphabet_never_breaks_the_reader():
    from random import Random

    random = Random(0)
    pieces = [
        "1",
        "2",
        "3.5",
        ".5",
        "1,000",
        "x",
        "x_1",
        "y",
        "a",
        "boxes",
        "box",
        "of",
        "the",
        "is",
        "equals",
        "plus",
    ]
    pieces += [
        "+",
        "-",
        "*",
        "/",
        "^",
        "=",
        "≈",
        "->",
        "=>",
        "(",
        ")",
        "[",
        "]",
        "%",
        "$",
        "¢",
        "¢",
        "\n",
        ".",
        ",",
        ":",
        " ",
    ]
    pieces += [
        "<<",
        ">>",
        "\\frac{1}{2}",
        "\\boxed{",
        "}",
        "hours",
        "minutes",
        "#",
        "half",
        "1/2",
        "5:30",
        "2x",
        "//",
        "+=",
    ]
    for _ in range(4000):
        text = "".join(random.choice(pieces) + random.choice(["", " "]) for _ in range(random.randint(1, 25)))
        for equality in equalities(text):
            assert equality.truth in (True, False, None)
        step_results(text)
        numbers(text)
        evaluate(text)
