"""Is there anything to learn? Some prompts are answered and graded before a run begins.

An answer is moved by how it differs from the others of its prompt. Where none earns anything, all earn everything or
all of a prompt earn the same, thousands of answers would be drawn and nothing learned.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from recast.curate.groups import FEW, spread
from recast.train.reinforcement.rollouts import Batch, kinds

PROMPTS = 32
"""Prompts that are answered."""
MOST_UNSCORED = 0.5
"""Share of answers without a score beyond which the grader is what is wrong."""


@dataclass(frozen=True, slots=True)
class Signal:
    """What the answers of an untrained model earn. `problems` empty: there is something to learn."""

    prompts: int
    answers: int
    mean: float | None  # reward
    success: float  # share of the scored answers that earn more than 0
    lowest: float | None
    highest: float | None
    between: float  # share of the scored answers strictly between the two
    spread: float  # share of the prompts whose answers differ
    kinds: dict[str, int]
    unscored: int
    grader_errors: dict[str, int]
    truncated_frac: float
    problems: list[str]
    advice: list[str]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def words(self) -> str:
        """In one line."""
        mean = "none" if self.mean is None else f"{self.mean:.3f}"
        return (
            f"{self.answers} answers to {self.prompts} prompts: mean reward {mean}, above 0 {self.success:.0%}, "
            f"prompts whose answers differ {self.spread:.0%}"
        )


def signal(batch: Batch) -> Signal:
    """What `batch` says of a run that would begin so."""
    scored = [r for r in batch.rewards if r is not None]
    flags = Counter(flag for grade in batch.grades for flag in grade.errors.flags)
    lowest, highest = min(scored, default=None), max(scored, default=None)
    ends = (lowest, highest)
    varied = spread(batch.groups())
    success = sum(r > 0 for r in scored) / len(scored) if scored else 0.0
    unscored = len(batch.rewards) - len(scored)
    figures = batch.figures()
    problems, advice = _judged(scored, varied, unscored / len(batch.rewards), figures["truncated_frac"])
    return Signal(
        prompts=len(batch.groups()),
        answers=len(batch.rewards),
        mean=figures["reward"],
        success=success,
        lowest=lowest,
        highest=highest,
        between=sum(r not in ends for r in scored) / len(scored) if scored else 0.0,
        spread=varied,
        kinds=kinds(scored),
        unscored=unscored,
        grader_errors=dict(flags),
        truncated_frac=figures["truncated_frac"],
        problems=problems,
        advice=advice,
    )


def _judged(
    scored: list[float], varied: float, unscored: float, truncated: float
) -> tuple[list[str], list[str]]:
    problems: list[str] = []
    advice: list[str] = []
    if unscored > MOST_UNSCORED:
        problems.append(f"the grader could say nothing of {unscored:.0%} of the answers")
        advice.append("try it alone: recast grader run FILE --item JSON --sample TEXT")
    if scored and max(scored) <= 0:
        problems.append("no answer earned anything")
        advice += [
            "warm the model up with `recast sft` or `recast reject` on demonstrations",
            "begin answers with a part of the solution: --hint cosine",
            "give easier rows, or a grader with partial credit",
        ]
    elif scored and min(scored) == max(scored):
        problems.append(f"every answer earned {scored[0]:g}")
        advice.append("give harder rows, or a grader that tells more apart")
    elif scored and not varied:
        problems.append("all answers to a prompt earned the same")
        advice += [
            "draw more answers a prompt: --set rl.samples=16",
            "give rows of middling difficulty, or begin answers with a part of the solution: --hint cosine",
        ]
    if not problems and varied < FEW:
        advice.append(
            f"only {varied:.0%} of the prompts teach something at a step; easier rows would teach more"
        )
    if truncated > 0.5:
        advice.append(f"{truncated:.0%} of the answers were cut at rl.max_tokens; set it higher")
    return problems, advice
