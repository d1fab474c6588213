"""axolotl: `messages` with a mark of training on each turn of the assistant, and the yaml that reads them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml

from recast.curate.export.formats import Asked, Format, Shape, Slots, arguments_as_text, quoted
from recast.curate.export.rows import TALKS, TOOLED, Kind
from recast.curate.export.slots import Slot, turns
from recast.curate.records import Messages

SEQUENCE_LEN = 4096
"""Tokens of a row; axolotl's own default is 512."""
LEARNING_RATE = 2e-5


def _sft(asked: Asked) -> Mapping[str, Slot]:
    def shaped(turns: Messages) -> Messages:
        last = len(turns) - 1
        texts = arguments_as_text(turns)
        return [_marked(turn, n == last or asked.turns == "all") for n, turn in enumerate(texts)]

    said = turns(shaped=shaped, last={"training": True}, earlier={"training": asked.turns == "all"})
    return {"messages": said, **asked.tools(text=True), **asked.facts}


def _marked(turn: dict[str, Any], trained: bool) -> dict[str, Any]:
    if turn["role"] != "assistant":
        return turn
    learnt = trained and turn.get("train") is not False
    return {k: v for k, v in turn.items() if k != "train"} | {"training": learnt}


def config(asked: Asked) -> Mapping[str, str]:
    """The yaml: what concerns the data, and what axolotl does not start without."""

    def entry(path: object) -> dict[str, Any]:
        return {
            "path": str(path),
            "ds_type": "json",
            "type": "chat_template",
            "field_messages": "messages",
            "message_property_mappings": {"role": "role", "content": "content"},
            "message_field_training": "training",
            "roles_to_train": ["assistant"],
            "train_on_eos": "turn",
        }

    settings: dict[str, Any] = {
        "base_model": "MODEL",
        "chat_template": "tokenizer_default",
        "datasets": [entry(asked.train)],
        "test_datasets": [entry(asked.validation) | {"split": "train"}] if asked.validation else None,
        "train_on_inputs": False,
        "sequence_len": SEQUENCE_LEN,
        "excess_length_strategy": "raise",
        "learning_rate": LEARNING_RATE,
        "dataset_prepared_path": str(asked.folder / f"prepared-{asked.version_id[:16]}-{asked.turns}"),
        "output_dir": str(asked.folder / "model"),
    }
    settings = {k: v for k, v in settings.items() if v is not None}
    assert json.dumps(settings)  # plain values only, so that yaml needs no tags
    return {"axolotl.yaml": yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)}


AXOLOTL = Format(
    "axolotl",
    "axolotl",
    {
        "sft": Shape(
            Slots(_sft),
            TALKS | TOOLED | {Kind.MARKED},
            beside=config,
            start=lambda asked: f"axolotl train {quoted(asked.folder / 'axolotl.yaml')} --base-model MODEL",
            notes=(
                f"`axolotl.yaml` raises on rows longer than `sequence_len` ({SEQUENCE_LEN:,}); else they would be "
                f"dropped. It tunes all weights at {LEARNING_RATE:g}, which axolotl wants to be told.",
            ),
        )
    },
    "`messages` with `training` on turns, `tools`, and `axolotl.yaml`",
)
