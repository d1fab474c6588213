"""Graders that ask a model: `score_model`, `label_model`, `reward_model`.

The model is told which JSON to answer with, since not every engine can force it to. Of its reply the last JSON object
that has a result counts, so that what it quotes of the sample before does not.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from recast.curate.records import Messages
from recast.train.graders.format.ours import RewardModel
from recast.train.graders.format.published import LabelModel, SamplingParams, ScoreModel, Turn
from recast.train.graders.kinds.rendering import batched, prompt_of, turns
from recast.train.graders.records import Case, Errors, Models, Outcome, Question, Reply, failed

MAX_REPLY_CHARS = 100_000
"""Of a reply, from its end, that are searched for a result."""

_SCORE = (
    'Answer with JSON alone: {{"steps": [{{"description": "...", "conclusion": "..."}}], "result": NUMBER}}, where '
    "NUMBER is your score, at least {0:g} and at most {1:g}."
)
_LABEL = 'Answer with JSON alone: {{"result": LABEL}}, where LABEL is one of {0}.'


def score_model(config: ScoreModel, cases: Sequence[Case], models: Models) -> list[Outcome]:
    low, high = config.range

    def read(result: Any) -> float | None:
        if isinstance(result, bool) or not isinstance(result, int | float) or not math.isfinite(result):
            return None
        return min(high, max(low, float(result)))

    return _asked(config, _SCORE.format(low, high), read, cases, models)


def label_model(config: LabelModel, cases: Sequence[Case], models: Models) -> list[Outcome]:
    def read(result: Any) -> float | None:
        return float(result in config.passing_labels) if result in config.labels else None

    labels = ", ".join(json.dumps(label, ensure_ascii=False) for label in config.labels)
    return _asked(config, _LABEL.format(labels), read, cases, models)


def _asked(
    config: ScoreModel | LabelModel,
    told: str,
    read: Callable[[Any], float | None],
    cases: Sequence[Case],
    models: Models,
) -> list[Outcome]:
    def ask(questions: Sequence[Question]) -> list[Outcome]:
        assert models.ask is not None  # `needed` has seen to it
        return [_heard(reply, config.model, read) for reply in models.ask(config.model, questions)]

    return batched(cases, lambda case: _question(case, config.input, told, config.sampling_params), ask)


def _question(case: Case, asked: Sequence[Turn], told: str, params: SamplingParams | None) -> Question:
    given = params or SamplingParams()
    return Question(
        _instructed(turns(case, asked), told),
        max_tokens=given.max_completions_tokens,
        temperature=given.temperature,
        top_p=given.top_p,
        seed=given.seed,
        reasoning_effort=given.reasoning_effort,
    )


def _instructed(messages: Messages, told: str) -> Messages:
    """`told` at the end of the last user turn, where every chat template has a place for it."""
    if messages[-1]["role"] == "user":
        last = messages[-1]
        return [*messages[:-1], {**last, "content": f"{last['content']}\n\n{told}"}]
    return [*messages, {"role": "user", "content": told}]


def _heard(reply: Reply, model: str, read: Callable[[Any], float | None]) -> Outcome:
    spent = {model: reply.num_tokens}
    if reply.error:
        flag = Errors(model_grader_server_error=True, model_grader_server_error_details=reply.error[:500])
        return failed(flag, tokens_by_model=spent)
    if reply.refused:
        return failed(Errors(model_grader_refusal_error=True), tokens_by_model=spent)
    for found in _objects(reply.text):
        value = read(found.get("result"))
        if value is not None:
            return Outcome(value, scores={"result": found["result"]}, tokens_by_model=spent)
        break
    said = reply.text[-200:]
    return failed(Errors(model_grader_parse_error=True), scores={"reply": said}, tokens_by_model=spent)


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """JSON objects with a result that stand in `text` by themselves, last one first."""
    text = text[-MAX_REPLY_CHARS:]
    decoder = json.JSONDecoder()
    found: list[dict[str, Any]] = []
    at = text.find("{")
    tried = 0
    while at >= 0 and tried < 1000:  # a reply of braces alone must not take the square of its length
        tried += 1
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            if isinstance(value, dict) and "result" in value:
                found.append(value)
        at = text.find("{", end)
    yield from reversed(found)


def reward_model(config: RewardModel, cases: Sequence[Case], models: Models) -> list[Outcome]:
    def prepare(case: Case) -> tuple[Messages, str]:
        return prompt_of(case) if config.input is None else turns(case, config.input), case.sample.text

    def ask(pairs: Sequence[tuple[Messages, str]]) -> list[Outcome]:
        assert models.reward is not None  # `needed` has seen to it
        return [worth(raw) for raw in models.reward(config.model, pairs)]

    def worth(raw: float | None) -> Outcome:
        if raw is None:
            return failed(Errors(truncated_observation_error=True), scored=True)
        if not math.isfinite(raw):
            flag = Errors(model_grader_server_error=True, model_grader_server_error_details=f"it gave {raw}")
            return failed(flag)
        value = raw if config.scale == "raw" else 1 / (1 + math.exp(-max(-700.0, min(700.0, raw))))
        return Outcome(value, scores={"raw": raw})

    return batched(cases, prepare, ask)
