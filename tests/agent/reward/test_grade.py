"""How far a refused candidate came, worked out by hand for one row."""

from __future__ import annotations

import pytest

from recast.agent.reward.grade import grade
from recast.curate.gate.gate import load_gate
from recast.curate.records import Verdict, VerdictStatus

GATE = load_gate("strict")
ROW = {
    "messages": [
        {
            "role": "user",
            "content": "Anna had 12 pens. She bought 5 pens and gave 3 pens to Tom. How many pens has Anna?",
        }
    ],
    "demonstration": "Anna bought pens, so she had 12 + 5 = 17 pens. She gave some to Tom, which left her with "
    "17 - 3 = 14 pens in the end, and that is how many pens Anna has. The answer is 14.",
    "answer": "14",
}
RIGHT = (
    "With the pens she bought, Anna has 12 + 5 = 17 pens. Tom gets 3 of them: 17 - 3 = 14. The answer is 14."
)


def graded(text: str, finish_reason: str = "stop") -> float:
    return grade(GATE.verify(ROW, text, finish_reason=finish_reason))


def test_what_passes_the_gate_has_no_grade_and_what_nothing_decided_has_none() -> None:
    assert GATE.verify(ROW, RIGHT).accepted and graded(RIGHT) == 0.0
    assert grade(Verdict(VerdictStatus.UNVERIFIABLE, "no_reference_answer")) == 0.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0.0),
        ("Anna has 12 + 5 = 17 pens and gives 3 to Tom.", 0.0),  # no answer
        (RIGHT.replace("is 14", "is 15"), 0.0),  # all steps, and another answer
        ("The answer is 14.", 0.2),  # the answer, none of two steps
        ("The answer is 14. The answer is 14. The answer is 14.", 0.2),
        ("Anna bought pens and has 12 + 5 = 17 pens. The answer is 14.", 0.2 + 0.3 / 2),
    ],
)
def test_the_answer_gives_the_right_to_the_rest_and_steps_count_by_their_share(
    text: str, expected: float
) -> None:
    assert not GATE.verify(ROW, text).accepted
    assert graded(text) == pytest.approx(expected)


def test_of_what_has_all_steps_the_other_checks_count_by_their_share() -> None:
    verdict = GATE.verify(ROW, RIGHT.replace("Tom gets", "Rosalind gets"))
    others = [c for c in verdict.checks if c.name not in ("answer", "format", "copy", "steps")]
    failed = [c.name for c in others if c.status != "pass"]
    assert failed and "names" in failed
    assert grade(verdict) == pytest.approx(0.5 + 0.2 * (1 - len(failed) / len(others)))


@pytest.mark.parametrize(
    "text",
    [
        ROW["demonstration"],
        # the request said again holds answer and steps
        f"{ROW['messages'][0]['content']}\n\nSolution:\n{ROW['demonstration']}\n\nRewrite the solution in your own "
        "words, as you would answer the question yourself. Keep every result and the final answer.",
    ],
)
def test_a_copy_of_the_demonstration_or_the_request_earns_nothing(text: str) -> None:
    assert GATE.verify(ROW, text).reason in ("copy", "meta_talk", "prompt_told")
    assert graded(text) == 0.0


def test_what_was_cut_off_earns_nothing() -> None:
    assert graded(RIGHT, "length") == 0.0


def test_a_gate_that_asks_for_no_answer_grades_nothing() -> None:
    verdict = load_gate("code").verify({**ROW, "demonstration": "```python\nprint(14)\n```"}, "print(14)")
    assert not verdict.accepted and grade(verdict) == 0.0
