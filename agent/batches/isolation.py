"""Failures kept apart: a row that raises is data with a reason, an engine that fails on everything stops the job.

A call over many rows is made once for all; where it raises, once more for each row alone (`each`). Where every row
raises, a question that any engine can answer (`canary`) tells bad rows from a dead engine.

    groups = sample_each(engine, lambda i: prompts[i], k, sampling, seeds, adapter=False)
    failed = [group for group in groups if isinstance(group, Exception)]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from recast.agent.engines.protocol import Engine, Sample, Sampling, uncached
from recast.curate.records import Messages

ERROR = "error"
"""The reason of a row that raised."""
CANARY: Messages = [{"role": "user", "content": "Hello"}]
MOST_SAID = 500
"""Characters kept of what was raised."""

T = TypeVar("T")


def each(
    call: Callable[[Sequence[int]], Sequence[T]], num: int, probe: Callable[[], object]
) -> list[T | Exception]:
    """Call for all indices at once; where that raises, for each alone, with the exception as its result.

    If every single one raises, `probe` asks the engine for the least it must be able to do: if it cannot do that
    either, the failure is the engine's and rises; else it is the rows'.
    """
    if not num:
        return []
    try:
        return list(call(range(num)))
    except Exception as failure:
        alone: list[T | Exception] = [_caught(call, i) for i in range(num)]
        if all(isinstance(result, Exception) for result in alone):
            try:
                probe()
            except Exception:
                raise failure from None
        return alone


def sample_each(
    engine: Engine,
    prompt: Callable[[int], Any],
    k: int,
    sampling: Sampling,
    seeds: Sequence[Sequence[int]],
    *,
    adapter: bool,
    draw: Callable[..., list[list[Sample]]] | None = None,
) -> list[list[Sample] | Exception]:
    """A group of `k` samples for every row of seeds, or what the row raised, in making `prompt(i)` or in sampling.

    `draw` takes the place of `engine.sample` where prompts are no message lists.
    """
    draw = draw or engine.sample

    def sample(chosen: Sequence[int]) -> list[list[Sample]]:
        asked = [prompt(i) for i in chosen]
        return draw(asked, k, sampling, seeds=[seeds[i] for i in chosen], adapter=adapter)

    return each(sample, len(seeds), lambda: canary(engine, sampling, adapter=adapter))


def canary(engine: Engine, sampling: Sampling, *, adapter: bool) -> None:
    """Ask for one token, past any cache. Raises what the engine raises: then it is dead, and the rows are not bad."""
    one = replace(sampling, max_tokens=1)
    uncached(engine).sample([CANARY], 1, one, seeds=[[0]], adapter=adapter)


def scoring_canary(engine: Engine) -> None:
    """The same for scoring: ask what one word costs the bare backbone."""
    uncached(engine).logprobs([CANARY], ["Hello"], adapter=False)


def described(error: Exception) -> str:
    """What was raised, as a row keeps it."""
    return f"{type(error).__name__}: {error}"[:MOST_SAID]


def _caught(call: Callable[[Sequence[int]], Sequence[T]], index: int) -> T | Exception:
    try:
        return call([index])[0]
    except Exception as error:
        return error
