"""Facts of a model folder that need no model: what one must hold, which files are its tokenizer, what identifies it.

    check_folder(path)     raises ModelError, naming what lacks and what to do
    identify(path)         16 hex digits of weights, architecture, tokenizer and template

Loading is `train.model.loading`'s.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from recast.curate.errors import ModelError
from recast.curate.fingerprint import fingerprint

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model", "tekken.json")
PICKLED_WEIGHTS = ("pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt", "consolidated.00.pth")
IDENTIFYING = (
    "*.safetensors",
    "config.json",
    "adapter_config.json",
    "tokenizer*",
    "vocab.json",
    "merges.txt",
    "*.jinja",
)
WHOLE_BYTES = 256 << 20  # larger files are sampled
SAMPLES, SAMPLE_BYTES = 64, 1 << 20


def check_folder(path: Path) -> None:
    """Raise ModelError, naming what is missing and what to do, unless `path` is a loadable model folder."""
    if path.is_file():
        raise ModelError(f"{path} is a file; expected a model folder with config.json and *.safetensors.")
    if not (path / "config.json").exists():
        if (path / "adapter_config.json").exists():
            base = _json(path / "adapter_config.json").get("base_model_name_or_path") or "its backbone"
            raise ModelError(
                f"{path} is an adapter, not a model. Pass {base} as the model and this folder as the agent "
                "(--model BACKBONE --agent ADAPTER), or merge it into its backbone first."
            )
        raise ModelError(
            f"{path} has no config.json; expected a model folder as `save_pretrained` writes it "
            f"(found: {_listing(path)})."
        )
    if not any(path.glob("*.safetensors")):
        pickled = next((name for name in PICKLED_WEIGHTS if (path / name).exists()), None)
        if pickled:
            raise ModelError(
                f"{path} holds pickled weights ({pickled}), which are never read: a pickle can run code. Convert "
                "them where you trust them: load the model there and `save_pretrained` it, which writes safetensors."
            )
        raise ModelError(f"{path} has no weights: expected *.safetensors (found: {_listing(path)}).")
    if not any((path / name).exists() for name in TOKENIZER_FILES):
        raise ModelError(
            f"{path} has no tokenizer: expected one of {', '.join(TOKENIZER_FILES[:3])} beside the weights. "
            "Save it there with `tokenizer.save_pretrained(folder)`."
        )


def identify(path: str | Path) -> str:
    """Identity of a model or adapter folder (16 hex digits): weights, configuration, tokenizer and template.

    By content: where it lies and when it was written are left out, so a copy is the same model. What is no folder is
    a hub id and stands for itself.
    """
    folder = Path(path)
    if not folder.is_dir():
        return str(path)
    files = {f for pattern in IDENTIFYING for f in folder.glob(pattern) if f.is_file()}
    return fingerprint({f.name: digest(f) for f in sorted(files)})[:16]


def identify_revision_1(path: str | Path) -> str:
    """Identity by the rule that fine-tuned models were made under at first (`train.sft.identity`).

    It read every byte of the weights, however many, and fewer files of the tokenizer. Nothing new is named by it.
    """
    folder = Path(path)
    if not folder.is_dir():
        return str(path)
    names = ["config.json", *TOKENIZER_FILES, "tokenizer_config.json", "chat_template.jinja"]
    files = [*folder.glob("*.safetensors"), *(folder / name for name in names)]
    return fingerprint({f.name: _whole_digest(f) for f in files if f.exists()})[:16]


def digest(path: Path) -> str:
    """sha256 of a file. Beyond 256 MiB, of its size and of 64 evenly spaced megabytes.

    Training changes every tensor, so samples tell two trainings apart; a change confined to the
    bytes between samples would not be seen.
    """
    size = path.stat().st_size
    if size <= WHOLE_BYTES:
        return _whole_digest(path)
    hashed = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        for i in range(SAMPLES):
            file.seek(i * (size - SAMPLE_BYTES) // (SAMPLES - 1), os.SEEK_SET)
            hashed.update(file.read(SAMPLE_BYTES))
    return hashed.hexdigest()


def _whole_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise ModelError(f"{path} is not JSON: {error}") from error


def _listing(path: Path) -> str:
    names = sorted(p.name for p in path.iterdir())
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "") if names else "nothing"
