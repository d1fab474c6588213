"""What travels through grading: a sample, the grade that it got, and what went wrong, by the published names."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from recast.curate.records import Messages

if TYPE_CHECKING:
    from recast.curate.gate.gate import Gate, GateConfig
    from recast.curate.gate.sandbox import Limits

MAX_JSON_CHARS = 1_000_000
"""Longest sample that is tried as JSON."""


@dataclass(frozen=True)
class Sample:
    """What a model wrote, as the namespace `sample` of templates and the first argument of `grade` in Python."""

    text: str
    finish_reason: str = "stop"
    tools: Sequence[Mapping[str, Any]] = ()
    """Its tool calls, as chat completions have them."""

    @cached_property
    def json(self) -> Any:
        """The sample parsed as JSON; None where it is none, or null."""
        if len(self.text) > MAX_JSON_CHARS:
            return None
        try:
            return json.loads(self.text, parse_constant=_not_json)
        except (ValueError, RecursionError):
            return None

    @cached_property
    def namespace(self) -> dict[str, Any]:
        """Plain values alone; `output_json` only where the sample is JSON, `output_tools` where it calls some."""
        called = [dict(call) for call in self.tools]
        message = {"role": "assistant", "content": self.text} | ({"tool_calls": called} if called else {})
        return {
            "output_text": self.text,
            **({} if self.json is None else {"output_json": self.json}),
            **({"output_tools": called} if called else {}),
            "choices": [{"index": 0, "finish_reason": self.finish_reason, "message": message}],
        }


def _not_json(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


@dataclass(frozen=True, slots=True)
class Errors:
    """Flags of a run, by the names of the published response. `*_details` and `*_type` say more of the flag."""

    formula_parse_error: bool = False
    sample_parse_error: bool = False  # output_json is asked for, and the sample is no JSON
    truncated_observation_error: bool = False  # a text is too long to be graded
    unresponsive_reward_error: bool = False  # a grader ran over its time
    invalid_variable_error: bool = False  # a template names what the row or sample has not
    other_error: bool = False
    other_error_details: str | None = None
    python_grader_server_error: bool = (
        False  # the source never got to say anything: memory, killed, no sandbox
    )
    python_grader_server_error_type: str | None = None
    python_grader_runtime_error: bool = False  # it raised, or returned what is no finite float
    python_grader_runtime_error_details: str | None = None
    model_grader_server_error: bool = False
    model_grader_server_error_details: str | None = None
    model_grader_refusal_error: bool = False
    model_grader_parse_error: bool = False  # the model's reply holds no score or label

    @property
    def flags(self) -> tuple[str, ...]:
        """Names of those that are set."""
        return tuple(f.name for f in fields(self) if getattr(self, f.name) is True)

    @property
    def details(self) -> str:
        """What is known beyond the flags, in one line."""
        said = (getattr(self, f.name) for f in fields(self))
        return "; ".join(text for text in said if isinstance(text, str))

    def __or__(self, other: Errors) -> Errors:
        """Either's flags; of two details the first."""
        return replace(
            self, **{f.name: getattr(self, f.name) or getattr(other, f.name) for f in fields(self)}
        )


@dataclass(frozen=True, slots=True)
class Grade:
    """What a sample is worth, and why.

    `reward` is what the published service would report: 0 wherever something went wrong. `scored` is False where that
    0 says nothing of the sample: the judge was silent, the row lacks a column, the gate could not decide. A trainer
    leaves such a sample out (`value` is None). Where the sample brought the error on itself (it is no JSON, it is
    endless, the source breaks on it), it was graded and is worth 0.
    """

    name: str
    type: str
    reward: float
    sub_rewards: Mapping[str, float] = field(default_factory=dict[str, float])
    errors: Errors = Errors()
    scored: bool = True
    scores: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What is known beyond the reward: the reason of a gate, the steps of a judge, the position of a hit."""
    seconds: float = 0.0
    """Share of the batch's time by the clock."""
    tokens_by_model: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def value(self) -> float | None:
        return self.reward if self.scored else None

    def to_json(self) -> dict[str, Any]:
        """The published response to a run of a grader; `scored` is ours."""
        return {
            "reward": self.reward,
            "sub_rewards": dict(self.sub_rewards),
            "scored": self.scored,
            "metadata": {
                "name": self.name,
                "type": self.type,
                "errors": asdict(self.errors),
                "execution_time": self.seconds,
                "scores": dict(self.scores),
                "token_usage": sum(self.tokens_by_model.values()) or None,
                "sampled_model_name": next(iter(self.tokens_by_model), None),
            },
            "model_grader_token_usage_per_model": dict(self.tokens_by_model),
        }


class Grades(Protocol):
    """What rewards answers: a grader (`train.graders.grader`), or whatever says as much."""

    @property
    def name(self) -> str: ...

    @property
    def id(self) -> str: ...

    def grade_many(
        self,
        items: Sequence[Mapping[str, Any]],
        samples: Sequence[Any],
        *,
        groups: Sequence[int] | None = None,
    ) -> list[Grade]: ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one grader says of one case; `train.graders.grader` makes a grade of it."""

    reward: float
    errors: Errors = Errors()
    scored: bool = True
    scores: Mapping[str, Any] = field(default_factory=dict[str, Any])
    tokens_by_model: Mapping[str, int] = field(default_factory=dict[str, int])
    sub_rewards: Mapping[str, float] = field(default_factory=dict[str, float])


def failed(errors: Errors, *, scored: bool = False, **more: Any) -> Outcome:
    """No reward. `scored`: because of what the sample is."""
    return Outcome(0.0, errors, scored, **more)


@dataclass(frozen=True)
class Case:
    """One sample with its row. Cases of one `group` answer one prompt and stand together."""

    item: Mapping[str, Any]
    sample: Sample
    group: int = 0

    @cached_property
    def spaces(self) -> dict[str, Any]:
        return {"item": self.item, "sample": self.sample.namespace}


@dataclass(frozen=True, slots=True)
class Question:
    """What a model is asked about one case. None of the settings: the engine's own."""

    messages: Messages
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    reasoning_effort: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What it said. `error`: why it said nothing; `refused`: it declined to."""

    text: str
    num_tokens: int = 0
    error: str = ""
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Models:
    """What graders ask, as plain callables, and what their sources run in.

    A grader that needs one that is missing is refused when it is made.
    """

    ask: Callable[[str, Sequence[Question]], Sequence[Reply]] | None = None
    """(model, questions) -> a reply each: `score_model`, `label_model`."""
    cosine: Callable[[Sequence[tuple[str, str]]], Sequence[float | None]] | None = None
    """Pairs of texts -> cosines of their embeddings, None for a text that is too long: `text_similarity`."""
    reward: Callable[[str, Sequence[tuple[Messages, str]]], Sequence[float | None]] | None = None
    """(model, (prompt, completion) pairs) -> raw rewards, None for a text that is too long: `reward_model`."""
    gate: Callable[[str | GateConfig], Gate] | None = None
    """Opens a gate with the models that its checks ask. None: gates whose checks ask none."""
    limits: Limits | None = None
    """What a Python source may use. None: what the service allows."""
    unsafe_exec: bool = False
    """Run sources without walls where the machine has none; for sources that one trusts."""
