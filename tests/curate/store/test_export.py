"""Exports: exact formats, whole files, and one step of a real trainer."""

from __future__ import annotations

import json
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from recast.curate.store.export import TRL_SCHEMA, export

from recast.curate.errors import UsageError
from recast.curate.store.store import Store

ROWS = [
    {
        "row_id": f"r{n}",
        "messages": [{"role": "user", "content": f"{n} + {n}?"}],
        "completion": f"The answer is {2 * n}.",
        "answer": str(2 * n),
        "task": "add",
    }
    for n in range(6)
]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "home")
    store.commit(ROWS, "a")
    return store


def test_trl_has_conversational_columns_and_what_rewards_ask_for(store: Store, tmp_path: Path) -> None:
    done = export(store, "a", "trl", tmp_path / "out")
    assert done.path.name == "a-v1.parquet" and done.rows == 6
    assert pq.read_schema(done.path).equals(TRL_SCHEMA)
    (first, *_) = datasets.load_dataset(
        "parquet", data_files=str(done.path), split="train", cache_dir=str(tmp_path)
    )
    assert first == {
        "prompt": [{"role": "user", "content": "0 + 0?"}],
        "completion": [{"role": "assistant", "content": "The answer is 0."}],
        "answer": "0",
        "task": "add",
        "row_id": "r0",
    }
    lines = export(store, "a@v1", "trl", tmp_path / "x.jsonl").path.read_text().splitlines()
    assert json.loads(lines[0]) == first


def test_jsonl_and_parquet_hold_everything(store: Store, tmp_path: Path) -> None:
    lines = export(store, "a", "jsonl", tmp_path / "x.jsonl").path.read_text().splitlines()
    assert len(lines) == 6 and json.loads(lines[5])["messages"] == ROWS[5]["messages"]
    table = pq.read_table(export(store, "a", "parquet", tmp_path / "x.parquet").path)
    assert table.equals(store.open("a").table())


def test_parquet_files_hold_plain_types_without_metadata_of_a_library(store: Store, tmp_path: Path) -> None:
    for to in ("trl", "parquet"):
        file = pq.ParquetFile(export(store, "a", to, tmp_path / to).path)
        assert set(file.schema_arrow.metadata or {}) == set()
        assert not any(isinstance(f.type, pa.ExtensionType) for f in file.schema_arrow)


def test_a_failed_export_leaves_what_was_there(store: Store, tmp_path: Path) -> None:
    target = tmp_path / "x.parquet"
    target.write_text("before")
    call = [{"role": "user", "content": "q"}, {"role": "assistant", "content": None, "tool_calls": []}]
    store.commit([ROWS[0] | {"messages": call}], "a")
    with pytest.raises(UsageError, match=r"row 'r0' has a turn with .*export it as JSON lines"):
        export(store, "a", "trl", target)
    assert target.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
    assert export(store, "a", "trl", tmp_path / "y.jsonl").rows == 1


def test_an_unknown_format_is_named(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown export format 'arff'; known are jsonl, trl, parquet"):
        export(store, "a", "arff", tmp_path)


def test_trl_takes_one_step_on_an_export(store: Store, tmp_path: Path, tiny_model: Path) -> None:
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    from tests.fakes.models import load

    model, tokenizer = load(tiny_model)
    path = export(store, "a", "trl", tmp_path / "out").path
    rows = datasets.load_dataset("parquet", data_files=str(path), split="train", cache_dir=str(tmp_path))
    args = SFTConfig(
        output_dir=str(tmp_path / "sft"), max_steps=1, per_device_train_batch_size=2, report_to="none", use_cpu=True,
        bf16=False, save_strategy="no", completion_only_loss=True,
    )  # fmt: skip
    trainer = SFTTrainer(model=model, args=args, train_dataset=rows, processing_class=tokenizer)
    assert trainer.train().training_loss > 0
