"""MLX-LM: a folder with `train.jsonl` and `valid.jsonl`. With `--mask-prompt` the last turn trains and nothing else."""

from __future__ import annotations

from collections.abc import Iterable

from recast.curate.export.formats import Asked, Format, Line, Shape, arguments_as_objects, quoted, unmarked
from recast.curate.export.rows import TALKS, TOOLED, Row


def _sft(row: Row, asked: Asked) -> Iterable[Line]:
    tools = {"tools": row.tools} if row.tools else {}
    yield {"messages": unmarked(arguments_as_objects(row.turns))} | tools | asked.row_facts(row)


MLX = Format(
    "mlx",
    "MLX-LM",
    {
        "sft": Shape(
            _sft,
            TALKS | TOOLED,
            trains="last",
            files=("train", "valid"),
            start=lambda asked: (
                f"mlx_lm.lora --train --model MODEL --data {quoted(asked.folder)} --mask-prompt"
            ),
            notes=("Without `--mask-prompt`, which is off by default, the prompt is trained, too.",),
        )
    },
    "`train.jsonl` and `valid.jsonl` with `messages` and `tools`",
)
