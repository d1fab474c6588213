"""OpenRLHF: turns under the keys that its flags name. It passes no tools to the chat template.

Of all turns it slices the conversation's text at every turn, which goes wrong where a template drops the thoughts of
earlier turns: with `--turns all`, rows with reasoning are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from recast.curate.export.formats import HAS, Asked, Format, Line, Refusal, Shape, Slots, quoted, unmarked
from recast.curate.export.rows import TALKS, Kind, Row, kinds
from recast.curate.export.slots import Slot, turns
from recast.curate.export.trainers import reward
from recast.curate.export.trainers.pairs import comparable, refused


def _sft(asked: Asked) -> Mapping[str, Slot]:
    said = (
        {"messages": turns(shaped=unmarked)}
        if asked.turns == "all"
        else {"input": turns(said=False, shaped=unmarked), "output": turns(prompt=False, shaped=unmarked)}
    )
    return {**said, **asked.facts}


def _thoughts(row: Row, asked: Asked) -> Refusal | None:
    if asked.turns == "all" and Kind.REASONING in kinds(row):
        return Refusal(
            Kind.REASONING, f"has {HAS[Kind.REASONING]}", "OpenRLHF slices all turns by their text"
        )
    return None


def _dpo(row: Row, asked: Asked) -> Iterable[Line]:
    yield {
        "prompt": unmarked(row.prompt),
        "chosen": [row.said],
        "rejected": [refused(row)],
    } | asked.row_facts(row)


def _rl(row: Row, asked: Asked) -> Iterable[Line]:
    yield {
        "input": unmarked(row.prompt),
        "label": row.answer,
        "datasource": row.task or asked.name,
    } | asked.row_facts(row)


def _start_sft(asked: Asked) -> str:
    keys = (
        "--data.input_key messages --data.multiturn"
        if asked.turns == "all"
        else "--data.input_key input --data.output_key output"
    )
    held = f" --eval.dataset {quoted(asked.validation)}" if asked.validation else ""
    return (
        f"python -m openrlhf.cli.train_sft --model.model_name_or_path MODEL --data.dataset {quoted(asked.train)}{held} "
        f"{keys} --data.apply_chat_template"
    )


OPENRLHF = Format(
    "openrlhf",
    "OpenRLHF",
    {
        "sft": Shape(
            Slots(_sft),
            TALKS | {Kind.REASONING},
            start=_start_sft,
            fits=_thoughts,
            notes=(
                "Prompts longer than `--data.max_len` are dropped without a word, and a cut answer gets an end that "
                "nobody wrote.",
            ),
        ),
        "dpo": Shape(
            _dpo,
            TALKS,
            start=lambda asked: (
                "python -m openrlhf.cli.train_dpo --model.model_name_or_path MODEL --data.dataset "
                f"{quoted(asked.train)} --data.prompt_key prompt --data.chosen_key chosen --data.rejected_key rejected "
                "--data.apply_chat_template"
            ),
            needs="rejected",
            fits=comparable,
        ),
        "grpo": Shape(
            _rl,
            TALKS,
            beside=lambda asked: {"reward.py": reward.openrlhf(asked.version)},
            start=lambda asked: (
                f"python -m openrlhf.cli.train_ppo_ray --actor.model_name_or_path MODEL --data.prompt_dataset "
                f"{quoted(asked.train)} --data.input_key input --data.label_key label --data.apply_chat_template "
                f"--reward.remote_url {quoted(asked.folder / 'reward.py')}"
            ),
            needs="answer",
        ),
    },
    "`input`+`output` (last) or `messages` (all); pairs; `input`+`label`, and `reward.py`",
)
