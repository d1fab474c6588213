"""A warm start: what the backbone rewrites well enough already teaches the adapter by likelihood, before reward does.

A group in which no candidate passes has no advantage, and at the start these are most. ReFT (arXiv 2401.08967) warms a
model up on the demonstrations before it learns by reward; here on the backbone's own accepted rewrites, drawn wide: at
several temperatures, under several prompts, and learnt under the one that reward will ask by.

This module holds the settings, and what came of it as `agent.learning.learn` takes it. Drawing is the business of
`agent.rewriting.rewrite`, likelihood that of `train.sft.sft`, and what puts them together stands above both
(`pipelines.wiring.learning.warm_start`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

NOT_IDENTITY: dict[str, str] = {}
"""Every setting decides what the adapter begins with."""


class WarmStartConfig(BaseModel):
    """What is drawn and learnt by likelihood before `learn` learns by reward: for models of which hardly a rewrite
    passes.

    Candidates are as long as those of `learn`, pass its gate, and come from its training rows alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int = Field(default=0, ge=0)
    """Training rows that are rewritten for it, those of lowest id hash. 0: no warm start."""
    candidates: int = Field(default=4, ge=1)
    """Candidates a row, prompt and temperature."""
    temperatures: tuple[float, ...] = Field(default=(0.3, 0.6), min_length=1)
    """Sampling temperatures, one after another."""
    presets: tuple[Literal["default", "math", "program", "choice", "text"], ...] = ("math",)
    """Presets of `prompts` that are asked besides the prompt of `learn`; all texts are learnt under that one."""
    repairs: int = Field(default=0, ge=0)
    """Further attempts for a row without an accepted candidate, each told which check failed."""
    texts: int = Field(default=2, ge=1)
    """Accepted texts of a row that are enough: it is not asked again, and no more of them are learnt."""
    epochs: int = Field(default=4, ge=1)
    """Times that every text is seen."""
    lr: float = Field(default=5e-4, gt=0)
    """Peak learning rate of the likelihood: a LoRA on a few dozen texts takes larger steps than reward bears."""
    batch_size: int = Field(default=4, ge=1)
    """Texts a step."""


LATER = dict.fromkeys(WarmStartConfig.model_fields, "runs of before had no warm start")
"""Settings that came later: with their defaults they do not change which run a command finds."""


@dataclass(frozen=True, slots=True)
class Round:
    """What one prompt at one temperature brought."""

    prompt_id: str
    temperature: float
    rows: int  # that had not enough yet
    candidates: int
    accepted: int


@dataclass(frozen=True, slots=True)
class WarmStart:
    """An adapter to begin with, and what it was made of."""

    adapter: Path
    id: str  # of the adapter's files
    rows: int  # with at least one accepted text
    texts: int
    rounds: tuple[Round, ...]
    loss_before: float  # mean nats a token of the texts under the backbone
    loss_after: float

    def to_dict(self) -> dict[str, Any]:
        """For a manifest: without the place."""
        return {name: value for name, value in asdict(self).items() if name != "adapter"}


def described(found: Mapping[str, Any]) -> str:
    """A warm start, as `to_dict` gives it, in one line."""
    drawn, passed = (sum(r[name] for r in found["rounds"]) for name in ("candidates", "accepted"))
    return (
        f"warm start: {found['texts']} texts of {found['rows']} rows ({passed} of {drawn} candidates passed), "
        f"{found['loss_before']:.2f} -> {found['loss_after']:.2f} nats a token"
    )
