"""An export as a whole: where files go, that they are whole, that no row is lost, and the split."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recast.curate.errors import DataError, UsageError
from recast.curate.export.export import export
from recast.curate.export.outcome import Exported
from recast.curate.export.registry import FORMATS
from recast.curate.ingest import importer
from recast.curate.store.store import Store
from tests.fakes.exports import CALL, TOOL, kinds_of_rows, sums

ROWS = sums(6)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "home")
    store.commit(ROWS, "a")
    return store


def lines(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


# where


def test_a_folder_gets_rows_what_the_trainer_needs_and_a_list_of_it_all(store: Store, tmp_path: Path) -> None:
    done = export(store, "a", "llamafactory", tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "dataset_info.json",
        "llamafactory.yaml",
        "recast.json",
        "train.jsonl",
    ]
    listed = json.loads((tmp_path / "out" / "recast.json").read_text())
    assert listed == done.to_json()
    for file in listed["files"]:
        assert hashlib.sha256(Path(file["path"]).read_bytes()).hexdigest() == file["sha256"]


def test_a_file_is_written_where_nothing_is_needed_beside_it(store: Store, tmp_path: Path) -> None:
    done = export(store, "a", "trl", tmp_path / "x.jsonl", validation=0.5)
    names = {p.name for p in tmp_path.iterdir() if p.is_file()}
    assert names == {"x.jsonl", "x.validation.jsonl"}
    assert {len(lines(tmp_path / name)) for name in names} == {done.validation_rows, 6 - done.validation_rows}
    with pytest.raises(
        UsageError, match=r"llamafactory as sft is several files; name a folder instead of .*y\.jsonl"
    ):
        export(store, "a", "llamafactory", tmp_path / "y.jsonl")
    with pytest.raises(UsageError, match=r"verl reads Parquet; .* is another kind"):
        export(store, "a", "verl", tmp_path / "y.jsonl")
    with pytest.raises(UsageError, match=r"openrlhf reads JSON lines"):
        export(store, "a", "openrlhf", tmp_path / "y.parquet")
    with pytest.raises(
        UsageError, match=r"mlx reads train\.jsonl of a folder; name one instead of .*y\.jsonl"
    ):
        export(store, "a", "mlx", tmp_path / "y.jsonl")
    file = tmp_path / "x.jsonl"  # what TRL's command would read is the folder, with all that lies there
    assert done.start == f'datasets.load_dataset("json", data_files="{file}", split="train")'


def test_whole_rows_of_many_versions_share_a_folder(store: Store, tmp_path: Path) -> None:
    store.commit(ROWS[:2], "b")
    for name in ("a", "b"):
        export(store, name, "jsonl", tmp_path / "out")
        export(store, name, "parquet", tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "a-v1.jsonl", "a-v1.parquet", "b-v1.jsonl", "b-v1.parquet",
    ]  # fmt: skip


def test_a_second_export_leaves_no_row_of_the_first(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = export(store, "a", "trl", out, validation=0.5)
    assert first.validation_rows and (out / "validation.jsonl").exists()
    export(store, "a", "trl", out)
    assert sorted(p.name for p in out.iterdir()) == ["recast.json", "train.jsonl"]


def test_a_folder_with_a_file_of_somebody_else_is_refused(store: Store, tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text("mine")
    with pytest.raises(UsageError, match=r"train\.jsonl is there already and no export wrote it"):
        export(store, "a", "trl", tmp_path)
    assert (tmp_path / "train.jsonl").read_text() == "mine"
    for name in ("README.md", "data/train-00007.parquet"):
        mine = tmp_path / name.replace("/", "-") / name
        mine.parent.mkdir(parents=True)
        mine.write_text("mine")
        with pytest.raises(UsageError, match=r"is there already and no export wrote it"):
            export(store, "a", "hf", tmp_path / name.replace("/", "-"))


def test_a_failed_export_leaves_what_was_there(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(store, "a", "trl", out, validation=0.5)
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    store.commit([ROWS[0] | {"messages": [CALL]}], "bad")
    with pytest.raises(
        DataError, match=r"no row of bad@v1 is left to train verl on: 1 refused as .* Nothing was"
    ):
        export(store, "bad", "verl", tmp_path / "new")
    assert not (tmp_path / "new").exists() or list((tmp_path / "new").iterdir()) == []
    broken = store.commit([{**ROWS[0], "messages": "[{"}], "broken")
    with pytest.raises(json.JSONDecodeError):
        export(store, broken.ref, "trl", out)
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before


# words


def test_what_a_format_cannot_mean_is_said(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown export format 'arff'; known are jsonl, parquet, messages"):
        export(store, "a", "arff", tmp_path)
    with pytest.raises(
        UsageError, match=r"mlx has no files for dpo; it has sft\. Of dpo there are trl, openrlhf"
    ):
        export(store, "a", "mlx", tmp_path, objective="dpo")
    with pytest.raises(UsageError, match="--turns has no effect on jsonl as sft"):
        export(store, "a", "jsonl", tmp_path, turns="all")
    with pytest.raises(UsageError, match="--turns has no effect on trl as grpo"):
        export(store, "a", "trl", tmp_path, objective="grpo", turns="last")
    with pytest.raises(UsageError, match=r"the share for validation is 1\.5"):
        export(store, "a", "trl", tmp_path, validation=1.5)
    with pytest.raises(UsageError, match="a@v1 keeps no candidates"):
        export(store, "a", "trl", tmp_path, objective="dpo")


def test_a_refused_row_is_named_with_what_it_has_and_what_the_trainer_lacks(
    store: Store, tmp_path: Path
) -> None:
    store.commit([*ROWS, *kinds_of_rows()], "mixed")
    done = export(store, "mixed", "llamafactory", tmp_path / "out")
    assert {reason: (each.count, each.rows) for reason, each in done.refused.items()} == {
        "tool_calls": (1, ["calls"]),
        "reasoning": (1, ["thinks"]),
        "developer_role": (1, ["told"]),
        "not_text": (1, ["picture"]),
    }
    assert lines(tmp_path / "out" / "refused.jsonl")[0] == {
        "row_id": "calls",
        "target": 0,
        "reason": "tool_calls",
        "has": "has tool calls or their results",
        "lacks": "LLaMA-Factory does not know them here",
    }
    assert done.rows + done.refused_rows == len(ROWS) + len(kinds_of_rows())


def test_turns_are_meant_or_refused(store: Store, tmp_path: Path) -> None:
    talk = [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "one"},
        {"role": "user", "content": "more"},
    ]
    store.commit([*ROWS, {"row_id": "talk", "messages": talk, "completion": "two"}], "talks")
    for to, says in {"messages": "last", "verl": "last", "mlx": "all", "prompt-completion": "all"}.items():
        done = export(store, "talks", to, tmp_path / to, turns=says)  # pyright: ignore[reportArgumentType]
        assert done.refused["earlier_turns"].rows == ["talk"], to
        other = "all" if says == "last" else "last"
        done = export(store, "talks", to, tmp_path / to, turns=other)  # pyright: ignore[reportArgumentType]
        assert not done.refused, to


# whole rows


def test_jsonl_and_parquet_hold_the_conversation_and_import_again_as_it_was(
    store: Store, tmp_path: Path
) -> None:
    version = store.commit([*ROWS, *[r for r in kinds_of_rows() if r["row_id"] != "picture"]], "mixed")
    for to in ("jsonl", "parquet"):
        done = export(store, "mixed", to, tmp_path / to)
        (first, *_) = found = lines(Path(done.data[0]))
        assert [turn["content"] for turn in first["messages"]] == ["0 + 0?", "The answer is 0."]
        assert found[6]["messages"][-1]["role"] == "assistant" and len(found) == version.rows
        again = store.commit(importer.read(Path(done.data[0])), "mixed")
        assert (again.added, again.changed, again.removed) == (0, 0, 0), to


def test_parquet_files_hold_plain_types_without_metadata_of_a_library(store: Store, tmp_path: Path) -> None:
    for to in ("trl", "parquet", "verl"):
        path = export(store, "a", to, tmp_path / f"{to}.parquet").data[0]
        schema = pq.ParquetFile(path).schema_arrow
        assert set(schema.metadata or {}) == set()
        assert not any(isinstance(f.type, pa.ExtensionType) for f in schema)


def test_a_line_is_one_line_to_every_reader(store: Store, tmp_path: Path) -> None:
    text = 'a\u2028b\u2029c\x85d\x0be\nf"g\\h\ti\x00j'
    rows = [{"row_id": "r", "messages": [{"role": "user", "content": text}], "completion": text}]
    store.commit(rows, "signs")
    path = Path(export(store, "signs", "trl", tmp_path / "x.jsonl").data[0])
    (line,) = path.read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["completion"][0]["content"] == text == json.loads(line)["prompt"][0]["content"]


def test_shards_of_a_dataset_folder_load_as_splits(store: Store, tmp_path: Path, monkeypatch: Any) -> None:
    from dataclasses import replace

    shape = FORMATS["hf"].shapes["sft"]
    small = replace(FORMATS["hf"], shapes={"sft": replace(shape, shard_rows=2)})
    monkeypatch.setitem(FORMATS, "hf", small)
    done = export(
        store, "a", "hf", tmp_path / "rows", validation=0.3, facts={"license": "mit", "message": "sums"}
    )
    assert done.validation_rows
    held: dict[str, int] = {}  # a shard is a stretch of the version, whichever split its rows go to
    for path in done.data:
        held[path.stem[-5:]] = held.get(path.stem[-5:], 0) + len(lines(Path(path)))
    assert held == {"00000": 2, "00001": 2, "00002": 2}
    found = datasets.load_dataset(str(tmp_path / "rows"), cache_dir=str(tmp_path / "cache"))
    assert {split: rows.num_rows for split, rows in found.items()} == {
        "train": 6 - done.validation_rows,
        "validation": done.validation_rows,
    }
    card = (tmp_path / "rows" / "README.md").read_text()
    assert "license: mit" in card and done.version_id in card and "| expert | 6 |" in card


# conservation and split, of any rows


def texts() -> st.SearchStrategy[str]:
    return st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@st.composite
def versions(draw: st.DrawFn) -> list[dict[str, Any]]:
    rows = draw(st.lists(st.tuples(texts(), texts(), st.sampled_from(range(9))), min_size=1, max_size=12))
    odd = kinds_of_rows()
    made = []
    for n, (asks, says, kind) in enumerate(rows):
        system = [{"role": "system", "content": says}] if kind == 8 else []
        plain = {"messages": [*system, {"role": "user", "content": asks}], "completion": says, "answer": says}
        made.append({**(odd[kind] if kind < len(odd) else plain), "row_id": f"r{n}"})
    return made


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=versions())
def test_rows_in_are_rows_written_and_refused(
    rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("store")
    store = Store(home / "store")
    store.commit(rows, "a")
    for form in FORMATS.values():
        for objective in set(form.shapes) - {"dpo", "kto"}:
            try:
                done = export(store, "a", form.name, home / f"{form.name}-{objective}", objective=objective)
            except DataError as none_left:
                assert "is left to train" in str(none_left)
                continue
            assert done.rows + done.refused_rows == len(rows), form.name
            folder = home / f"{form.name}-{objective}"
            indexed = form.shapes[objective].index
            named = [folder / "train.index.jsonl"] if indexed else map(Path, done.data)
            written = [row_of(line) for path in named for line in lines(path)]
            left = [row_of(line) for path in folder.glob("*refused*.jsonl") for line in lines(path)]
            assert sorted([*written, *left]) == sorted(row["row_id"] for row in rows), form.name


def row_of(line: dict[str, Any]) -> str:
    return line.get("row_id") or (line.get("extra_info") or line)["row_id" if "extra_info" in line else "id"]


def sides(done: Exported) -> tuple[dict[str, str], dict[str, str]]:
    """Row to prompt, in training and in validation."""
    found = []
    for path in map(Path, done.data):
        found.append({line["row_id"]: json.dumps(line["messages"][:-1]) for line in lines(path)})
    held = found[1] if len(found) > 1 else {}
    return found[0], held


def test_no_prompt_stands_on_both_sides_and_added_rows_move_none(tmp_path: Path) -> None:
    store = Store(tmp_path / "home")
    # every prompt three times: as a plain row, under another target's text, and with tools, which is another path
    rows = sums(60)
    rows += [row | {"row_id": f"{row['row_id']}-b", "completion": "another"} for row in sums(60)]
    rows += [row | {"row_id": f"{row['row_id']}-t", "meta": {"tools": [TOOL]}} for row in sums(60)]
    store.commit(rows, "a")
    train, held = sides(export(store, "a", "jsonl", tmp_path / "one", validation=0.2))
    assert (
        len(train) + len(held) == 180 and 15 <= len(held) <= 60
    )  # 12 of 60 prompts on average, three rows each
    assert not set(train.values()) & set(held.values())
    store.commit([*rows, *(row | {"row_id": f"new-{row['row_id']}"} for row in sums(90)[60:])], "a")
    more_train, more_held = sides(export(store, "a", "jsonl", tmp_path / "two", validation=0.2))
    assert set(train) <= set(more_train) and set(held) <= set(more_held)


def test_a_share_that_no_prompt_falls_into_makes_no_file(store: Store, tmp_path: Path) -> None:
    done = export(store, "a", "llamafactory", tmp_path / "out", validation=0.0001)
    assert done.validation_rows == 0 and not (tmp_path / "out" / "validation.jsonl").exists()
    assert "No prompt of the 6 rows fell into the 0% for validation." in done.notes
    assert "validation" not in (tmp_path / "out" / "dataset_info.json").read_text()
