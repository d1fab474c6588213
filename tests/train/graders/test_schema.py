"""Files of graders: every published field is read, every mistake is refused with its JSON path."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types import graders as oracle
from openai.types.fine_tuning import reinforcement_method
from pydantic import TypeAdapter, ValidationError

from recast.curate.errors import UsageError
from recast.train.graders.format import published, schema
from recast.train.graders.format.published import MAX_SOURCE_BYTES
from tests.train.graders.graders import (
    EXACT,
    GATE,
    GROUP,
    LABEL,
    MULTI,
    NUMERIC,
    OURS,
    PUBLISHED,
    PYTHON,
    RANKED,
    REWARD_MODEL,
    SCORE,
    SIMILARITY,
    STRING_CHECK,
    without,
)

ORACLE = {
    "string_check": (oracle.StringCheckGrader, published.StringCheck),
    "text_similarity": (oracle.TextSimilarityGrader, published.TextSimilarity),
    "score_model": (oracle.ScoreModelGrader, published.ScoreModel),
    "label_model": (oracle.LabelModelGrader, published.LabelModel),
    "python": (oracle.PythonGrader, published.Python),
    "multi": (oracle.MultiGrader, schema.Multi),
}


def known_to_oracle(value: dict[str, Any], kind: str = "") -> bool:
    try:
        TypeAdapter(ORACLE[kind or value["type"]][0]).validate_python(value, strict=True)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("kind", ORACLE)
def test_every_field_of_the_published_types_is_a_field_of_ours(kind):
    theirs, ours = ORACLE[kind]
    assert set(theirs.model_fields) <= set(ours.model_fields)


def test_every_published_type_of_a_job_is_read():
    members = TypeAdapter(reinforcement_method.Grader).json_schema()["$defs"]
    types = {one["properties"]["type"]["const"] for one in members.values() if "type" in one.get("properties", {})
             and "const" in one["properties"]["type"] and one["properties"]["type"]["const"] in ORACLE}  # fmt: skip
    assert types == {"string_check", "text_similarity", "score_model", "label_model", "python", "multi"}


@pytest.mark.parametrize("metric", [
    "cosine", "fuzzy_match", "bleu", "gleu", "meteor", "rouge_1", "rouge_2", "rouge_3", "rouge_4", "rouge_5", "rouge_l",
])  # fmt: skip
def test_every_published_metric_is_one_of_ours(metric):
    value = {**SIMILARITY, "evaluation_metric": metric}
    assert known_to_oracle(value)
    assert schema.parse(value).model_dump()["evaluation_metric"] == metric


@pytest.mark.parametrize("value", [*PUBLISHED, *OURS], ids=lambda value: value["type"])
def test_a_grader_with_all_its_fields_is_read_and_says_the_same_again(value):
    read = schema.parse(value)
    assert schema.parse(json.loads(read.model_dump_json(exclude_none=True))) == read
    assert schema.parse({"grader": value}) == read


@pytest.mark.parametrize("value", PUBLISHED[:-1], ids=lambda value: value["type"])
def test_what_the_published_types_take_is_taken_and_what_they_lack_is_refused(value):
    kind = value["type"]
    assert known_to_oracle(value)
    for name in ORACLE[kind][0].model_fields:
        fewer = without(value, name)
        if known_to_oracle(fewer, kind):
            schema.parse(fewer)
        else:
            with pytest.raises(UsageError, match=rf"\$\.{name} is missing"):
                schema.parse(fewer)
        for wrong in (3.5, [], {}, [3], {"a": 1}, None):
            other = {**value, name: wrong}
            if not known_to_oracle(other, kind):
                with pytest.raises(UsageError, match=rf"\$\.{name}"):
                    schema.parse(other)


@pytest.mark.parametrize(
    ("value", "field"),
    [(PYTHON, "image_tag"), (SCORE, "range"), (SCORE, "sampling_params"), (SIMILARITY, "pass_threshold")],
)
def test_an_optional_field_may_be_null(value, field):
    assert schema.parse({**value, field: None}) == schema.parse(without(value, field))


def test_the_three_shapes_of_multi_are_one():
    as_object = schema.parse(MULTI)
    as_list = schema.parse({**MULTI, "graders": [STRING_CHECK, SIMILARITY]})
    assert as_list == as_object
    alone = schema.parse({**MULTI, "graders": STRING_CHECK, "calculate_output": "right"})
    assert list(alone.model_dump()["graders"]) == ["right"]
    assert known_to_oracle({**MULTI, "graders": STRING_CHECK})  # the shape of the published type


def test_a_list_names_its_graders_so_that_a_formula_can():
    odd = [
        {**STRING_CHECK, "name": "is it right?"},
        {**STRING_CHECK, "name": "2nd"},
        {**STRING_CHECK, "name": "größe"},
    ]
    found = schema.parse({**MULTI, "graders": odd, "calculate_output": "is_it_right_ + _2nd + gr__e"})
    assert list(found.model_dump()["graders"]) == ["is_it_right_", "_2nd", "gr__e"]


LONG_SOURCE = "def grade(sample, item):\n    return 1.0\n#" + "x" * MAX_SOURCE_BYTES
DEEP: Any = []
for _ in range(500):
    DEEP = [DEEP]
TURN = SCORE["input"][0]
MALFORMED: list[tuple[Any, str, str]] = [
    (3, r"\$ is 3", "object"),
    (None, r"\$ is null", "object"),
    ([], r"\$ is \[\]", "object"),
    ("grader", r'\$ is "grader"', "object"),
    ({}, r"\$\.type", "missing"),
    ({"name": "x"}, r"\$\.type", "missing"),
    ({"type": None, "name": "x"}, r"\$\.type", "None"),
    ({"type": "regex", "name": "x"}, r'\$\.type is "regex"', "expected one of string_check"),
    ({"type": "String_Check", "name": "x"}, r"\$\.type", "expected one of"),
    ({"grader": {"type": "string_check"}}, r"\$\.grader\.name", "missing"),
    ({"grader": 3}, r"\$\.grader is 3", "object"),
    (without(STRING_CHECK, "name"), r"\$\.name", "missing"),
    (without(STRING_CHECK, "operation"), r"\$\.operation", "missing"),
    ({**STRING_CHECK, "name": ""}, r"\$\.name", "at least 1 character"),
    ({**STRING_CHECK, "name": 3}, r"\$\.name is 3", "string"),
    ({**STRING_CHECK, "operation": "equals"}, r"\$\.operation", "'eq', 'ne', 'like' or 'ilike'"),
    ({**STRING_CHECK, "operation": ["eq"]}, r"\$\.operation", "'eq'"),
    ({**STRING_CHECK, "input": 17}, r"\$\.input is 17", "string"),
    ({**STRING_CHECK, "input": "{{ sample.output_text"}, r"\$\.input", "not closed"),
    ({**STRING_CHECK, "reference": "{{ answer }}"}, r"\$\.reference", "no namespace"),
    ({**STRING_CHECK, "reference": "{{ item.a|b }}"}, r"\$\.reference", "cannot be read"),
    ({**STRING_CHECK, "input": "{{ sample.text }}"}, r"\$\.input", "no field 'text'"),
    ({**STRING_CHECK, "input": "{{ sample.output_audio.id }}"}, r"\$\.input", "output_audio"),
    ({**STRING_CHECK, "weight": 2}, r"\$\.weight", "no field"),
    ({**STRING_CHECK, "pass_threshold": 0.5}, r"\$\.pass_threshold", "no field"),
    ({**SIMILARITY, "evaluation_metric": "rouge"}, r"\$\.evaluation_metric", "'fuzzy_match'"),
    ({**SIMILARITY, "evaluation_metric": "rouge_6"}, r"\$\.evaluation_metric", "'rouge_5'"),
    (without(SIMILARITY, "evaluation_metric"), r"\$\.evaluation_metric", "missing"),
    ({**SIMILARITY, "pass_threshold": "0.5"}, r"\$\.pass_threshold", "number"),
    ({**SIMILARITY, "pass_threshold": float("nan")}, r"\$\.pass_threshold", "finite"),
    (without(SCORE, "model"), r"\$\.model", "missing"),
    ({**SCORE, "model": ""}, r"\$\.model", "at least 1 character"),
    ({**SCORE, "input": []}, r"\$\.input", "at least 1 item"),
    ({**SCORE, "input": "{{ item.a }}"}, r"\$\.input", "tuple"),
    ({**SCORE, "input": [TURN, {**TURN, "role": "tool"}]}, r"\$\.input\[1\]\.role", "'user'"),
    ({**SCORE, "input": [without(TURN, "role")]}, r"\$\.input\[0\]\.role", "missing"),
    ({**SCORE, "input": [without(TURN, "content")]}, r"\$\.input\[0\]\.content", "missing"),
    ({**SCORE, "input": [{**TURN, "content": "{{ x }}"}]}, r"\$\.input\[0\]\.content", "no namespace"),
    ({**SCORE, "input": [{**TURN, "content": []}]}, r"\$\.input\[0\]\.content", "at least 1 item"),
    ({**SCORE, "input": [{**TURN, "content": ["a", 3]}]}, r"\$\.input\[0\]\.content\[1\] is 3", "dictionary|object"),
    ({**SCORE, "input": [{**TURN, "content": ["a", {"type": "input_text", "text": "{{ x"}]}]},
     r"\$\.input\[0\]\.content\[1\]\.text", "not closed"),
    ({**SCORE, "input": [{**TURN, "content": {"type": "input_image", "image_url": "u"}}]},
     r"\$\.input\[0\]\.content\.type", "pictures and sound"),
    ({**SCORE, "input": [{**TURN, "content": [{"type": "input_audio", "input_audio": {}}]}]},
     r"\$\.input\[0\]\.content\[0\]\.type", "pictures and sound"),
    ({**SCORE, "input": [{**TURN, "type": "turn"}]}, r"\$\.input\[0\]\.type", "'message'"),
    ({**SCORE, "input": [{**TURN, "name": "me"}]}, r"\$\.input\[0\]\.name", "no field"),
    ({**SCORE, "range": [1, 0]}, r"\$", "smaller bound"),
    ({**SCORE, "range": [1, 1]}, r"\$", "smaller bound"),
    ({**SCORE, "range": [0]}, r"\$\.range", "missing|2 items"),
    ({**SCORE, "range": [0, 1, 2]}, r"\$\.range", "2 items"),
    ({**SCORE, "range": [0, "1"]}, r"\$\.range\[1\]", "number"),
    ({**SCORE, "range": [0, float("inf")]}, r"\$\.range\[1\]", "finite"),
    ({**SCORE, "sampling_params": {"temperature": -1}}, r"\$\.sampling_params\.temperature", "greater than or equal"),
    ({**SCORE, "sampling_params": {"top_p": 0}}, r"\$\.sampling_params\.top_p", "greater than 0"),
    ({**SCORE, "sampling_params": {"max_completions_tokens": 0}}, r"\$\.sampling_params\.max_completions_tokens", "1"),
    ({**SCORE, "sampling_params": {"seed": 1.5}}, r"\$\.sampling_params\.seed", "integer"),
    ({**SCORE, "sampling_params": {"reasoning_effort": "huge"}}, r"\$\.sampling_params\.reasoning_effort", "'low'"),
    ({**SCORE, "sampling_params": {"max_tokens": 5}}, r"\$\.sampling_params\.max_tokens", "no field"),
    (without(LABEL, "labels"), r"\$\.labels", "missing"),
    ({**LABEL, "labels": []}, r"\$\.labels", "at least 1 item"),
    ({**LABEL, "labels": ["good", "good"]}, r"\$", "twice"),
    ({**LABEL, "passing_labels": ["fine"]}, r"\$", "'fine', which is none of labels"),
    ({**LABEL, "passing_labels": []}, r"\$\.passing_labels", "at least 1 item"),
    ({**LABEL, "labels": [1, 2]}, r"\$\.labels\[0\]", "string"),
    (without(PYTHON, "source"), r"\$\.source", "missing"),
    ({**PYTHON, "source": ""}, r"\$\.source", "defines no `grade`"),
    ({**PYTHON, "source": "def grade(sample, item)\n  return 1"}, r"\$\.source", "line 1"),
    ({**PYTHON, "source": "def grade(sample): return 1.0"}, r"\$\.source", "exactly 2 arguments"),
    ({**PYTHON, "source": "def grade(sample, item, more=1): return 1.0"}, r"\$\.source", "exactly 2 arguments"),
    ({**PYTHON, "source": "def grade(*both): return 1.0"}, r"\$\.source", "exactly 2 arguments"),
    ({**PYTHON, "source": "async def grade(sample, item): return 1.0"}, r"\$\.source", "no plain function"),
    ({**PYTHON, "source": "def score(sample, item): return 1.0"}, r"\$\.source", "defines no `grade`"),
    ({**PYTHON, "source": LONG_SOURCE}, r"\$\.source", "fewer than 262,144"),
    ({**PYTHON, "source": "(" * 10_000 + ")" * 10_000}, r"\$\.source", "too many nested|no Python source"),
    ({**PYTHON, "source": "def grade(s, i): return '\0'"}, r"\$\.source", "null bytes|no Python source"),
    ({**PYTHON, "image_tag": 2025}, r"\$\.image_tag", "string"),
    (without(MULTI, "calculate_output"), r"\$\.calculate_output", "missing"),
    ({**MULTI, "calculate_output": "right + wrong"}, r"\$\.calculate_output", "no grader 'wrong'"),
    ({**MULTI, "calculate_output": "(right + alike"}, r"\$\.calculate_output", r"expected \)"),
    ({**MULTI, "calculate_output": "mean(right)"}, r"\$\.calculate_output", "no function 'mean'"),
    ({**MULTI, "calculate_output": 0.5}, r"\$\.calculate_output", "string"),
    ({**MULTI, "calculate_output": "right ? 1 : 0"}, r"\$\.calculate_output", "was not expected"),
    ({**MULTI, "graders": {}}, r"\$\.graders", "at least 1 item"),
    ({**MULTI, "graders": "right"}, r"\$\.graders", "dictionary|object"),
    ({**MULTI, "graders": {"a-b": STRING_CHECK}}, r"\$\.graders", "cannot stand in a formula"),
    ({**MULTI, "graders": {"min": STRING_CHECK}}, r"\$\.graders", "cannot stand in a formula"),
    ({**MULTI, "graders": {"right": {**STRING_CHECK, "operation": "is"}}}, r"\$\.graders\.right\.operation", "'eq'"),
    ({**MULTI, "graders": [STRING_CHECK, {**SIMILARITY, "reference": "{{ x }}"}]},
     r"\$\.graders\[1\]\.reference", "no namespace"),
    ({**MULTI, "graders": [STRING_CHECK, STRING_CHECK]}, r"\$\.graders", "two graders of the list are called 'right'"),
    ({**MULTI, "graders": {"python": {**PYTHON, "source": "x"}}}, r"\$\.graders\.python\.source", "defines no"),
    ({**MULTI, "graders": {"inner": MULTI}}, r"\$\.graders\.inner\.type", "expected one of"),
    ({**MULTI, "graders": {f"g{i}": STRING_CHECK for i in range(65)}}, r"\$\.graders", "at most 64"),
    ({**EXACT, "reference": []}, r"\$\.reference", "at least 1 item"),
    ({**EXACT, "reference": ["{{ item.a }}", 3]}, r"\$\.reference\[1\]", "string"),
    ({**EXACT, "ignore_case": "yes"}, r"\$\.ignore_case", "boolean"),
    ({**NUMERIC, "absolute": -1}, r"\$\.absolute", "greater than or equal to 0"),
    ({**NUMERIC, "wrong": 1.5}, r"\$\.wrong", "less than or equal to 1"),
    ({**RANKED, "credit": 2}, r"\$\.credit", "less than or equal to 1"),
    ({**RANKED, "credit": [1, -0.5]}, r"\$\.credit\[1\]", "greater than or equal to 0"),
    ({**RANKED, "credit": []}, r"\$\.credit", "at least 1 item"),
    ({**RANKED, "longest": 0}, r"\$\.longest", "greater than or equal to 1"),
    ({**GATE, "gate": "maths"}, r"\$\.gate", "there is no gate 'maths'"),
    ({**GATE, "gate": {"checks": [{"type": "nothing"}]}}, r"\$\.gate\.checks\[0\]\.type", "expected one of"),
    ({**GATE, "weights": {"answer": 2}}, r"\$", "weights are for credit"),
    ({**REWARD_MODEL, "scale": "tanh"}, r"\$\.scale", "'raw' or 'sigmoid'"),
    ({**GROUP, "source": "def grade(sample, item): return 1.0"}, r"\$\.source", "defines no `grade_group`"),
    ({**STRING_CHECK, "input": DEEP}, r"\$\.input", "string"),
]  # fmt: skip


def test_there_are_sixty_malformed_files_at_least():
    assert len(MALFORMED) >= 60
    kinds = {case[0].get("type") for case in MALFORMED if isinstance(case[0], dict)}
    assert {one["type"] for one in (*PUBLISHED, *OURS)} <= kinds


@pytest.mark.parametrize(("value", "path", "reason"), MALFORMED)
def test_a_malformed_file_is_refused_with_the_path_of_its_mistake(value, path, reason):
    before = str(value)
    with pytest.raises(UsageError, match=rf"(?s)the grader: .*{path}(?![\w\[]).*({reason})"):
        schema.parse(value)
    assert str(value) == before  # it is not changed by being read


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "is no JSON"),
        (b"{", "is no JSON"),
        (b'{"type": "python",}', "is no JSON"),
        (b'{"range": [0, NaN]}', "NaN is no number of JSON"),
        (b'{"range": [0, Infinity]}', "Infinity is no number of JSON"),
        (b'{"name": "a", "name": "b"}', "the key 'name' twice"),
        (b"[" * 200_000, "nested too deeply|is no JSON"),
        (b"\xff\xfe", "is no JSON"),
        (b" " * (4 << 20) + b"{}", "expected at most 4,194,304"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_json_is_refused(raw, reason, tmp_path):
    file = tmp_path / "grader.json"
    file.write_bytes(raw)
    with pytest.raises(UsageError, match=reason):
        schema.load(file)


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(UsageError, match=r"cannot read the grader .*none\.json: No such file"):
        schema.load(tmp_path / "none.json")


def test_several_mistakes_are_said_at_once():
    with pytest.raises(UsageError) as caught:
        schema.parse({**without(STRING_CHECK, "name"), "operation": "is", "input": 3})
    assert all(path in str(caught.value) for path in ("$.name", "$.operation", "$.input"))
