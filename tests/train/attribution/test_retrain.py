"""What training without a group of changes does to held-out text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recast.curate.errors import DataError, UsageError
from recast.train.attribution import retrain
from recast.train.attribution.influence import Change
from recast.train.attribution.retrain import retrained
from recast.train.sft.config import SftConfig
from tests.fakes import models
from tests.fakes.finetuning import ROWS

TRAINED, HELDOUT = ROWS[:12], ROWS[12:20]
CONFIG = SftConfig(epochs=3, batch_size=4, lr=3e-3, telemetry_tokens=0, checkpoints=1)


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "base"
    return models.make_model("llama", folder, hidden=32, texts=[r["completion"] for r in ROWS], scale=1)


def garbled(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"completion": " ".join(reversed(row["completion"].split()))}


def test_rows_that_were_made_worse_hurt_and_rows_that_were_made_right_help(base, tmp_path):
    """Half of the rows were turned round, half set right: without the former, held-out text is likelier."""
    changes = [Change(row, garbled(row)) for row in TRAINED[:6]] + [
        Change(garbled(row), row) for row in TRAINED[6:]
    ]
    groups = {"worse": range(6), "better": range(6, 12)}
    asked = (changes, groups, {"held": HELDOUT}, base, CONFIG, tmp_path)
    found = retrained(*asked, seeds=2, revert=True)["held"]
    assert found["worse"].shape == (2, 8)
    assert (found["worse"].mean(1) < 0).all() and (found["better"].mean(1) > 0).all()


def test_a_group_that_changed_nothing_gains_nothing(base, tmp_path):
    changes = [Change(row, row) for row in TRAINED]
    asked = (changes, {"same": range(5)}, {"held": HELDOUT}, base, CONFIG, tmp_path)
    assert (retrained(*asked, seeds=2, revert=True)["held"]["same"] == 0).all()


def test_what_was_trained_is_not_trained_again(base, tmp_path, monkeypatch):
    changes = [Change(None if n < 3 else row, row) for n, row in enumerate(TRAINED)]
    asked = (changes, {"added": range(3)}, {"held": HELDOUT}, base, CONFIG, tmp_path)
    first = retrained(*asked, seeds=2)["held"]["added"]
    assert len(list(tmp_path.iterdir())) == 4, "a file a training: with and without, two seeds"
    next(tmp_path.glob("*.json")).unlink()
    trained = []
    monkeypatch.setattr(retrain, "train", lambda *given, train=retrain.train: trained.append(train(*given)))
    assert np.array_equal(retrained(*asked, seeds=2)["held"]["added"], first)
    assert len(trained) == 1


def test_the_place_of_a_row_that_is_gone_goes_to_another(base):
    from recast.train.model.loading import load

    _, tokenizer = load(base)
    first, _, third = TRAINED[:3]
    found = retrain._examples([first, None, third], tokenizer, CONFIG)
    known = [retrain.example_of(row, tokenizer, 512) for row in (first, third)]
    assert [found[0], found[2]] == known and found[1] in known
    with pytest.raises(DataError, match="no row of at most"):
        retrain._examples([None, None], tokenizer, CONFIG)


def test_what_stands_for_a_row_that_is_left_out():
    """Changed, added, removed."""
    was, now = TRAINED[:2]
    changes = [Change(was, now), Change(None, now), Change(was, None)]
    assert [retrain._without(change, False) for change in changes] == [None, None, was]
    assert [retrain._without(change, True) for change in changes] == [was, None, was]


def test_what_cannot_be_told_is_refused(base, tmp_path):
    changes, groups = [Change(row, row) for row in TRAINED], {"same": range(5)}
    with pytest.raises(UsageError, match=r"sft\.heldout keeps rows out"):
        held = CONFIG.model_copy(update={"heldout": 0.2})
        retrained(changes, groups, {"held": HELDOUT}, base, held, tmp_path)
    with pytest.raises(DataError, match="one question"):
        retrained(changes, groups, {"held": HELDOUT[:1]}, base, CONFIG, tmp_path)
