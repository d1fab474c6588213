"""The published graders, field by field: what a file of them may hold.

Templates, labels, ranges and Python sources are checked when a file is read, so that a mistake is found before a model
has answered. Fields of the schema for evaluations (`pass_threshold`) and of the guide (`sampling_params` of a label
model) are read as well. `train.graders.format.schema` reads files; what each grader does is in a module of its own.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from typing import Annotated, Any, Literal, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictFloat,
    StrictInt,
    StrictStr,
    model_validator,
)

from recast.train.graders.format.template import template

MAX_SOURCE_BYTES = 256 << 10


def _template(text: str) -> str:
    template(text)
    return text


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("expected a finite number")
    return value


Text = Annotated[StrictStr, AfterValidator(_template)]
"""Text with `{{ item.* }}` and `{{ sample.* }}`."""
Name = Annotated[StrictStr, Field(min_length=1)]
Finite = Annotated[StrictFloat, AfterValidator(_finite)]


class GraderConfig(BaseModel):
    """Base of every grader: `type` and `name`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    """How reports call it."""


class Settings(BaseModel):
    """A part of a grader."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class StringCheck(GraderConfig):
    """1 where `input` stands in the relation to `reference`, else 0."""

    type: Literal["string_check"]
    input: Text
    reference: Text
    operation: Literal["eq", "ne", "like", "ilike"]
    """Equal, not equal, `input` contains `reference`, the same without case."""


Metric = Literal[
    "cosine", "fuzzy_match", "bleu", "gleu", "meteor",
    "rouge_1", "rouge_2", "rouge_3", "rouge_4", "rouge_5", "rouge_l",
]  # fmt: skip


class TextSimilarity(GraderConfig):
    """How alike two texts are, in [0, 1]."""

    type: Literal["text_similarity"]
    input: Text
    reference: Text
    evaluation_metric: Metric
    pass_threshold: Finite | None = None
    """From which reward on an answer counts as passed: in reports, not in the reward."""


def _part_type(value: Any) -> Any:
    if value in ("input_image", "input_audio"):
        raise ValueError("pictures and sound cannot be graded here; expected input_text or output_text")
    return value


class Part(Settings):
    """A text within a message."""

    type: Annotated[Literal["input_text", "output_text"], BeforeValidator(_part_type)]
    text: Text


def _parts(value: Any) -> Any:
    """The three shapes of a content, a text, a part or a list of these, as a list of parts."""
    several = cast("list[Any]", value) if isinstance(value, list) else [value]
    return [{"type": "input_text", "text": part} if isinstance(part, str) else part for part in several]


class Turn(Settings):
    """A message to a grading model."""

    role: Literal["user", "assistant", "system", "developer"]
    content: Annotated[tuple[Part, ...], BeforeValidator(_parts), Field(min_length=1)]
    type: Literal["message"] | None = None


class SamplingParams(Settings):
    """How a grading model answers."""

    seed: StrictInt | None = None
    temperature: Annotated[Finite, Field(ge=0, le=2)] | None = None
    top_p: Annotated[Finite, Field(gt=0, le=1)] | None = None
    max_completions_tokens: Annotated[StrictInt, Field(ge=1)] | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None


Turns = Annotated[tuple[Turn, ...], Field(min_length=1)]


def _unit(given: Any) -> Any:
    return (0.0, 1.0) if given is None else given


class ScoreModel(GraderConfig):
    """A model's score of what it is shown, clipped to `range`."""

    type: Literal["score_model"]
    model: Name
    input: Turns
    range: Annotated[tuple[Finite, Finite], BeforeValidator(_unit)] = (0.0, 1.0)
    sampling_params: SamplingParams | None = None
    pass_threshold: Finite | None = None

    @model_validator(mode="after")
    def _ordered(self) -> ScoreModel:
        if self.range[0] >= self.range[1]:
            raise ValueError(f"range is {list(self.range)}; expected the smaller bound before the larger one")
        return self


class LabelModel(GraderConfig):
    """1 where the label that a model gives is one of `passing_labels`, else 0."""

    type: Literal["label_model"]
    model: Name
    input: Turns
    labels: Annotated[tuple[Name, ...], Field(min_length=1)]
    passing_labels: Annotated[tuple[Name, ...], Field(min_length=1)]
    sampling_params: SamplingParams | None = None

    @model_validator(mode="after")
    def _known(self) -> LabelModel:
        if len(set(self.labels)) < len(self.labels):
            raise ValueError("labels holds a label twice")
        if strange := [label for label in self.passing_labels if label not in self.labels]:
            raise ValueError(f"passing_labels holds {strange[0]!r}, which is none of labels")
        return self


def defines(function: str, arguments: int) -> Callable[[str], str]:
    """A check that a source is Python of the allowed size that defines `function` of so many arguments."""

    def check(source: str) -> str:
        size = len(source.encode("utf-8", "surrogatepass"))
        if size >= MAX_SOURCE_BYTES:
            raise ValueError(f"{size:,} bytes; a source has fewer than {MAX_SOURCE_BYTES:,}")
        try:
            tree = ast.parse(source)
        except SyntaxError as error:
            raise ValueError(f"line {error.lineno}: {error.msg}") from error
        except (ValueError, RecursionError, MemoryError) as error:
            raise ValueError(f"no Python source: {error or type(error).__name__}") from error
        made = [node for node in tree.body if function in _names(node)]
        if not made:
            raise ValueError(f"it defines no `{function}`")
        last = made[-1]
        if isinstance(last, ast.AsyncFunctionDef | ast.ClassDef):
            raise ValueError(f"`{function}` is no plain function")
        if isinstance(last, ast.FunctionDef) and not last.decorator_list:
            given = last.args
            count = len(given.posonlyargs) + len(given.args)
            if count != arguments or given.vararg or given.kwarg or given.kwonlyargs:
                raise ValueError(
                    f"`{function}` takes ({ast.unparse(given)}); expected exactly {arguments} arguments"
                )
        return source

    return check


def _names(node: ast.stmt) -> set[str]:
    """What a statement at the top of a module defines."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name for alias in node.names}
    return {
        name.id for name in ast.walk(node) if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
    }


class Python(GraderConfig):
    """The float that `grade(sample, item)` of a source returns, in the sandbox."""

    type: Literal["python"]
    source: Annotated[StrictStr, AfterValidator(defines("grade", 2))]
    image_tag: Name | None = None
    """The service's image. Here the packages are those of this installation."""
    pass_threshold: Finite | None = None
