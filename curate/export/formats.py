"""What a format is: its lines for a row, the rows it knows, the files beside, the line that starts the trainer.

A `Format` is one trainer (or a plain kind of file) and has a `Shape` for each objective that it can be fed for. The
trainers themselves are in `trainers/`; the list of them is `registry`.
"""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from recast.curate.export.destination import Place
from recast.curate.export.rows import HAS, Kind, Row, Survey, kinds
from recast.curate.export.slots import Slot, constant, stored, unusual
from recast.curate.records import Messages

Objective = Literal["sft", "dpo", "kto", "grpo", "rft"]
OBJECTIVES: tuple[Objective, ...] = ("sft", "dpo", "kto", "grpo", "rft")
Turns = Literal["last", "all"]
Line = dict[str, Any]

TURN = pa.struct([pa.field("role", pa.string()), pa.field("content", pa.string())])
TALK = pa.list_(TURN)


@dataclass(frozen=True, slots=True)
class Asked:
    """One export: what of, how, and where to. Paths are as the user wrote them."""

    name: str  # of the data set, without a branch
    slug: str  # name and number, fit for a file
    version: str  # its ref and the beginning of its id: the column `version`
    version_id: str
    folder: Place
    train: Place
    validation: Place | None
    objective: Objective
    turns: Turns
    survey: Survey

    @property
    def data_set(self) -> str:
        """Name of the rows for registries of data sets: letters, digits and `_` only."""
        return "".join(c if c.isalnum() else "_" for c in self.slug)

    @property
    def facts(self) -> dict[str, Slot]:
        """The columns that say which row a line is; every trainer ignores them."""
        named = {name: stored(name) for name in ("row_id", "target", "decision")}
        return {**named, "version": constant(self.version)}

    def tools(self, *, text: bool) -> dict[str, Slot]:
        """The column `tools` where any row of the version has some."""
        return (
            {"tools": unusual(lambda row: self.with_tools(row, text=text)["tools"])}
            if self.survey.tools
            else {}
        )

    def with_tools(self, row: Row, *, text: bool) -> Line:
        """`tools` of the line where any row of the version has some; as JSON text where a table would mix them up."""
        if not self.survey.tools:
            return {}
        return {"tools": json.dumps(row.tools, ensure_ascii=False) if text and row.tools else row.tools}

    def row_facts(self, row: Row) -> Line:
        """The columns that say which row a line is; every trainer ignores them."""
        return {"row_id": row.row_id, "target": row.target, "decision": row.decision, "version": self.version}


FACTS = [
    pa.field("row_id", pa.string()),
    pa.field("target", pa.int32()),
    pa.field("decision", pa.string()),
    pa.field("version", pa.string()),
]
"""Arrow fields of `Asked.row_facts`."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a row is not written: a stable key, what the row has, what the trainer lacks or does."""

    reason: str
    has: str
    lacks: str


@dataclass(frozen=True, slots=True)
class Slots:
    """Columns of a format, of which plain rows are written without looking at each."""

    of: Callable[[Asked], Mapping[str, Slot]]


def nothing(_: Asked) -> Mapping[str, str]:
    return {}


def fits_all(row: Row, asked: Asked) -> None:
    return None


def silent(_: Asked) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Shape:
    """What is written for one objective of one format."""

    lines: Callable[[Row, Asked], Iterable[Line]] | Slots
    """One line for a row, several where a row is several examples; or the columns, which are one line for each row."""
    knows: frozenset[Kind]
    """Kinds of row that reach the model whole."""
    trains: Literal["last", "all", "both", "reader"] = "both"
    """Which of the assistant's turns the trainer can be told to train; "reader": whoever reads decides."""
    schema: Callable[[Asked], pa.Schema] | None = None
    """Columns where Parquet is written; None where the shape knows JSON lines only."""
    parquet: bool = False
    """Whether a folder gets Parquet."""
    files: tuple[str, str] = ("train", "validation")
    """Names in a folder, without suffix."""
    beside: Callable[[Asked], Mapping[str, str]] = nothing
    """Name in the folder -> text of the files that the trainer needs beside the rows."""
    start: Callable[[Asked], str] = silent
    """The line that starts the trainer."""
    notes: tuple[str, ...] = ()
    """What is true of the trainer and would surprise."""
    needs: Literal["", "answer", "rejected"] = ""
    whole: bool = False
    """Whether lines are made of all columns of a row."""
    many: bool = False
    """Whether the reader takes several files of a split, so that `shard_rows` may be asked for."""
    shard_rows: int | None = None
    """Rows of the version for each file where nobody asks; None: one file a split."""
    card: Callable[[Asked, Mapping[str, Mapping[str, int]], Mapping[str, Any]], str] | None = None
    """`README.md`, from rows and bytes of each split and what the caller knows."""
    folder: bool = False
    """Whether the reader is told a folder and looks for `files` in it, so that no other name will do."""
    index: bool = False
    """Whether the reader refuses members that it does not know, so that row ids go to a file beside."""
    fits: Callable[[Row, Asked], Refusal | None] = fits_all
    """What this trainer refuses beside kinds: an order of turns, a missing id of a call."""

    def refuses(self, row: Row, asked: Asked, trainer: str) -> Refusal | None:
        """Why `row` cannot be written; None where it can."""
        asks = asked.objective in ("grpo", "rft")
        found = kinds(row._replace(said=_SILENT) if asks else row)  # what was answered is not written
        # calls are turns of the assistant, too: what is rarer says more
        for kind in sorted(found - self.knows - {Kind.MARKED}, key=lambda kind: (kind is Kind.HISTORY, kind)):
            return Refusal(kind, f"has {HAS[kind]}", f"{trainer} does not know them here")
        if asked.objective == "sft" and Kind.HISTORY in found and self.trains != "reader":
            if self.trains not in ("both", asked.turns):
                return Refusal(Kind.HISTORY, f"has {HAS[Kind.HISTORY]}", _CANNOT[asked.turns].format(trainer))
            if Kind.MARKED in found and asked.turns == "all" and Kind.MARKED not in self.knows:
                return Refusal(
                    Kind.MARKED,
                    f"has {HAS[Kind.MARKED]}",
                    f"{trainer} would train every turn of the assistant",
                )
        if self.needs == "answer" and not (row.answer or "").strip():
            return Refusal("no_answer", "has no answer", f"{trainer} has nothing to reward by")
        if self.needs == "rejected" and not row.rejected:
            return Refusal("no_rejected", "has no rejected candidate", f"{trainer} learns from pairs")
        return self.fits(row, asked)


_SILENT: Line = {"role": "assistant", "content": ""}
_CANNOT = {
    "last": "{} would train the assistant's earlier turns, too; say --turns all if that is meant",
    "all": "{} trains the last turn only; say --turns last if that is enough",
}


@dataclass(frozen=True, slots=True)
class Format:
    """A trainer, or a plain kind of file."""

    name: str
    trainer: str  # as its makers write it
    shapes: Mapping[Objective, Shape]
    writes: str  # for the table of the documentation

    @property
    def objective(self) -> Objective:
        """What is written where nobody says."""
        return next(iter(self.shapes))


# what several trainers share


def arguments_as_text(turns: Messages) -> Messages:
    """`turns` with the arguments of calls as JSON text: a table would otherwise give each call the others' names."""
    return [_text_arguments(turn) if turn.get("tool_calls") else turn for turn in turns]


def _text_arguments(turn: dict[str, Any]) -> dict[str, Any]:
    calls = []
    for call in turn["tool_calls"]:
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict) and not isinstance(function.get("arguments", ""), str):
            text = json.dumps(function["arguments"], ensure_ascii=False)
            call = {**call, "function": {**function, "arguments": text}}
        calls.append(call)
    return {**turn, "tool_calls": calls}


def arguments_as_objects(turns: Messages) -> Messages:
    """`turns` with the arguments of calls as objects, as most chat templates print them; text that is no JSON stays."""
    return [_object_arguments(turn) if turn.get("tool_calls") else turn for turn in turns]


def _object_arguments(turn: dict[str, Any]) -> dict[str, Any]:
    calls = []
    for call in turn["tool_calls"]:
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict) and isinstance(function.get("arguments"), str):
            with contextlib.suppress(ValueError):
                call = {**call, "function": {**function, "arguments": json.loads(function["arguments"])}}
        calls.append(call)
    return {**turn, "tool_calls": calls}


def unmarked(turns: Messages) -> Messages:
    """`turns` without our own mark against learning one, which no reader knows."""
    return [{k: v for k, v in turn.items() if k != "train"} if "train" in turn else turn for turn in turns]


def roles(turns: Messages) -> list[str]:
    return [turn.get("role", "") for turn in turns]


def takes_turns(row: Row) -> bool:
    """Whether, after a system turn at most, user and assistant speak one after the other, the user first."""
    spoken = roles(row.turns)
    spoken = spoken[1:] if spoken[:1] == ["system"] else spoken
    return spoken == ["user", "assistant"] * (len(spoken) // 2) and len(spoken) % 2 == 0


def one_question(row: Row) -> bool:
    """Whether the prompt is one turn of the user and nothing else, so that a string says it all."""
    return len(row.prompt) == 1 and row.prompt[0].get("role") == "user"


def quoted(path: Place) -> str:
    """A path as a shell takes it."""
    return shlex.quote(str(path))
