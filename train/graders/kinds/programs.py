"""Graders in Python, run in the sandbox with the published limits: `python`, `group_python`.

The source runs anew for every call, in one process for many, so that what it remembers of one sample cannot reach the
next unless it hides it in a module; what a call breaks (its process, time, memory, output) concerns that call alone.
It may import what is installed here and has no network.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import Any, cast

from recast.curate.fingerprint import plain
from recast.curate.gate.sandbox import Limits, Returned, Run, RunStatus, call
from recast.curate.parallel import default_workers
from recast.train.graders.format.ours import GroupPython
from recast.train.graders.format.published import Python
from recast.train.graders.kinds.rendering import batched
from recast.train.graders.records import Case, Errors, Models, Outcome, failed

PUBLISHED = Limits(cpu_s=120, wall_s=120.0, memory_mb=2048, file_mb=1024, output_kb=1024)
"""Two minutes and 2 GB for a call. They hold for the calls of a process together; one that falls short for its
neighbours' sake is asked again in a process of its own."""
MAX_CALLS, MAX_CHARS = 64, 16 << 20
"""Calls of one process, and characters of their arguments."""

_PROGRAM = """
_source = compile({source!r}, "<grader>", "exec", dont_inherit=True)
def _graded(*arguments):
    space = {{"__name__": "__main__"}}
    exec(_source, space)
    return space[{function!r}](*arguments)
"""


def python(config: Python, cases: Sequence[Case], models: Models) -> list[Outcome]:
    """The float that `grade(sample, item)` returns."""

    def ask(arguments: Sequence[list[Any]]) -> list[Outcome]:
        return _all_called(config.source, "grade", arguments, models, _as_float)

    return batched(cases, lambda case: [plain(case.sample.namespace), plain(dict(case.item))], ask)


def group_python(config: GroupPython, cases: Sequence[Case], models: Models) -> list[Outcome]:
    """The floats that `grade_group(samples, item)` returns for the samples of each group."""
    outcomes: list[Outcome] = []
    groups = [list(members) for _, members in groupby(cases, lambda case: case.group)]

    def ask(arguments: Sequence[list[Any]]) -> list[Outcome]:
        return _all_called(config.source, "grade_group", arguments, models, _as_floats)

    heads = [members[0] for members in groups]
    by_head = {id(head): members for head, members in zip(heads, groups, strict=True)}
    said = batched(
        heads,
        lambda head: [[plain(c.sample.namespace) for c in by_head[id(head)]], plain(dict(head.item))],
        ask,
    )
    for members, outcome in zip(groups, said, strict=True):
        rewards = cast("list[float]", outcome.scores.get("rewards", []))
        if outcome.errors.flags:
            outcomes += [outcome] * len(members)
        elif len(rewards) != len(members):
            found = f"{len(rewards)} rewards for {len(members)} samples"
            outcomes += [_broken(found)] * len(members)
        else:
            outcomes += [Outcome(reward) for reward in rewards]
    return outcomes


def _as_float(value: Any) -> Outcome:
    number = _number(value)
    return (
        _broken(f"it returned {_shown(value)}, which is no finite float")
        if number is None
        else Outcome(number)
    )


def _as_floats(value: Any) -> Outcome:
    numbers = (
        [_number(one) for one in cast("list[Any]", value)] if isinstance(value, list | tuple) else [None]
    )
    if None in numbers:
        return _broken(f"it returned {_shown(value)}; expected a list of finite floats, one a sample")
    return Outcome(0.0, scores={"rewards": numbers})


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of too many digits
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:79]}…"


def _broken(details: str) -> Outcome:
    """The source broke on this sample: the sample was graded, and is worth nothing."""
    flag = Errors(python_grader_runtime_error=True, python_grader_runtime_error_details=details[:500])
    return failed(flag, scored=True)


def _all_called(
    source: str,
    function: str,
    arguments: Sequence[list[Any]],
    models: Models,
    read: Callable[[Any], Outcome],
) -> list[Outcome]:
    """An outcome for each list of arguments, several processes at a time."""
    program = _PROGRAM.format(source=source, function=function)
    limits = models.limits or PUBLISHED

    def chunk(several: Sequence[list[Any]]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        while len(outcomes) < len(several):
            run, results = call(
                program,
                "_graded",
                several[len(outcomes) :],
                limits=limits,
                packages=True,
                unsafe=models.unsafe_exec,
            )
            outcomes += [_outcome(result, read) for result in results]
            if not results:
                outcomes.append(_ended(run))  # by the first call, which had the whole of the limits
        return outcomes

    with ThreadPoolExecutor(default_workers()) as pool:
        return [outcome for made in pool.map(chunk, _chunks(arguments)) for outcome in made]


def _chunks(arguments: Sequence[list[Any]]) -> Iterator[list[list[Any]]]:
    chunk: list[list[Any]] = []
    chars = 0
    for each in arguments:
        size = _size(each)
        if chunk and (len(chunk) == MAX_CALLS or chars + size > MAX_CHARS):
            yield chunk
            chunk, chars = [], 0
        chunk.append(each)
        chars += size
    if chunk:
        yield chunk


def _size(value: Any) -> int:
    if isinstance(value, dict):
        return sum(_size(each) for each in cast("dict[str, Any]", value).values())
    if isinstance(value, list):
        return sum(map(_size, cast("list[Any]", value)))
    return len(value) if isinstance(value, str) else 8


def _outcome(result: Returned, read: Callable[[Any], Outcome]) -> Outcome:
    return _broken(result.raised) if result.raised else read(result.value)


def _ended(run: Run) -> Outcome:
    """A call that its process did not outlive."""
    if run.status is RunStatus.TIMEOUT:
        flag = Errors(unresponsive_reward_error=True, python_grader_server_error_type="timeout")
    else:
        flag = Errors(
            python_grader_server_error=True,
            python_grader_server_error_type=f"{run.status.value}: {run.message}"[:500],
        )
    return failed(flag)
