"""Turns found in stored text are those that a parser of JSON finds; members of turns, when they are met."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from recast.curate.export.export import export
from recast.curate.export.slots import Plain
from recast.curate.export.talks import Parted, turns_of
from recast.curate.fingerprint import canonical_json
from recast.curate.store.store import Store
from tests.fakes.exports import kinds_of_rows, sums

AWKWARD = (
    '{"c', "{", '"}', "}]", "\\", "\\\\", '\\"', '"', '","role":"user"},{"content":"', '[{"content":"x"}]',
    "\n", "\t", "\r", "\b", "\f", "/", "n", "u0041", "é", "日本", "🙂", "\u2028", "", " ", "m", "t", "r",
)  # fmt: skip


def talk(rng: random.Random) -> list[dict[str, str]]:
    text = lambda: "".join(rng.choices(AWKWARD, k=rng.randint(0, 6)))  # noqa: E731
    turns = [{"content": text(), "role": "system"}] if rng.random() < 0.5 else []
    turns.append({"content": text(), "role": "user"})
    for _ in range(rng.randint(0, 3)):
        turns += [{"content": text(), "role": "assistant"}, {"content": text(), "role": "user"}]
    return turns


def told(parted: Parted | None) -> list[list[dict[str, Any]]]:
    assert parted is not None
    roles, contents = parted.roles.to_pylist(), parted.contents.to_pylist()
    turns = [{"content": c, "role": r} for r, c in zip(roles, contents, strict=True)]
    return [turns[a:b] for a, b in zip(parted.ends[:-1], parted.ends[1:], strict=True)]


def test_turns_are_those_that_a_parser_finds_whatever_stands_in_them() -> None:
    rng = random.Random(0)
    talks = [talk(rng) for _ in range(2_000)]
    stored = pa.array(map(canonical_json, talks), pa.string())
    assert told(turns_of(stored)) == talks
    assert (
        told(turns_of(stored.slice(700, 41))) == talks[700:741]
    )  # text that begins in the midst of a buffer
    assert told(turns_of(stored.slice(0, 0))) == []


def test_a_text_with_a_sign_that_is_written_as_its_number_is_parsed() -> None:
    talks = [[{"content": "a\x01b", "role": "user"}], [{"content": "c", "role": "user"}]]
    stored = pa.array(map(canonical_json, talks), pa.string())
    assert json.loads(stored[0].as_py()) == talks[0] and "\\u0001" in stored[0].as_py()
    assert turns_of(stored) is None
    assert told(Plain(pa.record_batch({"messages": stored})).prompt_turns) == talks


def test_a_table_has_the_members_of_turns_that_come_late(tmp_path: Path) -> None:
    late = [row for row in kinds_of_rows() if row["row_id"] in ("calls", "thinks")]
    store = Store(tmp_path / "home")
    store.commit([*sums(5), *late], "a")
    export(store, "a", "parquet", tmp_path / "a.parquet")
    table = pq.read_table(tmp_path / "a.parquet")
    turns: Any = table.schema.field("messages").type
    members = [field.name for field in turns.value_type]
    assert table.num_rows == 7 and members[:2] == ["role", "content"] and "tool_calls" in members
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["a.parquet"]
