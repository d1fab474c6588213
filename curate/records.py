"""The records that travel through the project. Frozen, plain, and free of behaviour that needs a model.

A row of a version is keyed by `(row_id, target)`. `messages` holds the prompt only (roles and
contents, without the assistant turn to be trained), `completion` the text a trainer would learn,
`demonstration` the expert's text that the completion replaces or equals.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Message = dict[str, Any]
Messages = list[Message]


class CheckStatus(StrEnum):
    PASS = "pass"
    FAIL = "fail"
    UNDECIDED = "undecided"


class VerdictStatus(StrEnum):
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNVERIFIABLE = "unverifiable"


class DecisionKind(StrEnum):
    """How the completion of a row came to be."""

    EXPERT = "expert"  # as ingested
    REWRITE = "rewrite"  # a gated rewrite of the agent
    REPAIR = "repair"  # a rewrite that passed after a repair prompt
    EDITED = "edited"  # changed by a person
    GENERATED = "generated"  # a new row, linked to its sources
    FALLBACK = "fallback"  # no rewrite was kept: the expert's text stays, with the reason


HESITANT = "hesitant"
"""The reason of a fallback whose rewrites passed the gate, but were drawn with too much hesitation to be kept
(`agent.rewriting.choice`)."""


@dataclass(frozen=True, slots=True)
class Demonstration:
    """One expert row as ingested."""

    row_id: str
    messages: Messages
    completion: str
    answer: str | None = None
    task: str | None = None
    meta: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Check:
    """What one check of the gate said about one completion."""

    name: str
    status: CheckStatus
    reason: str = ""  # a stable snake_case key, empty on pass
    message: str = ""  # one sentence that a person understands
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's decision. `reason` is the reason of the first check that did not pass."""

    status: VerdictStatus
    reason: str = ""
    checks: tuple[Check, ...] = ()

    @property
    def accepted(self) -> bool:
        return self.status is VerdictStatus.ACCEPTED


@dataclass(frozen=True, slots=True)
class Cut:
    """What was cut from a sampled text before its gate: `before + text + after` is what was sampled."""

    before: str
    after: str
    rules: tuple[str, ...]  # names of the rules that it fell under, in the order of the cuts


@dataclass(frozen=True, slots=True)
class Candidate:
    """One sampled rewrite with its verdict and scores, chosen or not. Verdict and scores are those of `text`."""

    row_id: str
    target: int
    k: int  # position in the group of K candidates
    attempt: int  # 0 for the rewrite prompt, 1.. for repairs
    text: str
    num_tokens: int  # sampled, what was cut included
    finish_reason: str  # "stop" or "length"; a text whose end was cut did not end at the limit
    seed: int
    verdict: Verdict
    nll: float | None = None  # nats per token under the QA prompt, end of turn included
    scores: dict[str, float] = field(
        default_factory=dict[str, float]
    )  # reward terms and whatever was measured
    cut: Cut | None = None  # None where the text is the sample


@dataclass(frozen=True, slots=True)
class Decision:
    """What a row of the new version reads, and why."""

    row_id: str
    target: int
    completion: str
    decision: DecisionKind
    reason: str = ""
    candidate: Candidate | None = None
