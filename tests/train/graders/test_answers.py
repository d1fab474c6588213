"""Graders that compare texts, numbers and lists, by examples worked out by hand."""

from __future__ import annotations

import pytest

from tests.train.graders.graders import EXACT, NUMERIC, RANKED, STRING_CHECK, grader, reward


@pytest.mark.parametrize(
    ("operation", "said", "reference", "worth"),
    [
        ("eq", "Paris", "Paris", 1), ("eq", "paris", "Paris", 0), ("eq", "Paris ", "Paris", 0), ("eq", "", "", 1),
        ("ne", "paris", "Paris", 1), ("ne", "Paris", "Paris", 0),
        ("like", "In Paris.", "Paris", 1), ("like", "In paris.", "Paris", 0), ("like", "Par", "Paris", 0),
        ("like", "anything", "", 1), ("like", "100", "1_0", 0), ("like", "100", "1%", 0),  # no wildcards
        ("ilike", "In PARIS.", "Paris", 1), ("ilike", "Par", "Paris", 0),
    ],
)  # fmt: skip
def test_string_check_asks_for_equality_or_containment(operation, said, reference, worth):
    value = {**STRING_CHECK, "operation": operation}
    assert reward(value, {"answer": reference}, said) == worth


@pytest.mark.parametrize(
    ("more", "answer", "said", "worth"),
    [
        ({}, "four", " four\n", 1), ({}, "four", "Four", 0), ({"ignore_case": True}, "four", "FOUR", 1),
        ({"ignore_space": False}, "four", "four ", 0), ({}, "a b", "a \n b", 1),
        ({}, ["three", "four"], "four", 1), ({}, ["three", "five"], "four", 0), ({}, 4, "4", 1),
        ({"reference": ["x", "{{ item.answer }}"]}, "four", "x", 1),
    ],
)  # fmt: skip
def test_exact_takes_any_of_its_references(more, answer, said, worth):
    assert reward({**EXACT, **more}, {"answer": answer}, said) == worth


@pytest.mark.parametrize(
    ("more", "answer", "said", "worth"),
    [
        ({}, "17", "12 + 5 = 17. The answer is 17.", 1),
        ({}, "17", r"So \boxed{17}", 1),
        ({}, "0.5", "The answer is 1/2.", 1),
        ({}, "0.33", "The answer is 1/3.", 0),
        ({"absolute": 0.01}, "0.33", "The answer is 1/3.", 1),  # 0.00333 away
        ({"absolute": 0.001}, "0.33", "The answer is 1/3.", 0),
        ({"relative": 0.05}, "200", "The answer is 209.", 1),  # 4.5 %
        ({"relative": 0.05}, "200", "The answer is 211.", 0),  # 5.5 %
        ({"absolute": 1}, "5 km", "The answer is 5.4 km.", 1),
        ({"absolute": 1}, "5 km", "The answer is 5.4 miles.", 0),
        ({"absolute": 1}, "50%", "The answer is 50.2.", 0),  # a percentage is no number of its size
        ({"wrong": 0.1}, "17", "The answer is 18.", 0.1),
        ({"wrong": 0.1}, "17", "I cannot tell.", 0),
        ({}, ["16", "17"], "The answer is 17.", 1),
        ({}, 17, "The answer is 17.", 1),
        ({"input": "{{ sample.output_json.total }}"}, "17", '{"total": 17}', 1),
    ],
)  # fmt: skip
def test_numeric_finds_the_final_answer_and_compares_it(more, answer, said, worth):
    assert reward({**NUMERIC, **more}, {"answer": answer}, said) == worth


def test_a_number_that_cannot_be_told_has_no_score():
    grade = grader(NUMERIC).grade({"answer": "the cat"}, "The answer is a cat of some kind.")
    assert (grade.reward, grade.scored, grade.value) == (0.0, False, None)
    assert "cannot be told" in grade.scores["undecided"]


@pytest.mark.parametrize(
    ("position", "worth"), [(1, 1.0), (2, 0.7), (3, 0.49), (4, 0.343), (10, 0.7**9), (11, 0.0)]
)
def test_a_position_is_worth_gamma_to_the_one_before_it(position, worth):
    causes = [f"cause {n}" for n in range(1, 13)]
    causes[position - 1] = "Gout."
    assert reward(RANKED, {"cause": "gout"}, "\n".join(causes)) == pytest.approx(worth)


@pytest.mark.parametrize(
    ("credit", "position", "worth"),
    [
        ([1, 0.5], 2, 0.5),
        ([1, 0.5], 3, 0.0),
        ([0.2], 1, 0.2),
        (0, 1, 1.0),
        (0, 2, 0.0),
        (1, 10, 1.0),
        (1, 11, 0.0),
    ],
)
def test_credit_may_be_a_list_and_the_list_is_bounded(credit, position, worth):
    causes = "\n".join([*("other" for _ in range(position - 1)), "gout"])
    assert reward({**RANKED, "credit": credit}, {"cause": "gout"}, causes) == worth


@pytest.mark.parametrize(
    "said",
    [
        '["flu", "gout"]', "1. flu\n2. gout", "1) flu\n2) gout", "- flu\n- **gout**", "flu\ngout", "(a) Flu\n(b) GOUT.",
        "Here are the causes:\n\n1. Flu\n2. Gout\n\nGood luck!", "• flu\n• gout", " [\"flu\",\n \"gout\"] ",
    ],
)  # fmt: skip
def test_a_list_is_found_as_json_or_lines(said):
    grade = grader(RANKED).grade({"cause": "gout"}, said)
    assert grade.reward == 0.7
    assert grade.scores == {"position": 2, "listed": 2}


@pytest.mark.parametrize(
    ("value", "said", "worth"),
    [
        ({**RANKED, "input": "{{ sample.output_json.causes }}"}, '{"causes": ["gout"]}', 1.0),
        ({**RANKED, "input": "{{ sample.output_json.causes }}"}, '{"causes": {"a": 1}}', 0.0),
        (RANKED, "gout and flu and more", 0.0),  # named in a sentence is no entry
        (RANKED, "", 0.0),
        (RANKED, "[" * 100_000, 0.0),
        (RANKED, "\n".join(["x"] * 200_000), 0.0),
        ({**RANKED, "match": "answer"}, "0.25\n1/2", 0.7),
    ],
)
def test_what_is_no_list_of_the_reference_earns_nothing(value, said, worth):
    assert reward(value, {"cause": "0.5" if value.get("match") else "gout"}, said) == worth


def test_the_best_position_of_several_right_causes_counts():
    assert reward(RANKED, {"cause": ["flu", "gout"]}, "cold\ngout\nflu") == 0.7


@pytest.mark.parametrize("value", [EXACT, NUMERIC, {**RANKED, "reference": "{{ item.answer }}"}])
@pytest.mark.parametrize("item", [{}, {"answer": None}, {"answer": ""}, {"answer": []}, {"answer": "  "}])
def test_a_row_without_a_reference_gives_no_score_and_a_flag(value, item):
    grade = grader(value).grade(item, "17")
    assert (grade.value, grade.errors.flags) == (None, ("invalid_variable_error",))
