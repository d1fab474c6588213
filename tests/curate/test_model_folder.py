"""What identifies a model folder: content, not place; large files by samples. What `check_folder` refuses is tested
where models are loaded."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from recast.curate import model_folder
from recast.curate.model_folder import digest, identify, identify_revision_1


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files of a model; what is in them does not matter here."""
    made = tmp_path / "model"
    made.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja"):
        (made / name).write_text(name)
    return made


def copied(folder: Path, to: Path) -> Path:
    to.mkdir()
    for path in folder.iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    return to


def test_identity_is_of_the_content_not_of_the_place(folder, tmp_path):
    copy = copied(folder, tmp_path / "elsewhere")
    assert identify(folder) == identify(copy)
    (copy / "README.md").write_text("no part of it")
    assert identify(folder) == identify(copy)
    assert identify("org/name") == "org/name"


@pytest.mark.parametrize(
    "name", ["model.safetensors", "chat_template.jinja", "merges.txt", "tokenizer_config.json"]
)
def test_what_changes_answers_changes_the_identity(folder, name):
    before = identify(folder)
    (folder / name).write_text("changed")
    assert identify(folder) != before


def test_revision_1_read_fewer_files_and_all_bytes(folder, monkeypatch):
    assert identify_revision_1(folder) == identify(folder), "where both see the same files they agree"
    (folder / "merges.txt").write_text("a b")
    now = identify_revision_1(folder)
    assert now != identify(folder)
    monkeypatch.setattr(model_folder, "WHOLE_BYTES", 1)
    assert identify_revision_1(folder) == now
    assert identify_revision_1("org/name") == "org/name"


def test_a_large_file_is_sampled_and_its_ends_count(tmp_path, monkeypatch):
    path = tmp_path / "weights"
    path.write_bytes(bytes(5000))
    assert digest(path) == hashlib.sha256(bytes(5000)).hexdigest(), "whole up to 256 MiB"
    monkeypatch.setattr(model_folder, "WHOLE_BYTES", 1000)
    monkeypatch.setattr(model_folder, "SAMPLE_BYTES", 10)
    before = digest(path)
    path.write_bytes(bytes(4999) + b"1")
    assert digest(path) != before
    path.write_bytes(bytes(5001))
    assert digest(path) != before
