"""Which code runs which grader, and what each needs of this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

from recast.curate.errors import MissingDependencyError, UsageError
from recast.curate.gate.sandbox import need_walls
from recast.train.graders.format.formula import FormulaError, formula
from recast.train.graders.format.ours import Exact, GateGrader, GroupPython, Numeric, RankedList, RewardModel
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
from recast.train.graders.kinds import answers, gates, judges, programs, similarity
from recast.train.graders.records import Case, Errors, Models, Outcome, failed

REVISION = 1
"""Goes up where a grader comes to decide otherwise about the same file."""

Runner = Callable[[Any, Sequence[Case], Models], Sequence[Outcome]]
RUNNERS: dict[type[GraderConfig], Runner] = {
    StringCheck: answers.string_check,
    Exact: answers.exact,
    Numeric: answers.numeric,
    RankedList: answers.ranked_list,
    TextSimilarity: similarity.text_similarity,
    ScoreModel: judges.score_model,
    LabelModel: judges.label_model,
    RewardModel: judges.reward_model,
    Python: programs.python,
    GroupPython: programs.group_python,
    GateGrader: gates.gate,
}


def run(config: GraderConfig, cases: Sequence[Case], models: Models) -> Sequence[Outcome]:
    """What a grader says of every case, in order."""
    if not isinstance(config, Multi):
        return RUNNERS[type(config)](config, cases, models)
    by_key = {key: run(one, cases, models) for key, one in config.graders.items()}
    return [
        _together(config, dict(zip(by_key, said, strict=True))) for said in zip(*by_key.values(), strict=True)
    ]


def _together(config: Multi, parts: dict[str, Outcome]) -> Outcome:
    """The formula over the rewards of the parts; without a score of one of them there is none of the whole."""
    errors = Errors()
    tokens: dict[str, int] = {}
    for part in parts.values():
        errors |= part.errors
        for model, count in part.tokens_by_model.items():
            tokens[model] = tokens.get(model, 0) + count
    rewards = {key: part.reward for key, part in parts.items()}
    more: dict[str, Any] = {
        "scores": {key: dict(part.scores) for key, part in parts.items() if part.scores},
        "tokens_by_model": tokens,
        "sub_rewards": rewards,
    }
    try:
        value = formula(config.calculate_output).value(rewards)
    except FormulaError as error:
        more["scores"]["formula"] = str(error)
        return failed(errors | Errors(formula_parse_error=True), **more)
    return Outcome(value, errors, all(part.scored for part in parts.values()), **more)


def needed(config: GraderConfig, models: Models) -> None:
    """Raise UsageError or MissingDependencyError, naming the grader, where it cannot run here."""
    for one in parts(config):
        if isinstance(one, TextSimilarity):
            similarity.needed(one, models)
        asks = {"score_model": models.ask, "label_model": models.ask, "reward_model": models.reward}
        kind = getattr(one, "type", "")
        if kind in asks and asks[kind] is None:
            raise UsageError(
                f"the grader {one.name!r} ({kind}) asks the model {getattr(one, 'model', '')!r}, and no model was "
                "given. Name one that answers here with --model, or take the grader out."
            )
        if isinstance(one, GateGrader):
            gates.opened(one, models)
        if isinstance(one, Python | GroupPython):
            need_walls(unsafe=models.unsafe_exec)


def lacks(config: GraderConfig, models: Models) -> str:
    """What keeps one grader from running here; empty where nothing does."""
    try:
        needed(config, models)
    except (UsageError, MissingDependencyError) as error:
        return str(error)
    return ""


def reads(config: GraderConfig) -> list[str]:
    """The paths of rows and samples that the templates of one grader name; all of both for what has no templates."""
    named = [
        str(path)
        for text in _texts(config.model_dump(mode="json", exclude={"source", "name"}))
        for path in template(text).paths
    ]
    return list(dict.fromkeys(named)) or ["item", "sample"]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str) and "{{" in value:
        yield value
    elif isinstance(value, dict | list):
        members = (
            cast("dict[str, Any]", value).values() if isinstance(value, dict) else cast("list[Any]", value)
        )
        for each in members:
            yield from _texts(each)


def parts(config: GraderConfig) -> Iterator[GraderConfig]:
    """The graders that a grader consists of: its parts, or itself."""
    yield from config.graders.values() if isinstance(config, Multi) else (config,)
