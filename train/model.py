"""Model folders: what one must hold to be trained or evaluated, and how it is loaded.

`load` refuses with a `ModelError` what a job would trip over later (no tokenizer, no chat template,
pickled weights, an adapter where a model was meant). It never runs code that comes with a model and
never reads a pickle. Adapters on a backbone are the engine's business (`agent.engines.hf.engine`).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from recast.curate.chat import require_template
from recast.curate.errors import ModelError
from recast.curate.fingerprint import fingerprint

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model", "tekken.json")
PICKLED_WEIGHTS = ("pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt", "consolidated.00.pth")


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


def load(path: str | Path, dtype: str | Any = "auto", device: str | None = None) -> tuple[Any, Any]:
    """Return `(model, tokenizer)` in eval mode, on `device` (default: cuda where there is one, else cpu).

    `path` is a folder, or a hub id that the local cache or the network can serve. `dtype` is "auto" (that
    of the stored weights), a name such as "float32", or a torch dtype. Raises ModelError.
    """
    import torch
    from transformers import AutoModelForCausalLM

    tokenizer = load_tokenizer(path)
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            str(path),
            dtype=getattr(torch, dtype) if isinstance(dtype, str) and dtype != "auto" else dtype,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=Path(path).is_dir(),
        )
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"cannot load {path} as a causal language model: {_first_line(error)}") from error
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise ModelError(
            f"the tokenizer of {path} has {len(tokenizer)} tokens, its model embeds {rows}: they do not "
            "belong together. Save the tokenizer the model was trained with, or resize the embeddings."
        )
    return model.to(device or default_device()).eval(), tokenizer


def load_tokenizer(path: str | Path) -> Any:
    """Return the tokenizer of a model folder, with a chat template, an end of turn and a padding token."""
    from transformers import AutoTokenizer

    folder = Path(path)
    if folder.exists():
        check_folder(folder)
    elif str(path).startswith((".", "/", "~")) or str(path).count("/") > 1:
        raise ModelError(f"no model at {path}: there is no such folder.")
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            str(path), trust_remote_code=False, local_files_only=folder.is_dir()
        )
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"cannot load the tokenizer of {path}: {_first_line(error)}") from error
    require_template(tokenizer)
    if tokenizer.eos_token_id is None:
        raise ModelError(
            f"the tokenizer of {path} names no eos_token, which ends every completion. Set `eos_token` in "
            "tokenizer_config.json to the token that closes an assistant turn."
        )
    if tokenizer.pad_token_id is None:
        # padding is masked everywhere, so any token will do; in memory only, the folder stays as it is
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def default_device() -> str:
    """Return "cuda" where there is one, else "cpu"."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def has_fast_bf16(device: str) -> bool:
    """Whether bf16 matrix products on `device` are native, not emulated."""
    import torch

    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device == "cpu":
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return False


def identify(path: str | Path) -> str:
    """Identity of a model folder (16 hex digits): weights, architecture, tokenizer and template, by content.

    Where it lies and when it was written are left out, so a copy is the same model. A hub id stands for
    itself.
    """
    if not Path(path).is_dir():
        return str(path)
    names = ["config.json", *TOKENIZER_FILES, "tokenizer_config.json", "chat_template.jinja"]
    folder = Path(path)
    files = [*sorted(folder.glob("*.safetensors")), *(folder / name for name in names)]
    return fingerprint({f.name: _sha256(f) for f in files if f.exists()})[:16]


def _sha256(path: Path) -> str:
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


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
