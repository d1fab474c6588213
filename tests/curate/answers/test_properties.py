"""What must hold of any two answers: symmetry, reflexivity, no contradiction along a chain, an end in good time."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recast.curate.answers.convention import convention
from recast.curate.answers.extract import equivalent, find_answer
from recast.curate.gate.checks.answer import AnswerCheck
from recast.curate.gate.checks.case import Case

NUMBERS = st.one_of(
    st.integers(-50, 2000).map(str),
    st.sampled_from(["3.5", "0.35", "35%", "5‰", "\\frac{1}{2}", "2 1/3", "10²", "1.234,5", "1 234", "12-18", "4-4-2"]),
    st.sampled_from(["2021-03-05", "March 5, 2021", "03/05/2021", "10:30", "1:02:03", "2:3", "1011_2", "|x| < 3"]),
    st.sampled_from(["\\infty", "DNE", "undefined", "no solution", "at least 5", "x \\ge 5", "(1, 2]", "[1, 2)"]),
    st.sampled_from(["8 remainder 3", "3 out of 5", "minus 5", "1.10.0"]),
)  # fmt: skip
WORDS = st.sampled_from(
    "apples|red apples|km|m|mW|MW|hours|minutes|profit|loss|more|fewer|boys|girls|%|$|degrees|radians|°C|°F|kB|kb|dozen"
    "|million|per day|and|or|A|blue|not|".split("|")
)
PARTS = st.builds(lambda number, word: f"{number} {word}".strip(), NUMBERS, WORDS)
ANSWERS = st.one_of(
    PARTS,
    st.lists(PARTS, min_size=2, max_size=3).map(", ".join),
    st.lists(PARTS, min_size=2, max_size=3).map(" and ".join),
    st.lists(st.one_of(NUMBERS, WORDS), min_size=1, max_size=4).map(" ".join),
    st.text(alphabet="0123456789.,:/-+*^_=<>|()[]{}\\$%°² xyABand", max_size=16),
)


@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(ANSWERS, ANSWERS)
def test_the_order_of_the_two_answers_does_not_count(a, b):
    assert equivalent(a, b, symbolic=False) is equivalent(b, a, symbolic=False)


@settings(max_examples=1000, deadline=None, derandomize=True)
@given(ANSWERS)
def test_an_answer_equals_itself_or_is_empty(a):
    assert equivalent(a, a, symbolic=False) is (True if a.strip() else None) or not a.strip(" .;:?")


@settings(max_examples=1000, deadline=None, derandomize=True)
@given(ANSWERS)
def test_what_is_found_stands_in_the_text(answer):
    text = f"We think about it.\nIt is {answer}"
    found = find_answer(text)
    assert found is None or text.find(found.text, found.start) >= 0


# Forms of one value, all written out alike in unit and sign; the groups differ from one another.
FORMS = [
    ["35%", "0.35", "7/20", "\\frac{7}{20}", "35 percent", "35\\%", "350‰"],
    ["35", "thirty-five", "35.0", "70/2", "+35", "3.5 \\times 10^1"],
    ["100", "10²", "10^2", "1e2", "one hundred"],
    ["102", "1.02e2", "204/2"],
    ["2021-03-05", "March 5, 2021", "5 March 2021", "5th of March, 2021", "2021/3/5"],
    ["2021-05-03", "May 3, 2021", "3 May 2021"],
    ["9 chickens and 10 rabbits", "10 rabbits and 9 chickens", "9 chickens, 10 rabbits"],
    ["10 chickens and 9 rabbits", "9 rabbits, 10 chickens"],
    ["8 remainder 3", "8 R 3", "8 r 3", "8 with a remainder of 3"],
    ["5 mW", "0.005 W", "5 milliwatts"],
    ["5 MW", "5000 kW", "5 megawatts"],
    ["|x| < 3", "-3 < x < 3", "(-3, 3)", "x \\in (-3, 3)"],
    ["\\infty", "infinity", "∞", "+\\infty"],
    ["-\\infty", "negative infinity"],
    ["10-15 minutes", "10 to 15 minutes", "10–15 min"],
    ["5-10 minutes", "5 to 10 minutes"],
    ["-5", "minus five", "negative 5"],
    ["$5 loss", "5 dollars loss"],
    ["$5 profit", "5 dollars profit"],
    ["20 °C", "68 °F", "20 degrees Celsius"],
    ["20 °F", "20 degrees Fahrenheit"],
    ["1011_2", "1011_{\\text{two}}", "(1011)_2", "1011 base 2"],
]  # fmt: skip


def test_equality_is_transitive_on_related_forms():
    for group in FORMS:
        for a, b in product(group, group):
            assert equivalent(a, b, symbolic=False) is True, (a, b)
    for i, group in enumerate(FORMS):
        for other in FORMS[i + 1 :]:
            for a, b in product(group, other):
                assert equivalent(a, b, symbolic=False) is not True, (a, b)


@pytest.mark.parametrize(("bare", "percent"), [("35", "35%"), ("0.5", "0.5%"), ("12.5", "12.5%")])
def test_a_percentage_is_its_hundredth_and_the_question_tells_about_the_bare_figure(bare, percent):
    assert equivalent(bare, percent) is None


def test_the_row_tells_what_a_bare_figure_and_a_comma_mean():
    asked = convention("What percentage of the 40 eggs is brown?")
    assert asked.percent and equivalent("35", "35%", row=asked) is True
    assert equivalent("35 eggs", "35%", row=asked) is None, "eggs are no percent"
    assert not convention("What is 20 percent of 50?").percent, "ten is asked for"
    assert not convention("A coat costs 20% less. What does it cost?").percent
    comma = convention("Was kosten 3 Brote?", "3 * 2,50 € = 7,50 €\nDie Antwort ist 7,50.")
    assert comma.decimal_comma and equivalent("7,50", "7.5", row=comma) is True
    assert equivalent("1.234", "1234", row=comma) is True and equivalent("1.234", "1234") is False
    assert not convention("Find the sum of the points (3,4) and (1,25).").decimal_comma
    assert not convention("It costs 2,50 and 3.50.").decimal_comma, "two notations tell nothing"


@pytest.mark.parametrize(
    ("question", "status"),
    [("What percentage of the eggs is brown?", "pass"), ("How many eggs are brown?", "undecided")],
)
def test_the_answer_check_reads_the_notation_of_its_row(question, status):
    row = {"messages": [{"role": "user", "content": question}], "answer": "35"}
    check = AnswerCheck().run(Case("The answer is 35%.", "The answer is 35.", row))
    assert check.status == status
