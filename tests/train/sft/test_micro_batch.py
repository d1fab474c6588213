"""Rows of a fine-tuning pass: as many as fit; what cannot fit is refused with what can."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from recast.curate.errors import UsageError
from recast.train.model.memory import Room
from recast.train.sft import micro_batch
from recast.train.sft.config import SftConfig
from recast.train.sft.examples import Example
from recast.train.sft.micro_batch import fitting, needed_by
from recast.train.sft.sft import sft
from tests.fakes.finetuning import FAST, ROWS
from tests.fakes.models import load, make_model

EXAMPLES = [Example(list(range(40)), 10), Example(list(range(25)), 20)]
CONFIG = SftConfig(batch_size=8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model("llama", tmp_path_factory.mktemp("models") / "m", hidden=32)


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    return load(folder)[0]


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch, model: Any) -> Any:
    """Set what is free to what a pass of so many rows needs."""

    def of(rows: int, config: SftConfig = CONFIG, spare: int = 0) -> None:
        size = needed_by(config, model, EXAMPLES, bf16=False)(rows) + spare
        monkeypatch.setattr(micro_batch, "room", lambda device, memory: Room(size, size))

    return of


def chosen(model: Any, folder: Path, config: SftConfig = CONFIG) -> int:
    return fitting(config, model, EXAMPLES, folder, bf16=False)


def test_a_batch_goes_at_once_where_it_fits_and_else_in_the_largest_equal_parts(model, tmp_path, free):
    free(8)
    assert chosen(model, tmp_path / "a") == 8
    free(8, spare=-1)
    assert chosen(model, tmp_path / "b") == 4
    free(8)
    assert chosen(model, tmp_path / "b") == 4, "a resumed run sums in the same pieces"


def test_what_was_set_and_does_not_fit_is_refused_with_what_does(model, tmp_path, free):
    config = SftConfig(batch_size=8, micro_batch_size=4)
    free(4, config)
    assert chosen(model, tmp_path, config) == 4
    free(3, config)
    with pytest.raises(UsageError, match=r"of 4 rows of up to 40 tokens .*Set sft\.micro_batch_size=2\."):
        chosen(model, tmp_path, config)
    free(1, config, spare=-1)
    with pytest.raises(UsageError, match="for a single row of 40 tokens"):
        chosen(model, tmp_path, config)


def test_the_batches_of_cayley_are_cut_by_a_person_alone(model, tmp_path, free):
    config = SftConfig(batch_size=8, objective="cayley")
    free(4, config)
    with pytest.raises(
        UsageError, match=r"micro_batch_size=4, which takes Cayley's exponent over so many rows"
    ):
        chosen(model, tmp_path, config)


def test_longer_rows_and_all_weights_need_more(model):
    def needed(config: SftConfig, length: int) -> int:
        return needed_by(config, model, [Example([0] * length, 1)], bf16=False)(2)

    assert needed(CONFIG, 40) < needed(CONFIG, 80)
    assert needed(SftConfig(lora_rank=1), 40) < needed(CONFIG, 40)


def test_pieces_that_memory_asks_for_change_no_more_than_last_bits(folder, tmp_path, monkeypatch):
    config = SftConfig(**{**FAST, "precision": "fp32"})
    whole = sft(ROWS, folder, config, tmp_path / "whole")
    monkeypatch.setattr(micro_batch, "room", lambda device, memory: Room(0, 2**40))
    cut = sft(ROWS, folder, config, tmp_path / "cut")
    assert cut.fingerprint == whole.fingerprint
    assert (cut.start_loss, cut.final_loss) == pytest.approx((whole.start_loss, whole.final_loss), rel=1e-4)


def test_a_memory_that_holds_no_row_is_said_before_anything_is_trained(folder, tmp_path):
    with pytest.raises(UsageError, match=r"0\.0 GiB can be had\. .*--memory"):
        sft(ROWS, folder, SftConfig(**FAST), tmp_path / "out", memory=2**20)
    assert not (tmp_path / "out" / "manifest.json").exists()
