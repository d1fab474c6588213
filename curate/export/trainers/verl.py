"""verl: Parquet with native lists. SFT trains every turn of the assistant, RL reads prompts with a ground truth.

Columns of a table have one shape, so tools and calls, which have any, would gain nulls: rows that have them are
refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pyarrow as pa

from recast.curate.export.formats import FACTS, TALK, Asked, Format, Line, Shape, Slots, quoted, unmarked
from recast.curate.export.rows import TALKS, Kind, Row
from recast.curate.export.slots import Slot, turns
from recast.curate.export.trainers import reward

_RL = pa.schema(
    [
        pa.field("data_source", pa.string()),
        pa.field("prompt", TALK),
        pa.field("ability", pa.string()),
        pa.field(
            "reward_model",
            pa.struct([pa.field("style", pa.string()), pa.field("ground_truth", pa.string())]),
        ),
        pa.field("extra_info", pa.struct([pa.field("index", pa.int64()), *FACTS])),
    ]
)


def _sft(asked: Asked) -> Mapping[str, Slot]:
    return {"messages": turns(shaped=unmarked), **asked.facts}


def _sft_schema(asked: Asked) -> pa.Schema:
    thoughts = [m for m in asked.survey.members if m == "reasoning_content"]
    turn = pa.struct([pa.field(m, pa.string()) for m in ("role", "content", *thoughts)])
    return pa.schema([pa.field("messages", pa.list_(turn)), *FACTS])


def _rl(row: Row, asked: Asked) -> Iterable[Line]:
    yield {
        "data_source": row.task or asked.name,
        "prompt": unmarked(row.prompt),
        "ability": row.task or asked.name,
        "reward_model": {"style": "rule", "ground_truth": row.answer},
        "extra_info": {"index": 0, **asked.row_facts(row)},
    }


def _files(asked: Asked) -> str:
    held = asked.validation or asked.train
    return f"data.train_files={quoted(asked.train)} data.val_files={quoted(held)}"


VERL = Format(
    "verl",
    "verl",
    {
        "sft": Shape(
            Slots(_sft),
            TALKS | {Kind.REASONING},
            trains="all",
            schema=_sft_schema,
            parquet=True,
            start=lambda asked: (
                f"torchrun --nproc_per_node 1 -m verl.trainer.sft_trainer {_files(asked)} "
                "data.messages_key=messages data.truncation=error model.path=MODEL"
            ),
            notes=("verl renders each turn by itself; templates that look at the turns around differ.",),
        ),
        "grpo": Shape(
            _rl,
            TALKS,
            schema=lambda _: _RL,
            parquet=True,
            beside=lambda asked: {"reward.py": reward.verl(asked.version)},
            start=lambda asked: (
                f"python -m verl.trainer.main_ppo algorithm.adv_estimator=grpo {_files(asked)} data.prompt_key=prompt "
                "data.reward_fn_key=data_source data.truncation=error "
                f"reward.custom_reward_function.path={quoted(asked.folder / 'reward.py')} "
                "actor_rollout_ref.model.path=MODEL"
            ),
            needs="answer",
        ),
    },
    "Parquet: `messages`; or `data_source`, `prompt`, `ability`, `reward_model`, `extra_info`, and `reward.py`",
)
