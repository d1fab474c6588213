"""What a kind that is wrong in words may use of a row."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

SUM = re.compile(
    r"(?<![\w.*/+-])\(?[$]?\d[\d.,]*(?: ?[-+*/] ?\(?[$]?\d[\d.,]*\)?)+ ?= ?[$]?\d[\d,]*(?:\.\d+)?"
)


@dataclass(frozen=True, slots=True)
class Told:
    """A right retelling: lines of body, and the answer."""

    row: Mapping[str, Any]
    text: str
    other: str | None
    """The retelling of another row, None where there is none."""

    @property
    def body(self) -> str:
        return self.text.rpartition("\n")[0]

    @property
    def answer(self) -> str:
        return self.text.rpartition("The answer is ")[2].rstrip(".")

    @property
    def last(self) -> str:
        return f"The answer is {self.answer}."

    @property
    def sums(self) -> list[str]:
        return [match.group() for match in SUM.finditer(self.body)]

    @property
    def question(self) -> str:
        messages = self.row.get("messages") or ()
        messages = json.loads(messages) if isinstance(messages, str) else messages
        return "\n".join(m["content"] for m in messages if isinstance(m.get("content"), str))

    def with_body(self, body: str) -> str | None:
        """The retelling with another body; None where it is the same."""
        return f"{body}\n{self.last}" if body != self.body else None

    def inserted(self, sentence: str, random: Random) -> str:
        """The retelling with one sentence more before one of its lines."""
        lines = self.body.split("\n")
        lines.insert(random.randrange(len(lines)), sentence)
        return "\n".join((*lines, self.last))


Kind = Callable[[Told, Random], "str | None"]
"""A kind: None where it does not apply. The first line of its docstring defines it in one sentence."""
