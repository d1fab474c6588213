"""What jobs will take of this machine's memory with a model, by the estimates that the jobs go by themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recast.agent.learning.config import LearnConfig
    from recast.train.sft.config import SftConfig

PROMPT_TOKENS = 256
"""Of a rewriting prompt, or of a question with its demonstration."""
ROW_TOKENS = 512
"""Of a row to fine-tune on."""


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes of the whole process (of a GPU's tensors), and the rows of a pass; None where not even one row fits."""

    size: int
    rows: int | None


def learning(model: Any, config: LearnConfig, memory: int | None) -> Need:
    """Of `recast learn`: candidates of a pass."""
    from recast.agent.learning.micro_batch import needed_by
    from recast.agent.learning.processes import Processes
    from recast.agent.learning.trl_trainer import usual_micro_batch

    needed = needed_by(config, model, PROMPT_TOKENS, Processes())
    rows = config.prompts_per_step * config.candidates
    usual = config.micro_batch or usual_micro_batch(config, rows, cuda=model.device.type == "cuda")
    return _need(model, usual, needed, memory)


def tuning(model: Any, config: SftConfig, memory: int | None) -> Need:
    """Of `recast sft`: rows of a pass."""
    from recast.train.model.loading import runs_in_bf16
    from recast.train.sft.examples import Example
    from recast.train.sft.micro_batch import needed_by

    device = model.device.type
    bf16 = runs_in_bf16(config.precision, device)
    row = Example([0] * min(ROW_TOKENS, config.max_length), 1)
    needed = needed_by(config, model, [row], bf16=bf16)
    return _need(model, config.micro_batch_size or config.batch_size, needed, memory)


def rewriting(model: Any, rows: int, k: int, new: int) -> Need:
    """Of `recast rewrite`: `rows` decoded together, `k` samples a prompt of up to `new` tokens."""
    from recast.agent.engines.hf.engine import row_bytes, standing

    return Need(standing(model) + rows * row_bytes(model, k, PROMPT_TOKENS, new), rows)


def _need(model: Any, usual: int, needed: Any, memory: int | None) -> Need:
    from recast.agent.engines.hf.engine import LIBRARIES
    from recast.train.model.memory import most_rows, room

    rows = most_rows(room(model.device.type, memory), usual, needed)
    here = LIBRARIES if model.device.type == "cpu" else model.get_memory_footprint()
    return Need(here + needed(rows or 1), rows)
