"""How much each row of a change pulls the model towards text that was held out, or away from it.

To the first order, a step on a row's loss l lowers the loss L of held-out text by the product of their gradients
(TracIn, Pruthi et al., 2002.08484, eq. 1, at one checkpoint; LESS, Xia et al., 2402.04333, takes it in a LoRA). The
product is symmetric, so it is read from the other side: the model makes one small step that lowers L, and each row says
by how much its own loss falls,

    influence(row) = -(l(w + d) - l(w - d)) / (L(w - d) - L(w + d)),    d along -grad L

nats that the row gains for each nat that the held-out text gains. That costs two forward passes of a row and no
gradient of it, in batches, whatever the number of rows. A row that changed counts with what it is now less what it was;
what was added with what it is, what was removed with what it was, negated.

Deviations: one checkpoint, no learning rate and no Adam state (LESS has both): the figures rank groups of rows, they
predict no loss. The gradient is that of a LoRA at its beginning, whose matrices A are random and whose B are zero:
every linear layer's gradient, projected to its rank.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from recast.curate.errors import DataError
from recast.train.model.loading import default_device, load
from recast.train.model.lora import lora_config
from recast.train.sft.config import SftConfig
from recast.train.sft.examples import Example, collate, tokenize
from recast.train.sft.micro_batch import fitting
from recast.train.sft.scoring import mean_nll, on_device, prepare, scored

DROP, LEAST_DROP = 0.02, 1e-5
"""Nats by which a step is meant to lower the held-out loss, the first that is tried and the last."""
LINEAR = 0.2
"""Share by which it may do otherwise than the gradient says."""
BATCH_ROWS = 16


@dataclass(frozen=True, slots=True)
class Change:
    """A row that changed: mappings with `messages` and `completion`, None where it was not or is no more."""

    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Measured:
    """What a change does to each held-out set, change by change."""

    influence: dict[str, list[float]]
    """Held-out set -> one figure a change, nats of the row for each nat of the set; NaN where a side is too long."""
    fell: dict[str, float]
    """Held-out set -> nats a token between the two ends of its step."""


def influences(
    changes: Sequence[Change],
    heldout: Mapping[str, Sequence[Mapping[str, Any]]],
    model_path: str | Path,
    *,
    rank: int = 16,
    max_length: int = 1024,
    seed: int = 0,
    memory: int | None = None,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> Measured:
    """Measure every change against every held-out set under the model at `model_path`.

    `rank` is that of the LoRA, `seed` draws its matrices, `memory` is what the process may take in all (bytes). Raises
    DataError where a set, or every change, is empty or too long.
    """
    from peft import get_peft_model

    device = default_device()
    torch.manual_seed(seed)
    model, tokenizer = load(model_path, device=device)
    sides = [side for change in changes for side in (change.before, change.after) if side is not None]
    rows = [example_of(side, tokenizer, max_length) for side in sides]
    fit = [row for row in rows if row is not None]
    if not fit:
        raise DataError(
            f"there is no changed row of at most {max_length} tokens; raise --max-length, or compare others."
        )
    sets = {name: tokenize(texts, tokenizer, max_length)[0] for name, texts in heldout.items()}
    every = [*fit, *(e for examples in sets.values() for e in examples)]
    model = prepare(model, every, bf16=False)
    config = SftConfig(lora_rank=rank, batch_size=BATCH_ROWS, max_length=max_length)
    with _scratch() as folder:
        size = fitting(config, model, every, folder, bf16=False, memory=memory)
    model = get_peft_model(model, lora_config(model, rank, alpha=rank))
    # such a step is lost in the rounding of bf16
    measuring: dict[str, Any] = {"pad_id": tokenizer.pad_token_id, "batch_size": size, "bf16": False}
    influence: dict[str, list[float]] = {}
    fell: dict[str, float] = {}
    for done, (name, examples) in enumerate(sets.items()):
        if progress:
            progress({"step": done, "steps": len(sets), "phase": name})
        step, fell[name] = _step(model, examples, measuring)
        with _moved(step, 1):
            forward = nats(model, fit, measuring)
        with _moved(step, -1):
            backward = nats(model, fit, measuring)
        gains = iter([(b - f) / fell[name] for f, b in zip(forward, backward, strict=True)])
        by_side = iter([next(gains) if row is not None else float("nan") for row in rows])
        influence[name] = [
            (-next(by_side) if change.before is not None else 0.0)
            + (next(by_side) if change.after is not None else 0.0)
            for change in changes
        ]
    return Measured(influence, fell)


def example_of(row: Mapping[str, Any], tokenizer: Any, max_length: int) -> Example | None:
    """The row as an example; None where it is longer than `max_length` tokens."""
    try:
        return tokenize([row], tokenizer, max_length)[0][0]
    except DataError:
        return None


def nats(model: Any, examples: Sequence[Example], measuring: dict[str, Any]) -> list[float]:
    """Nats of the trained tokens of each example, all together."""
    found = [0.0] * len(examples)
    for chosen, of in scored(model, examples, frozenset(), **measuring):
        lengths = [examples[i].num_trained for i in chosen]
        for i, logp in zip(chosen, of.logp.split(lengths), strict=True):
            found[i] = -logp.sum().item()
    return found


Step = list[tuple[torch.nn.Parameter, torch.Tensor]]
"""Weights with what is added to each."""


def _step(model: Any, examples: Sequence[Example], measuring: dict[str, Any]) -> tuple[Step, float]:
    """A step against the gradient so small that the loss of `examples` falls as the gradient says, and by how much it
    falls between the step's two ends, nats a token."""
    gradient = _gradient(model, examples, measuring)
    length = sum(g.square().sum().item() for _, g in gradient)
    drop = DROP
    while drop >= LEAST_DROP and length:
        step = [(w, -drop / 2 / length * g) for w, g in gradient]
        with _moved(step, 1):
            down = mean_nll(model, examples, **measuring)
        with _moved(step, -1):
            fell = mean_nll(model, examples, **measuring) - down
        if abs(fell / drop - 1) <= LINEAR:
            return step, fell
        drop /= 4
    raise DataError(
        "no small step lowers the loss of a held-out set as its gradient says: the model may have learned this very "
        "text. Take text that it has not seen."
    )


@contextmanager
def _moved(step: Step, sign: int) -> Iterator[None]:
    """Stand at w + sign * d, then at w again."""
    start = [w.detach().clone() for w, _ in step]
    try:
        with torch.no_grad():
            for w, d in step:
                w.add_(d, alpha=sign)
        yield
    finally:
        with torch.no_grad():
            for (w, _), at in zip(step, start, strict=True):
                w.copy_(at)


def _gradient(model: Any, examples: Sequence[Example], measuring: dict[str, Any]) -> Step:
    """The gradient of the mean nats per trained token of `examples`."""
    model.eval()
    tokens = sum(e.num_trained for e in examples)
    size = measuring["batch_size"]
    ordered = sorted(examples, key=lambda e: len(e.ids))
    for first in range(0, len(ordered), size):
        batch = on_device(collate(ordered[first : first + size], measuring["pad_id"]), model.device)
        (-model(**batch, needs=frozenset()).logp.sum() / tokens).backward()
    found = [(w, w.grad.clone()) for w in model.parameters() if w.requires_grad and w.grad is not None]
    model.zero_grad(set_to_none=True)
    return found


@contextmanager
def _scratch() -> Iterator[Path]:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)
