"""Models and tokenizers from folders, whole or with a reason why not.

`load` refuses with a `ModelError` what a job would trip over later (no tokenizer, no chat template,
pickled weights, an adapter where a model was meant). It never runs code that comes with a model and
never reads a pickle. Adapters on a backbone are the engine's business (`agent.engines.hf.engine`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recast.curate.chat import require_template
from recast.curate.errors import ModelError
from recast.curate.model_folder import check_folder


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
    folder = Path(path)
    if folder.exists():
        check_folder(folder)
    elif str(path).startswith((".", "/", "~")) or str(path).count("/") > 1:
        raise ModelError(f"no model at {path}: there is no such folder.")
    return tokenizer_alone(path)


def tokenizer_alone(path: str | Path) -> Any:
    """`load_tokenizer` of a folder that need hold no weights: they may be a server's. Raises ModelError."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            str(path), trust_remote_code=False, local_files_only=Path(path).is_dir()
        )
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"cannot load the tokenizer of {path}: {_first_line(error)}") from error
    check_tokenizer(tokenizer)
    if tokenizer.pad_token_id is None:
        # padding is masked everywhere, so any token will do; in memory only, the folder stays as it is
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def check_tokenizer(tokenizer: Any) -> None:
    """Raise ModelError where a tokenizer has no chat template or no end of turn."""
    require_template(tokenizer)
    if tokenizer.eos_token_id is None:
        raise ModelError(
            f"the tokenizer of {tokenizer.name_or_path} names no eos_token, which ends every completion. Set "
            "`eos_token` in tokenizer_config.json to the token that closes an assistant turn."
        )


def default_device() -> str:
    """Return "cuda" where there is one, else "cpu"."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def runs_in_bf16(precision: str, device: str) -> bool:
    """Whether a setting of `precision` (auto, bf16 or fp32) means bf16 on `device`; auto: where it is native."""
    return has_fast_bf16(device) if precision == "auto" else precision == "bf16"


def has_fast_bf16(device: str) -> bool:
    """Whether bf16 matrix products on `device` are native, not emulated."""
    import torch

    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device == "cpu":
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return False


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
