"""Final answers are found in every common form, and equal answers are equal: exactly, or not at all."""

from __future__ import annotations

import json
import os
import signal

import pytest

from recast.curate.answers import cas_worker
from recast.curate.answers.extract import Answer, equivalent, final_answer, find_answer

FOUND = [
    ("The answer is blue.", "blue"),
    ("The answer is 12, 25, 31.", "12, 25, 31"),
    ("The answer is $1,200.50 per day.", "$1,200.50 per day"),
    ("Therefore, the answer is <203>.", "203"),
    ("She sold 72 clips.\n#### 72", "72"),
    ("So \\boxed{\\frac{1}{2}} it is", "\\frac{1}{2}"),
    ("so $\\boxed{ 3 }$.", "3"),
    ("first \\boxed{3} then, the final answer: \\boxed{5}", "5"),
    ("6 * 3 = 18\nA: 18", "18"),
    ("**Answer:** (B)", "(B)"),
    ("**Answer: 42**", "42"),
    ("Final answer: $42$.", "42"),
    ("The correct answer is option C.", "C"),
    ('{"steps": 3, "answer": "blue"}', "blue"),
    ('{"answer": 42}', "42"),
    ("Answer: -3", "-3"),
    ("The answer is yes.", "yes"),
    ("The answer is 3.5. That is all.", "3.5"),
    ("The answer to this question is \\(x = 5\\).", "x = 5"),
    ("In the end she has 72 clips.", "72"),
    ("It costs $1,250.75 in all", "$1,250.75"),
    ("ans: 7", None),
]


@pytest.mark.parametrize(("text", "expected"), [f for f in FOUND if f[1] is not None])
def test_the_stated_answer_is_found(text, expected):
    assert final_answer(text) == expected


@pytest.mark.parametrize(
    "text", ["", "No number here", "def solution():\n    a = 3\n    answer = a + 4\n    return answer"]
)
def test_nothing_is_made_up(text):
    assert final_answer(text) is None


def test_the_last_number_is_a_marked_guess_that_can_be_refused():
    found = find_answer("She has 12, then 72 clips.")
    assert found is not None and (found.text, found.marker) == ("72", "last_number")
    assert find_answer("She has 12, then 72 clips.", False) is None


def found(text: str) -> Answer:
    answer = find_answer(text)
    assert answer is not None, text
    return answer


def test_contradicting_answers_are_not_final_and_agreeing_ones_are():
    assert not found("The answer is 5. The answer is 6.").final
    assert not found("\\boxed{3} and \\boxed{5}").final
    assert found("\\boxed{0.5} and \\boxed{1/2}").final
    assert found("The answer is 5.\n#### 6").final, "four hashes mark the one that counts"


def test_an_unclosed_box_is_no_answer():
    assert final_answer("\\boxed{\\frac{1}{2}") != "\\frac{1}{2}"


EQUAL = [
    ("0.5", "1/2"), ("\\frac12", "0.5"), ("\\frac{1}{2}", "\\dfrac{1}{2}"), ("$1,200", "1200"), ("18", "18.0"),
    ("12, 25, 31", "[12, 25, 31]"), ("50%", "0.5"), ("B", "(b)"), ("(B) blue", "B"),
    ("5 km", "5000 m"), ("18", "18 dollars"), ("twelve", "12"), ("x=1 or x=2", "2, 1"), ("3 1/2", "3.5"),
    ("Blue", "blue"), ("the cat", "cat"), ("\\text{blue}", "blue"), ("{1, 2}", "{2, 1}"), ("−3", "-3"),
    ("x = 5", "5"), ("50 cents", "$0.50"), ("2 hours", "120 minutes"), ("\\{1,2\\}", "\\{2,1\\}"),
]  # fmt: skip
UNEQUAL = [
    ("18", "-18"), ("B", "C"), ("blue", "red"), ("12, 25, 31", "12, 31, 25"), ("1/2", "1/3"), ("5 km", "5 m"),
    ("\\frac{1}{2}", "\\frac{1}{3}"), ("yes", "no"), ("[1,2)", "(1,2]"), ("1,200", "1,201"), ("12, 25", "12, 25, 31"),
    ("0.333", "1/3"), ("blue", "5"),
]  # fmt: skip
UNKNOWN = [
    ("50%", "50"),
    ("5 apples", "5 oranges"),
    ("blue", "the color blue"),
    ("", "3"),
    ("(1,2)", "[1,2]"),
]


@pytest.mark.parametrize(("a", "b"), EQUAL)
def test_equal_answers(a, b):
    assert equivalent(a, b, symbolic=False) is True
    assert equivalent(b, a, symbolic=False) is True


@pytest.mark.parametrize(("a", "b"), UNEQUAL)
def test_unequal_answers(a, b):
    assert equivalent(a, b, symbolic=False) is False
    assert equivalent(b, a, symbolic=False) is False


@pytest.mark.parametrize(("a", "b"), UNKNOWN)
def test_what_cannot_be_told_is_undecided(a, b):
    assert equivalent(a, b, symbolic=False) is None


def test_computer_algebra_runs_in_a_child_that_can_be_killed():
    pytest.importorskip("math_verify")
    assert equivalent("x+1", "1+x") is True
    assert equivalent("\\sqrt{8}", "2\\sqrt{2}") is True
    cas_worker.close()
    assert cas_worker.verify("x+1", "1+x") is True
    (asked,) = cas_worker._shared_pool().idle
    os.kill(asked.process.pid, signal.SIGSTOP)  # a child that is quick, and a parent that is not, would race
    assert cas_worker.verify("y+1", "1+y", 0.01) is None, "a child that stands still answers nothing"
    assert asked.process.poll() is not None, "the child that overran is dead"
    assert cas_worker.verify("z+1", "1+z") is True
    (another,) = cas_worker._shared_pool().idle
    assert another.process.pid != asked.process.pid, "the next request got a child of its own"
    cas_worker.close()
    assert another.process.poll() is not None


def test_a_tower_of_powers_is_given_to_no_child():
    cas_worker.close()
    assert cas_worker.verify("9^{9^{9^{9}}}", "9^{9^{9^{8}}}") is None
    assert cas_worker._shared_pool().idle == []


def test_every_gsm8k_answer_is_extracted_and_accepts_itself(shared_data):
    rows = [
        json.loads(line)
        for name in ("train", "test")
        for line in (shared_data / "gsm8k" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    wrong = [
        r
        for r in rows
        if equivalent(final_answer(r["answer"]) or "", r["answer"].split("####")[1]) is not True
    ]
    assert len(rows) == 8792
    assert wrong == []


def test_four_models_solutions_are_judged_as_their_labels_say(shared_data):
    path = shared_data / "gsm8k" / "example_model_solutions.jsonl"
    judged = 0
    for row in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
        reference = final_answer(row["ground_truth"])
        assert reference is not None, row
        for labelled in (v for v in row.values() if isinstance(v, dict)):
            stated = final_answer(labelled["solution"])
            right = stated is not None and equivalent(stated, reference) is True
            assert right is labelled["is_correct"], labelled
            judged += 1
    assert judged == 5276
