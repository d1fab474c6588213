"""What leaving a group of changes out does to held-out text: a model is trained with all changes, and for each group
once more without it.

    differences = retrained(changes, {"svamp": [3, 7, ...]}, {"test": [...]}, "path/to/model", config, folder)
    differences["test"]["svamp"]          float64[seeds, questions], nats of a reference answer that the group gains it

Without a group its rows are gone, and those that were removed are there again; or, with `revert`, they read what they
read before the change. These are two questions: rows may do harm and yet do more good than what stood there before. All
trainings of a seed see the same places in the same order, as many steps; at the place of a row that is not there stands
another of the same training, drawn by the seed. So two trainings differ by the group alone, up to what another batch
does to all that follows, which is why there is more than one seed. A gain is so one against other
rows of the version, and not against none.

What a training said is a file of `folder`, named by all that decides it; one that was killed goes on from its last
checkpoint. No weights are kept.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recast.curate.errors import DataError, UsageError
from recast.curate.files import write_json
from recast.curate.fingerprint import fingerprint
from recast.curate.model_folder import identify
from recast.train.attribution.influence import Change, example_of, nats
from recast.train.model.loading import default_device, load, runs_in_bf16
from recast.train.sft.config import NOT_IDENTITY, SftConfig
from recast.train.sft.examples import Example, order, tokenize
from recast.train.sft.micro_batch import fitting
from recast.train.sft.mixture import stream
from recast.train.sft.scoring import prepare
from recast.train.sft.trainer import sft_trainer, train

Progress = Callable[[dict[str, Any]], None]


def retrained(
    changes: Sequence[Change],
    groups: Mapping[str, Sequence[int]],
    heldout: Mapping[str, Sequence[Mapping[str, Any]]],
    model_path: str | Path,
    config: SftConfig,
    folder: Path,
    *,
    seeds: int = 5,
    revert: bool = False,
    memory: int | None = None,
    progress: Progress | None = None,
) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Train with all `changes`, and without each of `groups` (places in `changes`), `seeds` times.

    `changes` are all rows that are trained: one that did not change is the same before and after. Returns, by held-out
    set and group, by how many nats each reference answer is less likely without the group: (seeds, questions). Raises
    UsageError where the configuration holds rows out, DataError where nothing is left to train on.
    """
    if config.heldout:
        raise UsageError(
            "sft.heldout keeps rows out of training, and each group is to be trained whole; leave it at 0."
        )
    if alone := [name for name, rows in heldout.items() if len(rows) < 2]:
        raise DataError(f"{alone[0]} has one question, and nothing can be told from one; give it more.")
    identity = identify(model_path)
    trainings = [(seed, without) for seed in range(seeds) for without in (None, *groups)]
    said: dict[tuple[int, str | None], dict[str, list[float]]] = {}
    for step, (seed, without) in enumerate(trainings):
        if progress:
            phase = f"seed {seed + 1} of {seeds}, {'with all' if without is None else f'without {without}'}"
            progress({"step": step, "steps": len(trainings), "phase": phase})
        left_out = frozenset(groups[without] if without is not None else ())
        settings = config.model_copy(update={"seed": config.seed + seed})
        said[seed, without] = _trained(
            changes, left_out, revert, heldout, model_path, identity, settings, folder, memory
        )
    return {
        name: {
            group: np.array([np.subtract(said[n, group][name], said[n, None][name]) for n in range(seeds)])
            for group in groups
        }
        for name in heldout
    }


def _trained(
    changes: Sequence[Change],
    left_out: frozenset[int],
    revert: bool,
    heldout: Mapping[str, Sequence[Mapping[str, Any]]],
    model_path: str | Path,
    identity: str,
    config: SftConfig,
    folder: Path,
    memory: int | None,
) -> dict[str, list[float]]:
    """Nats of each held-out answer after one training, by set."""
    device = default_device()
    model, tokenizer = load(model_path, device=device)
    after = _examples([change.after for change in changes], tokenizer, config)
    examples = after
    if left_out:
        sides = [_without(c, revert) if place in left_out else c.after for place, c in enumerate(changes)]
        examples = _examples(sides, tokenizer, config)
    sets = {name: tokenize(rows, tokenizer, config.max_length)[0] for name, rows in heldout.items()}
    settings = config.model_dump(mode="json", exclude=set(NOT_IDENTITY))
    texts = {
        "rows": _ids(examples),
        "order": _ids(after),
        "sets": {name: _ids(of) for name, of in sets.items()},
    }
    name = fingerprint({"model": identity, "config": settings, **texts})[:16]
    file, at_work = folder / f"{name}.json", folder / name
    if file.exists():
        return json.loads(file.read_text(encoding="utf-8"))
    every = [*examples, *(e for of in sets.values() for e in of)]
    bf16 = runs_in_bf16(config.precision, device)
    model = prepare(model, every, bf16=bf16)
    at_work.mkdir(parents=True, exist_ok=True)
    micro = fitting(config, model, every, at_work / "checkpoints", bf16=bf16, memory=memory)
    drawn = stream([len(after)], [None], epochs=config.epochs, seed=config.seed)
    lengths = [len(e.ids) for e in after]
    trainer = sft_trainer(
        model,
        tokenizer,
        examples,
        order(lengths, drawn.tolist(), batch_size=config.batch_size, seed=config.seed),
        config.model_copy(update={"micro_batch_size": micro}),
        heldout=(),
        checkpoints=at_work / "checkpoints",
        curve=at_work / "loss.jsonl",
        heldout_curve=at_work / "heldout.jsonl",
        bf16=bf16,
        progress=None,
    )
    train(trainer, None)
    measuring: dict[str, Any] = {"pad_id": tokenizer.pad_token_id, "batch_size": micro, "bf16": False}
    measured = {of: nats(trainer.model, texts_of, measuring) for of, texts_of in sets.items()}
    write_json(file, measured)
    shutil.rmtree(at_work)
    return measured


def _without(change: Change, revert: bool) -> Mapping[str, Any] | None:
    """What stands at the place of a row whose group is left out."""
    return change.before if revert or change.after is None else None


def _examples(sides: Sequence[Mapping[str, Any] | None], tokenizer: Any, config: SftConfig) -> list[Example]:
    """A row for each place: what is there, or another row where nothing is."""
    made = [example_of(side, tokenizer, config.max_length) if side is not None else None for side in sides]
    there = [example for example in made if example is not None]
    if not there:
        raise DataError(f"no row of at most {config.max_length} tokens is left to train on.")
    return [
        example or there[int(np.random.default_rng([config.seed, place]).integers(len(there)))]
        for place, example in enumerate(made)
    ]


def _ids(examples: Sequence[Example]) -> list[Any]:
    return [[example.num_prompt, example.ids] for example in examples]
