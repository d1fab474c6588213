"""NeMo-RL and NeMo-Automodel: `messages` as JSON lines, which both can read without filling gaps with nulls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import yaml

from recast.curate.export.formats import (
    Asked,
    Format,
    Line,
    Refusal,
    Shape,
    Slots,
    one_question,
    quoted,
    unmarked,
)
from recast.curate.export.rows import TALKS, TOOLED, Kind, Row
from recast.curate.export.slots import Slot, turns
from recast.curate.export.trainers.pairs import comparable
from recast.curate.export.trainers.plain import whole_turns


def _messages(asked: Asked) -> Mapping[str, Slot]:
    return {"messages": turns(shaped=whole_turns), **asked.tools(text=False), **asked.facts}


def _dpo(row: Row, asked: Asked) -> Iterable[Line]:
    yield {
        "prompt": unmarked(row.prompt),
        "chosen": row.said["content"],
        "rejected": row.rejected[0],
    } | asked.row_facts(row)


def _rl(row: Row, asked: Asked) -> Iterable[Line]:
    yield {"problem": row.prompt[0]["content"], "expected_answer": row.answer} | asked.row_facts(row)


def _single(row: Row, asked: Asked) -> Refusal | None:
    if one_question(row):
        return None
    return Refusal("several_turns", f"has a prompt of {len(row.prompt)} turns", "NeMo-RL reads one problem")


def _named_calls(row: Row, asked: Asked) -> Refusal | None:
    if any(turn.get("role") == "tool" and not turn.get("tool_call_id") for turn in row.prompt):
        return Refusal(
            "no_call_id", "has a result of a tool without the id of its call", "NeMo-Automodel needs it"
        )
    return None


def _nemo_rl_sft(asked: Asked) -> dict[str, str]:
    def source(path: Any) -> dict[str, Any]:
        return {"dataset_name": "openai_format", "data_path": str(path), "use_preserving_dataset": True}

    data = {"train": source(asked.train)}
    if asked.validation:
        data["validation"] = source(asked.validation)
    settings = {"data": data, "sft": {"only_unmask_final": asked.turns == "last"}}
    return {"nemo-rl.yaml": yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)}


def _nemo_rl(script: str, dataset: str) -> Callable[[Asked], str]:
    def line(asked: Asked) -> str:
        held = asked.validation or asked.train
        more = f" ++sft.only_unmask_final={str(asked.turns == 'last').lower()}" if script == "sft" else ""
        preserving = " ++data.train.use_preserving_dataset=true" if script == "sft" else ""
        return (
            f"uv run examples/run_{script}.py policy.model_name=MODEL ++data.train.dataset_name={dataset} "
            f"++data.train.data_path={quoted(asked.train)} ++data.validation.dataset_name={dataset} "
            f"++data.validation.data_path={quoted(held)}{preserving}{more}"
        )

    return line


NEMO_RL = Format(
    "nemo-rl",
    "NeMo-RL",
    {
        "sft": Shape(
            Slots(_messages),
            TALKS | {Kind.TOOLS, Kind.CALLS},
            beside=_nemo_rl_sft,
            start=_nemo_rl("sft", "openai_format"),
            notes=("NeMo-RL trains the header of the assistant's turn, too.",),
        ),
        "dpo": Shape(
            _dpo, TALKS, start=_nemo_rl("dpo", "BinaryPreferenceDataset"), needs="rejected", fits=comparable
        ),
        "grpo": Shape(
            _rl, frozenset(), start=_nemo_rl("grpo", "ResponseDataset"), needs="answer", fits=_single
        ),
    },
    "`messages` and `tools`; `prompt`, `chosen`, `rejected`; `problem`+`expected_answer`",
)


def _automodel(asked: Asked) -> dict[str, str]:
    def source(path: Any) -> dict[str, Any]:
        return {
            "_target_": "nemo_automodel.components.datasets.llm.chat_dataset.ChatDataset",
            "path_or_dataset_id": str(path),
            "mask_history": asked.turns == "last",
            "mask_generation_prompt": True,  # else templates without generation markers train the header, too
        }

    settings = {"dataset": source(asked.train)}
    if asked.validation:
        settings["validation_dataset"] = source(asked.validation)
    return {"automodel.yaml": yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)}


NEMO_AUTOMODEL = Format(
    "nemo-automodel",
    "NeMo-Automodel",
    {
        "sft": Shape(
            Slots(_messages),
            TALKS | TOOLED,
            beside=_automodel,
            start=lambda asked: (
                "automodel finetune llm -c RECIPE.yaml --model.pretrained_model_name_or_path MODEL --dataset._target_ "
                "nemo_automodel.components.datasets.llm.chat_dataset.ChatDataset --dataset.path_or_dataset_id "
                f"{quoted(asked.train)} --dataset.mask_history {str(asked.turns == 'last').lower()} "
                "--dataset.mask_generation_prompt true"
            ),
            fits=_named_calls,
            notes=("Truncation leaves a stub of a row; see `seq_length` of the recipe.",),
        )
    },
    "`messages` and `tools`, and the block `dataset:` of a recipe",
)
