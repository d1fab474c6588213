"""A folder that the Hugging Face hub and `datasets` read: Parquet shards, and a card about how the rows were made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import yaml

from recast.curate.export.formats import FACTS, Asked, Format, Shape, Slots
from recast.curate.export.rows import ALL, Kind
from recast.curate.export.slots import Slot, stored, turns
from recast.curate.export.trainers.plain import all_cells, talk

_MORE = ("answer", "task", "demonstration", "reason", "source", "agent_id", "gate_id")
SHARD_ROWS = 250_000


def _columns(asked: Asked) -> Mapping[str, Slot]:
    return {
        "messages": turns(shaped=all_cells),
        **asked.tools(text=True),
        **{name: stored(name) for name in _MORE},
        **asked.facts,
    }


def _schema(asked: Asked) -> pa.Schema:
    tools = [pa.field("tools", pa.string())] if asked.survey.tools else []
    more = [pa.field(name, pa.string()) for name in _MORE]
    return pa.schema([pa.field("messages", talk(asked)), *tools, *more, *FACTS])


def card(asked: Asked, splits: Mapping[str, Mapping[str, int]], facts: Mapping[str, Any]) -> str:
    """`README.md`: what the hub reads at its top, and for people how the rows came to be.

    `splits` has rows and bytes of each; `facts` may have `license`, `message`, `decisions` (a count each), `gates` (a
    sentence each), `diversity` (a number each) and `refused` (a count each).
    """
    split_files = {"train": "data/train-*.parquet", "validation": "data/validation-*.parquet"}
    top = {
        "license": facts.get("license") or "unknown",
        "pretty_name": asked.slug,
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": split, "path": split_files[split]} for split in splits],
            }
        ],
        "dataset_info": {
            "features": [_feature(field) for field in _schema(asked)],
            "splits": [
                {"name": split, "num_bytes": count["bytes"], "num_examples": count["rows"]}
                for split, count in splits.items()
            ],
        },
    }
    rows = sum(count["rows"] for count in splits.values())
    parts = [
        f"---\n{yaml.safe_dump(top, sort_keys=False, allow_unicode=True)}---\n",
        f"# {asked.slug}\n",
        f"{rows:,} rows of `{asked.version}`, written by recast. The version's full id is `{asked.version_id}`.",
        str(facts.get("message") or ""),
        _counts("How each row came to be", facts.get("decisions")),
        "`decision` says whose words a completion is: `expert` as it was imported, `rewrite` or `repair` of the model "
        "under the gate, `fallback` the expert's because no rewrite passed (`reason` says why), `edited` by a person, "
        "`generated` a new row. `demonstration` is the expert's text in every case.",
        "## The gate\n\n" + "\n".join(f"- {said}" for said in facts["gates"]) if facts.get("gates") else "",
        _counts("Diversity of the completions", facts.get("diversity")),
        _counts("Rows left out", facts.get("refused")),
        "## Reading it\n\n    from datasets import load_dataset\n\n"
        f'    rows = load_dataset("{asked.folder.name}")["train"]     # `messages` ends with the turn to learn',
        "Tool calls and definitions of tools, which have any shape, are JSON text."
        if _has_json(asked)
        else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _has_json(asked: Asked) -> bool:
    return asked.survey.tools or "tool_calls" in asked.survey.members


def _counts(title: str, counts: Mapping[str, Any] | None) -> str:
    if not counts:
        return ""
    lines = [f"| {name} | {value:,} |" for name, value in counts.items()]
    return f"## {title}\n\n| | |\n|---|---|\n" + "\n".join(lines)


def _feature(field: pa.Field) -> dict[str, Any]:
    kind: Any = field.type
    if pa.types.is_list(kind):
        members = kind.value_type
        inner = [_feature(members.field(n)) for n in range(members.num_fields)]
        return {"name": field.name, "list": inner}
    return {"name": field.name, "dtype": str(field.type)}


HF = Format(
    "hf",
    "Hugging Face datasets",
    {
        "sft": Shape(
            Slots(_columns),
            ALL - {Kind.PARTS},
            trains="reader",
            schema=_schema,
            parquet=True,
            files=("data/train", "data/validation"),
            many=True,
            shard_rows=SHARD_ROWS,
            card=card,
            whole=True,
            start=lambda asked: f'datasets.load_dataset("{asked.folder}")',
        )
    },
    "a folder: Parquet shards and a card",
)
