"""How a row becomes tokens: the model's own chat template, rendered once and split at the completion.

Scoring, learning, SFT and evaluation all tokenise through `encode`, so that what the reward measures is
exactly what the trainer trains and the evaluation prompts. The tokenizer is passed in and duck-typed;
nothing here imports transformers.
"""

from __future__ import annotations

import contextlib
import ctypes
import threading
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from recast.curate.errors import ModelError
from recast.curate.fingerprint import fingerprint
from recast.curate.records import Messages

TEMPLATE_S = 10.0
"""A template that takes longer over a short talk has a loop without end; those of real models take milliseconds."""
_MARK = "what the assistant says"


def template_id(tokenizer: Any) -> str:
    """Fingerprint (16 hex digits) of the tokenizer's chat template."""
    return fingerprint(require_template(tokenizer))[:16]


def require_template(tokenizer: Any) -> str:
    """Return the chat template. Raises ModelError where the tokenizer has none."""
    template = getattr(tokenizer, "chat_template", None)
    if not template:
        raise ModelError(
            f"the tokenizer of {getattr(tokenizer, 'name_or_path', 'the model')!r} has no chat template; "
            "one is needed to know how the model is prompted. Save its template as `chat_template.jinja` "
            "beside the tokenizer."
        )
    return template


@lru_cache(maxsize=8)
def check_template(tokenizer: Any) -> None:
    """Raise ModelError where the tokenizer has no chat template, or one that does not end on a short talk.

    A template is a program of whoever made the model folder: it reaches nothing outside, but may loop.
    """
    require_template(tokenizer)
    talk = [{"role": "user", "content": "a"}]
    with (
        _deadline(tokenizer),
        contextlib.suppress(Exception),
    ):  # what it cannot render, it may never be asked to
        tokenizer.apply_chat_template(talk, tokenize=False, add_generation_prompt=True)


class _TooLong(BaseException):
    """Raised inside a template, which can catch no such thing."""


@contextlib.contextmanager
def _deadline(tokenizer: Any) -> Iterator[None]:
    """End what runs longer than TEMPLATE_S with a ModelError, in whichever thread it runs."""
    thread, turn = threading.get_ident(), threading.Lock()

    def end() -> None:
        with turn:
            if not done:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(_TooLong))

    done = False
    timer = threading.Timer(TEMPLATE_S, end)
    timer.daemon = True
    timer.start()
    try:
        try:
            yield
        finally:
            with turn:
                done = True
            timer.cancel()
    except _TooLong:
        raise ModelError(
            f"the chat template of {tokenizer.name_or_path!r} did not end within {TEMPLATE_S:g} s on one word: it "
            "holds a loop without end. Take the template from the model's own page, or correct its chat_template.jinja."
        ) from None


def prompt_ids(tokenizer: Any, messages: Messages) -> list[int]:
    """Token ids of the prompt with the generation prompt appended. Raises ModelError as `check_template`."""
    check_template(tokenizer)
    return list(
        tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=False)
    )


def completion_ids(tokenizer: Any, completion: str) -> list[int]:
    """Token ids of the completion and the end-of-turn token, tokenised on their own.

    Tokenised apart from the prompt: sampling starts after the generation prompt too, so a token that
    merged across the boundary could never have been sampled.
    """
    ids = tokenizer(completion, add_special_tokens=False)["input_ids"]
    return [*ids, end_of_turn(tokenizer)]


@lru_cache(maxsize=8)  # asked for every row, and a template takes longer to render than a row to tokenise
def end_of_turn(tokenizer: Any) -> int:
    """Id of the token that ends an assistant turn: the first that the template writes after what is said.

    That is what a chat model has learnt to say there; Gemma's `<end_of_turn>` and Phi's `<|end|>` are not their
    eos_token. Where the template writes nothing or mere words, it is eos_token. Raises ModelError for a template that
    fails on a short talk.
    """
    require_template(tokenizer)
    talk = [{"role": "user", "content": "a"}, {"role": "assistant", "content": _MARK}]
    try:
        with _deadline(tokenizer):
            shown = tokenizer.apply_chat_template(talk, tokenize=False)
    except ModelError:
        raise
    except Exception as error:  # a template may raise anything
        raise ModelError(
            f"the chat template of {tokenizer.name_or_path!r} fails on a question with its answer ({error}), so it "
            "does not say how an answer ends; correct its chat_template.jinja."
        ) from error
    after = shown.partition(_MARK)[2].strip()
    ids = tokenizer(after, add_special_tokens=False)["input_ids"]
    return ids[0] if ids and ids[0] in tokenizer.added_tokens_decoder else tokenizer.eos_token_id


def eos_ids(tokenizer: Any, generation_config: Any = None) -> list[int]:
    """Tokens that end a completion: the template's, the tokenizer's, and those that the generation config adds."""
    declared = getattr(generation_config, "eos_token_id", None) or []
    declared = [declared] if isinstance(declared, int) else list(declared)
    return sorted({end_of_turn(tokenizer), tokenizer.eos_token_id, *declared})


def encode(tokenizer: Any, messages: Messages, completion: str) -> tuple[list[int], list[int]]:
    """Return `(prompt ids, completion ids + end of turn)` of one row."""
    return prompt_ids(tokenizer, messages), completion_ids(tokenizer, completion)
