"""Graders that ask models: what the model is asked, and what of its reply counts."""

from __future__ import annotations

import json

import pytest

from recast.curate.errors import UsageError
from recast.train.graders.records import Models, Reply
from tests.train.graders.graders import LABEL, REWARD_MODEL, SCORE, STRING_CHECK, grader

ITEM = {"answer": "17"}


class Saying:
    """Answers every question the same, and remembers what it was asked."""

    def __init__(self, *replies):
        self.replies = [Reply(r, 5) if isinstance(r, str) else r for r in replies]
        self.calls = []

    def __call__(self, model, questions):
        self.calls.append((model, list(questions)))
        return [self.replies[i % len(self.replies)] for i in range(len(questions))]


def graded(value, *replies, samples=("said",)):
    return grader(value, Models(ask=Saying(*replies))).grade_many([ITEM] * len(samples), samples)


def test_a_model_is_asked_the_filled_in_turns_with_its_settings_in_one_batch():
    ask = Saying('{"result": 5}')
    grader(SCORE, Models(ask=ask)).grade_many([ITEM, ITEM], ["first", "second"])
    ((model, (one, two)),) = ask.calls
    assert model == "judge"
    assert [turn["role"] for turn in one.messages] == ["system", "user", "user"]
    assert one.messages[1]["content"] == "Is 17 right?"
    assert one.messages[2]["content"].startswith("It says:\nfirst\n\nAnswer with JSON alone")
    assert "at least 0 and at most 10" in one.messages[2]["content"]
    assert two.messages[2]["content"].startswith("It says:\nsecond")
    assert (one.seed, one.temperature, one.top_p, one.max_tokens, one.reasoning_effort) == (
        7,
        0.5,
        0.9,
        64,
        "low",
    )


def test_a_talk_that_ends_with_the_assistant_is_followed_by_the_question():
    ask = Saying('{"result": 1}')
    value = {**SCORE, "input": [{"role": "assistant", "content": "{{ sample.output_text }}"}]}
    grader(value, Models(ask=ask)).grade(ITEM, "said")
    assert [turn["role"] for turn in ask.calls[0][1][0].messages] == ["assistant", "user"]


@pytest.mark.parametrize(
    ("reply", "worth"),
    [
        ('{"result": 7}', 7.0),
        ('{"result": 7.5, "steps": [{"description": "d", "conclusion": "c"}]}', 7.5),
        ('Well.\n```json\n{"result": 3}\n```', 3.0),
        ('{"result": 11}', 10.0),
        ('{"result": -2}', 0.0),
        ('It says {"result": 10}, which is wrong. {"result": 1}', 1.0),  # what is quoted does not count
        ('{"steps": [{"result": 9}], "result": 2}', 2.0),
    ],
)
def test_the_last_result_counts_clipped_to_the_range(reply, worth):
    (grade,) = graded(SCORE, reply)
    assert (grade.reward, grade.value, grade.errors.flags) == (worth, worth, ())


@pytest.mark.parametrize(
    "reply",
    [
        "", "seven", "7", '{"result": "7"}', '{"result": true}', '{"result": NaN}', '{"result": Infinity}',
        '{"score": 7}', '{"result": 7', '{"result": null}', '{"result": [7]}', '{"result": 10} then {"result": "none"}',
        "{" * 50_000,
    ],
)  # fmt: skip
def test_a_reply_without_a_number_is_a_flag_and_no_score(reply):
    (grade,) = graded(SCORE, reply)
    assert (grade.reward, grade.value, grade.errors.flags) == (0.0, None, ("model_grader_parse_error",))


@pytest.mark.parametrize(
    ("reply", "flag", "details"),
    [
        (Reply("", error="the server is down"), "model_grader_server_error", "the server is down"),
        (Reply("", refused=True), "model_grader_refusal_error", ""),
    ],
)
def test_a_model_that_says_nothing_is_a_flag_and_no_score(reply, flag, details):
    (grade,) = graded(SCORE, reply)
    assert (grade.value, grade.errors.flags, grade.errors.details) == (None, (flag,), details)


@pytest.mark.parametrize(
    ("reply", "worth", "flags"),
    [
        ('{"result": "good"}', 1.0, ()),
        ('{"result": "bad"}', 0.0, ()),
        ('{"result": "Good"}', None, ("model_grader_parse_error",)),
        ('{"result": "great"}', None, ("model_grader_parse_error",)),
        ('{"result": ["good"]}', None, ("model_grader_parse_error",)),
        ("good", None, ("model_grader_parse_error",)),
    ],
)
def test_a_label_passes_or_not_and_must_be_one_of_the_labels(reply, worth, flags):
    (grade,) = graded(LABEL, reply)
    assert (grade.value, grade.errors.flags) == (worth, flags)


def test_tokens_are_counted_by_model_over_the_parts_of_a_multi():
    value = {
        "type": "multi",
        "name": "m",
        "graders": {"a": SCORE, "b": LABEL},
        "calculate_output": "a / 10 + b",
    }
    other = {**value, "graders": {"a": SCORE, "b": {**LABEL, "model": "other"}}}
    (grade,) = graded(value, '{"result": 5, "x": "good"}')
    assert grade.tokens_by_model == {"judge": 10}
    (grade,) = graded(other, '{"result": 5}')
    assert grade.to_json()["model_grader_token_usage_per_model"] == {"judge": 5, "other": 5}
    assert grade.to_json()["metadata"]["token_usage"] == 10


def test_one_row_that_cannot_be_asked_keeps_no_other_from_being_asked():
    ask = Saying('{"result": 4}')
    value = {**SCORE, "input": [{"role": "user", "content": "{{ item.hint }}"}]}
    grades = grader(value, Models(ask=ask)).grade_many([{}, {"hint": "h"}, {}], ["a", "b", "c"])
    assert [g.value for g in grades] == [None, 4.0, None]
    assert [len(questions) for _, questions in ask.calls] == [1]


@pytest.mark.parametrize("value", [SCORE, LABEL, REWARD_MODEL])
def test_without_a_model_the_grader_is_refused_by_name(value):
    with pytest.raises(
        UsageError, match=rf"'{value['name']}' \({value['type']}\) asks the model '{value['model']}'"
    ):
        grader(value)
    whole = {
        "type": "multi",
        "name": "m",
        "graders": {"a": STRING_CHECK, "b": value},
        "calculate_output": "a",
    }
    if value is not REWARD_MODEL:
        with pytest.raises(UsageError, match=value["name"]):
            grader(whole)


def test_a_reward_model_sees_the_prompt_and_the_sample():
    asked = []

    def rewards(model, pairs):
        asked.extend((model, *pair) for pair in pairs)
        return [{"good": 2.0, "bad": -1000.0, "odd": float("nan")}.get(said) for _, said in pairs]

    models = Models(reward=rewards)
    rows = [
        {"messages": json.dumps([{"role": "user", "content": "Q"}])},
        {"prompt": "Q"},
        {"prompt": "Q"},
        {"prompt": "Q"},
    ]
    grades = grader(REWARD_MODEL, models).grade_many(rows, ["good", "bad", "odd", "endless"])
    assert [g.value for g in grades] == [2.0, -1000.0, None, 0.0]
    assert [g.errors.flags for g in grades[2:]] == [
        ("model_grader_server_error",),
        ("truncated_observation_error",),
    ]
    assert asked[0] == ("rm", [{"role": "user", "content": "Q"}], "good")
    assert asked[1] == ("rm", [{"role": "user", "content": "Q"}], "bad")
    scaled = grader({**REWARD_MODEL, "scale": "sigmoid"}, models).grade_many(rows[:2], ["good", "bad"])
    assert scaled[0].reward == pytest.approx(0.8807970779778823)  # 1 / (1 + e^-2)
    assert 0 <= scaled[1].reward < 1e-300
    (none,) = grader(REWARD_MODEL, models).grade_many([{}], ["good"])
    assert none.errors.flags == ("invalid_variable_error",)
