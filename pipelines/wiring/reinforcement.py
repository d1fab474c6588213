"""What `train` needs of the engine to learn from answers, wired: the samples and the trainer that `learn` has, the
prompts of a version, and the candidates beside it or the model's own answers in their place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recast.curate.errors import UsageError

if TYPE_CHECKING:
    from recast.curate.store.store import Store
    from recast.pipelines.terminal.progress import Progress
    from recast.train.graders.format.rows import PromptRow
    from recast.train.graders.grader import Grader
    from recast.train.reinforcement.config import RlConfig
    from recast.train.reinforcement.machinery import Machinery
    from recast.train.rejection.config import CandidatesConfig


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
    """A `train.model.drawing.Draw` by the engine of transformers."""
    from recast.agent.engines.hf.engine import HFEngine
    from recast.agent.engines.protocol import Sampling

    engine = HFEngine(model, tokenizer, batch_size=batch_size)
    sampling = Sampling(temperature=temperature, max_tokens=max_tokens)
    return engine.sample_ids(prompts, len(seeds[0]), sampling, seeds=seeds, adapter=engine.has_adapter)


def machinery(memory: int | None = None) -> Machinery:
    """`memory` is what the process may take in all (bytes; None: a share of what is free)."""
    from recast.agent.engines.hf.attention import cpu_attention
    from recast.agent.learning.config import LearnConfig
    from recast.agent.learning.micro_batch import fitting
    from recast.agent.learning.processes import Processes
    from recast.agent.learning.trl_trainer import trainer_class
    from recast.train.reinforcement.machinery import Machinery

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


@dataclass(frozen=True, slots=True)
class Material:
    """Rows with their candidates, in the form that `train.rejection.groups` takes."""

    ref: str
    rows: Any
    candidates: Iterable[Mapping[str, Any]]
    beside: str | None  # the version that the candidates stand beside; None: they are the model's own answers
    drawn: dict[str, Any] | None  # figures of own answers


def material(
    name: str,
    store: Store,
    settings: CandidatesConfig,
    *,
    limit: int | None,
    model: str,
    grader: Grader | None,
    folder: Path,
    progress: Progress | None,
) -> Material:
    """The candidates of the version `name`; with a grader, own answers of `model` to its prompts, kept in `folder`.

    Raises UsageError for settings of own answers without a grader, and what reading and drawing raise.
    """
    from recast.train.rejection.groups import read_candidates

    version = store.resolve(name)
    rows = store.open(version).dataset()
    if limit is not None:
        rows = rows.select(range(min(limit, len(rows))))
    if grader is None:
        beside = store.with_candidates(version)
        return Material(version.ref, rows, read_candidates(beside.candidates()), beside.version.ref, None)
    from recast.train.rejection.answers import own_answers

    own = own_answers(rows, model, grader, settings, folder, draw, progress)
    return Material(version.ref, own.rows, own.candidates, None, own.figures)


def refuse_samples_without_grader(samples: int | None, grader: Path | None) -> None:
    """Raises UsageError: answers that nobody grades are neither accepted nor refused."""
    if samples is not None and grader is None:
        raise UsageError(
            "--samples draws answers of the model itself, and nothing says which are right. Add --grader FILE."
        )
