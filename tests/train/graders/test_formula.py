"""The formula of a multi grader: what it is worth, and what is no formula."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recast.train.graders.format.formula import MAX_CHARS, MAX_DEPTH, FormulaError, formula

VALUES = {"a": 0.5, "b": 2.0, "c_1": -3.0, "min_": 7.0}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a", 0.5),
        ("a + b * 3", 6.5),
        ("(a + b) * 3", 7.5),
        ("b - a - a", 1.0),  # from the left
        ("8 / b / 2", 2.0),
        ("2 ^ 3 ^ 2", 512.0),  # from the right
        ("-2 ^ 2", -4.0),  # the power is stronger
        ("2 ^ -1", 0.5),
        ("--a", 0.5),
        ("+a", 0.5),
        ("b*-a", -1.0),
        ("min(a, b, c_1)", -3.0),
        ("max(a, b)", 2.0),
        ("min(a)", 0.5),
        ("abs(c_1)", 3.0),
        ("floor(2.7) + ceil(2.1)", 5.0),
        ("exp(0) + log(exp(2)) + sqrt(9)", 6.0),
        ("min_", 7.0),
        (".5 + 1. + 1e1", 11.5),
        ("\n a\t+ b ", 2.5),
    ],
)
def test_a_formula_is_worth_what_mathematics_says(text, value):
    assert formula(text).value(VALUES) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is empty"),
        ("   ", "it is empty"),
        ("a +", "it ends where a number"),
        ("(a + b", r"the end was found; expected \)"),
        ("a + b)", r"'\)' at character 5 was not expected"),
        ("a b", "'b' at character 2 was not expected"),
        ("a ** b", r"'\*' at character 3"),
        ("a, b", "',' at character 1"),
        ("median(a)", "there is no function 'median'"),
        ("__import__('os')", "there is no function '__import__'"),
        ("min", "min is a function"),
        ("min()", "was not expected"),
        ("sqrt(a, b)", "sqrt takes one argument, found 2"),
        ("a.b", "'.' at character 1"),
        ("a[0]", r"'\[' at character 1"),
        ("a if b else a", "was not expected"),
        ("1e999", "too large"),
        ("a == b", "'=' at character 2"),
        ("a % b", "'%' at character 2"),
        ("ａ", "'ａ' at character 0"),  # a letter, and none of a name of ours
        ("(" * (MAX_DEPTH + 1) + "a" + ")" * (MAX_DEPTH + 1), "nested more than 64 deep"),
        ("-" * 100_000 + "a", "at most 4096"),
        ("-" * 1000 + "a", "nested more than 64 deep"),
        ("a^" * 1000 + "a", "nested more than 64 deep"),
        ("a+" * MAX_CHARS + "a", "at most 4096"),
    ],
)
def test_what_is_no_formula_is_said_with_its_place(text, reason):
    with pytest.raises(FormulaError, match=reason):
        formula(text)


def test_a_long_chain_is_no_nesting():
    assert formula("a" + "+a" * 2000).value({"a": 1.0}) == 2001.0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a / 0", "/ of 0.5, 0"),
        ("0 / 0", "/ of 0, 0"),
        ("log(0)", "log of 0"),
        ("log(c_1)", "log of -3"),
        ("sqrt(c_1)", "sqrt of -3"),
        ("c_1 ^ a", "no finite number"),  # complex
        ("0 ^ -1", r"\^ of 0, -1"),
        ("10 ^ 1000", r"\^ of 10, 1000"),
        ("exp(1000)", "exp of 1000"),
        ("1e308 * 10", "no finite number"),
        ("1e308 * 10 - 1e308 * 10", "no finite number"),
        ("0 * (1 / 0)", "/ of 1, 0"),  # nothing hides it
    ],
)
def test_a_result_that_is_no_finite_number_is_an_error(text, reason):
    with pytest.raises(FormulaError, match=reason):
        formula(text).value(VALUES)


def test_names_are_those_of_the_graders_that_are_used():
    assert formula("min(a, 2) + a * b_2").names == {"a", "b_2"}
    with pytest.raises(FormulaError, match="there is no grader 'a'"):
        formula("a").value({})


@given(st.recursive(
    st.one_of(st.floats(0.1, 9).map(lambda x: f"{x:.3f}"), st.sampled_from("ab")),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        inner.map(lambda t: f"-{t}"),
        st.tuples(inner, inner).map(lambda t: f"max({t[0]}, {t[1]})"),
    ),
    max_leaves=12,
))  # fmt: skip
def test_where_python_means_the_same_the_values_agree(text):
    names = {"a": 0.3, "b": 1.7}
    try:
        expected = eval(text, {"max": max}, names)
    except ZeroDivisionError:
        with pytest.raises(FormulaError):
            formula(text).value(names)
        return
    assert math.isclose(formula(text).value(names), expected, rel_tol=1e-12)


@given(st.text(alphabet="ab01.+-*/^(), emin\n", max_size=60))
def test_any_text_is_a_formula_or_a_formula_error(text):
    with contextlib.suppress(FormulaError):
        formula(text).value({"a": 1.0, "b": 2.0})
