"""How often a grader is wrong, counted by hand."""

from __future__ import annotations

import pytest

from recast.curate.gate.labels import Labelled
from recast.train.graders.report import measure
from tests.bench.graders import solutions
from tests.train.graders.graders import NUMERIC, SIMILARITY, STRING_CHECK, grader

LIKE = {**STRING_CHECK, "operation": "like"}


def labelled(text, right, kind="plain", **row):
    return Labelled({"answer": "4", "row_id": "r", **row}, text, right, kind)


ANSWERS = [
    labelled("4", True), labelled("it is 4", True), labelled("four", True, "words/spelt"),
    labelled("5", False), labelled("14", False), labelled("4 or 5", False, "words/both"), labelled("5", None, "open"),
    labelled("4", True, answer=None),
]  # fmt: skip


def test_false_and_missed_credit_are_counted_with_intervals():
    found = measure(grader(LIKE), ANSWERS).to_json()
    assert (found["answers"], found["unlabelled"], found["pass_at"]) == (8, 1, 0.5)
    # wrong: 5, 14 and "4 or 5", of which two hold a 4; Wilson of 2 of 3
    assert found["false_credit"] == {
        "count": 2, "total": 3, "share": pytest.approx(2 / 3), "interval": pytest.approx((0.2077, 0.9385), abs=1e-3),
    }  # fmt: skip
    # right: one is spelt out, one has no score
    assert (found["missed_credit"]["count"], found["missed_credit"]["total"]) == (1, 4)
    assert (found["unscored"]["count"], found["unscored"]["total"]) == (1, 7)
    assert found["errors"] == {"invalid_variable_error": 1}
    assert found["mean_reward"] == {"right": pytest.approx(2 / 3), "wrong": pytest.approx(2 / 3)}
    assert found["separation"] == 0.5  # of 9 pairs 2 are won, 2 lost, 5 tie
    assert set(found["kinds"]) == {"plain", "words/spelt", "words/both"} and set(found["groups"]) == {"words"}
    assert found["unvouched"]["words/both"]["count"] == 1
    assert [(e["kind"], e["right"], e["reward"]) for e in found["examples"]] == [
        ("words/spelt", True, 0.0), ("plain", False, 1.0), ("words/both", False, 1.0),
    ]  # fmt: skip


def test_a_threshold_is_the_callers_or_the_graders_own():
    value = {**SIMILARITY, "pass_threshold": 0.95}
    assert measure(grader(value), ANSWERS[:1]).pass_at == 0.95
    assert measure(grader(value), ANSWERS[:1], pass_at=0.2).pass_at == 0.2
    assert measure(grader(SIMILARITY), ANSWERS[:1]).pass_at == 0.5


def test_separation_counts_what_a_threshold_cannot():
    texts = [labelled("it is 4, I think", True), labelled("it is 5, I think", False)]
    found = measure(grader(SIMILARITY), texts, pass_at=0.99)
    assert found.to_json()["separation"] == 1.0
    assert found.ensemble.false_rejects.count == 1


def test_answers_of_one_side_alone_have_no_separation():
    assert measure(grader(LIKE), ANSWERS[:2]).separation is None
    assert measure(grader(LIKE), []).to_json()["false_credit"]["total"] == 0


def test_numeric_is_of_one_mind_with_the_labels_of_real_solutions(shared_data):
    found = measure(grader(NUMERIC), solutions(shared_data))
    assert found.answers == 5276
    assert (
        found.ensemble.false_accepts.count,
        found.ensemble.false_rejects.count,
        found.ensemble.undecided.count,
    ) == (0, 0, 0)
