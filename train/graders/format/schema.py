"""Files of graders: read, checked, and refused with the JSON path of what is wrong.

>>> parse({"type": "string_check", "name": "right", "input": "{{ sample.output_text }}", "reference": "4",
...        "operation": "is"})
Traceback (most recent call last):
recast.curate.errors.UsageError: the grader: $.operation is "is"; ...
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError, ValidationInfo, field_validator

from recast.curate.errors import UsageError
from recast.train.graders.format.formula import FUNCTIONS, formula
from recast.train.graders.format.ours import Exact, GateGrader, GroupPython, Numeric, RankedList, RewardModel
from recast.train.graders.format.published import (
    GraderConfig,
    LabelModel,
    Python,
    ScoreModel,
    StringCheck,
    TextSimilarity,
)

MAX_FILE_BYTES = 4 << 20
MAX_GRADERS = 64
SHOWN_ERRORS, SHOWN_CHARS = 5, 60

Single = Annotated[
    StringCheck
    | TextSimilarity
    | ScoreModel
    | LabelModel
    | Python
    | Exact
    | Numeric
    | RankedList
    | GateGrader
    | RewardModel
    | GroupPython,
    Field(discriminator="type"),
]
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def _keyed(value: Any) -> Any:
    """The three shapes of `multi.graders` as one: an object of graders, a list of them, or one alone.

    In the latter two the formula calls a grader by its name, with an underscore for what no name of a variable has.
    """
    if isinstance(value, dict) and isinstance(cast("dict[str, Any]", value).get("type"), str):
        value = [value]
    if not isinstance(value, list):
        return value
    keyed: dict[str, Any] = {}
    for number, one in enumerate(cast("list[Any]", value)):
        key = variable(one, number)
        if key in keyed:
            raise ValueError(f"two graders of the list are called {key!r} in the formula")
        keyed[key] = one
    return keyed


def variable(grader: Any, number: int) -> str:
    """What the formula calls the grader at `number` of a list."""
    name = cast("dict[str, Any]", grader).get("name") if isinstance(grader, dict) else None
    made = re.sub(r"\W", "_", name, flags=re.ASCII) if isinstance(name, str) else ""
    return made if _IDENTIFIER.fullmatch(made) else f"_{made or number}"


class Multi(GraderConfig):
    """Several graders, and the formula of their rewards."""

    type: Literal["multi"]
    graders: Annotated[
        dict[str, Single], BeforeValidator(_keyed), Field(min_length=1, max_length=MAX_GRADERS)
    ]
    calculate_output: str

    @field_validator("graders")
    @classmethod
    def _variables(cls, graders: dict[str, Any]) -> dict[str, Any]:
        for key in graders:
            if not _IDENTIFIER.fullmatch(key) or key in FUNCTIONS:
                raise ValueError(
                    f"the key {key!r} cannot stand in a formula; expected letters, digits and underscores, and none "
                    f"of {', '.join(FUNCTIONS)}"
                )
        return graders

    @field_validator("calculate_output")
    @classmethod
    def _readable(cls, text: str, info: ValidationInfo) -> str:
        names = formula(text).names
        known = info.data.get("graders")
        if known is not None and (strange := sorted(names - set(known))):
            raise ValueError(f"there is no grader {strange[0]!r}; there are {', '.join(known)}")
        return text


AnyGrader = Annotated[Single | Multi, Field(discriminator="type")]
_ANY: TypeAdapter[GraderConfig] = TypeAdapter(AnyGrader)


def load(path: Path) -> GraderConfig:
    """The grader of a JSON file: the grader itself, or an object whose one member `grader` it is, as a request has it.

    Raises UsageError for what is no file, no JSON or no grader.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read the grader {path}: {error.strerror}. Expected a JSON file.") from error
    return parse(decoded(raw, f"the grader {path}"), f"the grader {path}")


def decoded(raw: bytes, where: str) -> Any:
    """The JSON of a grader's file. Raises UsageError, for what JSON leaves open, too: NaN, a key twice."""
    if len(raw) > MAX_FILE_BYTES:
        raise UsageError(f"{where} has {len(raw):,} bytes; expected at most {MAX_FILE_BYTES:,}.")
    try:
        return json.loads(raw.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_no_key_twice)
    except RecursionError as error:
        raise UsageError(f"{where} is nested too deeply to be one.") from error
    except ValueError as error:
        raise UsageError(f"{where} is no JSON: {error}.") from error


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"an object has the key {next(k for k in keys if keys.count(k) > 1)!r} twice")
    return found


def parse(value: Any, where: str = "the grader") -> GraderConfig:
    """The grader of a JSON value. Raises UsageError with the JSON path of each mistake."""
    root = "$"
    if isinstance(value, Mapping) and set(cast("Mapping[str, Any]", value)) == {"grader"}:
        value, root = cast("Mapping[str, Any]", value)["grader"], "$.grader"
    try:
        return _ANY.validate_python(value)
    except ValidationError as error:
        told = [_told(value, one, root) for one in error.errors(include_url=False)[:SHOWN_ERRORS]]
        raise UsageError(f"{where}: {'; '.join(told)}.") from error


def _told(value: Any, error: Any, root: str) -> str:
    kind, said = error["type"], str(error["msg"]).removeprefix("Value error, ")
    *above, last = error["loc"] or ("",)
    if kind == "missing":
        return f"{_place(value, above, root)[0]}.{last} is missing"
    path, found = _place(value, error["loc"], root)
    if kind == "extra_forbidden":
        return f"{path} is no field of this grader"
    if kind == "union_tag_not_found":
        return f"{path}.type is missing"
    if kind == "union_tag_invalid":
        expected = str(error["ctx"]["expected_tags"]).replace("'", "")
        return f'{path}.type is "{error["ctx"]["tag"]}"; expected one of {expected}'
    shown = json.dumps(found, ensure_ascii=False, default=str)
    shown = shown if len(shown) <= SHOWN_CHARS else f"{shown[: SHOWN_CHARS - 1]}…"
    return f"{path} is {shown}; {said[:1].lower()}{said[1:]}"


def _place(value: Any, loc: Sequence[str | int], root: str) -> tuple[str, Any]:
    """Where pydantic's `loc` leads in the JSON as it was given, and what stands there.

    What `loc` names and the JSON has not is the name of a type in a union, or a shape that was given another way.
    """
    path, here = root, value
    for part in loc:
        if isinstance(here, dict):
            members = cast("dict[str | int, Any]", here)
            if part in members:
                path, here = f"{path}.{part}", members[part]
        elif isinstance(here, list):
            several = cast("list[Any]", here)
            called = (i for i, one in enumerate(several) if variable(one, i) == part)
            at = part if isinstance(part, int) else next(called, len(several))
            if at < len(several):
                path, here = f"{path}[{at}]", several[at]
    return path, here
