"""open-instruct: `messages`; which turns train is the name of its transform."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from recast.curate.export.formats import (
    Asked,
    Format,
    Line,
    Refusal,
    Shape,
    Slots,
    quoted,
    unmarked,
)
from recast.curate.export.rows import TALKS, TOOLED, Row
from recast.curate.export.slots import Slot, turns
from recast.curate.export.trainers.pairs import comparable, refused
from recast.curate.export.trainers.plain import whole_turns

_TRANSFORM = {"last": "last_turn_tulu_tokenize_and_truncate_v1", "all": "sft_tulu_tokenize_and_truncate_v1"}


def _sft(asked: Asked) -> Mapping[str, Slot]:
    return {"messages": turns(shaped=whole_turns), **asked.tools(text=True), **asked.facts}


def _dpo(row: Row, asked: Asked) -> Iterable[Line]:
    prompt = unmarked(row.prompt)
    yield {"chosen": [*prompt, row.said], "rejected": [*prompt, refused(row)]} | asked.row_facts(row)


def _rl(row: Row, asked: Asked) -> Iterable[Line]:
    yield {"messages": unmarked(row.prompt), "ground_truth": row.answer, "dataset": "math"} | asked.row_facts(
        row
    )


def _ends_with_user(row: Row, asked: Asked) -> Refusal | None:
    if row.prompt and row.prompt[-1].get("role") == "assistant":
        return Refusal(
            "order_of_turns", "has a prompt that ends with the assistant", "its last turn would be dropped"
        )
    return None


OPEN_INSTRUCT = Format(
    "open-instruct",
    "open-instruct",
    {
        "sft": Shape(
            Slots(_sft),
            TALKS | TOOLED,
            start=lambda asked: (
                "python open_instruct/finetune.py --model_name_or_path MODEL --dataset_mixer_list "
                f"{quoted(asked.train)} 1.0 --dataset_mixer_list_splits train --dataset_transform_fn "
                f"{_TRANSFORM[asked.turns]} sft_tulu_filter_v1"
            ),
        ),
        "dpo": Shape(
            _dpo,
            TALKS,
            start=lambda asked: (
                "python open_instruct/dpo_tune_cache.py --model_name_or_path MODEL --mixer_list "
                f"{quoted(asked.train)} 1.0"
            ),
            needs="rejected",
            fits=comparable,
        ),
        "grpo": Shape(
            _rl,
            TALKS,
            start=lambda asked: (
                "python open_instruct/grpo_fast.py --model_name_or_path MODEL --dataset_mixer_list "
                f"{quoted(asked.train)} 1.0 --dataset_mixer_list_splits train --dataset_transform_fn rlvr_tokenize_v1 "
                "rlvr_max_length_filter_v1"
            ),
            needs="answer",
            fits=_ends_with_user,
            notes=(
                "`dataset` names the verifier `math`. Older checkouts drop the last turn of a prompt of several turns.",
            ),
        ),
    },
    "`messages` and `tools`; pairs of conversations; `messages`, `ground_truth`, `dataset`",
)
