"""Graders that tests start from: one of every kind, as JSON."""

from __future__ import annotations

from typing import Any

from recast.train.graders.format import schema
from recast.train.graders.grader import Grader
from recast.train.graders.records import Models

STRING_CHECK: dict[str, Any] = {
    "type": "string_check", "name": "right", "input": "{{ sample.output_text }}", "reference": "{{ item.answer }}",
    "operation": "eq",
}  # fmt: skip
SIMILARITY: dict[str, Any] = {
    "type": "text_similarity", "name": "alike", "input": "{{ sample.output_text }}", "reference": "{{ item.answer }}",
    "evaluation_metric": "fuzzy_match",
}  # fmt: skip
SCORE: dict[str, Any] = {
    "type": "score_model", "name": "judged", "model": "judge", "range": [0, 10],
    "input": [
        {"role": "developer", "content": "You grade answers."},
        {"role": "user", "type": "message", "content": {"type": "input_text", "text": "Is {{ item.answer }} right?"}},
        {"role": "user", "content": ["It says:", {"type": "output_text", "text": "{{ sample.output_text }}"}]},
    ],
    "sampling_params": {
        "seed": 7, "temperature": 0.5, "top_p": 0.9, "max_completions_tokens": 64, "reasoning_effort": "low",
    },
}  # fmt: skip
LABEL: dict[str, Any] = {
    "type": "label_model", "name": "labelled", "model": "judge", "labels": ["good", "bad"], "passing_labels": ["good"],
    "input": [{"role": "user", "content": "{{ sample.output_text }}"}],
}  # fmt: skip
PYTHON: dict[str, Any] = {
    "type": "python", "name": "coded", "image_tag": "2025-05-08",
    "source": "def grade(sample, item):\n    return float(sample['output_text'] == item['answer'])\n",
}  # fmt: skip
MULTI: dict[str, Any] = {
    "type": "multi", "name": "both", "graders": {"right": STRING_CHECK, "alike": SIMILARITY},
    "calculate_output": "0.75 * right + alike / 4",
}  # fmt: skip
EXACT: dict[str, Any] = {"type": "exact", "name": "exact", "reference": "{{ item.answer }}"}
NUMERIC: dict[str, Any] = {"type": "numeric", "name": "numeric", "reference": "{{ item.answer }}"}
RANKED: dict[str, Any] = {"type": "ranked_list", "name": "ranked", "reference": "{{ item.cause }}"}
GATE: dict[str, Any] = {"type": "gate", "name": "gated", "gate": "math"}
REWARD_MODEL: dict[str, Any] = {"type": "reward_model", "name": "preferred", "model": "rm"}
GROUP: dict[str, Any] = {
    "type": "group_python", "name": "group",
    "source": "def grade_group(samples, item):\n    return [len(s['output_text']) / 10 for s in samples]\n",
}  # fmt: skip

PUBLISHED = (STRING_CHECK, SIMILARITY, SCORE, LABEL, PYTHON, MULTI)
OURS = (EXACT, NUMERIC, RANKED, GATE, REWARD_MODEL, GROUP)


def grader(value: dict[str, Any], models: Models | None = None) -> Grader:
    return Grader(schema.parse(value), models)


def reward(value: dict[str, Any], item: dict[str, Any], sample: str, models: Models | None = None) -> float:
    return grader(value, models).grade(item, sample).reward


def without(value: dict[str, Any], key: str) -> dict[str, Any]:
    return {k: v for k, v in value.items() if k != key}
