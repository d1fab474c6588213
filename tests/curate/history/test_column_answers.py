"""Reading the answers of a column says what reading its texts one by one says."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recast.curate.history import row_diff
from recast.curate.history.column_answers import answers_changed, final_answers
from recast.curate.store.catalog import memory


def table(texts: list[str | None], answers: list[str | None]) -> pa.Table:
    return pa.table({"completion": pa.array(texts, pa.string()), "answer": pa.array(answers, pa.string())})


FRAGMENTS = st.sampled_from(
    [
        "#### ", "####", "\n", "\n#### ", "  #### ", "The answer is ", "the answer is: ", "cannot answer is ", "answer",
        "Final Answer: ", "The final answer is ", "\\boxed{", "}", "$", "\\fbox{7}", "72", "-5", "007", "1,200", "3.50",
        ".", " ", "A: ", "\nResult = ", '"answer": ', '"answer": 7', "solution is 4", "def f():\n", "return 5",
        "so x = 3",
        "é", "\u00a0", "could ", "to ", "72 apples", "_answer is 9", "ANSWER: 8", "The answer is 72.", "\n#### 72",
        "if ", "this that ", "he walks on ", "perhaps ", "option ",
        "The answer is $\\boxed{72}$.", "boxed", "The Answer is 5", "\r\n", "\u2028", "#", "9.", "\x0b", "\x85",
    ]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(st.lists(FRAGMENTS, max_size=7).map("".join), min_size=1, max_size=20))
@example(
    [
        "He walks on. So the answer is 72.",
        "he knows that the answer is 5",
        "if that is my answer the answer is 5",
    ]
)
@example(["The answer is 72.", "x\n#### 72\n", "so \\boxed{7}.", "We cannot say the answer is 5", "a #### 5"])
def test_a_column_states_what_its_texts_state(texts: list[str]) -> None:
    with memory() as con:
        found = final_answers(con, table([*texts, None], ["recorded"] * (len(texts) + 1)))
    expected = [row_diff.final_answer({"completion": text, "answer": "recorded"}) for text in [*texts, None]]
    assert found.to_pylist() == expected


@pytest.mark.parametrize(
    "before, after, changed",
    [
        (("x\n#### 72", None), ("The answer is 72.", None), 0),
        (("x\n#### 72", None), ("The answer is 73.", None), 1),
        (("x\n#### 0.5", None), ("so \\boxed{1/2}", None), 0),  # equal, though no two characters are
        (("nothing", "5"), ("nothing else", "5"), 0),
        (("nothing", "5"), ("nothing else", None), 1),
        (("nothing", None), ("nothing else", None), 0),
    ],
)
def test_changed_answers_are_counted_as_a_row_counts_them(before: Any, after: Any, changed: int) -> None:
    (was, recorded), (now, recorded_now) = before, after
    with memory() as con:
        assert answers_changed(con, table([was], [recorded]), table([now], [recorded_now])) == changed
    row = row_diff.RowDiff(
        "r", 0, "change", {"completion": was, "answer": recorded}, {"completion": now, "answer": recorded_now}
    )
    assert row.answer_changed == bool(changed)
