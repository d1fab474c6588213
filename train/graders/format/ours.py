"""Graders of our own, in files of the same form: what no published grader can say in one line.

Their templates have defaults, so that `{"type": "numeric", "name": "sum", "reference": "{{ item.answer }}"}` is a whole
file. Which of them can be written as published graders is said by `train.graders.format.publish`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    Tag,
    model_validator,
)

from recast.curate.gate.gate import PRESETS, GateConfig
from recast.train.graders.format.published import Finite, GraderConfig, Name, Text, Turns, defines

SAID = "{{ sample.output_text }}"
Share = Annotated[Finite, Field(ge=0, le=1)]


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Texts = Annotated[tuple[Text, ...], BeforeValidator(_several), Field(min_length=1)]
"""A template, or a list of them, of which any will do. One that names a list of the row stands for its members."""


class Exact(GraderConfig):
    """1 where `input` is one of `reference`, else 0."""

    type: Literal["exact"]
    reference: Texts
    input: Text = SAID
    ignore_case: StrictBool = False
    ignore_space: StrictBool = True
    """Runs of white space count as one space, at the ends as none."""


class Numeric(GraderConfig):
    """1 where the final answer of `input` is that of `reference`, within a tolerance, else `wrong` or 0.

    Answers are found and compared as the gate does (`curate.answers`); the tolerance is for numbers of one unit.
    """

    type: Literal["numeric"]
    reference: Texts
    input: Text = SAID
    absolute: Annotated[Finite, Field(ge=0)] = 0.0
    """Largest difference that counts as none."""
    relative: Annotated[Finite, Field(ge=0)] = 0.0
    """Largest difference, as a share of the reference."""
    wrong: Share = 0.0
    """Reward of an answer that can be read and is another one; ReFT (2401.08967) gives 0.1."""


def _shape(value: Any) -> str:
    return "several" if isinstance(value, list | tuple) else "one"


Credit = Annotated[
    Annotated[Share, Tag("one")] | Annotated[tuple[Share, ...], Field(min_length=1), Tag("several")],
    Discriminator(_shape),
]


class RankedList(GraderConfig):
    """Credit for the position at which a ranked list names what is right: 1 for the first, gamma^(k-1) for the k-th."""

    type: Literal["ranked_list"]
    reference: Texts
    input: Text = SAID
    """The list: JSON, or lines that may be numbered or bulleted."""
    credit: Credit = 0.7
    """Gamma, or the credit of each position; none beyond the list."""
    longest: Annotated[StrictInt, Field(ge=1, le=1000)] = 10
    """Positions beyond it earn nothing, so that a list of everything does not pay."""
    match: Literal["text", "answer"] = "text"
    """Equal but for case, white space and punctuation at the ends; or equivalent as final answers are."""


def _preset(name: str) -> str:
    if name not in PRESETS:
        raise ValueError(f"there is no gate {name!r}; expected {', '.join(PRESETS)}, or the gate itself")
    return name


def _kind(value: Any) -> str:
    return "preset" if isinstance(value, str) else "config"


AGate = Annotated[
    Annotated[StrictStr, AfterValidator(_preset), Tag("preset")] | Annotated[GateConfig, Tag("config")],
    Discriminator(_kind),
]


class GateGrader(GraderConfig):
    """1 where the gate accepts the sample, 0 where it rejects it, no score where it cannot decide.

    Of the row it reads `messages`, `demonstration`, `answer` and `task`.
    """

    type: Literal["gate"]
    gate: AGate = "auto"
    """A preset, or a gate as its YAML file has it."""
    credit: Literal["all", "share"] = "all"
    """`share`: the weight of the checks that pass, of all that decide."""
    weights: dict[str, Annotated[Finite, Field(ge=0)]] = Field(default_factory=dict)
    """Of checks, by name; 1 where nothing is said. For `share` alone."""

    @model_validator(mode="after")
    def _has_effect(self) -> GateGrader:
        if self.weights and self.credit == "all":
            raise ValueError('weights are for credit "share"; with "all" every check must pass')
        return self


class RewardModel(GraderConfig):
    """What a reward model gives the sample as the answer to the row's prompt."""

    type: Literal["reward_model"]
    model: Name
    scale: Literal["raw", "sigmoid"] = "raw"
    """The model's own number, or its logistic function, in (0, 1)."""
    input: Turns | None = None
    """The prompt. None: the row's `messages` or `prompt`."""


class GroupPython(GraderConfig):
    """The floats that `grade_group(samples, item)` of a source returns, one a sample of the prompt, in the sandbox."""

    type: Literal["group_python"]
    source: Annotated[StrictStr, AfterValidator(defines("grade_group", 2))]
