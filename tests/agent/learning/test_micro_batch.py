"""As many candidates go through a forward pass as fit; what cannot fit is refused with what can."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from recast.agent.learning import micro_batch
from recast.agent.learning.config import LearnConfig
from recast.agent.learning.micro_batch import fitting, needed_by
from recast.agent.learning.processes import Processes
from recast.curate.errors import UsageError
from recast.train.model.memory import Room
from tests.fakes.models import load, make_model

PROMPT = 50
CONFIG = LearnConfig(prompts_per_step=4, candidates=4, max_tokens=20, lora_rank=4)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load(make_model("llama", tmp_path_factory.mktemp("models") / "m"))[0]


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch, model: Any) -> Any:
    """Set what is free to what a forward pass of so many candidates needs."""

    def of(candidates: int, config: LearnConfig = CONFIG, spare: int = 0) -> None:
        bytes_ = needed_by(config, model, PROMPT, Processes())(candidates) + spare
        monkeypatch.setattr(micro_batch, "room", lambda device, memory: Room(bytes_, bytes_))

    return of


def chosen(model: Any, folder: Path, config: LearnConfig = CONFIG) -> int:
    return fitting(config, model, PROMPT, folder, Processes())


def test_all_go_at_once_where_they_fit(model, tmp_path, free):
    free(16)
    assert chosen(model, tmp_path) == 16


def test_else_the_largest_divisor_of_the_batch_that_fits(model, tmp_path, free):
    free(16, spare=-1)
    assert chosen(model, tmp_path) == 8
    free(7)
    assert chosen(model, tmp_path / "other") == 4


def test_a_resumed_run_sums_in_the_same_pieces(model, tmp_path, free):
    free(4)
    assert chosen(model, tmp_path) == 4
    free(16)
    assert chosen(model, tmp_path) == 4 and json.loads((tmp_path / "micro_batch.json").read_text())
    free(2)
    assert chosen(model, tmp_path) == 2, "less memory than it had"


def test_a_size_that_was_set_and_does_not_fit_is_refused_with_one_that_does(model, tmp_path, free):
    config = CONFIG.model_copy(update={"micro_batch": 16})
    free(8, config)
    with pytest.raises(
        UsageError, match=r"learn\.micro_batch=16 needs about .* GiB .*Set learn\.micro_batch=8,"
    ):
        chosen(model, tmp_path, config)
    free(16, config)
    assert chosen(model, tmp_path, config) == 16
    assert not (tmp_path / "micro_batch.json").exists()


def test_nothing_is_begun_where_not_even_one_candidate_fits(model, tmp_path, free):
    free(1, spare=-1)
    with pytest.raises(
        UsageError, match=r"for a single candidate \(prompts of up to 50 tokens and 20 new ones\)"
    ):
        chosen(model, tmp_path)


def test_more_candidates_need_more(model):
    needed = needed_by(CONFIG, model, PROMPT, Processes())
    assert needed(1) < needed(2) < needed(8) < needed(16)
