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
]
SILENT = [
    "",
    "Tom has 5 more than 12, so 18.",
    "x = 5",
    "There are 3 = three of them",
    "if x <= 5 and y != 7",
    "The score was 3:2 at 5:30.",
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
