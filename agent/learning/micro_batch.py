"""How many candidates go through a forward pass together: as many as fit, and none begun that cannot.

Gradients are summed over the batch whatever the pieces, so the size decides memory and time, and of the outcome
only the last bits. It is kept beside the checkpoints: a resumed run sums in the same pieces.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from recast.agent.learning.config import LearnConfig
from recast.agent.learning.processes import Processes
from recast.agent.learning.trl_trainer import in_bf16, shares_prompts, usual_micro_batch
from recast.curate.errors import UsageError
from recast.train.model.checkpoints import keep_micro_batch, kept_micro_batch
from recast.train.model.memory import Pass, Room, Training, most_rows, room, taken, written
from recast.train.model.token_statistics import head_of


def fitting(
    config: LearnConfig,
    model: Any,
    longest_prompt: int,
    checkpoints: Path,
    processes: Processes,
    memory: int | None = None,
    section: str = "learn",
) -> int:
    """Candidates of a forward pass: `config.micro_batch`, or the most that fit, up to the usual number.

    `memory` is what each process may take in all (bytes; None: `train.model.memory.room`). Raises UsageError, naming
    the setting of the configuration's `section` that fits, where it does not suffice.
    """
    rows = config.prompts_per_step * config.candidates // processes.count
    needed = needed_by(config, model, longest_prompt, processes)
    device = model.device.type
    mine = room(device, memory)
    if device == "cpu" and memory is None:
        mine = mine.shared(processes.count)
    rooms = processes.gathered([mine])  # all processes take the same
    free = Room(min(r.usual for r in rooms), min(r.most for r in rooms))
    usual = config.micro_batch or usual_micro_batch(config, rows, cuda=device == "cuda")
    if config.micro_batch is None:
        usual = kept_micro_batch(checkpoints) or usual
    given_fits = config.micro_batch and needed(usual) <= free.most
    fits = usual if given_fits else most_rows(free, usual, needed)
    pass_of = f"prompts of up to {longest_prompt} tokens and {config.max_tokens} new ones"
    if fits is None:
        raise UsageError(
            f"learning needs about {written(needed(1))} for a single candidate ({pass_of}), and "
            f"{written(free.most)} can be had. Set {section}.max_tokens lower, leave out long rows, give it more with "
            "--memory, or take a smaller backbone or a machine with more memory."
        )
    if config.micro_batch and fits != config.micro_batch:
        raise UsageError(
            f"{section}.micro_batch={config.micro_batch} needs about {written(needed(config.micro_batch))} "
            f"({pass_of}), and {written(free.most)} can be had. Set {section}.micro_batch={fits}, or leave it out."
        )
    if config.micro_batch is None and processes.first:
        keep_micro_batch(checkpoints, fits)
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
        dtype_bytes=2 if in_bf16(config, model.device.type) else model.dtype.itemsize,
        lora_rank=config.lora_rank,
        checkpointing=cuda,
    )
    standing = training.standing(model.num_parameters()) + (0 if cuda else model.get_memory_footprint())
    prompts = config.prompts_per_step // processes.count
    head = head_of(model)

    def needed(rows: int) -> int:
        completions = rows * config.max_tokens
        alone = processes.count == 1 and not cuda
        if alone and shares_prompts(model.config, head, completions):
            # candidates of a prompt go together, but for those that begin or end a pass (`trl_trainer.by_prompt`)
            read_once = min(rows, prompts, rows // config.candidates + 2)
            held = completions if head is None else 0
            one = Pass(read_once * longest_prompt + completions, rows * longest_prompt, held)
        else:
            one = Pass(rows * longest_prompt + completions)
        return standing + taken(training.peak(one), model.device.type)

    return needed
