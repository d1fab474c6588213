"""The examples do what their comments say: the stages file runs to its end, the gate file decides."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest

from recast.curate.gate.gate import load_gate
from recast.pipelines.config import Config
from recast.pipelines.demo import real
from recast.pipelines.run import stages
from recast.pipelines.run.runs import open_store
from recast.pipelines.wiring.story.promotion import Rules
from recast.train.graders.grader import Grader
from tests.test_docs import refusal

EXAMPLES = Path(__file__).parents[2] / "pipelines" / "examples"
TINY = {
    "learn": {"steps": 1, "prompts_per_step": 2, "candidates": 2, "heldout_rows": 2},
    "rewrite": {"candidates": 1},
}
"""The example's own sizes show something; these show that it runs."""

QUESTION = "Ann has 12 apples and buys 5 bags of 3. How many apples has she now?"
SUM = {
    "messages": [{"role": "user", "content": QUESTION}],
    "demonstration": "5*3=15\n12+15=27\n#### 27",
    "answer": "27",
    "task": "sum",
}
ESSAY = {**SUM, "demonstration": "Apples are round, and most are red.", "answer": None, "task": "essay"}


@pytest.mark.slow
def test_the_stages_file_runs_to_its_comparison(tmp_path, monkeypatch):
    monkeypatch.chdir(EXAMPLES.parents[1])  # its paths are those of the checkout
    plan = stages.Plan.load(EXAMPLES / "stages.yaml", Config.of(TINY))
    assert [stage.verb for stage in plan.stages][:4] == ["import", "learn", "rewrite", "sft"]

    outcomes = stages.run(plan, store=tmp_path / "store", jobs=1)

    store = open_store(tmp_path / "store")
    before, after = (store.open(store.resolve(name)).dataset() for name in ("craft@v1", "craft-rewrites@v1"))
    assert sorted(before["row_id"]) == sorted(after["row_id"])
    assert {"rewrite", "fallback"} >= set(after["decision"]) and "rewrite" in after["decision"]
    compared = outcomes["compare"].result
    assert [change["model"] for change in compared["changes"]] == ["demonstrations", "rewrites"]
    assert (
        compared["base_general"] > compared["base_downstream"]
    )  # the pocket cannot do the task, and much else


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda p: p.name)
def test_every_settings_file_is_known_to_the_configuration(path):
    if path.name == "gate.yaml":
        assert load_gate(path).name == "house-style"
    elif path.name == "promote.yaml":
        rules = Rules.load(path)
        assert all(getattr(rules, name) is not None for name in Rules.model_fields)
    elif path.name in ("stages.yaml", "real.yaml"):
        plan = stages.Plan.load(path)
        assert len(plan.stages) == {"stages.yaml": 9, "real.yaml": 15}[path.name]
    elif path.name == "four-stages.yaml":
        plan = stages.Plan.load(path)
        verbs = [stage.verb for stage in plan.stages if stage.verb not in ("import", "eval")]
        assert verbs == ["pretrain", "sft", "reward-model", "rl", "report"]
        after = {stage.name: stage.needs for stage in plan.stages}
        assert set(after["rl"]) == {"lessons", "sft", "reward"}, "each reads what the one before it made"
    else:
        assert Config.load([path]).general.model == "pocket"


def test_the_rows_of_the_real_example_are_what_their_generator_writes(tmp_path):
    for path in real.write(tmp_path):
        assert path.read_bytes() == (EXAMPLES / path.name).read_bytes()


def test_every_stage_of_the_real_example_has_a_duration_for_the_time_left():
    assert all(stage.seconds for stage in stages.Plan.load(EXAMPLES / "real.yaml").stages)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("5 bags of 3 are 5 * 3 = 15 apples. With the 12 she has 12 + 15 = 27. Result: 27", ""),
        (
            "5 bags of 3 are 5 * 3 = 15 apples. With the 12 she has 12 + 15 = 27. The answer is 27.",
            "no_answer",
        ),
        ("5 bags of 3 are 5 * 3 = 15 apples. With the 12 she has 12 + 15 = 28. Result: 27", "false_equality"),
        ("5 bags of 3 are 5 * 3 = 15 of 41 apples. She has 12 + 15 = 27. Result: 27", "invented_number"),
    ],
)
def test_the_example_gate_wants_answers_in_the_words_of_its_pattern(said, reason):
    verdict = load_gate(EXAMPLES / "gate.yaml").verify(SUM, said)
    assert (verdict.reason, verdict.accepted) == (reason, not reason)


def test_the_example_gate_judges_essays_by_their_own_list():
    gate = load_gate(EXAMPLES / "gate.yaml")
    said = "They are round, and red where the sun has been."
    assert gate.verify(ESSAY, said).accepted
    assert [check.name for check in gate.verify(ESSAY, said).checks] == ["format", "answer", "repetition"]
    assert gate.verify({**ESSAY, "task": "sum"}, said).reason == "no_reference_answer"


def test_the_slurm_script_gives_commands_that_recast_takes():
    script = (EXAMPLES / "slurm_array.sh").read_text().replace("\\\n", " ")
    found = re.findall(r"recast (?:rewrite|jobs)[^`\n]*", script)
    assert len(found) == 4 and "--workers 4" in found[-1]
    said = [refusal(words, spoken=True) for words in found]
    assert said == [None] * 4


@pytest.mark.slow
def test_four_stages_end_in_a_page_with_a_section_each(tmp_path, monkeypatch):
    """Sizes that show that it runs: a model of two steps answers nothing, so what RL would refuse is forced."""
    for name in ("craft.jsonl", "lessons.jsonl", "right.json"):
        (tmp_path / "pipelines" / "examples").mkdir(parents=True, exist_ok=True)
        (tmp_path / "pipelines" / "examples" / name).write_bytes((EXAMPLES / name).read_bytes())
    grader = tmp_path / "pipelines" / "examples" / "right.json"
    source = "def grade(sample, item):\n    return sum(sample['output_text'].encode()) % 2"
    grader.write_text(json.dumps({"type": "python", "name": "odd", "source": source}))
    monkeypatch.chdir(tmp_path)
    tiny = {
        "pretrain": {"steps": 2, "rows": {128: 2}, "compile": False},
        "sft": {"epochs": 1, "batch_size": 240},
        "reward_model": {"max_tokens": 4, "epochs": 1, "batch_size": 64},
        "rl": {"steps": 1, "prompts_per_step": 2, "samples": 2, "max_tokens": 4, "heldout_rows": 2},
    }
    plan = stages.Plan.load(EXAMPLES / "four-stages.yaml", Config.of(tiny))
    stages.run(plan, store=tmp_path / "store", jobs=1)
    page = (tmp_path / "out" / "four-stages.html").read_text(encoding="utf-8")
    for number, about in enumerate(
        ("pretraining", "fine-tuning", "the reward model", "learning from graded"), 1
    ):
        (section,) = re.findall(rf'<section id="training-{number}".*?</section>', page, re.DOTALL)
        assert about in section and "<svg" in section


def test_case_reports_are_drawn_without_a_case_in_two_files(tmp_path):
    cases = importlib.util.spec_from_file_location("cases", EXAMPLES / "rft" / "cases.py")
    assert cases and cases.loader
    module = importlib.util.module_from_spec(cases)
    sys.modules["cases"] = module
    cases.loader.exec_module(module)
    module.write(tmp_path)
    asked = {
        name: [json.loads(line) for line in (tmp_path / f"{name}.jsonl").read_text().splitlines()]
        for name in module.COUNTS
    }
    assert {name: len(rows) for name, rows in asked.items()} == module.COUNTS
    questions = [row["question"] for row in asked["warmup"]]
    questions += [r["messages"][0]["content"] for n in ("train", "validation", "test") for r in asked[n]]
    assert len(set(questions)) == len(questions)
    # the table that drew them ranks them better than chance (a tenth, a half), and not perfectly
    found = module.best_possible(400)
    assert 0.5 < found["top1"] < 0.8 < found["top5"] < 1
    grader = Grader.load(EXAMPLES / "rft" / "credit.json")
    listed = asked["warmup"][0]["solution"]
    second = listed.splitlines()[1].split(". ")[1]
    assert grader.grade({"cause": second}, listed).reward == pytest.approx(0.7)
