"""Settings of the jobs that make new rows: the sections `augment` and `rehearse` of the configuration."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

NOT_IDENTITY: dict[str, str] = {}
"""Every setting decides what comes out."""

RULES: dict[str, int] = {"duplicate": 2}
"""Settings that came to decide otherwise for the same value, with the revision of their rule."""


class AugmentConfig(BaseModel):
    """How new questions are drawn and solved. All of it is part of the job's identity."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    questions: Literal["ask", "continue"] = "ask"
    """`ask` the backbone for a new question, showing one with its solution; or let it `continue` a user turn that
    begins like an existing question, for models that follow no such request. The filters are shown to hold for
    `continue` alone."""
    beginning: float = Field(default=0.34, ge=0, lt=1)
    """Share of the source question's words that a continued one begins with."""
    per_row: int = Field(default=1, ge=1)
    """New questions a row."""
    solutions: int = Field(default=2, ge=2)
    """Independent solutions a question, all of which must agree."""
    known_kind: bool = True
    """Only rows whose own question the backbone solves, in every one of `solutions` samples, give new questions."""
    round_trip: bool = True
    """The backbone, shown the solution alone, must write a question with the same numbers."""
    question_temperature: float = Field(default=0.7, ge=0)
    """Sampling temperature of questions. Higher: more variety, and more questions that have no answer."""
    temperature: float = Field(default=1.0, gt=0)
    """Sampling temperature of solutions. Drawn near 0 they would agree with themselves."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Nucleus of the sampling distribution."""
    max_question_tokens: int = Field(default=256, ge=1)
    """Longest question in tokens; one that is cut there is dropped."""
    max_tokens: int = Field(default=512, ge=1)
    """Longest solution in tokens."""
    duplicate: float = Field(default=0.8, gt=0, le=1)
    """Jaccard similarity of word 3-grams from which two questions are near duplicates."""
    batch_rows: int = Field(default=64, ge=1)
    """Rows a batch: the unit that is redone after a kill."""
    window_rows: int = Field(default=4096, ge=1)
    """Rows among which batches of like length are formed."""
    seed: int = 0
    """Root of every sample's seed."""


class RehearseConfig(BaseModel):
    """How the backbone's own prompts and answers are drawn. All of it is part of the job's identity."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float = Field(default=1.0, ge=0)
    """Sampling temperature of the answers: 1 is how the backbone speaks."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Nucleus of the answers."""
    max_tokens: int = Field(default=512, ge=1)
    """Longest answer in tokens; one that is cut there is dropped."""
    prompt_temperature: float = Field(default=1.0, gt=0)
    """Sampling temperature of prompts that the backbone writes itself."""
    max_prompt_tokens: int = Field(default=256, ge=1)
    """Longest such prompt in tokens; one that is cut there is dropped."""
    oversample: float = Field(default=1.5, ge=1)
    """Prompts drawn for each row asked for, as some will be dropped."""
    duplicate: float = Field(default=0.8, gt=0, le=1)
    """Jaccard similarity of word 3-grams from which two prompts are near duplicates."""
    batch_rows: int = Field(default=64, ge=1)
    """Prompts a batch: the unit that is redone after a kill."""
    window_rows: int = Field(default=4096, ge=1)
    """Prompts among which batches of like length are formed."""
    seed: int = 0
    """Root of every sample's seed."""
