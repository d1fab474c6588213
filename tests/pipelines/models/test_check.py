"""`recast models check`: what it finds of a model, and what it says of one that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from recast.curate.errors import UsageError
from recast.pipelines.config import Config
from recast.pipelines.jobs.models.check import _source, _weights, exit_code, job
from recast.pipelines.models import trial
from tests.fakes.models import load, make_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model("llama", tmp_path_factory.mktemp("models") / "m", hidden=32)


def test_a_model_is_measured_and_every_job_has_an_estimate(folder):
    found = job(str(folder), config=Config())
    assert json.loads(json.dumps(found)) == found
    assert found["architecture"] == "LlamaForCausalLM" and found["dtype"] == "float32"
    assert set(found["speed"]) == {"float32", "bfloat16"}
    assert all(speed["prefill"] > 0 and speed["decode"] > 0 for speed in found["speed"].values())
    assert set(found["memory"]) == {"learn", "rewrite", "sft", "sft with a LoRA"}
    assert all(need["rows"] for need in found["memory"].values())
    assert found["drift"] is None and found["source"] is None
    assert len(found["answers"]) == len(trial.QUESTIONS)
    assert exit_code(found) == 0


def test_a_memory_that_holds_no_job_is_a_problem(folder):
    found = job(str(folder), memory="1MiB", config=Config())
    assert found["memory"]["learn"]["rows"] is None
    assert exit_code(found) == 4 and any("learn does not fit" in f["found"] for f in found["findings"])
    with pytest.raises(UsageError, match="--memory: 'lots' is no amount of memory"):
        job(str(folder), memory="lots", config=Config())


def test_a_folder_that_is_no_model_is_said_to_be_none(tmp_path):
    found = job(str(tmp_path), config=Config())
    assert found["problems"] == 1 and found["findings"][0]["topic"] == "model"
    assert exit_code(found) == 4


def test_a_model_that_never_ends_its_turns_is_told_apart(folder, monkeypatch):
    cut = SimpleNamespace(text="and on and on", token_ids=[5] * 8, finish_reason="length")
    monkeypatch.setattr(trial, "answers", lambda engine: [cut] * len(trial.QUESTIONS))
    found = job(str(folder), config=Config())
    (said,) = [f for f in found["findings"] if f["topic"] == "answers"]
    assert said["state"] == "note" and said["found"].startswith("0 of 4")


def test_weights_are_compared_with_those_of_the_source(folder, monkeypatch):
    from recast.agent.engines.hf.engine import HFEngine
    from recast.pipelines.models import gguf

    engine = HFEngine.load(folder)
    said = trial.answers(engine)
    theirs, tokenizer = load(folder)
    monkeypatch.setattr(gguf, "read", lambda file: (theirs, tokenizer))
    assert trial.drift(engine, Path("m.gguf"), said) == pytest.approx(0, abs=1e-6)
    with torch.no_grad():
        for weight in theirs.parameters():
            weight.add_(0.1)
    assert trial.drift(engine, Path("m.gguf"), said) > 0.1
    states = [_weights(distance, Path("m.gguf")).state for distance in (0.001, 0.05, 3.0)]
    assert states == ["ok", "note", "problem"]


def test_the_source_is_the_file_that_the_folder_was_made_from(tmp_path):
    assert _source(tmp_path) is None
    file = tmp_path / "m.gguf"
    (tmp_path / "manifest.json").write_text(json.dumps({"source": str(file)}))
    assert _source(tmp_path) is None, "it is gone"
    file.write_bytes(b"GGUF")
    assert _source(tmp_path) == file


def test_a_long_tail_asks_for_a_lower_temperature(folder, monkeypatch):
    # one token of weight 1 beside 4,000 of 2.5e-5: their mass is 0.1 / 1.1 = 9 % at temperature 1, at 0.9 each is
    # 2.5e-5 ** (1 / 0.9) = 7.7e-6, 3 %, at 0.8 1.8e-6, 0.7 %
    weights = torch.full((1, 4001), 2.5e-5)
    weights[0, 0] = 1.0
    unused: Any = None
    monkeypatch.setattr(trial, "_logits", lambda engine, said: [weights.log()])
    assert trial.temperature(unused, []) == 0.8
    monkeypatch.setattr(trial, "_logits", lambda engine, said: [torch.tensor([[0.0, 0.0, -1.0]])])
    assert trial.temperature(unused, []) == 1.0
