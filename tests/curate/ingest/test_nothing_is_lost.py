"""Every value of a row ends in its prompt, completion, answer or `meta`, or in a rejected candidate, or it is named.

Files of every format that `detect` knows are made of values that occur once, so that each can be looked for.
"""

from __future__ import annotations

import base64
import csv
import datetime
import json
import math
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from recast.curate.errors import DataError
from recast.curate.export.export import export
from recast.curate.ingest import importer
from recast.curate.store.store import Store

LAYOUTS: dict[str, tuple[str, ...]] = {
    "question/answer": ("id", "question", "answer", "context", "system", "task", "level"),
    "question/solution": ("question", "solution", "answer", "input", "target", "source"),
    "alpaca": ("instruction", "input", "output", "system", "label"),
    "prompt/completion": ("prompt", "completion", "tools", "later_turns", "completion_turn"),
    "options": ("question", "choices", "answer", "explanation"),
    "messages": ("messages", "tools", "system", "answer", "input", "completion", "label"),
    "sharegpt": ("conversations", "system", "id"),
    "preference": ("prompt", "chosen", "rejected", "context", "messages", "margin"),
    "unpaired": ("prompt", "completion", "label", "system", "id"),
}
TALKS = ("messages", "conversations")
PLAIN: dict[str, Any] = {
    "choices": ["c0", "c1"], "label": True, "tools": None, "target": 0,
    "messages": [{"role": "user", "content": "plain"}, {"role": "assistant", "content": "fine"}],
    "conversations": [{"from": "human", "value": "plain"}, {"from": "gpt", "value": "fine"}],
}  # fmt: skip


class Marks:
    """Values that occur once."""

    def __init__(self) -> None:
        self.made = 0

    def text(self) -> str:
        self.made += 1
        return f"mark{self.made:04d}z"

    def value(self, kind: str) -> Any:
        text = self.text()
        number = 700_000 + self.made
        return {
            "text": text, "int": number, "float": number + 0.25, "bytes": text.encode(),
            "decimal": Decimal(number) / 8, "date": datetime.date(2000, 1, 1) + datetime.timedelta(days=self.made),
            "NaN": math.nan, "none": None, "blank": " ", "bool": True, "digit": "1", "huge": number * 10**30,
        }[kind]  # fmt: skip


KINDS = ("text", "int", "float", "bytes", "decimal", "date", "NaN", "none", "blank", "bool", "digit", "huge")


@st.composite
def cells(draw: st.DrawFn, marks: Marks, depth: int = 2) -> Any:
    """Any value of a cell: one mark, or lists, objects and turns of them."""
    shape = draw(
        st.sampled_from(["mark"] * 4 + ["text"] * 4 + ["list", "object", "turn", "parts"] * (depth > 0))
    )
    if shape == "mark":
        return marks.value(draw(st.sampled_from(KINDS)))
    if shape == "text":
        return marks.text()
    below = cells(marks, depth - 1)
    if shape == "list":
        return [draw(below) for _ in range(draw(st.integers(0, 3)))]
    if shape == "object":
        keys = draw(
            st.lists(st.sampled_from(["a", "b", "text", "label", "content"]), unique=True, max_size=3)
        )
        return {key: draw(below) for key in keys}
    if shape == "parts":
        kinds = draw(
            st.lists(st.sampled_from(["text", "thinking", "image_url", "audio"]), min_size=1, max_size=3)
        )
        return [{"type": kind, kind: marks.text()} for kind in kinds]
    return draw(talks(marks, draw(st.sampled_from([("role", "content"), ("from", "value")]))))


@st.composite
def talks(draw: st.DrawFn, marks: Marks, names: tuple[str, str]) -> list[dict[str, Any]]:
    turns = []
    for role in draw(
        st.lists(st.sampled_from(["user", "assistant", "assistant", "human", "gpt", "tool"]), max_size=5)
    ):
        content = draw(st.sampled_from(["text", "text", "parts", "number", "none"]))
        turn: dict[str, Any] = {names[0]: role}
        turn[names[1]] = {
            "text": marks.text(), "number": marks.value("int"), "none": None,
            "parts": [{"type": "thinking", "thinking": marks.text()}, {"type": "text", "text": marks.text()}],
        }[content]  # fmt: skip
        if draw(st.booleans()):
            turn |= draw(
                st.sampled_from([
                    {"train": False}, {"weight": 0}, {"reasoning_content": marks.text()}, {"name": marks.text()},
                    {"tool_calls": [{"function": {"name": marks.text()}}]}, {"value": marks.text()},
                ])
            )  # fmt: skip
        turns.append(turn)
    return turns


@st.composite
def files(draw: st.DrawFn) -> tuple[str, dict[str, Any], dict[str, Any], str]:
    """(layout, a plain row, a wild one, kind of file)."""
    layout = draw(st.sampled_from(sorted(LAYOUTS)))
    marks = Marks()
    wild = {}
    for column in LAYOUTS[layout]:
        names = ("from", "value") if column == "conversations" else ("role", "content")
        usual = talks(marks, names) if column in TALKS else cells(marks, 0)
        wild[column] = draw(st.one_of(usual, cells(marks)))
    plain = {column: PLAIN.get(column, f"plain {column}") for column in LAYOUTS[layout]}
    if layout in ("messages", "sharegpt"):
        plain = {c: v for c, v in plain.items() if c in (*TALKS, "label")}
    return layout, plain, wild, draw(st.sampled_from(["f.jsonl", "f.json", "f.csv", "f.parquet"]))


def written(folder: Path, name: str, rows: list[dict[str, Any]]) -> Path | None:
    path = folder / name
    if name == "f.parquet":
        try:
            columns = dict.fromkeys(rows[0] | rows[-1])
            pq.write_table(pa.Table.from_pylist([columns | row for row in rows]), path)
        except (pa.ArrowException, OverflowError, TypeError):
            return None  # no column has values of both types
    elif name == "f.csv":
        with path.open("w", newline="") as file:
            table = csv.DictWriter(file, list(rows[0] | rows[-1]))
            table.writeheader()
            table.writerows([{k: _cell(v) for k, v in row.items()} for row in rows])
    else:
        rows = [{k: _json(v) for k, v in row.items()} for row in rows]
        text = json.dumps(rows) if name == "f.json" else "".join(json.dumps(row) + "\n" for row in rows)
        path.write_text(text)
    return path


def _json(value: Any) -> Any:
    if isinstance(value, list | dict):
        members = value.items() if isinstance(value, dict) else enumerate(value)
        found = {key: _json(member) for key, member in members}
        return found if isinstance(value, dict) else list(found.values())
    return value if value is None or isinstance(value, str | int | float) else str(value)


def _cell(value: Any) -> Any:
    return json.dumps(_json(value)) if isinstance(value, list | dict) else _json(value)


def leaves(value: Any) -> Iterator[str]:
    """What must be found of a value: each of its marks, as it may be written; who speaks has its own words for it."""
    if isinstance(value, dict):
        yield from leaves([member for key, member in value.items() if key not in ("role", "from", "type")])
    elif isinstance(value, list):
        for member in value:
            yield from leaves(member)
    elif isinstance(value, bytes):
        yield base64.b64encode(value).decode()
    elif isinstance(value, datetime.date):
        yield value.isoformat()
    elif isinstance(value, float) and math.isnan(value):
        yield "NaN"
    elif (
        isinstance(value, str | int | float | Decimal) and not isinstance(value, bool) and str(value).strip()
    ):
        yield str(value)


@settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=list(HealthCheck),  # pyright: ignore[reportArgumentType]  # its metaclass hides its members
)
@given(files())
def test_every_value_is_kept_or_its_row_is_named(
    made: tuple[str, dict[str, Any], dict[str, Any], str],
) -> None:
    layout, plain, wild, name = made
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder), name, [plain, wild])
        if path is None:
            return
        try:
            found = importer.read(path)
            rows = list(found.rows())
            if found.rejects:
                rows += [row for batch in found.candidates() for row in batch.to_pylist()]
        except DataError as named:
            event("the file is named")
            assert str(named)
            return
    if [bad.line for bad in found.report.bad] == [3 if name == "f.csv" else 2]:
        event(f"{layout}: the row is named")
        return
    assert found.report.bad == []
    event(f"{layout}: the row is read")
    kept = json.dumps(rows, ensure_ascii=False, default=str)
    if name != "f.parquet":
        wild = {key: _json(value) for key, value in wild.items()}
    if name == "f.csv":  # which writes NaN as the text nan
        wild = {key: None if value != value else value for key, value in wild.items()}
    lost = [text for text in leaves(wild) if text not in kept and text not in kept.replace("\\", "")]
    assert lost == [], (lost, found.format, found.mapping, rows)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_plain_row_of_every_layout_is_read(tmp_path: Path, layout: str) -> None:
    plain = {column: PLAIN.get(column, f"plain {column}") for column in LAYOUTS[layout]}
    if layout == "alpaca":
        plain["label"] = "kind"
    path = written(tmp_path, "f.jsonl", [plain])
    assert path is not None
    (row,) = importer.read(path).rows()
    assert row["completion"].startswith(("plain", "fine"))


def test_preferences_become_demonstrations_and_rejected_candidates(tmp_path: Path) -> None:
    ask = {"role": "user", "content": "q"}
    rows = [
        {"prompt": "q", "chosen": "good", "rejected": "bad", "margin": 2},
        {"chosen": [ask, {"role": "assistant", "content": "better"}],
         "rejected": [ask, {"role": "assistant", "content": "worse", "name": "m"}]},
        {"chosen": "\n\nHuman: q\n\nAssistant: best", "rejected": "\n\nHuman: q\n\nAssistant: worst"},
    ]  # fmt: skip
    path = written(tmp_path, "f.jsonl", rows)
    assert path is not None
    found = importer.read(path)
    read = list(found.rows())
    assert [(r["messages"], r["completion"]) for r in read] == [
        ([ask], "good"), ([ask], "better"), ([ask], "best"),
    ]  # fmt: skip
    assert [r["meta"] for r in read] == [
        {"margin": 2}, {"rejected_completion_turn": {"name": "m"}}, None,
    ]  # fmt: skip
    worse = [c for batch in found.candidates() for c in batch.to_pylist()]
    assert [(c["row_id"], c["text"], c["status"]) for c in worse] == [
        (read[0]["row_id"], "bad", "rejected"), (read[1]["row_id"], "worse", "rejected"),
        (read[2]["row_id"], "worst", "rejected"),
    ]  # fmt: skip
    assert found.report.rejected == 3
    store = Store(tmp_path / "home")
    kept = store.open(store.commit(importer.read(path), "a")).candidates()
    assert kept.column("text").to_pylist() == ["bad", "worse", "worst"]


def test_a_judged_completion_is_learnt_or_rejected_beside_the_row_of_its_prompt(tmp_path: Path) -> None:
    rows = [
        {"prompt": "q", "completion": "bad", "label": False},
        {"prompt": "q", "completion": "good", "label": True},
        {"prompt": "alone", "completion": "poor", "label": False, "level": 7},
    ]
    path = written(tmp_path, "f.csv", rows)
    assert path is not None
    found = importer.read(path)
    (good,) = found.rows()
    assert (good["completion"], good["answer"], found.report.rejected) == ("good", None, 2)
    bad, poor = [c for batch in found.candidates() for c in batch.to_pylist()]
    assert (bad["row_id"], bad["text"], bad["k"]) == (good["row_id"], "bad", 0)
    said = json.loads(poor["scores"])
    assert (poor["text"], said["messages"][0]["content"], said["meta"]) == ("poor", "alone", {"level": "7"})


def test_options_by_number_become_their_label(tmp_path: Path) -> None:
    ask = {"question": "Largest?", "choices": ["Mars", "Jupiter"]}
    for answers, labels in (([0, 1], ["A", "B"]), ([1, 2], ["A", "B"]), (["Jupiter", "B"], ["Jupiter", "B"])):
        rows = [ask | {"explanation": f"e{n}", "answer": a} for n, a in enumerate(answers)]
        path = written(tmp_path, "f.jsonl", rows)
        assert path is not None
        assert [row["answer"] for row in importer.read(path).rows()] == labels
    shown = {"text": ["Mars", "Jupiter"], "label": ["1", "2"]}
    path = written(tmp_path, "f.jsonl", [{"question": "Largest?", "choices": shown, "answerKey": "2"}])
    assert path is not None
    (row,) = importer.read(path).rows()
    assert row["messages"][0]["content"] == "Largest?\n\n1. Mars\n2. Jupiter"
    assert (row["completion"], row["answer"], row["meta"]) == ("2", "2", {"choices": shown})


def test_a_completion_of_several_turns_is_a_conversation(tmp_path: Path) -> None:
    said = [
        {"role": r, "content": c} for r, c in (("assistant", "one"), ("user", "go on"), ("assistant", "two"))
    ]
    path = written(tmp_path, "f.jsonl", [{"prompt": [{"role": "user", "content": "q"}], "completion": said}])
    assert path is not None
    (row,) = importer.read(path).rows()
    assert [m["content"] for m in row["messages"]] == ["q", "one", "go on"] and row["completion"] == "two"
    (row,) = importer.read(path, turn=0).rows()
    assert [m["content"] for m in row["messages"]] == ["q"] and row["completion"] == "one"
    assert row["meta"] == {"later_turns": said[1:]}


def test_tools_and_thoughts_go_out_again_as_trl_reads_them(tmp_path: Path) -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    said = {"role": "assistant", "content": "c", "reasoning_content": "hm"}
    path = written(
        tmp_path, "f.jsonl", [{"messages": [{"role": "user", "content": "q"}, said], "tools": tools}]
    )
    assert path is not None
    store = Store(tmp_path / "home")
    version = store.commit(importer.read(path), "a")
    (line,) = Path(export(store, "a", "trl", tmp_path / "out.jsonl").path).read_text().splitlines()
    out = json.loads(line)
    assert (out["completion"], json.loads(out["tools"])) == ([said], tools)
    (row,) = store.open(version).rows()
    store.commit([row | {"completion": "d", "decision": "rewrite"}], "a")
    (line,) = Path(export(store, "a", "trl", tmp_path / "out.jsonl").path).read_text().splitlines()
    out = json.loads(line)  # the thoughts led to another text
    assert (out["completion"], json.loads(out["tools"])) == ([{"role": "assistant", "content": "d"}], tools)
