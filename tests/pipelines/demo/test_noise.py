"""Wrong demonstrations and questions put badly: what changes and what does not."""

from __future__ import annotations

import json
import random
from pathlib import Path

from recast.curate.arithmetic.equalities import false_equalities
from recast.pipelines.demo import files
from recast.pipelines.demo.noise import DISTURBANCES, disturbed, mislabelled
from recast.pipelines.demo.styles import latex
from recast.pipelines.demo.world import DOWNSTREAM, Problem, problems, step


def test_a_wrong_demonstration_takes_one_operation_for_another_and_goes_on_from_there() -> None:
    # 10 + 4 = 14, 14 * 2 = 28
    chain = Problem("craft", "?", (step("a", 10, "+", 4), step("b", 14, "*", 2)), "28")
    found = {
        str(p.answer): [s.equation for s in p.steps]
        for i in range(20)
        if (p := mislabelled(chain, random.Random(i)))
    }
    assert found == {"12": ["10 - 4 = 6", "6 * 2 = 12"], "16": ["10 + 4 = 14", "14 + 2 = 16"]}


def test_a_chain_is_left_alone_where_every_other_operation_falls_below_0() -> None:
    assert mislabelled(Problem("craft", "?", (step("a", 3, "+", 4),), "7"), random.Random(0)) is None


def test_its_sums_are_right_so_no_check_of_sums_finds_it() -> None:
    found = (mislabelled(p, random.Random(0)) for p in problems(DOWNSTREAM, "train", 40, 0))
    wrong = [p for p in found if p]
    assert len(wrong) > 30
    assert not any(false_equalities(latex(p)) for p in wrong)


def test_a_share_of_the_rows_is_wrong_and_the_others_are_those_of_the_seed(tmp_path: Path) -> None:
    clean = files.write_demonstrations(tmp_path / "clean.jsonl", 50, "latex", 3).read_text().splitlines()
    noisy = (
        files.write_noisy_demonstrations(tmp_path / "noisy.jsonl", 50, "latex", 3, 0.2)
        .read_text()
        .splitlines()
    )
    assert (
        files.write_noisy_demonstrations(tmp_path / "none.jsonl", 50, "latex", 3, 0.0)
        .read_text()
        .splitlines()
        == clean
    )
    changed = [(json.loads(a), json.loads(b)) for a, b in zip(clean, noisy, strict=True) if a != b]
    assert len(changed) == 10
    assert all(a["question"] == b["question"] and a["answer"] != b["answer"] for a, b in changed)
    assert all(f"\\boxed{{{b['answer']}}}" in b["solution"] for _, b in changed)


def test_prompts_to_validate_on_are_none_of_those_trained_on(tmp_path: Path) -> None:
    asked = {p.question for p in problems(DOWNSTREAM, "train", 30, 7)}
    rows = [
        json.loads(x)
        for x in files.write_prompts(tmp_path / "v.jsonl", 20, 7, without=asked).read_text().splitlines()
    ]
    assert len(rows) == 20
    assert not asked & {row["messages"][0]["content"] for row in rows}


QUESTION = "Anna has 12 pens. She bolsters the pens by 5. How many pens does Anna have now?"


def test_a_question_put_badly_asks_the_same() -> None:
    problem = Problem(
        "craft", QUESTION, (step("She bolsters the pens by 5", 12, "+", 5),), "17", "Anna has 12 pens."
    )
    said = {kind: disturbed(problem, kind, random.Random(1)) for kind in DISTURBANCES}
    assert {p.answer for p in said.values()} == {"17"}
    turned = said["question_first"].question
    assert turned == "How many pens does Anna have now? Anna has 12 pens. She bolsters the pens by 5."
    added = said["distractor"].question
    (extra,) = [s for s in added.replace("?", ".").split(". ") if s not in QUESTION.replace("?", ".")]
    assert "Anna" not in extra and "pens" not in extra and added.startswith("Anna has 12 pens. ")
    typed = said["typos"].question
    assert typed != QUESTION and sorted(typed) == sorted(QUESTION), "letters are swapped, none is lost"
    assert [w for w in typed.split() if w.strip(".").isdigit()] == ["12", "5."]
