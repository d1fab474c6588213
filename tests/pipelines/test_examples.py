"""The examples do what their comments say: the stages file runs to its end, the gate file decides."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from recast.curate.gate.gate import load_gate
from recast.pipelines.config import Config
from recast.pipelines.demo import real
from recast.pipelines.run import stages
from recast.pipelines.run.runs import open_store
from recast.pipelines.wiring.story.promotion import Rules
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
        assert len(plan.stages) == {"stages.yaml": 9, "real.yaml": 13}[path.name]
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
