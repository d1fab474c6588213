"""A row as tokens: what ends an assistant turn is what the template writes there."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

import recast.pipelines.demo
from recast.curate import chat
from recast.curate.errors import ModelError
from tests.fakes.models import make_gemma_tokenizer, make_tokenizer

SHIPPED = sorted(path.name for path in Path(recast.pipelines.demo.__path__[0]).glob("pocket*"))
TEXT = "12 + 7 = 19. The answer is 19."


def with_ending(ending: str):
    """Gemma's tokenizer with something else written after what the assistant says."""
    tokenizer = make_gemma_tokenizer()
    tokenizer.chat_template = tokenizer.chat_template.replace("'<end_of_turn>\n'", ending)
    return tokenizer


def test_a_completion_ends_in_what_the_template_closes_a_turn_with_though_eos_is_another() -> None:
    tokenizer = make_gemma_tokenizer()
    text = tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    assert chat.completion_ids(tokenizer, TEXT) == [*text, tokenizer.convert_tokens_to_ids("<end_of_turn>")]
    assert tokenizer.eos_token == "<eos>"


def test_prompt_and_completion_are_the_whole_talk_up_to_its_last_line_break() -> None:
    tokenizer = make_gemma_tokenizer()
    asked = [{"role": "user", "content": "12 + 7?"}]
    talk = [*asked, {"role": "assistant", "content": TEXT}]
    shown = tokenizer.apply_chat_template(talk, tokenize=False).removesuffix("\n")
    prompt, completion = chat.encode(tokenizer, asked, TEXT)
    assert prompt + completion == tokenizer(shown, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        ("'<end_of_turn>\\n' + eos_token", "<end_of_turn>"),  # as Phi closes the whole talk
        ("'\\n ' + '<end_of_turn>'", "<end_of_turn>"),
        ("eos_token", "<eos>"),
        ("''", "<eos>"),
        ("'\\n\\n'", "<eos>"),
        ("' Over and out.'", "<eos>"),
    ],
)
def test_the_end_is_the_first_token_after_the_text_and_eos_where_there_is_none(
    ending: str, expected: str
) -> None:
    tokenizer = with_ending(ending)
    assert tokenizer.convert_ids_to_tokens(chat.end_of_turn(tokenizer)) == expected


def test_a_template_without_assistant_turns_ends_completions_in_eos() -> None:
    tokenizer = make_gemma_tokenizer()
    tokenizer.chat_template = "{{ messages[0]['content'] }}<end_of_turn>"
    assert chat.end_of_turn(tokenizer) == tokenizer.eos_token_id


def test_a_template_that_fails_on_an_answer_is_named() -> None:
    tokenizer = make_gemma_tokenizer()
    tokenizer.chat_template = (
        "{% if messages | length > 1 %}{{ raise_exception('one turn only') }}{% endif %}"
    )
    with pytest.raises(ModelError, match="one turn only"):
        chat.completion_ids(tokenizer, TEXT)


LOOP = "{% for a in range(99999) %}" * 3 + "{% endfor %}" * 3


@pytest.mark.parametrize("template", [LOOP, "{% if messages | length > 1 %}" + LOOP + "{% endif %}"])
def test_a_template_that_loops_without_end_is_ended_and_named(
    monkeypatch: pytest.MonkeyPatch, template: str
) -> None:
    monkeypatch.setattr(chat, "TEMPLATE_S", 0.3)
    tokenizer = make_gemma_tokenizer()
    tokenizer.chat_template = template
    with pytest.raises(ModelError, match="holds a loop without end"):
        chat.encode(tokenizer, [{"role": "user", "content": "a"}], TEXT)
    found: list[BaseException] = []

    def encoded() -> None:
        try:
            chat.encode(tokenizer, [{"role": "user", "content": "a"}], TEXT)
        except ModelError as wrong:
            found.append(wrong)

    elsewhere = threading.Thread(target=encoded)  # as where rewriting overlaps with writing
    elsewhere.start()
    elsewhere.join()
    assert len(found) == 1


@pytest.mark.parametrize("name", SHIPPED)
def test_completions_of_shipped_backbones_end_in_their_eos_token(name: str) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(Path(recast.pipelines.demo.__path__[0]) / name)
    text = tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    assert chat.completion_ids(tokenizer, TEXT) == [*text, tokenizer.eos_token_id]


def test_where_the_template_closes_turns_with_eos_a_completion_ends_in_it() -> None:
    tokenizer = make_tokenizer()
    text = tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    assert chat.completion_ids(tokenizer, TEXT) == [*text, tokenizer.eos_token_id]
