"""The world's solver reads every question that the world asks, and no other."""

from __future__ import annotations

import pytest

from recast.pipelines.demo.solver import solve
from recast.pipelines.demo.world import DOWNSTREAM, FAMILIES, problems


@pytest.mark.parametrize("family", [*FAMILIES, DOWNSTREAM])
def test_it_solves_every_question_of_a_family(family: str) -> None:
    for problem in problems(family, "train", 60, seed=3):
        assert solve(problem.question) == problem.answer, problem.question


@pytest.mark.parametrize(
    "question",
    [
        "Anna has 12 pens. She frobs 5 pens. How many pens does Anna have now?",  # a verb of no meaning
        "Anna has 12 pens. She buys 5 hats. How many pens does Anna have now?",
        "Anna has 12 pens. He buys 5 pens. How many pens does Anna have now?",
        "Anna has 2 pens. She loses 5 pens. How many pens does Anna have now?",  # below nothing
        "Tom shares 7 hats equally among 2 friends. How many hats does each friend get?",
        "Which number comes next: 24, 31, 42, 51?",
        "Which number is larger, 5 or 5?",
        "Ella put the pen in the bag. Noah put the pen in the box. Where is the pen?",
        "All blims are daxes. Dan is one of the blims. Is Dan white?",  # nothing follows
        "What is the color of Nowhere?",
        "How many inches are 5 hours and 9 inches?",
        "Hello?",
    ],
)
def test_what_has_no_single_answer_has_none(question: str) -> None:
    assert solve(question) is None
