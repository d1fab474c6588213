"""What `train.reinforcement` needs of the engine, wired: the samples and the trainer that `learn` has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recast.curate.store.store import Store
    from recast.train.graders.format.rows import PromptRow
    from recast.train.reinforcement.config import RlConfig
    from recast.train.reinforcement.machinery import Machinery


def machinery(memory: int | None = None) -> Machinery:
    """`memory` is what the process may take in all (bytes; None: a share of what is free)."""
    from recast.agent.engines.hf.attention import cpu_attention
    from recast.agent.engines.hf.engine import HFEngine
    from recast.agent.engines.protocol import Sampling
    from recast.agent.learning.config import LearnConfig
    from recast.agent.learning.micro_batch import fitting
    from recast.agent.learning.processes import Processes
    from recast.agent.learning.trl_trainer import trainer_class
    from recast.train.reinforcement.machinery import Machinery

    def draw(
        model: Any,
        tokenizer: Any,
        prompts: Sequence[Sequence[int]],
        *,
        seeds: Sequence[Sequence[int]],
        temperature: float,
        max_tokens: int,
        batch_size: int,
    ) -> Any:
        engine = HFEngine(model, tokenizer, batch_size=batch_size)
        sampling = Sampling(temperature=temperature, max_tokens=max_tokens)
        return engine.sample_ids(prompts, len(seeds[0]), sampling, seeds=seeds, adapter=engine.has_adapter)

    def fit(config: RlConfig, model: Any, longest_prompt: int, checkpoints: Path) -> int:
        """A step of `rl` takes what a step of `learn` of the same shape takes."""
        shape = LearnConfig(
            prompts_per_step=config.prompts_per_step,
            candidates=max(2, config.samples),
            max_tokens=config.max_tokens,
            lora_rank=config.lora_rank,
            precision=config.precision,
            micro_batch=config.micro_batch,
        )
        return fitting(shape, model, longest_prompt, checkpoints, Processes(), memory, section="rl")

    return Machinery(draw, trainer_class, cpu_attention, fit)


def prompt_rows(name: str, store: Store, limit: int | None = None) -> tuple[list[PromptRow], str | None]:
    """The prompts of a version or of a JSONL file of reinforcement fine-tuning, and the version's ref.

    Raises DataError for a row that no model could be asked.
    """
    from recast.train.graders.format import rows

    if not store.has(name) and Path(name).is_file():
        return rows.read(Path(name))[:limit], None
    version = store.resolve(name)
    told = list(store.open(version).dataset())[:limit]
    return [rows.prompt_row(row, str(row["row_id"])) for row in map(dict, told)], version.ref
