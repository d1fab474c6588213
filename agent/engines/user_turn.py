"""Questions that the backbone writes in the user's place: a user turn, empty or begun, that it goes on with.

A chat model has learnt user turns along with the rest, so what follows the opening of a user turn in its own
template is a question of the kind it was trained on (Magpie, arXiv 2406.08464). Begun with the first words of a
given question, it becomes another question of that kind. Needs an engine that continues token ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from recast.agent.engines.protocol import STOP, ContinuesTokens, Engine, Sample, Sampling
from recast.curate.chat import require_template
from recast.curate.errors import ModelError, UsageError

_MARK = "user turn goes here"


@dataclass(frozen=True, slots=True)
class UserTurn:
    """A model's template around a user turn: what comes before its text, and what ends it."""

    engine: ContinuesTokens
    tokenizer: Any
    head: str
    tail: str

    @classmethod
    def of(cls, engine: Engine) -> UserTurn:
        """Raises UsageError for an engine that cannot begin a user turn, ModelError for a template without one."""
        if not isinstance(engine, ContinuesTokens):
            raise UsageError(
                f"the engine {engine.name!r} cannot begin a user turn for the backbone to go on with; use the engine "
                "`hf`, or give the questions yourself."
            )
        tokenizer = engine.tokenizer
        require_template(tokenizer)
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": _MARK}], tokenize=False, add_generation_prompt=False
        )
        head, mark, tail = text.partition(_MARK)
        if not mark:
            raise ModelError(
                f"the chat template of {tokenizer.name_or_path!r} does not show a user's text as it is, so no user "
                "turn can be begun."
            )
        return cls(engine, tokenizer, head, tail.strip())

    def ids(self, beginning: str) -> list[int]:
        """Token ids of the template up to and with the beginning of the user's text."""
        return self.tokenizer(self.head + beginning, add_special_tokens=False)["input_ids"]

    def sample(
        self,
        beginnings: Sequence[str],
        k: int,
        sampling: Sampling,
        *,
        seeds: Sequence[Sequence[int]],
        adapter: bool,
    ) -> list[list[Sample]]:
        """`Engine.sample` with beginnings in place of prompts: `k` ways in which each text goes on."""
        ids = [self.ids(beginning) for beginning in beginnings]
        return self.engine.sample_ids(ids, k, sampling, seeds=seeds, adapter=adapter)

    def question(self, beginning: str, sample: Sample, paragraphs: int | None = None) -> str | None:
        """The user's whole text, at most so many paragraphs of it; None where it was cut off before that."""
        text, ended = beginning + sample.text, sample.finish_reason == STOP
        if self.tail and self.tail in text:  # where the end of a user turn is no end-of-turn token
            text, ended = text.partition(self.tail)[0], True
        pieces = text.split("\n\n")
        if paragraphs is not None and len(pieces) > paragraphs:
            pieces, ended = pieces[:paragraphs], True
        text = "\n\n".join(pieces).strip()
        return text if ended and text else None
