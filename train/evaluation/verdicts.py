"""What a comparison found: a record for every task, suite, arm and pair of arms, and a sentence that sums it up.

Figures are in points of 100 and made by `train.evaluation.compare`, whose text says what they mean. A sentence claims a
difference only where the interval around it leaves out 0.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from recast.train.evaluation.bootstrap import Interval

MIN_FORGETTING = 0.5
"""Points that the first of a pair must forget before a ratio to it means anything."""


@dataclass(frozen=True, slots=True)
class TaskChange:
    """One task before and after. Counts are means over the runs of the arm."""

    suite: str
    task: str
    num: int
    base_accuracy: float  # points
    accuracy: float  # points
    right_to_wrong: float
    wrong_to_right: float
    format_failures: float  # items of the tuned model without any answer
    p_value: float | None  # exact McNemar, two-sided; None for several runs
    base_gold_loglik: float | None
    gold_loglik: float | None

    @property
    def change(self) -> float:
        """Points gained (negative: lost)."""
        return self.accuracy - self.base_accuracy

    @property
    def gold_loglik_change(self) -> float | None:
        """Nats per token by which the reference answers became likelier."""
        if self.gold_loglik is None or self.base_gold_loglik is None:
            return None
        return self.gold_loglik - self.base_gold_loglik


@dataclass(frozen=True, slots=True)
class SuiteChange:
    """The general tasks of one suite before and after. Counts are means over the runs of the arm."""

    suite: str
    num_tasks: int
    forgetting: Interval  # mean over the suite's tasks, from the resamples of the overall figure
    worst: TaskChange  # the task that lost most
    right_to_wrong: float
    wrong_to_right: float


@dataclass(frozen=True, slots=True)
class Change:
    """One tuned arm against the base."""

    model: str
    num_runs: int
    target: tuple[TaskChange, ...]
    general: tuple[TaskChange, ...]
    downstream: float | None  # accuracy on the target, points
    gain: Interval | None  # on the target tasks; None without any
    general_accuracy: float | None
    forgetting: Interval | None
    """Mean over the general tasks, which weigh alike whatever their suite; None without any."""
    suites: tuple[SuiteChange, ...]  # of the general tasks, each suite by itself
    worst: TaskChange | None  # the general task that lost most
    right_to_wrong: float  # over the general tasks
    wrong_to_right: float
    p_value: float | None  # exact McNemar over all general items
    gold_loglik_change: float | None  # nats per token on the general tasks, tuned minus base
    kl: float | None  # nats per token from the base, on own answers to the target's questions
    verdict: str


@dataclass(frozen=True, slots=True)
class Pair:
    """Two tuned arms against each other: the second minus the first."""

    first: str
    second: str
    downstream: Interval | None
    forgetting: Interval | None
    forgetting_ratio: Interval | None  # second / first; None where the first forgot less than MIN_FORGETTING
    verdict: str


@dataclass(frozen=True, slots=True)
class Comparison:
    base: str
    base_downstream: float | None
    base_general: float | None
    changes: tuple[Change, ...]
    pairs: tuple[Pair, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def verdict(model: str, gain: Interval | None, forgetting: Interval | None) -> str:
    """One sentence on an arm: what it gained on the target, what it lost elsewhere, each with its interval."""
    parts: list[str] = []
    if gain:
        word = "gains" if gain.low > 0 else "loses" if gain.high < 0 else "shows no clear change of"
        bounds = f"{gain.low:+.1f} to {gain.high:+.1f}"
        parts.append(f"{word} {abs(gain.value):.1f} points on the target ({bounds})")
    if forgetting:
        if forgetting.low > 0:
            text = f"forgets {forgetting.value:.1f} points"
        elif forgetting.high < 0:
            text = f"gains {-forgetting.value:.1f} points"
        else:
            text = f"shows no clear forgetting ({forgetting.value:+.1f} points)"
        parts.append(f"{text} on the general suites ({forgetting.low:+.1f} to {forgetting.high:+.1f})")
    return f"{model} {' and '.join(parts)}." if parts else f"{model} was compared on nothing."


def pair_verdict(first: str, second: str, downstream: Interval | None, forgetting: Interval | None) -> str:
    """One sentence on two arms, from the second minus the first."""
    parts: list[str] = []
    if forgetting:
        if forgetting.high < 0:
            parts.append(f"forgets {-forgetting.value:.1f} points less than {first}")
        elif forgetting.low > 0:
            parts.append(f"forgets {forgetting.value:.1f} points more than {first}")
        else:
            parts.append(f"does not clearly differ from {first} in forgetting ({forgetting})")
    if downstream:
        if downstream.low > 0:
            parts.append(f"is {downstream.value:.1f} points better on the target")
        elif downstream.high < 0:
            parts.append(f"is {-downstream.value:.1f} points worse on the target")
        else:
            parts.append(f"does not clearly differ on the target ({downstream})")
    return f"{second} {' and '.join(parts)}." if parts else f"{second} and {first} were compared on nothing."
