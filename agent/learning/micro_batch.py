"""How many candidates go through a forward pass together: as many as fit, and none begun that cannot.

Gradients are summed over the batch whatever the pieces, so the size decides memory and time, and of the outcome
only the last bits. It is kept beside the checkpoints: a resumed run sums in the same pieces.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from recast.agent.learning.config import LearnConfig
from recast.agent.learning.processes import Processes
from recast.agent.learning.trl_trainer import shares_prompts, usual_micro_batch
from recast.curate.errors import UsageError
from recast.curate.files import write_json
from recast.train.model.memory import Pass, Training, budget, taken

CHOSEN = "micro_batch.json"
GIB = 2**30


def fitting(
    config: LearnConfig, model: Any, longest_prompt: int, checkpoints: Path, processes: Processes
) -> int:
    """Candidates of a forward pass: `config.micro_batch`, or the most that fit, up to the usual number.

    Raises UsageError, naming the setting that fits, where the memory that is free does not suffice.
    """
    rows = config.prompts_per_step * config.candidates // processes.count
    needed = needed_by(config, model, longest_prompt, processes)
    device = model.device.type
    mine = budget(device) // (1 if device == "cuda" else processes.count)
    free = min(processes.gathered([mine]))  # all processes take the same
    usual = config.micro_batch or usual_micro_batch(config, rows, cuda=device == "cuda")
    if config.micro_batch is None:
        usual = _chosen_before(checkpoints) or usual
    if needed(usual) <= free:
        fits = usual
    else:
        fits = next((n for n in range(usual - 1, 0, -1) if rows % n == 0 and needed(n) <= free), None)
    pass_of = f"prompts of up to {longest_prompt} tokens and {config.max_tokens} new ones"
    if fits is None:
        raise UsageError(
            f"learning needs about {needed(1) / GIB:.1f} GiB for a single candidate ({pass_of}), and "
            f"{free / GIB:.1f} GiB can be had. Set learn.max_tokens lower, leave out long rows, or take a smaller "
            "backbone or a machine with more memory."
        )
    if config.micro_batch and fits != config.micro_batch:
        raise UsageError(
            f"learn.micro_batch={config.micro_batch} needs about {needed(config.micro_batch) / GIB:.1f} GiB "
            f"({pass_of}), and {free / GIB:.1f} GiB can be had. Set learn.micro_batch={fits}, or leave it out."
        )
    if config.micro_batch is None and processes.first:
        write_json(checkpoints / CHOSEN, {"micro_batch": fits})
    return fits


def needed_by(
    config: LearnConfig, model: Any, longest_prompt: int, processes: Processes
) -> Callable[[int], int]:
    """Bytes that are not yet taken when the backbone is loaded, by the number of candidates in a forward pass.

    On a CPU weights are mapped from their file, and what is read of it counts as free memory: they come in.
    """
    cuda = model.device.type == "cuda"
    training = Training(
        model.config,
        dtype_bytes=2 if cuda else model.dtype.itemsize,
        lora_rank=config.lora_rank,
        checkpointing=cuda,
    )
    standing = training.standing(model.num_parameters()) + (0 if cuda else model.get_memory_footprint())
    prompts = config.prompts_per_step // processes.count

    def needed(rows: int) -> int:
        completions = rows * config.max_tokens
        alone = processes.count == 1 and not cuda
        if alone and shares_prompts(model.config, completions):
            read = rows * longest_prompt
            one = Pass(min(rows, prompts) * longest_prompt + completions, read, completions)
        else:
            one = Pass(rows * longest_prompt + completions)
        return standing + taken(training.peak(one), model.device.type)

    return needed


def _chosen_before(checkpoints: Path) -> int | None:
    """What an interrupted run chose, of which there is a checkpoint to go on from."""
    if not (checkpoints / CHOSEN).exists():
        return None
    return json.loads((checkpoints / CHOSEN).read_text(encoding="utf-8"))["micro_batch"]
