"""Which run a fine-tuning is: what it is identified by, which rows it holds out, and folders made under older rules.

The rule has a revision. A folder that was begun or finished under an older one is recognised by the fingerprint that
this one gave then, and goes on by it.

    2   rows are held out by their ids (`curate.curation.split`), a model is identified as everywhere
        (`curate.model_folder.identify`)
    1   rows were held out by a permutation of their positions, a model was identified by all bytes of its weights
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recast.curate.curation.split import held_out
from recast.curate.errors import DataError, UsageError
from recast.curate.fingerprint import fingerprint
from recast.curate.model_folder import identify, identify_revision_1
from recast.train.sft.config import NOT_IDENTITY, SftConfig
from recast.train.sft.examples import Example

MANIFEST = "manifest.json"
JOB = "job.json"  # whose folder an unfinished run is, and what was measured before training
REVISION = 2


@dataclass(frozen=True, slots=True)
class Run:
    """A fine-tuning, identified by `fingerprint` (16 hex digits): of data, model, config and held-out rows."""

    fingerprint: str
    model_fingerprint: str
    data_fingerprint: str  # of the token ids and what of them is trained
    template_id: str
    precision: str  # of the arithmetic
    held: list[bool]  # of each row of the first source, whether it is measured and not trained


def run_in(
    out: Path,
    sources: Sequence[Sequence[Example]],
    weights: Sequence[float | None],
    model: str | Path,
    config: SftConfig,
    *,
    template_id: str,
    precision: str,
) -> Run:
    """The run that these make, by the rule under which `out` was begun; the newest where `out` holds none.

    Raises UsageError where `out` belongs to another run, DataError where too few rows are there to hold any out.
    """
    data = data_fingerprint(sources, weights)
    settings = config.model_dump(mode="json", exclude=set(NOT_IDENTITY))

    def run(model_fingerprint: str, held: list[bool], **rule: Any) -> Run:
        facts = {
            "data_fingerprint": data,
            "model_fingerprint": model_fingerprint,
            "template_id": template_id,
            "precision": precision,
        }
        return Run(fingerprint({**facts, "config": settings, **rule})[:16], **facts, held=held)

    def newest() -> Run:
        held = _held([e.row_id for e in sources[0]], config, held_out)
        positions = [i for i, h in enumerate(held) if h]
        return run(identify(model), held, revision=REVISION, heldout=positions)

    def revision_1() -> Run:
        held = _held(
            range(len(sources[0])), config, lambda rows, share: _held_by_position(len(rows), share, config)
        )
        return run(identify_revision_1(model), held)

    known, state = _lying_in(out)
    rules: tuple[Callable[[], Run], ...] = (newest,) if known is None else (newest, revision_1)
    for rule in rules:
        found = rule()
        if known in (None, found.fingerprint):
            return found
    raise UsageError(
        f"{out} holds the {state} run {known} of other data, model or config; this one is {newest().fingerprint}. "
        "Choose another output folder, or remove that one."
    )


def data_fingerprint(sources: Sequence[Sequence[Example]], weights: Sequence[float | None]) -> str:
    """Identity of the token ids of all sources, in their order, and of the weights of a mixture."""
    found = [fingerprint([[e.num_prompt, *e.ids] for e in examples]) for examples in sources]
    return (found[0] if len(found) == 1 else fingerprint([found, list(weights)]))[:16]


def _held(rows: Sequence[Any], config: SftConfig, rule: Callable[[Any, float], list[bool]]) -> list[bool]:
    if not config.heldout:
        return [False] * len(rows)
    held = rule(rows, config.heldout) if len(rows) > 1 else [True]
    if all(held):
        raise DataError(
            f"{len(rows)} rows of one id cannot be split into trained and held-out ones; set sft.heldout=0."
        )
    return held


def _held_by_position(num_rows: int, share: float, config: SftConfig) -> list[bool]:
    num = min(num_rows - 1, max(1, round(share * num_rows)))
    chosen = set(np.random.default_rng([config.seed, 1]).permutation(num_rows)[:num].tolist())
    return [i in chosen for i in range(num_rows)]


def _lying_in(out: Path) -> tuple[str | None, str]:
    """The fingerprint of the run whose folder `out` is, and whether it is finished."""
    for name, state in ((MANIFEST, "finished"), (JOB, "unfinished")):
        if (out / name).exists():
            return json.loads((out / name).read_text(encoding="utf-8"))["fingerprint"], state
    return None, "no"
