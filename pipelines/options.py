"""The vocabulary of job signatures: what a parameter is called on the command line, and what it names.

The marker beside an option says what kind of input a value is, so that a run's fingerprint covers the
content behind the name (a version's id, a model's weights, a file's bytes) and not the name alone.

A dataclass of such parameters is what several verbs take together: a job with a parameter of that type has an
option for each of its fields (`pipelines.run.arguments`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from recast.curate.errors import UsageError

STORE_ENV, DEFAULT_STORE = "RECAST_HOME", ".recast"
_PAIRS = re.compile(r",(?=\w+=)")  # of `--map`: a column's name may hold a comma


class Names(Enum):
    """What the value of a parameter names."""

    VERSION = "version"  # a ref of the store: hashed as the version's id
    MIXTURE = "mixture"  # a ref, with or without `:WEIGHT`: hashed as the version's id and the weight
    CONDITION = "condition"  # SQL: hashed as its text and the ids of the versions that it names
    MODEL = "model"  # a model folder, a hub id or `pocket`: hashed as its weights, tokenizer and template
    ADAPTER = "adapter"  # an agent's folder: hashed as its weights
    FILE = "file"  # hashed as its bytes
    GATE = "gate"  # a preset or a YAML file: hashed as the gate's id
    PROMPTS = "prompts"  # a preset or a YAML file: hashed as what it asks
    NAMED_FILE = "named file"  # NAME=FILE or FILE: hashed as the name and the bytes
    OUTPUT = "output"  # where results go
    ADDRESS = "address"  # where a server is: it may move
    WORKERS = "workers"  # how many do it: the same job whatever the number
    BUDGET = "budget"  # when to stop, how much to take: the same job whatever it says, so that a later call goes on


def usual_store() -> Path:
    """The store that a command uses where it is told no other."""
    return Path(os.environ.get(STORE_ENV) or DEFAULT_STORE)


def argument(help: str, **kwargs: Any) -> Any:
    """A positional argument."""
    return typer.Argument(help=help, show_default=False, **kwargs)


def option(*names: str, help: str, **kwargs: Any) -> Any:
    """An option with its names, for instance `option("--as", help="...")`."""
    return typer.Option(*names, help=help, **kwargs)


VersionRef = Annotated[
    str,
    argument("A version: NAME (its newest), NAME@v3 or NAME@TAG.", metavar="VERSION"),
    Names.VERSION,
]
ModelPath = Annotated[
    str | None,
    option(
        "--model",
        "-m",
        help="Model folder or hub id. Default: the config's, else `pocket`, which ships with recast.",
        metavar="MODEL",
        show_default=False,
    ),
    Names.MODEL,
]
GateName = Annotated[
    str | None,
    option(
        "--gate",
        "-g",
        help="Preset (math, strict, choice, text, code, auto) or YAML file. Default: the config's, else `auto`.",
        metavar="GATE",
        show_default=False,
    ),
    Names.GATE,
]
UnsafeExec = Annotated[
    bool,
    option(
        "--unsafe-exec",
        help="Run the code of completions without a sandbox where this machine has none. For code you trust.",
    ),
]
Workers = Annotated[
    int | None,
    option("--workers", "-w", help="Processes. Default: one a core.", min=1, show_default=False),
    Names.WORKERS,
]
SharedBy = Annotated[
    int | None,
    option(
        "--workers",
        "-w",
        help="Do it in so many processes here, one a GPU, together with every other such command on the store.",
        min=1,
        show_default=False,
    ),
    Names.WORKERS,
]
RayAddress = Annotated[
    str | None,
    option(
        "--ray",
        help="Do it on a Ray cluster: its address, `auto`, or `local` for one here. --workers then is how many actors.",
        metavar="ADDRESS",
        show_default=False,
    ),
    Names.ADDRESS,
]
AsName = Annotated[str, option("--as", help="Name of the new version.", metavar="NAME", show_default=False)]
OutFolder = Annotated[
    Path | None,
    option("--out", "-o", help="Folder for the result. Default: inside the run folder.", show_default=False),
    Names.OUTPUT,
]
OutFile = Annotated[
    Path | None,
    option("--out", "-o", help="File for the result.", show_default=False),
    Names.OUTPUT,
]
Message = Annotated[str | None, option("--message", help="Why; stands in the log.", show_default=False)]
Lora = Annotated[
    int | None,
    option(
        "--lora",
        help="Train a LoRA of this rank. Default: the config's, else all weights.",
        metavar="RANK",
        min=1,
        show_default=False,
    ),
]
CandidatesRef = Annotated[
    str,
    argument(
        "Version whose candidates to learn from: one that `recast rewrite` made, or that was imported from preferences "
        "or good and bad texts; or, for answers of the model's own, whose prompts to answer.",
        metavar="VERSION",
    ),
    Names.VERSION,
]
OwnSamples = Annotated[
    int | None,
    option(
        "--samples",
        help="With --grader: answers that the model draws to each prompt. Default: the config's, else 8.",
        min=2,
        show_default=False,
    ),
]
Seed = Annotated[int | None, option("--seed", help="Root seed; overrides the config's.", show_default=False)]
Limit = Annotated[
    int | None, option("--limit", "-n", help="At most this many rows.", min=1, show_default=False)
]
Jobs = Annotated[
    int | None,
    option(
        "--jobs",
        "-j",
        help="Stages at a time. Default: 2 where there are 2 cores.",
        min=1,
        show_default=False,
    ),
]
Columns = Annotated[
    list[str] | None,
    option(
        "--map",
        help="Read FIELD of a file from COLUMN, e.g. id=item_id,prompt=text; an empty COLUMN drops the field.",
        metavar="FIELD=COLUMN",
    ),
]


def parse_columns(given: Sequence[str] | None) -> dict[str, str] | None:
    """What `--map` says, `["id=item_id,question=q"]`, as field to column. Raises UsageError."""
    if not given:
        return None
    pairs = [pair for text in given for pair in _PAIRS.split(text)]
    for pair in pairs:
        if "=" not in pair:
            raise UsageError(
                f"--map takes FIELD=COLUMN, for instance --map id=item_id,prompt=text; found {pair!r}."
            )
    return dict(pair.split("=", 1) for pair in pairs)


Turn = Annotated[
    int, option("--turn", help="Which of the assistant's turns is the completion; 0 the first, -1 the last.")
]
Dedup = Annotated[bool, option("--dedup", help="Keep the first of a file's rows with the same id.")]
RowId = Annotated[str, argument("Id of the row, or its beginning.", metavar="ROW")]
Target = Annotated[int, option("--target", help="Which of a row's several rewrites.", min=0)]
BudgetMinutes = Annotated[
    float | None,
    option(
        "--budget-minutes",
        help="Stop after so long (exit code 7); the same command goes on.",
        min=0,
        show_default=False,
    ),
    Names.BUDGET,
]
Memory = Annotated[
    str | None,
    option(
        "--memory",
        help="Most memory of the process (of a GPU's, where there is one), as 6GiB. Default: the config's, else a "
        "share of what is free.",
        metavar="SIZE",
        show_default=False,
    ),
    Names.BUDGET,
]


@dataclass(frozen=True, slots=True)
class GateOptions:
    """A gate, and what runs it."""

    gate: GateName = None
    workers: Workers = None
    unsafe_exec: UnsafeExec = False


GraderFile = Annotated[
    Path,
    argument("JSON of a grader: a published one, or one of ours.", metavar="FILE"),
    Names.FILE,
]


@dataclass(frozen=True, slots=True)
class GraderOptions:
    """What graders ask, as options: what their files leave to the machine that they run on."""

    judge: Annotated[
        str | None,
        option(
            "--judge",
            help="Model that answers for those that score_model and label_model graders name. Default: those.",
            metavar="MODEL",
            show_default=False,
        ),
        Names.MODEL,
    ] = None
    embedding: Annotated[
        str | None,
        option(
            "--embedding",
            help="sentence-transformers model for text_similarity by cosine.",
            metavar="MODEL",
            show_default=False,
        ),
        Names.MODEL,
    ] = None
    unsafe_exec: UnsafeExec = False


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What generates, as options that go over the configuration's section `engine`. None: as configured."""

    engine: Annotated[
        Literal["hf", "vllm", "http"] | None,
        option(
            "--engine",
            help="hf (transformers), vllm (in this process) or http (a server). Default: the config's, else hf.",
            show_default=False,
        ),
    ] = None
    base_url: Annotated[
        str | None,
        option(
            "--base-url",
            help="Address of an OpenAI-compatible server, such as http://localhost:8000/v1.",
            metavar="URL",
            show_default=False,
        ),
        Names.ADDRESS,
    ] = None
    served_model: Annotated[
        str | None,
        option(
            "--served-model",
            help="What the server calls the backbone. Default: the only model that it serves.",
            metavar="NAME",
            show_default=False,
        ),
    ] = None
    batch_size: Annotated[
        int | None,
        option(
            "--batch-size",
            help="Sequences decoded together by hf. Default: the config's, else 64.",
            min=1,
            show_default=False,
        ),
    ] = None
    memory: Memory = None

    def overrides(self) -> dict[str, Any]:
        """By the names of the section, for `Config.section("engine", ...)`; `memory` is no setting of an engine."""
        given = {name: value for name, value in asdict(self).items() if name != "memory"}
        return {"type": given.pop("engine"), **given}


@dataclass(frozen=True, slots=True)
class AgentEngineOptions(EngineOptions):
    """The same for verbs that can put an agent on top of the backbone."""

    served_agent: Annotated[
        str | None,
        option(
            "--served-agent",
            help="What the server calls the agent's adapter.",
            metavar="NAME",
            show_default=False,
        ),
    ] = None
