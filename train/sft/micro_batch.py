"""How many rows go through a forward pass together: as many as fit, and no training begun that cannot.

Losses are summed over the batch whatever the pieces, so the size decides memory and time, and of the outcome only the
last bits. It is kept beside the checkpoints: a resumed run sums in the same pieces. Cayley's exponent is taken from
the tokens of a pass, so its batches are never cut unless a person says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from recast.curate.errors import UsageError
from recast.train.model.checkpoints import keep_micro_batch, kept_micro_batch
from recast.train.model.memory import Pass, Training, most_rows, room, taken, written
from recast.train.model.token_statistics import head_of
from recast.train.sft.config import SftConfig
from recast.train.sft.examples import Example
from recast.train.sft.scoring import eager_is_faster

HALF = 2  # bytes of a bf16 number


def fitting(
    config: SftConfig,
    model: Any,
    examples: Sequence[Example],
    checkpoints: Path,
    *,
    bf16: bool,
    memory: int | None = None,
) -> int:
    """Rows of a forward pass: `config.micro_batch_size`, or the most that fit, up to the batch.

    `model` is ready to be trained (`train.sft.scoring.prepare`). `memory` is what the process may take in all (bytes;
    None: `train.model.memory.room`). Raises UsageError, naming the setting that fits, where it does not suffice.
    """
    needed = needed_by(config, model, examples, bf16=bf16)
    free = room(model.device.type, memory)
    longest = max(len(e.ids) for e in examples)
    given = config.micro_batch_size
    usual = min(given or kept_micro_batch(checkpoints) or config.batch_size, config.batch_size)
    whole = given is not None or config.objective == "cayley"
    fits = usual if whole and needed(usual) <= free.most else most_rows(free, usual, needed)
    if fits is None:
        raise UsageError(
            f"fine-tuning needs about {written(needed(1))} for a single row of {longest} tokens, and "
            f"{written(free.most)} can be had. Set sft.max_length lower, set sft.lora_rank or "
            "sft.gradient_checkpointing=true, give it more with --memory, or take a smaller model."
        )
    if whole and fits != usual:
        cut = "" if given else ", which takes Cayley's exponent over so many rows"
        raise UsageError(
            f"a forward pass of {usual} rows of up to {longest} tokens needs about {written(needed(usual))}, and "
            f"{written(free.most)} can be had. Set sft.micro_batch_size={fits}{cut}."
        )
    if not whole:
        keep_micro_batch(checkpoints, fits)
    return fits


def needed_by(
    config: SftConfig, model: Any, examples: Sequence[Example], *, bf16: bool
) -> Callable[[int], int]:
    """Bytes that are not yet taken when `model` is loaded or ready, by the number of rows in a forward pass."""
    training = Training(
        model.config,
        dtype_bytes=HALF if bf16 else model.dtype.itemsize,
        lora_rank=config.lora_rank,
        checkpointing=config.gradient_checkpointing,
    )
    parameters = model.num_parameters()
    # autocast keeps a copy of the weights for as long as a pass lasts
    standing = Training(model.config, model.dtype.itemsize, config.lora_rank).standing(parameters)
    standing += HALF * parameters if bf16 else 0
    longest = max(len(e.ids) for e in examples)
    trained = max(e.num_trained for e in examples)
    held = 0 if head_of(model) is not None else trained
    plain = model.config.get_text_config()._attn_implementation == "eager"
    eager = plain or eager_is_faster(model, longest, bf16=bf16)

    def needed(rows: int) -> int:
        one = Pass(rows * longest, logits=rows * held, pairs=rows * longest**2 if eager else 0)
        return standing + taken(training.peak(one), model.device.type)

    return needed
