"""What a report is made of: plain frozen records, no model, no store, no HTML.

Everything is optional. A section whose data are absent is left out of the page and replaced by one
line that names the command that would fill it. `pipelines.report.sources.collect` fills these records from a
store and run folders; a test or another program may fill them by hand.

Units: accuracies and forgetting in points of 100, likelihoods in nats (per token where `nll`),
durations in seconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Role = Literal["base", "reference", "control", "target", "other"]
Better = Literal["higher", "lower", "neither"]
Taught = Literal["agent", "model"]
Tone = Literal["good", "open", "bad", "first", "second", "third"]


@dataclass(frozen=True, slots=True)
class Arm:
    """One trained model, or the base before any training, with what the evaluation said of it."""

    key: str
    label: str
    role: Role = "other"  # base: before training; reference: what the target is measured against
    downstream: float | None = None  # points of 100 on the task the demonstrations teach
    general: float | None = None  # mean over the general suites
    forgetting: float | None = None  # general of the base minus general of this arm
    gold_loglik: float | None = None  # nats per token of the gold answers on the general suites
    start_loss: float | None = None  # nats per token, training loss before the first update
    half_widths: Mapping[str, float] = field(default_factory=dict)  # of 95 % intervals, by field name
    suites: Mapping[str, float] = field(default_factory=dict)  # accuracy on each general suite
    num_seeds: int = 1


@dataclass(frozen=True, slots=True)
class Fate:
    """How many rows ended with one decision for one reason."""

    decision: str
    reason: str
    rows: int
    task: str = ""


@dataclass(frozen=True, slots=True)
class Curve:
    """A measure over the steps of learning: every training step, and the held-out measurements."""

    key: str
    title: str
    better: Better
    unit: str = ""
    train: tuple[tuple[float, float], ...] = ()  # (step, value)
    heldout: tuple[tuple[float, float], ...] = ()
    levels: tuple[tuple[str, float], ...] = ()  # reference values, drawn as lines across


@dataclass(frozen=True, slots=True)
class Series:
    name: str
    tone: Tone
    points: tuple[tuple[float, float], ...]  # (step, value)


@dataclass(frozen=True, slots=True)
class Lines:
    """Measures of one unit that are read together over the steps of learning."""

    key: str
    title: str
    series: tuple[Series, ...]


@dataclass(frozen=True, slots=True)
class Likelihoods:
    """Length-normalised NLL of one kind of text under the frozen backbone, one value a row."""

    key: Literal["demonstration", "completion", "self"]
    label: str
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class GateCount:
    """What one check of the gate said over all candidates."""

    check: str
    passed: int
    failed: int
    undecided: int


@dataclass(frozen=True, slots=True)
class SampleCheck:
    name: str
    status: str  # pass, fail or undecided
    reason: str = ""
    message: str = ""
    score: float | None = None


@dataclass(frozen=True, slots=True)
class SampleCut:
    """What was cut from a candidate before the gate."""

    before: str
    after: str
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SampleCandidate:
    text: str
    status: str  # accepted, rejected or unverifiable
    reason: str = ""
    nll: float | None = None
    attempt: int = 0
    chosen: bool = False
    cut: SampleCut | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One row before and after, with everything that was decided about it."""

    row_id: str
    before: str
    after: str
    decision: str
    target: int = 0
    prompt: tuple[tuple[str, str], ...] = ()  # (role, content)
    task: str = ""
    answer: str | None = None
    reason: str = ""
    checks: tuple[SampleCheck, ...] = ()
    candidates: tuple[SampleCandidate, ...] = ()
    nll_before: float | None = None
    nll_after: float | None = None
    nll_self: float | None = None


@dataclass(frozen=True, slots=True)
class VersionNote:
    ref: str
    id: str
    rows: int
    parent: str = ""
    author: str = ""
    message: str = ""
    created_at: str = ""
    changes: str = ""  # "+0 ~560 -0"


@dataclass(frozen=True, slots=True)
class Stage:
    name: str
    seconds: float
    command: str = ""


@dataclass(frozen=True, slots=True)
class GateMass:
    """Tokens and gate summed over cells of p (rows) and Rényi-2 entropy in nats (columns; None: no upper end)."""

    p_edges: tuple[float, ...]
    entropy_edges: tuple[float | None, ...]
    tokens: tuple[tuple[int, ...], ...]
    gate: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class ConfidenceChange:
    """What SFT made of the tokens whose probability was in [low, high) before; learned and forgotten pass 0.5."""

    low: float
    high: float
    tokens: int
    learned: int
    forgotten: int
    fell: int  # whose p is lower than before
    p_change: float  # mean
    loss_change: float  # mean, nats


@dataclass(frozen=True, slots=True)
class Tuning:
    """What the trust gate of one SFT did."""

    name: str
    objective: str
    means: Lines  # over the steps
    before: GateMass
    after: GateMass
    changes: tuple[ConfidenceChange, ...]


@dataclass(frozen=True, slots=True)
class Moved:
    """Candidates of one kind before and after rejective fine-tuning: mean nats a token."""

    kind: str  # accepted, expert, or why they were refused
    candidates: int
    before: float
    after: float
    fell: int  # less likely than before


@dataclass(frozen=True, slots=True)
class Training:
    """One trained model, whatever made it: a section of the page."""

    name: str
    verb: str  # that made it
    facts: tuple[tuple[str, str], ...]
    curves: tuple[Curve, ...] = ()
    lines: tuple[Lines, ...] = ()
    moved: tuple[Moved, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportData:
    """Everything one page shows. `facts` are (name, value) pairs of the footer, in order."""

    title: str = "recast report"
    subtitle: str = ""
    created_at: str = ""
    arms: tuple[Arm, ...] = ()
    fates: tuple[Fate, ...] = ()
    curves: tuple[Curve, ...] = ()
    lines: tuple[Lines, ...] = ()
    tunings: tuple[Tuning, ...] = ()
    trainings: tuple[Training, ...] = ()  # in the order in which they were made
    likelihoods: tuple[Likelihoods, ...] = ()
    gate_counts: tuple[GateCount, ...] = ()
    samples: tuple[Sample, ...] = ()
    rows_in_all: int | None = None  # rows the samples were drawn from
    versions: tuple[VersionNote, ...] = ()
    stages: tuple[Stage, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    taught: Taught = "agent"  # what the curves are of
    warnings: tuple[str, ...] = ()  # shown at the top: a gate that is not the agent's, a missing file

    def arm(self, role: Role) -> Arm | None:
        """The first arm that has this role."""
        return next((arm for arm in self.arms if arm.role == role), None)


def finite(value: float | None) -> float | None:
    """`value`, or None where it is absent, NaN or infinite: those are drawn as missing, never as 0."""
    return value if value is not None and math.isfinite(value) else None
