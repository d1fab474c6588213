"""torchtune: `messages` in the style `openai`, text alone; every turn of the assistant trains."""

from __future__ import annotations

from collections.abc import Mapping

import yaml

from recast.curate.export.formats import Asked, Format, Refusal, Shape, Slots, quoted, takes_turns, unmarked
from recast.curate.export.rows import TALKS, Row
from recast.curate.export.slots import Slot, turns


def _sft(asked: Asked) -> Mapping[str, Slot]:
    return {"messages": turns(shaped=unmarked), **asked.facts}


def _takes_turns(row: Row, asked: Asked) -> Refusal | None:
    if takes_turns(row):
        return None
    said = ", ".join(str(turn.get("role")) for turn in row.turns)
    return Refusal(
        "order_of_turns", f"has the turns {said}", "torchtune refuses what does not go user, assistant"
    )


def _beside(asked: Asked) -> dict[str, str]:
    dataset = {
        "_component_": "torchtune.datasets.chat_dataset",
        "source": "json",
        "data_files": str(asked.train),
        "conversation_column": "messages",
        "conversation_style": "openai",
        "train_on_input": False,
        "split": "train",
    }
    return {"torchtune.yaml": yaml.safe_dump({"dataset": dataset}, sort_keys=False, allow_unicode=True)}


TORCHTUNE = Format(
    "torchtune",
    "torchtune",
    {
        "sft": Shape(
            Slots(_sft),
            TALKS,
            trains="all",
            fits=_takes_turns,
            beside=_beside,
            start=lambda asked: (
                "tune run lora_finetune_single_device --config CONFIG "
                "dataset._component_=torchtune.datasets.chat_dataset "
                f"dataset.source=json dataset.data_files={quoted(asked.train)} dataset.conversation_column=messages "
                "dataset.conversation_style=openai dataset.split=train"
            ),
            notes=("torchtune renders turns by its model's own tokenizer, not by a chat template.",),
        )
    },
    "`messages`, and the block `dataset:` of a config",
)
