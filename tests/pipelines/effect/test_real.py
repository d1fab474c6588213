"""The proof on a real model: its world, its checks, its plan, its figures, and a small one run whole on the pocket."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from recast.curate.errors import DataError
from recast.curate.gate.gate import load_gate
from recast.pipelines.demo.styles import annotated, qa
from recast.pipelines.effect import cells
from recast.pipelines.effect.grid import Arm, Cell
from recast.pipelines.effect.real import (
    checks,
    instructions,
    measurements,
    plan,
    problems,
    proof,
    subject,
    table,
)
from recast.pipelines.effect.real.grid import AGENT, DATA, HEADLINE, SDFT, SETTINGS, RealGrid
from recast.pipelines.effect.real.measurements import DataSet, Measurement
from recast.pipelines.run import stages
from recast.train.evaluation.results import ItemResult, Outcome
from recast.train.graders.format import schema
from recast.train.graders.grader import Grader

SMALL = RealGrid(rows=16, target_items=16, general_items=2, drift_items=1, seeds=2)


def test_a_comparison_is_whole_before_anything_else_is_run() -> None:
    grid = RealGrid()
    first = grid.first_seed()
    assert [(cell.arm.data, cell.lr) for cell in first[:3]] == [(data, grid.lrs[0]) for data in HEADLINE]
    assert len(first) == 8 and {cell.seed for cell in first} == {0}, "four data sets at two rates"
    chosen = {Arm(data): grid.lrs[1] for data in DATA} | {Arm(SDFT): grid.lrs[0]}
    further = grid.further_seeds(chosen)
    assert [cell.seed for cell in further] == [1, 1, 1, 2, 2, 2, 1, 2]
    assert all(cell.lr == chosen[cell.arm] for cell in further)


def test_every_reference_solution_of_the_problems_is_right_and_splits_are_apart() -> None:
    train, test = (list(problems.draw(split, 140, 0)) for split in ("train", "test"))
    assert Counter(p.family for p in train) == dict.fromkeys((k.__name__ for k in problems.KINDS), 10)
    for problem in [*train, *test]:
        for step in problem.steps:
            assert eval(step.equation.replace("=", "==")) and step.result > 0, problem
        assert problem.answer == str(problem.steps[-1].result)
    assert not {p.question for p in train} & {p.question for p in test}
    other = {p.question for p in problems.draw("train", 140, 1)}
    assert len(other - {p.question for p in train}) > 130, "another seed asks other questions"


def test_the_gate_takes_a_solution_in_plain_words_and_refuses_the_notation_itself() -> None:
    gate = load_gate(SETTINGS["gate"])
    for problem in problems.draw("train", 28, 0):
        row = {
            "messages": [{"role": "user", "content": problem.question}],
            "demonstration": annotated(problem),
        }
        row |= {"answer": problem.answer, "task": problems.TASK}
        assert gate.verify(row, qa(problem)).accepted, problem
        assert gate.verify(row, annotated(problem)).reason == "copy", problem


def test_the_reference_reply_of_every_instruction_does_what_is_asked() -> None:
    for family, one in instructions.draw("a test", 20, tuple(instructions.POOL)):
        assert checks.grade({"output_text": one.reply}, {"check": one.check}) == 1.0, (family, one)


@pytest.mark.parametrize(
    ("kind", "value", "right", "wrong"),
    [
        ("only", "Paris", ["Paris.", "**paris**"], ["Paris is it", "#### Paris", "Rome"]),
        ("exactly", "It rained.", ["It rained.", '"It rained."'], ["it rained.", "It rained. #### 1"]),
        ("has", "red", ["It is Red."], ["It is tired."]),
        ("lacks", ["Ann"], ["Anna did"], ["Ann did"]),
        ("spells", "GARDEN", ["GARDEN", "So: GARDEN"], ["Garden"]),
        ("num_entries", 3, ["1. a\n2. b\n3. c", "- a\n- b\n- c", "a, b and c", "Sure:\n* a\n* b\n* c", "a\nb\nc"],
         ["1. a\n2. b", "a, b"]),
        ("num_sentences", 2, ["I came. I saw.", "Really? Yes."], ["I came, I saw."]),
        ("begins", "Today", ["Today it rains.", '"Today" is a word'], ["today it rains", "Todays", "It is Today"]),
        ("ends", "at home", ["We stay at home.", 'We stay "at home".'], ["at home we stay"]),
        ("first", "Yes", ["yes, it is", "Yes"], ["It is: yes", "No"]),
        ("numbers", [3, 12], ["3, 12", "3\n12"], ["12, 3", "3, 12, 3+12=15"]),
        ("in_a_row", [3, 4], ["3, 4, 5", "from 3 to 4: 3, 4"], ["4, 3", "3 and 5, 4"]),
        ("min_lines", 2, ["a\n\nb"], ["a", "a\n"]),
        ("ordered", ["ape", "bee"], ["ape, bee", "bee, ape: so ape, bee"], ["bee, ape"]),
        ("json_of", {"name": "Ann", "age": 3}, ['{"name": "Ann", "age": 3}', '```json\n{"age": "3", "name": "Ann"}```'],
         ['{"name": "Ann"}', "name: Ann", '{"name": "Ann", "age": 3']),
    ],
)  # fmt: skip
def test_a_condition_tells_replies_apart(kind: str, value: Any, right: list[str], wrong: list[str]) -> None:
    told = {reply: bool(checks.CONDITIONS[kind](reply, value)) for reply in [*right, *wrong]}
    assert told == dict.fromkeys(right, True) | dict.fromkeys(wrong, False)


def test_every_condition_is_used_by_a_family_and_known() -> None:
    used = {
        kind for _, one in instructions.draw("a test", 8, tuple(instructions.POOL)) for kind, _ in one.check
    }
    assert used == set(checks.CONDITIONS)


def test_an_empty_reply_does_nothing_that_is_asked() -> None:
    assert checks.grade({"output_text": " "}, {"check": [["lacks", ["x"]]]}) == 0.0


def test_the_conditions_grade_as_a_grader_of_one_file() -> None:
    grader = Grader(schema.parse(subject.grader(), "grader"))
    item = {"check": [["has", "Dan"], ["lacks", ["Gina"]]]}
    grades = grader.grade_many([item] * 2, ["Dan buys butter.", "Gina does, and Dan."])
    assert [grade.value for grade in grades] == [1.0, 0.0]


def test_families_were_kept_by_the_rule() -> None:
    assert instructions.FOLLOWED.keys() == instructions.POOL.keys()
    assert len(instructions.KEPT) == 19 and len(instructions.KEPT) * RealGrid().general_items == 304
    assert {"as_json", "copying"} < {*instructions.KEPT}, "13 and 17 of 24"
    assert not {"naming", "numbered"} & {*instructions.KEPT}, "10 of 24 each"


def test_what_chose_the_families_is_not_asked_again(tmp_path: Path) -> None:
    made = subject.write(tmp_path, RealGrid(rows=16))
    asked, drift = (
        [json.loads(x)["prompt"] for x in p.read_text().splitlines()] for p in (made.general, made.drift)
    )
    tried = {one.prompt for _, one in subject.tried()}
    assert not tried & {*asked, *drift} and not {*asked} & {*drift}
    assert len(set(asked)) == len(asked) and Counter(
        json.loads(x)["task"] for x in made.general.read_text().splitlines()
    ) == dict.fromkeys(instructions.KEPT, RealGrid().general_items)
    counted = Counter(json.loads(x)["task"] for x in made.drift.read_text().splitlines())
    assert counted == dict.fromkeys(instructions.KEPT, RealGrid().drift_items)
    again = subject.write(tmp_path / "again", RealGrid(rows=16))
    assert again.general.read_bytes() == made.general.read_bytes()


def test_stages_of_a_cell_share_its_data_and_measure_both_ways(tmp_path: Path) -> None:
    made = subject.write(tmp_path, SMALL)
    one, two = (plan.stages(Cell(Arm(AGENT), lr, 0), made, "smollm2") for lr in SMALL.lrs)
    together = {stage["name"]: stage for stage in [*one, *two]}
    planned = stages.Plan.of(list(together.values()))
    assert Counter(stage.verb for stage in planned.stages) == {
        "import": 1,
        "learn": 1,
        "rewrite": 1,
        "sft": 2,
        "eval": 8,
    }
    left, missed = (together[f"{way}-agent-typical-nll-lr0-001-0"]["args"] for way in ("left", "missed"))
    assert (left["model"], left["kl_to"]) == (missed["kl_to"], missed["model"])
    assert missed["model"] == "smollm2"
    assert {"learn", "rewrite"} == {s["verb"] for s in one if "prompts" in s["config"]}
    assert not any("prompts" in s["config"] for s in plan.stages(Cell(Arm(SDFT), 1e-3, 0), made, "smollm2"))
    asked = {s["name"] for s in plan.stages(None, made, "smollm2")}
    assert asked == {"task-base", "general-base"}, "a backbone is not measured against itself"


def item(suite: str, task: str, right: bool, gold: float | None = None) -> ItemResult:
    return ItemResult(suite, "", task, Outcome.RIGHT if right else Outcome.WRONG, None, "", "", gold)


def record(name: str, task: int, general: int, num: int = 80, **more: Any) -> Measurement:
    """The first `task` and `general` questions are right; drift and likelihood are the same for every question."""
    asked = [item("instructions", "copying", i < general, -1.0) for i in range(num)]
    items = [*(item("problems", "problems", i < task) for i in range(num)), *asked]
    drift: list[float | None] = [0.5] * 4
    one = Measurement(
        name, "f" * 16, cells.lettered(items), measurements.golds(asked), drift, drift, 1.0, 60, 9000,
        [(30, 1.0), (60, 0.5)],
    )  # fmt: skip
    return replace(one, **more)


def rows(rewritten: int, accepted: int) -> DataSet:
    return DataSet(100, rewritten, 400, accepted, 0.5, 1.5, 1.0, "g", [(1, 0.1), (2, 0.2)], 60.0)


def test_a_line_of_a_cell_says_all_that_its_figures_need(tmp_path: Path) -> None:
    one = record("a", 10, 30, data=rows(70, 120))
    path = tmp_path / "cells.jsonl"
    cells.append(path, one)
    assert measurements.read(path, "f" * 16) == {"a": one}
    assert measurements.read(path, "0" * 16) == {}, "of other settings nothing counts"
    assert one.result().figures("problems").right == 10
    assert one.result().figures("instructions").gold_loglik == -1.0
    path.write_text('{"name": "a"}\n')
    with pytest.raises(DataError, match="line 1 is no measurement"):
        measurements.read(path, "f" * 16)


def test_a_reply_is_right_where_the_grader_says_so() -> None:
    graded = [replace(item("i", "t", True), reward=reward) for reward in (1.0, 0.0, None)]
    assert [i.outcome for i in measurements.followed(graded)] == [
        Outcome.RIGHT,
        Outcome.WRONG,
        Outcome.UNDECIDED,
    ]


def test_a_curve_is_means_of_a_few_steps() -> None:
    lines = [{"step": i, "loss": float(i)} for i in range(1, 7)] + [{"step": 7}]
    assert measurements.curve(lines, "loss", 3) == [(2, 1.5), (4, 3.5), (6, 5.5)]


def test_edits_are_those_of_rewritten_rows() -> None:
    said = [
        ("a b c d", "a b c d", "fallback"),
        ("a b c d", "a b x y", "rewrite"),
        ("a b c d", "x y z w", "repair"),
    ]
    kept = [{"demonstration": d, "completion": c, "decision": k} for d, c, k in said]
    rewriting = {
        "rows": 3,
        "num_candidates": 12,
        "num_accepted": 4,
        "nll_demonstration": 1.0,
        "nll_completion": 0.5,
    }
    made = measurements.data_set(rewriting, kept, "g", [], 1.0)
    assert (made.rewritten, made.edit) == (2, 0.75)  # half of the words, and all of them


def test_a_mean_over_seeds_is_one_over_questions_where_there_is_one() -> None:
    # two seeds with means 1 and 3: t of one degree is 12.706, standard error 1
    assert table.over([[0.0, 2.0], [3.0]]).high == pytest.approx(2 + 12.706, abs=0.01)
    assert table.over([[1.0, 1.0, 1.0]]) == table.Interval(1.0, 1.0, 1.0)


def found(**seconds: Measurement) -> dict[str, Measurement]:
    """A seed with everything at the first rate."""
    grid = RealGrid()
    base = record("base", 20, 60, left=[], missed=[])
    known = {
        "demonstrations": record("d", 40, 20),
        "prompt": record("p", 40, 30, start_loss=0.9, data=rows(10, 20)),
        AGENT: record("a", 44, 58, start_loss=0.5, data=rows(80, 160)),
    } | seconds
    return {"base": base} | {Cell(Arm(data), grid.lrs[0], 0).name: one for data, one in known.items()}


def test_bounds_are_held_missed_or_open(tmp_path: Path) -> None:
    said = proof.report(tmp_path, RealGrid(), found())
    held = {bound["name"]: bound["held"] for bound in said["bounds"]}
    assert list(held.values()) == [True, True, True, True, True, True, True, True]
    assert said["models"] == 3 and said["arms"][2]["agent"]
    text = (tmp_path / "table.md").read_text()
    assert "| agent, typical |" in text and "3 of 16 models." in text
    assert "| copying | 75 | 25 | 38 | 72 |" in text, "60, 20, 30 and 58 of 80"
    for name in ("plane.svg", "loss.svg", "learning.svg"):
        assert (tmp_path / name).stat().st_size > 200

    bad = {AGENT: record("a", 30, 25, start_loss=0.95, data=replace(rows(50, 30), edit=0.1))}
    missed = proof.report(tmp_path, RealGrid(), found(**bad))["bounds"]
    assert [bound["held"] for bound in missed] == [False, False, False, False, False, False, False, False]

    some = {name: one for name, one in found().items() if AGENT not in name}
    assert all(bound["held"] is None for bound in proof.report(tmp_path, RealGrid(), some)["bounds"])

    mild = {"demonstrations": record("d", 40, 56)}  # forgets 5 points
    said = proof.report(tmp_path, RealGrid(), found(**mild))["bounds"]
    assert said[2]["held"] is None and "demonstrations lose" in said[2]["found"]


def test_rates_are_chosen_by_the_first_seed_on_the_other_half() -> None:
    grid = RealGrid()
    high, low = grid.lrs
    known = found()
    # as good on the task, and forgets less
    known[Cell(Arm("demonstrations"), low, 0).name] = record("d", 40, 58)
    # forgets less, but learns nothing
    known[Cell(Arm("prompt"), low, 0).name] = record("p", 4, 60)
    assert proof.rates(grid, known) == {
        Arm("demonstrations"): low, Arm("prompt"): high, Arm(AGENT): high,
    }  # fmt: skip
    left = [cell for some in islice(proof.todo(grid, known, 2), 2) for cell in some]
    assert [cell.arm.data for cell in left] == [AGENT, SDFT, SDFT], "what is there is not made again"


def test_settings_that_are_fixed_are_refused(recast) -> None:
    said = recast("effect", "--real", "-m", "smollm2", "--set", "learn.steps=3")
    assert said.code == 2 and "learn is fixed for --real" in said.err
    said = recast("effect", "--real", "--stages")
    assert said.code == 2 and "--real has no effect with --stages" in said.err
    said = recast("effect", "--real", "--lr", "1e-3")
    assert said.code == 2 and "--lr has no effect with --real" in said.err


@pytest.mark.slow
def test_a_small_proof_goes_on_from_what_was_measured(
    recast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SETTINGS, "warm_start", {"rows": 0})
    monkeypatch.setitem(SETTINGS, "prompts", {"preset": "default"})
    short = {
        "steps": 1,
        "prompts_per_step": 2,
        "candidates": 2,
        "heldout_rows": 2,
        "lora_rank": 4,
        "max_tokens": 64,
    }
    monkeypatch.setitem(SETTINGS, "learn", short)
    monkeypatch.setitem(SETTINGS, "rewrite", {"candidates": 2, "max_tokens": 64})
    monkeypatch.setitem(
        SETTINGS, "sft", {"epochs": 1, "batch_size": 8, "lora_rank": 4, "telemetry_tokens": 0}
    )
    monkeypatch.setattr(instructions, "KEPT", ("one_word", "copying"))
    said = recast("effect", "--real", "-m", "pocket", "--quick", "-o", "proof", "-j", "1", "--json")
    assert said.code == 0, said.err
    assert said.json["models"] == 4
    lines = [json.loads(x) for x in (tmp_path / "proof" / "cells.jsonl").read_text().splitlines()]
    assert [line["name"] for line in lines][:2] == ["base", "agent-typical-nll-lr0-001-0"]
    assert all(len(line["left"]) == 2 and line["start_loss"] > 0 for line in lines[1:])
    assert (tmp_path / "proof" / "rows" / "agent-typical-0.jsonl").exists()
    monkeypatch.setattr(proof.stages, "run", lambda *a, **k: pytest.fail("nothing is left to run"))
    again = recast(
        "effect", "--real", "-m", "pocket", "--quick", "-o", "anew", "--cells", "proof/cells.jsonl", "--json"
    )
    assert again.code == 0 and again.json["arms"] == said.json["arms"]
