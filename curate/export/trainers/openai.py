"""Files for fine-tuning at OpenAI and Azure: SFT, DPO and RFT. Beside each lies an index of its lines, since the
endpoints refuse members that they do not know."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from recast.curate.export.formats import Asked, Format, Line, Refusal, Shape, arguments_as_text, quoted
from recast.curate.export.rows import TALKS, Kind, Row
from recast.curate.export.trainers.pairs import comparable, refused


def _sft(row: Row, asked: Asked) -> Iterable[Line]:
    turns = arguments_as_text(row.turns)
    last = len(turns) - 1
    weighed = [_weighed(turn, n == last or asked.turns == "all") for n, turn in enumerate(turns)]
    yield {"messages": weighed} | ({"tools": row.tools} if row.tools else {})


def _weighed(turn: dict[str, Any], trained: bool) -> dict[str, Any]:
    if turn["role"] != "assistant":
        return turn
    bare = {k: v for k, v in turn.items() if k != "train"}
    return bare if trained and turn.get("train") is not False else bare | {"weight": 0}


def _bare(row: Row) -> list[dict[str, Any]]:
    return [{k: v for k, v in turn.items() if k != "train"} for turn in arguments_as_text(row.prompt)]


def _dpo(row: Row, asked: Asked) -> Iterable[Line]:
    asks = {"messages": _bare(row)} | ({"tools": row.tools} if row.tools else {})
    yield {"input": asks, "preferred_output": [row.said], "non_preferred_output": [refused(row)]}


def _rft(row: Row, asked: Asked) -> Iterable[Line]:
    yield {"messages": _bare(row), "answer": row.answer, "task": row.task or ""} | asked.row_facts(row)


def _ends_with_user(row: Row, asked: Asked) -> Refusal | None:
    if row.prompt and row.prompt[-1].get("role") == "user":
        return None
    return Refusal(
        "order_of_turns",
        "has a prompt that does not end with the user",
        "reinforcement starts from a question",
    )


def _start(method: str) -> Callable[[Asked], str]:
    def line(asked: Asked) -> str:
        files = " and ".join(quoted(path) for path in (asked.train, asked.validation) if path)
        return f"upload {files} with the purpose fine-tune, then start a job of the method {method}"

    return line


OPENAI = Format(
    "openai",
    "OpenAI fine-tuning",
    {
        "sft": Shape(
            _sft,
            TALKS | {Kind.TOOLS, Kind.CALLS, Kind.DEVELOPER, Kind.MARKED},
            start=_start("supervised"),
            index=True,
        ),
        "dpo": Shape(
            _dpo,
            TALKS | {Kind.TOOLS, Kind.CALLS, Kind.DEVELOPER},
            start=_start("dpo"),
            needs="rejected",
            fits=comparable,
            index=True,
        ),
        "rft": Shape(
            _rft,
            TALKS | {Kind.DEVELOPER},
            start=_start("reinforcement"),
            needs="answer",
            fits=_ends_with_user,
            notes=("A grader reads the answer as {{item.answer}}.",),
        ),
    },
    "`messages` with `weight: 0` on turns that do not train; `input` and two outputs; prompts with `answer`",
)
