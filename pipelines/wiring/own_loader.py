"""A trainer's own loader on an export, where it is installed here: the witness of `curate.export.check.masks`."""

from __future__ import annotations

import tempfile
from importlib.metadata import version
from itertools import islice
from typing import Any

from recast.curate.export.check.masks import MASKS
from recast.curate.export.check.measure import LIMITS, lines_of
from recast.curate.export.check.rendering import Example
from recast.curate.export.outcome import Exported

LINES = 1_000
"""Lines that the loader reads: enough to see where it differs, and few enough to wait for."""


def witness(done: Exported, tokenizer: Any, max_length: int | None) -> dict[str, Any] | None:
    """What the trainer's own code trains of the first lines, held against our account of it.

    None where no loader of it can run here: TRL's is the one that recast brings along. `differ` has the rows whose
    tokens or mask are not as we say.
    """
    if (done.format, done.objective) != ("trl", "sft"):
        return None
    limit = max_length or LIMITS["trl"][0]
    lines = list(islice(lines_of(done), LINES))
    ours = [_cut(MASKS["trl"](line, tokenizer, done.turns), limit) for line in lines]
    kept = [(line, example) for line, example in zip(lines, ours, strict=True) if True in example.trained]
    theirs = _by_trl(done, lines, tokenizer, limit)
    differ = [
        line["row_id"] for (line, example), other in zip(kept, theirs, strict=False) if example != other
    ]
    differ += [line["row_id"] for line, _ in kept[len(theirs) :]]
    return {
        "loader": f"trl {version('trl')}",
        "lines": len(lines),
        "tokens_trained": sum(sum(example.trained) for example in theirs),
        "differ": differ,
    }


def _cut(example: Example, limit: int | None) -> Example:
    return Example(example.ids[:limit], example.trained[:limit])


def _by_trl(done: Exported, lines: list[dict[str, Any]], tokenizer: Any, limit: int | None) -> list[Example]:
    """What `SFTTrainer` prepares when it is told what the start line says; a tiny model stands in for the real one."""
    import datasets
    import transformers
    from trl import SFTConfig, SFTTrainer

    ids = [*tokenizer.get_vocab().values()]
    shape = transformers.LlamaConfig(
        vocab_size=max(ids) + 1,
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
    )
    with tempfile.TemporaryDirectory() as folder:
        args = SFTConfig(
            folder,
            max_length=limit,
            shuffle_dataset=False,
            report_to="none",
            use_cpu=True,
            bf16=False,
            save_strategy="no",
            assistant_only_loss=done.turns == "all",
            completion_only_loss=done.turns == "last" or None,
        )
        trainer = SFTTrainer(
            transformers.LlamaForCausalLM(shape), args, train_dataset=datasets.Dataset.from_list(lines),
            processing_class=tokenizer,
        )  # fmt: skip
        rows: Any = trainer.train_dataset
        return [Example(list(row["input_ids"]), [label != -100 for label in row["labels"]]) for row in rows]
