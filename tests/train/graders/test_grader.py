"""A whole grader: formulas over parts, flags, the published response, and TRL's reward function."""

from __future__ import annotations

import json

import pytest
from openai.types.fine_tuning.alpha import GraderRunResponse

from recast.train.graders.grader import Grader
from recast.train.graders.records import Models, Reply, Sample
from recast.train.graders.trl_reward import RewardFunction
from tests.train.graders.graders import (
    EXACT,
    GATE,
    GROUP,
    LABEL,
    MULTI,
    NUMERIC,
    PYTHON,
    RANKED,
    REWARD_MODEL,
    SCORE,
    SIMILARITY,
    STRING_CHECK,
    grader,
)

MODELS = Models(
    ask=lambda model, questions: [Reply('{"result": 1}', 3) for _ in questions],
    reward=lambda model, pairs: [0.5 for _ in pairs],
)
ITEM = {"answer": "4", "cause": "4", "messages": [{"role": "user", "content": "What is 2 + 2?"}]}
ALL = (
    STRING_CHECK,
    SIMILARITY,
    SCORE,
    LABEL,
    PYTHON,
    MULTI,
    EXACT,
    NUMERIC,
    RANKED,
    GATE,
    REWARD_MODEL,
    GROUP,
)


def multi(formula, **graders):
    return {"type": "multi", "name": "m", "graders": graders, "calculate_output": formula}


@pytest.mark.parametrize("value", ALL, ids=lambda value: value["type"])
@pytest.mark.parametrize("item", [ITEM, {}], ids=["row", "no row"])
def test_every_grade_is_a_published_response(value, item):
    response = grader(value, MODELS).grade(item, "2 + 2 = 4. The answer is 4.").to_json()
    read = GraderRunResponse.model_validate(json.loads(json.dumps(response)), strict=True)
    assert (read.reward, read.metadata.name, read.metadata.type) == (
        response["reward"],
        value["name"],
        value["type"],
    )
    fields = type(read.metadata.errors).model_fields
    named = {field.alias or name for name, field in fields.items()}
    assert named | {"other_error_details"} == set(response["metadata"]["errors"])


def test_a_multi_is_worth_its_formula_and_shows_its_parts():
    grade = grader(MULTI).grade({"answer": "Paris"}, "Paris")
    assert (grade.reward, dict(grade.sub_rewards)) == (1.0, {"right": 1.0, "alike": 1.0})
    grade = grader(MULTI).grade({"answer": "Paris"}, "paris")
    assert (grade.reward, dict(grade.sub_rewards)) == (0.25, {"right": 0.0, "alike": 1.0})  # 0.75 * 0 + 1 / 4


def test_a_formula_without_a_finite_value_is_a_flag_and_no_score():
    grade = grader(multi("1 / right", right=STRING_CHECK)).grade({"answer": "a"}, "b")
    assert (grade.reward, grade.value, grade.errors.flags) == (0.0, None, ("formula_parse_error",))
    assert "/ of 1, 0" in grade.scores["formula"]


def test_a_part_without_a_score_leaves_the_whole_without_one_and_its_flag_shows():
    missing = {**STRING_CHECK, "reference": "{{ item.gone }}"}
    grade = grader(multi("max(a, b)", a=STRING_CHECK, b=missing)).grade({"answer": "a"}, "a")
    assert (grade.reward, grade.scored, grade.errors.flags) == (1.0, False, ("invalid_variable_error",))


@pytest.mark.parametrize(
    ("reference", "said", "flags", "scored"),
    [
        ("{{ sample.output_json.n }}", "no json", ("sample_parse_error",), True),
        ("{{ sample.output_json.n }}", '{"m": 1}', ("invalid_variable_error",), True),
        ("{{ sample.output_tools[0].function.name }}", "x", ("invalid_variable_error",), True),
        ("{{ item.gone }}", "x", ("invalid_variable_error",), False),
        (
            "{{ item.answer }}{{ sample.output_text }}",
            "x" * 1_000_001,
            ("truncated_observation_error",),
            True,
        ),
    ],
)
def test_what_the_sample_lacks_is_worth_nothing_and_what_the_row_lacks_is_no_score(
    reference, said, flags, scored
):
    grade = grader({**STRING_CHECK, "reference": reference}).grade({"answer": "a"}, said)
    assert (grade.reward, grade.scored, grade.errors.flags) == (0.0, scored, flags)


def test_a_gate_accepts_rejects_or_cannot_decide():
    found = grader(GATE)
    right, wrong = found.grade_many(
        [ITEM] * 2, ["2 and 2 make 4. The answer is 4.", "2 and 2 make 5. The answer is 5."]
    )
    assert (right.value, wrong.value, wrong.scores["reason"]) == (1.0, 0.0, "wrong_answer")
    assert "The completion answers '5'" in wrong.scores["message"]
    undecided = found.grade({"messages": ITEM["messages"]}, "The answer is 4, since 2 + 2 = 4.")
    assert (undecided.reward, undecided.value, undecided.errors.flags) == (0.0, None, ())
    assert undecided.scores["verdict"] == "unverifiable"


def test_a_gate_can_give_the_share_of_its_checks_by_weight():
    checks = [{"type": "format"}, {"type": "answer"}, {"type": "repetition"}]
    value = {**GATE, "gate": {"checks": checks}, "credit": "share", "weights": {"answer": 2}}
    right, wrong = grader(value).grade_many(
        [ITEM] * 2, ["2 and 2 make 4. The answer is 4.", "2 and 2 make 5. The answer is 5."]
    )
    assert (right.value, wrong.value) == (1.0, 0.5)  # 1 + 1 of 4
    no_answer = grader(value).grade({"messages": ITEM["messages"]}, "2 and 2 make 4. The answer is 4.")
    assert no_answer.value == 1.0  # what is undecided has no weight


def test_the_same_grader_has_the_same_id_whatever_it_is_called():
    assert grader({**STRING_CHECK, "name": "other"}).id == grader(STRING_CHECK).id
    assert grader({**STRING_CHECK, "operation": "ne"}).id != grader(STRING_CHECK).id


def test_lengths_that_differ_are_an_error():
    with pytest.raises(ValueError, match=r"shorter|longer"):
        grader(STRING_CHECK).grade_many([{}], ["a", "b"])


def test_no_sample_is_no_grade():
    assert grader(MULTI).grade_many([], []) == []


def test_a_file_is_loaded(tmp_path):
    file = tmp_path / "grader.json"
    file.write_text(json.dumps(STRING_CHECK))
    assert Grader.load(file).grade({"answer": "4"}, Sample("4", "length")).value == 1.0


def test_a_grader_is_a_reward_function_of_trl():
    seen = []
    function = RewardFunction(grader({**MULTI, "name": "right & alike"}), on_graded=seen.append)
    assert function.__name__ == "right___alike"
    rewards = function(
        prompts=["Q1", "Q1", "Q2"],
        completions=["Paris", "London", "Rome"],
        completion_ids=[[1], [2], [3]],
        answer=["Paris", "Paris", None],
        trainer_state=object(),
        log_metric=lambda *_: None,
    )
    right, wrong, unscored = rewards
    assert right == 1.0 and wrong is not None and 0 <= wrong < 0.25 and unscored is None
    assert [g.errors.flags for g in seen[0]] == [(), (), ("invalid_variable_error",)]


def test_talks_and_columns_in_meta_reach_the_grader_through_trl():
    value = {
        **STRING_CHECK,
        "input": "{{ item.messages[0].content }}: {{ sample.output_text }}",
        "reference": "Q: {{ item.of }}",
    }
    function = RewardFunction(grader(value))
    prompt = [{"role": "user", "content": "Q"}]
    completion = [{"role": "assistant", "content": "a"}]
    assert function(prompts=[prompt], completions=[completion], meta=['{"of": "a"}']) == [1.0]


def test_a_group_of_trl_is_of_its_size(monkeypatch):
    source = "def grade_group(samples, item):\n    return [len(samples)] * len(samples)"
    found = grader({**GROUP, "source": source})
    asked = {"prompts": ["Q"] * 4, "completions": ["a"] * 4}
    assert RewardFunction(found)(**asked) == [4.0] * 4
    assert RewardFunction(found, group_size=2)(**asked) == [2.0] * 4
