"""From a case to what a grader looks at, and what it means where that fails."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from recast.curate.records import Messages
from recast.train.graders.format.portable import written
from recast.train.graders.format.published import Turn
from recast.train.graders.format.template import TooLongError, UnknownVariableError, template
from recast.train.graders.records import Case, Errors, Outcome, failed

Ready = TypeVar("Ready")


class NoReferenceError(ValueError):
    """A reference that the row leaves empty."""


def text(case: Case, source: str) -> str:
    """A template filled in. Raises UnknownVariableError and TooLongError."""
    return template(source).render(case.spaces)


def texts(case: Case, sources: Sequence[str]) -> list[str]:
    """Templates filled in, the members of one that names a list, each once.

    Raises NoReferenceError where all are blank.
    """
    found: list[str] = []
    for source in sources:
        value = template(source).value(case.spaces)
        several = cast("list[Any]", value) if isinstance(value, list | tuple) else [value]
        found += [written(one) for one in several if one is not None]
    kept = [one for one in dict.fromkeys(found) if one.strip()]
    if not kept:
        raise NoReferenceError("the row leaves the reference empty")
    return kept


def turns(case: Case, asked: Sequence[Turn]) -> Messages:
    """Messages to a model, filled in; a developer's turn is a system turn to models that know no developer."""
    return [
        {
            "role": "system" if turn.role == "developer" else turn.role,
            "content": "\n".join(text(case, part.text) for part in turn.content),
        }
        for turn in asked
    ]


def prompt_of(case: Case) -> Messages:
    """The row's prompt: `messages`, as a version or a file has them, or `prompt`. Raises NoReferenceError."""
    found: Any = case.item.get("messages") or case.item.get("prompt")
    if isinstance(found, str) and case.item.get("messages"):
        found = json.loads(found)  # as a version stores them
    if not found:
        raise NoReferenceError("the row has neither messages nor a prompt")
    return [{"role": "user", "content": found}] if isinstance(found, str) else list(found)


def each(cases: Sequence[Case], judge: Callable[[Case], Outcome]) -> list[Outcome]:
    """`judge` of every case; what breaks on one is an outcome with its flag."""
    return [guarded(case, judge) for case in cases]


def guarded(case: Case, judge: Callable[[Case], Outcome]) -> Outcome:
    """`judge(case)`, or the outcome that its error stands for."""
    try:
        return judge(case)
    except UnknownVariableError as error:
        said_by_sample = error.path.namespace == "sample"
        no_json = said_by_sample and error.path.parts[0] == "output_json" and case.sample.json is None
        flags = Errors(sample_parse_error=no_json, invalid_variable_error=not no_json)
        return failed(flags, scored=said_by_sample, scores={"missing": str(error.path)})
    except NoReferenceError as error:
        return failed(Errors(invalid_variable_error=True), scores={"missing": str(error)})
    except TooLongError:
        return failed(Errors(truncated_observation_error=True), scored=True)
    except Exception as error:  # one bad row never stops a run
        return failed(
            Errors(other_error=True, other_error_details=f"{type(error).__name__}: {str(error)[:200]}")
        )


def batched(
    cases: Sequence[Case],
    prepare: Callable[[Case], Ready],
    ask: Callable[[Sequence[Ready]], Sequence[Outcome]],
) -> list[Outcome]:
    """What `ask` says of all cases that can be prepared, in one call; the others have their own flags."""
    ready: list[Ready] = []

    def prepared(case: Case) -> Outcome:
        ready.append(prepare(case))
        return _PENDING

    outcomes = [guarded(case, prepared) for case in cases]
    said = iter(ask(ready) if ready else ())
    return [next(said) if outcome is _PENDING else outcome for outcome in outcomes]


_PENDING = Outcome(0.0)
"""Stands where the answer is still to come."""
