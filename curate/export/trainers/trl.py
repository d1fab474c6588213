"""TRL: SFT, DPO, KTO and GRPO, and unsloth, whose trainer is TRL's.

SFT of the last turn is prompt and completion; of all turns it is `messages` under `assistant_only_loss`, for which the
chat template needs generation markers (TRL brings them for the templates that it knows).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping

import pyarrow as pa

from recast.curate.export.formats import (
    FACTS,
    TALK,
    Asked,
    Format,
    Line,
    Shape,
    Slots,
    arguments_as_objects,
    quoted,
    unmarked,
)
from recast.curate.export.rows import TALKS, TOOLED, Kind, Row
from recast.curate.export.slots import Slot, turns
from recast.curate.export.trainers.pairs import comparable, refused
from recast.curate.export.trainers.plain import (
    ANSWER,
    ANSWER_SLOTS,
    messages_schema,
    pair_schema,
    whole_turns,
)


def _sft(asked: Asked) -> Mapping[str, Slot]:
    said = (
        {"messages": turns(shaped=whole_turns)}
        if asked.turns == "all"
        else {
            "prompt": turns(said=False, shaped=whole_turns),
            "completion": turns(prompt=False, shaped=whole_turns),
        }
    )
    return {**said, **asked.tools(text=True), **ANSWER_SLOTS, **asked.facts}


def _sft_schema(asked: Asked) -> pa.Schema:
    return messages_schema(asked) if asked.turns == "all" else pair_schema(asked)


def _dpo(row: Row, asked: Asked) -> Iterable[Line]:
    prompt = unmarked(arguments_as_objects(row.prompt))
    yield (
        {"prompt": prompt, "chosen": [row.said], "rejected": [refused(row)]}
        | asked.with_tools(row, text=True)
        | asked.row_facts(row)
    )


def _kto(row: Row, asked: Asked) -> Iterable[Line]:
    prompt = unmarked(arguments_as_objects(row.prompt))
    for text, label in [(row.said["content"], True), *((text, False) for text in row.rejected)]:
        said = [{"role": "assistant", "content": text}]
        yield (
            {"prompt": prompt, "completion": said, "label": label}
            | asked.with_tools(row, text=True)
            | asked.row_facts(row)
        )


def boxed(answer: str | None) -> str | None:
    r"""An answer as `\boxed{...}`, which every reader of mathematics parses whole; a text with a box stays."""
    return answer if answer is None or r"\boxed" in answer else rf"\boxed{{{answer}}}"


def _grpo(row: Row, asked: Asked) -> Iterable[Line]:
    yield {
        "prompt": unmarked(row.prompt),
        "solution": boxed(row.answer),
        "answer": row.answer,
        "task": row.task,
    } | asked.row_facts(row)


def _start(verb: str, *flags: str) -> Callable[[Asked], str]:
    def line(asked: Asked) -> str:
        if asked.train.stem != "train":  # a file of the user's naming: the command reads folders
            kind = "parquet" if asked.train.suffix == ".parquet" else "json"
            return (
                f'datasets.load_dataset("{kind}", data_files={json.dumps(str(asked.train))}, split="train")'
            )
        more = (*flags, *_masks(asked)) if verb == "sft" else flags
        words = " ".join(f"--{flag}" for flag in more)
        if asked.validation is not None:
            words += " --dataset_test_split validation --eval_strategy steps"
        return f"trl {verb} --model_name_or_path MODEL --dataset_name {quoted(asked.folder)} {words}".rstrip()

    return line


def _masks(asked: Asked) -> tuple[str, ...]:
    return ("assistant_only_loss true",) if asked.turns == "all" else ("completion_only_loss true",)


_CUT = (
    "`max_length` (1,024 by default) cuts the end of longer rows and drops those with nothing left to train."
)
TRL = Format(
    "trl",
    "TRL",
    {
        "sft": Shape(
            Slots(_sft),
            TALKS | TOOLED | {Kind.DEVELOPER},
            schema=_sft_schema,
            start=_start("sft"),
            many=True,
            notes=(_CUT,),
        ),
        "dpo": Shape(
            _dpo,
            TALKS | {Kind.TOOLS, Kind.CALLS, Kind.REASONING, Kind.DEVELOPER},
            schema=lambda _: pa.schema(
                [pa.field("prompt", TALK), pa.field("chosen", TALK), pa.field("rejected", TALK), *FACTS]
            ),
            start=_start("dpo"),
            many=True,
            needs="rejected",
            fits=comparable,
        ),
        "kto": Shape(
            _kto,
            TALKS | {Kind.TOOLS, Kind.CALLS, Kind.REASONING, Kind.DEVELOPER},
            schema=lambda _: pa.schema(
                [
                    pa.field("prompt", TALK),
                    pa.field("completion", TALK),
                    pa.field("label", pa.bool_()),
                    *FACTS,
                ]
            ),
            start=_start("kto"),
            many=True,
            fits=comparable,
            notes=("Good and bad lines are counted in the result; weigh them by `desirable_weight`.",),
        ),
        "grpo": Shape(
            _grpo,
            TALKS | {Kind.DEVELOPER},
            schema=lambda _: pa.schema(
                [pa.field("prompt", TALK), pa.field("solution", pa.string()), *ANSWER, *FACTS]
            ),
            start=_start("grpo", "reward_funcs accuracy_reward"),
            needs="answer",
            notes=(r"`accuracy_reward` credits answers in \boxed{} alone: ask the model for them.",),
        ),
    },
    "`prompt`+`completion` (last) or `messages` (all); pairs; labels; prompts with `solution`",
)


UNSLOTH_SCRIPT = '''"""SFT with unsloth of {version}: python {script} MODEL"""

import sys

from unsloth import FastLanguageModel  # before trl
from unsloth.chat_templates import train_on_responses_only

from datasets import load_dataset
from trl import SFTConfig, SFTTrainer

model, tokenizer = FastLanguageModel.from_pretrained(sys.argv[1])
model = FastLanguageModel.get_peft_model(model)
rows = load_dataset("json", data_files={{"train": {train!r}}}, split="train")
rows = rows.map(lambda row: {{"text": tokenizer.apply_chat_template(row["messages"], tokenize=False)}})
trainer = SFTTrainer(
    model=model, processing_class=tokenizer, train_dataset=rows, args=SFTConfig(dataset_text_field="text")
)
# the markers are found in the chat template; check the count of trained tokens that it prints
trainer = train_on_responses_only(trainer, last_response_only={last})
trainer.train()
'''


def _unsloth(asked: Asked) -> Mapping[str, Slot]:
    return {"messages": turns(shaped=unmarked), **asked.facts}


def _unsloth_script(asked: Asked) -> dict[str, str]:
    script = UNSLOTH_SCRIPT.format(
        version=asked.version, script="sft.py", train=str(asked.train), last=asked.turns == "last"
    )
    return {"sft.py": script}


UNSLOTH = Format(
    "unsloth",
    "unsloth",
    {
        "sft": Shape(
            Slots(_unsloth),
            TALKS | {Kind.REASONING},
            beside=_unsloth_script,
            start=lambda asked: f"python {quoted(asked.folder / 'sft.py')} MODEL",
            notes=("Markers that do not occur in the template train nothing, without an error.",),
        )
    },
    "`messages` and a script that marks what to train",
)
