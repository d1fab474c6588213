"""LLaMA-Factory: the sharegpt layout with its `dataset_info.json`, and a yaml that starts it.

User and assistant take turns after a system turn at most; anything else it drops with a warning, so it is refused here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from recast.curate.export.formats import (
    Asked,
    Format,
    Line,
    Refusal,
    Shape,
    Slots,
    quoted,
    takes_turns,
    unmarked,
)
from recast.curate.export.rows import TALKS, Row
from recast.curate.export.slots import Slot, turns
from recast.curate.export.trainers.pairs import comparable, refused

TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "system_tag": "system",
}
COLUMNS: Mapping[str, Mapping[str, str]] = {
    "sft": {"messages": "messages"},
    "dpo": {"messages": "messages", "chosen": "chosen", "rejected": "rejected"},
    "kto": {"messages": "messages", "kto_tag": "label"},
}


def _sft(asked: Asked) -> Mapping[str, Slot]:
    return {"messages": turns(shaped=unmarked), **asked.facts}


def _dpo(row: Row, asked: Asked) -> Iterable[Line]:
    yield {
        "messages": unmarked(row.prompt),
        "chosen": row.said,
        "rejected": refused(row),
    } | asked.row_facts(row)


def _kto(row: Row, asked: Asked) -> Iterable[Line]:
    for text, label in [(row.said["content"], True), *((text, False) for text in row.rejected)]:
        turns = [*unmarked(row.prompt), {"role": "assistant", "content": text}]
        yield {"messages": turns, "label": label} | asked.row_facts(row)


def _takes_turns(row: Row, asked: Asked) -> Refusal | None:
    if asked.objective != "sft" and (refusal := comparable(row, asked)):
        return refusal
    if takes_turns(row):
        return None
    return Refusal(
        "order_of_turns",
        f"has the turns {', '.join(str(turn.get('role')) for turn in row.turns)}",
        "LLaMA-Factory drops what does not go user, assistant, user, assistant",
    )


def _beside(asked: Asked) -> Mapping[str, str]:
    names = [(asked.data_set, asked.train)]
    if asked.validation:
        names.append((f"{asked.data_set}_validation", asked.validation))
    info: dict[str, Any] = {
        name: {
            "file_name": path.name,
            "formatting": "sharegpt",
            **({"ranking": True} if asked.objective == "dpo" else {}),
            "columns": COLUMNS[asked.objective],
            "tags": TAGS,
        }
        for name, path in names
    }
    settings: dict[str, Any] = {
        "model_name_or_path": "MODEL",
        "stage": asked.objective,
        "do_train": True,
        "finetuning_type": "lora",
        "dataset_dir": str(asked.folder),
        "dataset": asked.data_set,
        **({"eval_dataset": f"{asked.data_set}_validation"} if asked.validation else {}),
        **({"mask_history": asked.turns == "last"} if asked.objective == "sft" else {}),
        "output_dir": str(asked.folder / "model"),
    }
    return {
        "dataset_info.json": json.dumps(info, indent=2) + "\n",
        "llamafactory.yaml": yaml.safe_dump(settings, sort_keys=False, allow_unicode=True),
    }


def _start(asked: Asked) -> str:
    return f"llamafactory-cli train {quoted(asked.folder / 'llamafactory.yaml')} model_name_or_path=MODEL"


_NOTES = (
    "Leave `template:` out: a named one may add its own system prompt. `cutoff_len` (2,048) cuts prompt and answer.",
)
LLAMAFACTORY = Format(
    "llamafactory",
    "LLaMA-Factory",
    {
        "sft": Shape(Slots(_sft), TALKS, beside=_beside, start=_start, fits=_takes_turns, notes=_NOTES),
        "dpo": Shape(
            _dpo, TALKS, beside=_beside, start=_start, fits=_takes_turns, notes=_NOTES, needs="rejected"
        ),
        "kto": Shape(_kto, TALKS, beside=_beside, start=_start, fits=_takes_turns, notes=_NOTES),
    },
    "`messages`, `dataset_info.json` and `llamafactory.yaml`; pairs; labels",
)
