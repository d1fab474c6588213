"""What a check sees, and the base of every check.

A check is a frozen pydantic config with thresholds and a method `run(case) -> Check`. It returns pass, fail or
undecided, never raises for what a text contains, and holds no state: the same case has the same outcome in the
reward, the accept rule and the audit. `revision` goes up when the outcome of a check changes for the same
config, so that the gate's id changes with it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from recast.curate.answers.extract import find_answer
from recast.curate.records import Check, CheckStatus

Asked = tuple[str, tuple[Any, ...]]
"""A model's name, and the arguments that a check will ask it with."""


@dataclass(frozen=True)
class Case:
    """One completion with the row that it would be trained on."""

    completion: str
    demonstration: str
    row: Mapping[str, Any]
    finish_reason: str = "stop"
    models: Mapping[str, Callable[..., Any]] = field(default_factory=dict[str, Callable[..., Any]])
    """Models that checks may ask, by the name that the check documents; one that is absent or answers None leaves a
    check undecided."""

    @cached_property
    def prompt(self) -> str:
        """Contents of the row's messages, which may be JSON text, one under another."""
        messages = self.row.get("messages") or ()
        if isinstance(messages, str):  # as a version stores them
            messages = json.loads(messages)
        return "\n".join(m["content"] for m in messages if isinstance(m.get("content"), str))

    @cached_property
    def reference(self) -> str | None:
        """The row's answer if it has one, else the answer that its demonstration marks."""
        stated = self.row.get("answer")
        if stated is not None and str(stated).strip():
            return str(stated)
        found = find_answer(self.demonstration, False)
        return found.text if found is not None and found.final else None


class CheckConfig(BaseModel):
    """Base of every check: its thresholds, its name and its code in one frozen object."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]
    revision: ClassVar[int] = 1
    packages: ClassVar[tuple[str, ...]] = ()
    """Installed packages whose version may change an outcome; part of the gate's id."""

    def run(self, case: Case) -> Check:
        raise NotImplementedError

    def passed(self, score: float | None = None, message: str = "") -> Check:
        """A pass; `message` says what could not be looked at."""
        if score is None and not message:
            return _plain_pass(self.name)
        return Check(self.name, CheckStatus.PASS, "", message, score)

    def asks(self, case: Case) -> Iterable[Asked]:
        """What `run` will ask of models, so that a gate can have many rows answered at once."""
        return ()

    def failed(self, reason: str, message: str, score: float | None = None) -> Check:
        return Check(self.name, CheckStatus.FAIL, reason, message, score)

    def undecided(self, reason: str, message: str, score: float | None = None) -> Check:
        return Check(self.name, CheckStatus.UNDECIDED, reason, message, score)


@cache
def _plain_pass(name: str) -> Check:
    """The outcome of most checks of most rows, made once."""
    return Check(name, CheckStatus.PASS)


def shown(text: str, limit: int = 80) -> str:
    """`text` for a message: one line, cut at `limit` characters."""
    line = " ".join(text[: 4 * limit].split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
