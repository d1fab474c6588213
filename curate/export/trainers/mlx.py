"""MLX-LM: a folder with `train.jsonl` and `valid.jsonl`. With `--mask-prompt` the last turn trains and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

from recast.curate.export.formats import Asked, Format, Shape, Slots, quoted
from recast.curate.export.rows import TALKS, TOOLED
from recast.curate.export.slots import Slot, turns
from recast.curate.export.trainers.plain import whole_turns


def _sft(asked: Asked) -> Mapping[str, Slot]:
    return {"messages": turns(shaped=whole_turns), **asked.tools(text=False), **asked.facts}


MLX = Format(
    "mlx",
    "MLX-LM",
    {
        "sft": Shape(
            Slots(_sft),
            TALKS | TOOLED,
            trains="last",
            files=("train", "valid"),
            folder=True,
            start=lambda asked: (
                f"mlx_lm.lora --train --model MODEL --data {quoted(asked.folder)} --mask-prompt"
            ),
            notes=("Without `--mask-prompt`, which is off by default, the prompt is trained, too.",),
        )
    },
    "`train.jsonl` and `valid.jsonl` with `messages` and `tools`",
)
