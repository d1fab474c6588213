"""Is it really this adapter, on this backbone? A few texts scored with and without it, then and now.

An engine that runs without the adapter it was given, or with another one, gives plausible text and no error
(reported of several rollout engines). So learning writes beside every adapter what it makes of a few fixed
texts, and a job that is to use the adapter measures them again, through whatever engine it has, and is refused
where they differ. Weights cannot be compared that way: a server shows none.

    record(engine, folder)   # writes folder/probe.json
    check(engine, folder)    # raises RefusedError
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recast.agent.engines.protocol import Engine, uncached
from recast.agent.prompts.prompts import DEFAULT, Prompts
from recast.curate import files
from recast.curate.errors import ModelError, RefusedError
from recast.curate.records import Messages

PROBE = "probe.json"
LEAST_EFFECT = 1e-4
"""An adapter that moves the texts by less (root mean square of mean NLLs, nats) does nothing."""
TOLERANCE = {"float32": 2e-3}
"""How far two engines may lie apart that both compute in this dtype."""
HALF_TOLERANCE = 0.05
"""The same where one of them computes in half precision, or does not say."""

QUESTIONS = (
    ("What is 17 + 26?", "17 + 26 = 43. The answer is 43."),
    ("Name the largest planet.", "The largest planet of the solar system is Jupiter."),
    ("Compute 48 / 2.", "Half of 48 is 24, so the answer is 24."),
)


def record(engine: Engine, folder: Path, prompts: Prompts = DEFAULT) -> None:
    """Measure the probe texts, under the prompts of learning, and write them beside the adapter in `folder`."""
    cases = _cases(prompts)
    off, on = _measure(engine, cases)
    found = [
        case | {"off": a, "on": b}
        for case, a, b in zip(cases, off, on, strict=True)
        if math.isfinite(a) and math.isfinite(b)  # the model may be too short for some
    ]
    files.write_json(folder / PROBE, {"dtype": engine.dtype, "prompt_id": prompts.rewrite_id, "cases": found})


def check(engine: Engine, folder: Path) -> str | None:
    """Raise RefusedError unless the engine answers with the adapter of `folder`, and without it as it was learnt on.

    An adapter that `record` never saw is only required to change something. One that was recorded to change nothing,
    since no step of its learning was better than none, is the bare backbone: it passes, and what to tell a person
    is returned.
    """
    recorded = _read(folder / PROBE)
    cases = recorded["cases"] or _cases()
    off, on = _measure(engine, cases)
    note: str | None = None
    expected_off, expected_on = ([c.get(key, math.nan) for c in cases] for key in ("off", "on"))
    if recorded["cases"] and not _distance(expected_on, expected_off) > LEAST_EFFECT:
        note = (
            f"the agent {folder} changes nothing: no step of its learning was better than the untrained adapter, so "
            "that its rewrites are those of the bare backbone. Learn longer, or at another learning rate."
        )
    elif not _distance(on, off) > LEAST_EFFECT:
        raise RefusedError(
            f"the engine {engine.name} answers with the adapter {folder} exactly as without it (mean NLLs of "
            f"{_shown(on)} nats on {len(cases)} probe texts), though it was learnt to differ. See whether the engine "
            "runs adapters, and which one is loaded."
        )
    if not recorded["cases"]:
        return None
    dtypes = {engine.dtype, recorded["dtype"]}
    tolerance = TOLERANCE.get(dtypes.pop() or "", HALF_TOLERANCE) if len(dtypes) == 1 else HALF_TOLERANCE
    if not _distance(off, expected_off) <= tolerance:
        raise RefusedError(
            f"the backbone is not the one that the agent {folder} was learnt on: without the adapter, the probe texts "
            f"have mean NLLs of {_shown(off)}, expected {_shown(expected_off)} within {tolerance:g} nats. Pass the "
            "model, with its tokenizer and chat template, that `recast learn` was given."
        )
    # an engine that leaves the adapter out can lie within the tolerance of a weak one, but on the wrong side
    nearer_off = _distance(on, expected_off) < _distance(on, expected_on)
    told_apart = _distance(expected_on, expected_off) > tolerance
    if not _distance(on, expected_on) <= tolerance or (nearer_off and told_apart):
        raise RefusedError(
            f"the engine {engine.name} runs another adapter than {folder}: with it, the probe texts have mean NLLs of "
            f"{_shown(on)}, expected {_shown(expected_on)} within {tolerance:g} nats. See which adapter is loaded."
        )
    return note


def recorded_dtype(folder: Path) -> str | None:
    """What the backbone of the adapter in `folder` was in when it was recorded; None where nothing says."""
    return _read(folder / PROBE)["dtype"]


def _cases(prompts: Prompts = DEFAULT) -> list[dict[str, Any]]:
    found = []
    for question, text in QUESTIONS:
        asked: Messages = [{"role": "user", "content": question}]
        rewriting = prompts.rewrite({"messages": asked, "demonstration": text})
        # agents are taught under the rewriting prompt, where they show most
        found += [{"messages": m, "completion": text} for m in (asked, rewriting)]
    return found


def _measure(engine: Engine, cases: Sequence[Mapping[str, Any]]) -> tuple[list[float], list[float]]:
    """Mean NLL of every case, adapter off and on."""
    engine = uncached(engine)  # an answer from before the server was given another adapter proves nothing
    messages = [case["messages"] for case in cases]
    texts = [case["completion"] for case in cases]
    off, on = (
        [score.nll for score in engine.logprobs(messages, texts, adapter=adapter)]
        for adapter in (False, True)
    )
    return off, on


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {"dtype": found["dtype"], "cases": list(found["cases"])}
    except FileNotFoundError:
        return {"dtype": None, "cases": []}
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{path} is no record of an adapter's answers ({error}); learn the agent again."
        ) from error


def _distance(a: Sequence[float], b: Sequence[float]) -> float:
    """Root mean square of the differences, over what both have."""
    squares = [(x - y) ** 2 for x, y in zip(a, b, strict=True) if math.isfinite(x) and math.isfinite(y)]
    return math.sqrt(sum(squares) / len(squares)) if squares else math.nan


def _shown(values: Sequence[float]) -> str:
    return ", ".join(f"{v:.3f}" for v in values[:3]) + (", ..." if len(values) > 3 else "")
