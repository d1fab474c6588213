"""A model that TRL trained says which version it saw, and the store knows the model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from trl import SFTConfig, SFTTrainer

import recast
from recast.curate.errors import UsageError
from recast.curate.history.lineage import LOCK, impact
from recast.curate.store.store import Store
from recast.pipelines.models.names import model_path
from tests.fakes.exports import sums


@pytest.mark.slow
def test_a_run_of_trl_on_a_stream_leaves_a_lock_beside_every_model(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    version = store.commit(sums(40), "craft")
    store.commit(sums(3), "general")
    trainer = SFTTrainer(
        str(model_path("pocket-small")),
        args=SFTConfig(
            str(tmp_path / "model"),
            max_steps=4,
            save_steps=2,
            per_device_train_batch_size=2,
            use_cpu=True,
            report_to="none",
        ),
        train_dataset=recast.load("craft", store, "prompt_completion", streaming=True, seed=0),
        callbacks=[recast.pin_callback("craft", store, mixed=[("general", 0.1)])],
    )
    store.commit(sums(50), "craft")  # what comes meanwhile is not what was trained on
    trainer.train()
    trainer.save_model()
    for folder in ("checkpoint-2", "checkpoint-4", "."):
        lock = json.loads((tmp_path / "model" / folder / LOCK).read_text())
        assert (lock["version"], lock["id"], lock["rows"]) == ("craft@v1", version.id, 40), folder
        assert [(each["version"], each["weight"]) for each in lock["mixed"]] == [("general@v1", 0.1)]
    assert {(each.version, each.model) for each in impact(store, "r7")} == {
        ("craft@v1", str(tmp_path / "model"))
    }
    assert {each.version for each in impact(store, "r2")} == {"craft@v1", "general@v1"}
    assert (tmp_path / "model" / "model.safetensors").exists()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert trainer.state.global_step == 4 and all(loss > 0 for loss in losses)


def test_a_name_that_there_is_not_is_known_before_training(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.commit(sums(1), "craft")
    with pytest.raises(UsageError, match="carft"):
        recast.pin_callback("carft", store)
