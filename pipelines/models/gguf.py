"""A GGUF file as a model folder: weights dequantised and saved as safetensors, tokenizer, template, end of turn.

What a GGUF tokenizer says of its own end is often wrong (SmolLM2's names the token that opens a turn), so the end is
read off the chat template (`curate.chat.end_of_turn`) and written where servers and trainers look for it.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from recast.curate.chat import end_of_turn, require_template
from recast.curate.errors import MissingDependencyError, ModelError

GENERATED = ("{% generation %}", "{% endgeneration %}")
"""Marks around what the assistant says, by which trainers that mask by template find the tokens to train."""
TALK = [
    {"role": "user", "content": "One?"},
    {"role": "assistant", "content": "1."},
    {"role": "user", "content": "Two?"},
    {"role": "assistant", "content": "2."},
]


def convert(file: Path, out: Path, template: str | None = None) -> dict[str, Any]:
    """Write the model in `file` to the folder `out` in bfloat16; return what was found, for a manifest.

    `template` replaces the file's own chat template and must say the same, but for marks around the assistant's
    words. Raises MissingDependencyError without the package gguf, ModelError for a file that transformers cannot
    read, that has no chat template, or whose template `template` contradicts.
    """
    import torch
    from transformers import AutoModelForCausalLM

    loaded, tokenizer = read(file)
    own = require_template(tokenizer)
    if template is not None:
        tokenizer.chat_template = template
        _same_words(tokenizer, own, template, file)
    ends_in = end_of_turn(tokenizer)
    tokenizer.eos_token = tokenizer.convert_ids_to_tokens(ends_in)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    # transformers refuses to save what it has read from a quantised file, so its weights move into a fresh model
    config = loaded.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    config.eos_token_id = ends_in
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.load_state_dict(loaded.state_dict())
    model.tie_weights()
    model.generation_config.eos_token_id = ends_in
    model.to(torch.bfloat16).save_pretrained(out)
    tokenizer.save_pretrained(out)
    return {
        "architecture": type(model).__name__,
        "parameters": sum(p.numel() for p in model.parameters()),
        "vocabulary": len(tokenizer),
        "end_of_turn": tokenizer.eos_token,
        "dtype": "bfloat16",
    }


def read(file: Path) -> tuple[Any, Any]:
    """`(model in float32, tokenizer)` as transformers reads them. Raises MissingDependencyError, ModelError."""
    if importlib.util.find_spec("gguf") is None:
        raise MissingDependencyError(
            "reading a GGUF file needs the package gguf: pip install 'recast-sft[gguf]'."
        )
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    place = {"gguf_file": file.name, "local_files_only": True}
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(file.parent), **place)
        model = AutoModelForCausalLM.from_pretrained(str(file.parent), dtype=torch.float32, **place)
    except (OSError, ValueError, KeyError, NotImplementedError) as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ModelError(f"{file} cannot be read as a GGUF model: {first}") from error
    return model.eval(), tokenizer


def _same_words(tokenizer: Any, own: str, template: str, file: Path) -> None:
    for talk, begin in (
        (TALK, False),
        (TALK[:1], True),
        ([{"role": "system", "content": "Be brief."}, *TALK], False),
    ):
        said = [
            tokenizer.apply_chat_template(talk, chat_template=t, tokenize=False, add_generation_prompt=begin)
            for t in (own, template)
        ]
        if said[0] != said[1]:
            raise ModelError(
                f"the chat template of {file} says {said[0]!r}, the one to be saved says {said[1]!r}: another model "
                "than was expected."
            )
