"""What an engine needs of a tokenizer: prompts and completions to ids, drawn ids to text, the ends of a turn.

Rendering itself is `curate.chat`'s; engines share this module, so that the same prompt is the same ids in all of
them, and the same ids the same text.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recast.curate import chat
from recast.curate.records import Messages
from recast.train.model import loading


def load_tokenizer(path: str | Path) -> Any:
    """The tokenizer of a model folder or hub id, with a chat template and an end of turn. Raises ModelError."""
    return loading.tokenizer_alone(path)


def checked(tokenizer: Any) -> Any:
    """`tokenizer` itself. Raises ModelError where it has no chat template or no end of turn."""
    loading.check_tokenizer(tokenizer)
    return tokenizer


def prompt_ids(tokenizer: Any, prompts: Sequence[Messages]) -> list[list[int]]:
    """Ids of every prompt. One list object is rendered once: the K rows of a group usually share theirs."""
    known: dict[int, list[int]] = {}
    for messages in prompts:
        if id(messages) not in known:
            known[id(messages)] = chat.prompt_ids(tokenizer, messages)
    return [known[id(messages)] for messages in prompts]


def completion_ids(tokenizer: Any, completions: Sequence[str]) -> list[list[int]]:
    """Ids of every completion with its end of turn."""
    return [chat.completion_ids(tokenizer, completion) for completion in completions]


def texts(tokenizer: Any, drawn: Sequence[Sequence[int]], eos_ids: Sequence[int]) -> list[str]:
    """The text of drawn tokens, without the end of turn."""
    ends = set(eos_ids)
    return tokenizer.batch_decode(
        [[t for t in ids if t not in ends] for ids in drawn], skip_special_tokens=True
    )


def num_before(tokenizer: Any, drawn: Sequence[int], characters: int) -> int:
    """How many of the drawn tokens it takes to say the first `characters` of their text."""

    def said(num: int) -> int:
        return len(tokenizer.decode(drawn[:num], skip_special_tokens=True))

    return bisect_left(range(len(drawn)), characters, key=said)


def declared_generation(path: str | Path) -> Any:
    """The generation config of a model whose weights are not loaded here; None where it has none."""
    from transformers import AutoConfig, GenerationConfig

    for found in (GenerationConfig, AutoConfig):
        try:
            return found.from_pretrained(str(path))
        except (OSError, ValueError):  # ValueError: a folder with a tokenizer alone
            continue
    return None


def declared_length(path: str | Path) -> int | None:
    """Most tokens that the config of a model at `path` allows, None where it does not say."""
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(str(path), trust_remote_code=False)
    except (OSError, ValueError, KeyError):
        return None  # a folder with a tokenizer alone, for a model that only a server has
    return getattr(config.get_text_config(), "max_position_embeddings", None)


def first_line(error: BaseException) -> str:
    """What an exception says, without its traceback-like tail."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
