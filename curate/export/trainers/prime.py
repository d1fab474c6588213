"""prime-rl and verifiers: conversations for SFT, and a taskset, which is a Python module, for what rewards."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from recast.curate.export.formats import (
    Asked,
    Format,
    Line,
    Refusal,
    Shape,
    Slots,
    arguments_as_text,
    quoted,
    unmarked,
)
from recast.curate.export.rows import TALKS, TOOLED, Row
from recast.curate.export.slots import Slot, turns
from recast.curate.records import Messages


def _sft(asked: Asked) -> Mapping[str, Slot]:
    def shaped(turns: Messages) -> Messages:
        return unmarked(arguments_as_text(turns))

    return {"messages": turns(shaped=shaped), **asked.tools(text=True), **asked.facts}


def _toml(asked: Asked) -> dict[str, str]:
    return {"prime-rl.toml": f'[model]\nname = "MODEL"\n\n[data]\nname = {json.dumps(str(asked.folder))}\n'}


PRIME_RL = Format(
    "prime-rl",
    "prime-rl",
    {
        "sft": Shape(
            Slots(_sft),
            TALKS | TOOLED,
            trains="all",
            beside=_toml,
            start=lambda asked: f"uv run sft @ {quoted(asked.folder / 'prime-rl.toml')} --model.name MODEL",
            notes=(
                "Chat templates that it does not know are refused; its Qwen3 renderer trains an empty thought.",
            ),
        )
    },
    "`messages` and `tools`, and `prime-rl.toml`; for RL see `verifiers`",
)

TASKSET = '''"""Tasks of {version}: a question each, rewarded where the final answer of the reply equals the row's.

Two answers are compared as recast's gate compares them; what cannot be told counts as wrong.
Install this folder (pip install -e FOLDER, pip install --no-deps recast-sft), then use the taskset id "{package}".
"""

import json
from pathlib import Path

import recast
from verifiers.v1 import Task, TaskData, Taskset, TasksetConfig, Trace, reward

__all__ = ["RecastTaskset"]
ROWS = Path(__file__).with_name("{rows}")


class RecastData(TaskData):
    answer: str
    task: str | None = None
    decision: str
    version: str


class RecastTask(Task[RecastData]):
    @reward
    async def correct(self, trace: Trace) -> float:
        said = recast.final_answer(trace.last_reply)
        return float(said is not None and recast.equivalent(said, self.data.answer) is True)


class RecastTaskset(Taskset[RecastTask, TasksetConfig]):
    def load(self):
        with ROWS.open(encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                yield RecastTask(RecastData(**row), self.config.task)
'''
_PROJECT = """[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "{package}"
version = "{number}"
dependencies = ["verifiers"]

[tool.setuptools]
packages = ["{package}"]

[tool.setuptools.package-dir]
"{package}" = "."

[tool.setuptools.package-data]
"{package}" = ["*.jsonl"]
"""


def package(asked: Asked) -> str:
    """Name of the generated module."""
    return f"{asked.data_set.lower()}_taskset"


def _tasks(row: Row, asked: Asked) -> Iterable[Line]:
    system = row.prompt[0]["content"] if row.prompt[0].get("role") == "system" else None
    turns = row.prompt[1:] if system is not None else row.prompt
    plain = len(turns) == 1 and turns[0].get("role") == "user"
    yield {
        "id": row.row_id if not row.target else f"{row.row_id}#{row.target}",
        "name": f"{asked.name}/{row.row_id}",
        "prompt": turns[0]["content"] if plain else unmarked(turns),
        "system_prompt": system,
        "answer": row.answer,
        "task": row.task,
        "decision": row.decision,
        "version": asked.version,
    }


def _asks(row: Row, asked: Asked) -> Refusal | None:
    if row.prompt and row.prompt[-1].get("role") == "user":
        return None
    return Refusal(
        "order_of_turns", "has a prompt that does not end with the user", "a task ends with a question"
    )


def _module(asked: Asked) -> dict[str, str]:
    words = {
        "version": asked.version,
        "package": package(asked),
        "rows": asked.train.name,
    }
    number = asked.slug.rpartition("-v")[2]
    return {
        "__init__.py": TASKSET.format(**words),
        "pyproject.toml": _PROJECT.format(package=package(asked), number=number if number.isdigit() else "0"),
    }


VERIFIERS = Format(
    "verifiers",
    "verifiers",
    {
        "grpo": Shape(
            _tasks,
            TALKS,
            files=("tasks", "tasks-validation"),
            beside=_module,
            start=lambda asked: f"pip install -e {quoted(asked.folder)} && vf-eval {package(asked)} -m MODEL",
            needs="answer",
            fits=_asks,
        )
    },
    "a taskset: a Python module, its tasks, `pyproject.toml`",
)
