"""A grader as a published one, as OpenAI's and Azure's endpoints read it.

Published graders are written as they are, `exact` and `ranked_list` as Python sources that say the same
(`train.graders.format.portable`). What asks a gate, a reward model, a whole group or our equality of answers has no
published form and is refused by name.
"""

from __future__ import annotations

import inspect
import json
from typing import Any

from recast.curate.errors import UsageError
from recast.train.graders.format import portable
from recast.train.graders.format.ours import Exact, RankedList
from recast.train.graders.format.published import (
    GraderConfig,
    LabelModel,
    Python,
    ScoreModel,
    StringCheck,
    TextSimilarity,
)
from recast.train.graders.format.schema import Multi
from recast.train.graders.format.template import template

PUBLISHED = (StringCheck, TextSimilarity, ScoreModel, LabelModel, Python)
_NOT_FOR_TRAINING = {"pass_threshold"}
"""Fields of the schema for evaluations, which a job of fine-tuning does not know."""

_HEAD = "# Written by recast from a grader of the type {type}; it says the same here and there.\n"
_READ = '''

def _value(parts, spaces):
    """What a template is worth: the value that its one path names, else the text."""
    found = []
    for kind, *rest in parts:
        value = rest[0]
        if kind == "path":
            value = spaces[rest[0]]
            for part in rest[1]:
                value = member(value, part)
                if value is None:
                    raise KeyError("%s.%s is missing" % (rest[0], part))
        found.append((kind, value))
    if len(found) == 1 and found[0][0] == "path":
        return found[0][1]
    return "".join(written(value) for _, value in found)


def _references(spaces):
    found = []
    for parts in SETTINGS["reference"]:
        value = _value(parts, spaces)
        found += [written(one) for one in (value if isinstance(value, (list, tuple)) else [value]) if one is not None]
    kept = [one for one in dict.fromkeys(found) if one.strip()]
    if not kept:
        raise ValueError("the row leaves the reference empty")
    return kept

'''
_GRADE = {
    "exact": """
def grade(sample, item):
    spaces = {"item": item, "sample": sample}
    case, space = SETTINGS["ignore_case"], SETTINGS["ignore_space"]
    said = plain_text(written(_value(SETTINGS["input"], spaces)), case, space)
    return float(any(said == plain_text(one, case, space) for one in _references(spaces)))
""",
    "ranked_list": """
def grade(sample, item):
    spaces = {"item": item, "sample": sample}
    entries = listed(_value(SETTINGS["input"], spaces))
    references = _references(spaces)
    position = position_of(entries, references, SETTINGS["longest"]) if entries else None
    return worth(position, SETTINGS["credit"], SETTINGS["longest"]) if position else 0.0
""",
}


def published(config: GraderConfig) -> dict[str, Any]:
    """The grader as JSON for a job of reinforcement fine-tuning. Raises UsageError for what has no published form."""
    if isinstance(config, Multi):
        return {
            "type": "multi",
            "name": config.name,
            "graders": {key: _single(one, f"$.graders.{key}") for key, one in config.graders.items()},
            "calculate_output": config.calculate_output,
        }
    if isinstance(config, LabelModel):  # the schema of a job has it as a part alone
        inner = {"labels": _single(config, "$")}
        return {"type": "multi", "name": config.name, "graders": inner, "calculate_output": "labels"}
    return _single(config, "$")


def _single(config: GraderConfig, path: str) -> dict[str, Any]:
    if isinstance(config, PUBLISHED):
        return config.model_dump(mode="json", exclude_none=True, exclude=_NOT_FOR_TRAINING)
    if isinstance(config, Exact):
        return _as_python(config, {"ignore_case": config.ignore_case, "ignore_space": config.ignore_space})
    if isinstance(config, RankedList) and config.match == "text":
        return _as_python(config, {"credit": config.credit, "longest": config.longest})
    kind = getattr(config, "type", type(config).__name__)
    how = ' with match "answer"' if isinstance(config, RankedList) else ""
    raise UsageError(
        f"{path} is a grader of the type {kind}{how}, which has no published form: it asks what only recast has. "
        "Take it out, or write a python grader in its place."
    )


def _as_python(config: Exact | RankedList, settings: dict[str, Any]) -> dict[str, Any]:
    told = {"input": _parts(config.input), "reference": [_parts(one) for one in config.reference], **settings}
    source = (
        _HEAD.format(type=config.type)
        + inspect.getsource(portable)
        + f"\n\nSETTINGS = json.loads({json.dumps(told)!r})\n"
        + _READ
        + _GRADE[config.type]
    )
    return {"type": "python", "name": config.name, "source": source}


def _parts(text: str) -> list[Any]:
    return [
        ["text", part] if isinstance(part, str) else ["path", part.namespace, list(part.parts)]
        for part in template(text).parts
    ]
