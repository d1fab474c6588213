"""Loading model folders: what is refused, and that the error names it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from recast.curate.errors import ModelError
from recast.train.model.loading import load, load_tokenizer
from tests.fakes.models import make_model


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    return make_model("llama", tmp_path_factory.mktemp("models") / "good", hidden=32)


@pytest.fixture
def folder(good, tmp_path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "model"))


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "gpt2"])
def test_a_whole_folder_loads_in_its_own_dtype(architecture, tmp_path):
    import torch

    folder = make_model(architecture, tmp_path / "m", hidden=32)
    model, tokenizer = load(folder, device="cpu")
    assert model.dtype == torch.float32 and not model.training
    assert tokenizer.pad_token_id is not None
    assert load(folder, dtype="bfloat16", device="cpu")[0].dtype == torch.bfloat16


def test_a_folder_without_a_tokenizer_is_named(folder):
    for path in folder.glob("*token*"):
        path.unlink()
    with pytest.raises(ModelError, match=r"has no tokenizer: expected one of tokenizer\.json"):
        load(folder)


def test_a_folder_without_weights_is_named(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"has no weights: expected \*\.safetensors \(found: "):
        load(folder)


def test_pickled_weights_are_never_read(folder):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"not a pickle, and nobody looks")
    with pytest.raises(ModelError, match=r"pickled weights \(pytorch_model\.bin\)"):
        load(folder)


def test_a_tokenizer_without_a_chat_template_is_refused(folder):
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config.pop("chat_template", None)
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="no chat template"):
        load_tokenizer(folder)


def test_an_adapter_folder_is_refused_with_the_way_to_pass_it(tmp_path):
    (tmp_path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "models/base"}))
    with pytest.raises(ModelError, match=r"is an adapter, not a model. Pass models/base as the model"):
        load(tmp_path)


def test_a_missing_folder_and_a_file_are_told_apart(tmp_path):
    with pytest.raises(ModelError, match="there is no such folder"):
        load(tmp_path / "nothing")
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="is a file; expected a model folder"):
        load(tmp_path / "file")


def test_an_architecture_that_needs_code_of_its_own_is_refused(folder):
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "mystery", "auto_map": {"AutoModelForCausalLM": "modeling.Mystery"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "modeling.py").write_text("raise SystemExit('ran foreign code')")
    with pytest.raises(ModelError, match="cannot load"):
        load(folder)


def test_a_tokenizer_of_another_model_is_refused(folder, tmp_path):
    bigger = make_model(
        "llama", tmp_path / "bigger", hidden=32, vocab_size=400, texts=["many words " * 9, "xyz qrs"]
    )
    smaller = json.loads((folder / "config.json").read_text())["vocab_size"]
    del bigger
    tokenizer = load_tokenizer(folder)
    tokenizer.add_tokens([f"<extra{i}>" for i in range(5)])
    tokenizer.save_pretrained(folder)
    with pytest.raises(ModelError, match=f"has {smaller + 5} tokens, its model embeds {smaller}"):
        load(folder)
