"""Graders as published ones: read by the published types, and saying the same."""

from __future__ import annotations

import json

import pytest
from openai.types.fine_tuning.reinforcement_method import Grader as PublishedGrader
from openai.types.graders import MultiGrader, PythonGrader
from pydantic import TypeAdapter

from recast.curate.errors import UsageError
from recast.curate.gate import sandbox
from recast.train.graders.format import schema
from recast.train.graders.format.publish import published
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


@pytest.mark.parametrize(
    "value", [STRING_CHECK, SIMILARITY, SCORE, PYTHON, EXACT, RANKED], ids=lambda v: v["type"]
)
def test_a_published_form_is_one_of_the_published_types_and_of_ours(value):
    written = json.loads(json.dumps(published(schema.parse(value))))
    TypeAdapter(PublishedGrader).validate_python(written, strict=True)
    schema.parse(written)


def test_what_is_published_already_says_the_same():
    value = {**SIMILARITY, "pass_threshold": 0.5}
    assert published(schema.parse(value)) == SIMILARITY  # the threshold is for evaluations
    assert schema.parse(published(schema.parse(SCORE))) == schema.parse(SCORE)
    assert published(schema.parse({**MULTI, "graders": [STRING_CHECK, SIMILARITY]})) == MULTI


def test_a_label_model_becomes_the_part_of_a_multi_since_a_job_takes_it_nowhere_else():
    written = published(schema.parse(LABEL))
    assert (written["type"], written["calculate_output"], list(written["graders"])) == (
        "multi",
        "labels",
        ["labels"],
    )
    TypeAdapter(MultiGrader).validate_python({**written, "graders": written["graders"]["labels"]})


@pytest.mark.parametrize("value", [NUMERIC, GATE, REWARD_MODEL, GROUP, {**RANKED, "match": "answer"}])
def test_what_has_no_published_form_is_refused_with_its_path(value):
    with pytest.raises(UsageError, match=rf"\$ is a grader of the type {value['type']}.*no published form"):
        published(schema.parse(value))
    whole = {**MULTI, "graders": {"right": STRING_CHECK, "ours": value}, "calculate_output": "right"}
    with pytest.raises(UsageError, match=rf"\$\.graders\.ours is a grader of the type {value['type']}"):
        published(schema.parse(whole))


CASES = [
    ({"cause": "gout", "answer": "Gout"}, "1. flu\n2. GOUT."),
    ({"cause": ["gout", "flu"], "answer": ["a", "gout "]}, '["flu", "gout"]'),
    ({"cause": "x", "answer": "x"}, "the list:\n- y\n- x"),
    ({"cause": "größe", "answer": "GRÖSSE"}, "größe"),
    ({"cause": "n", "answer": 3}, "3"),
    ({"cause": None, "answer": None}, "3"),
    ({}, ""),
    ({"cause": "'\"\\", "answer": "{{ item.x }}"}, "'\"\\"),
]


@pytest.mark.skipif(sandbox.missing_wall() is not None, reason="no sandbox here")
@pytest.mark.parametrize(
    "value",
    [
        EXACT,
        {**EXACT, "ignore_case": True, "input": "{{ sample.choices[0].message.content }}"},
        {
            **EXACT,
            "ignore_space": False,
            "reference": ["'\"\\{}", "{{ item.answer }}", "pre {{ item.answer }}"],
        },
        RANKED,
        {**RANKED, "credit": [1, 0.5], "longest": 2, "input": "{{ sample.output_json }}"},
        {**RANKED, "credit": 0.5},
    ],
)
def test_ours_written_in_python_gives_the_rewards_that_it_gives_here(value):
    here, there = grader(value), grader(published(schema.parse(value)))
    items, samples = zip(*CASES, strict=True)
    ours, theirs = (each.grade_many(items, samples) for each in (here, there))
    assert [g.reward for g in ours] == [g.reward for g in theirs]
    assert any(g.reward > 0 for g in ours)
    TypeAdapter(PythonGrader).validate_python(published(schema.parse(value)), strict=True)
