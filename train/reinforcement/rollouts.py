"""The answers of a step: drawn, graded, and what they say of the step.

Every draw is seeded by the prompt, the step and its number, so a step that is made again after a kill has the answers
that it had.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recast.curate.answers.extract import find_answer
from recast.curate.fingerprint import seed_of
from recast.curate.groups import spread
from recast.train.graders.records import Grade, Grades, Sample
from recast.train.model.drawing import LENGTH, Draw, Drawn
from recast.train.reinforcement import hints
from recast.train.reinforcement.config import RlConfig
from recast.train.reinforcement.prompts import Prompt

MOST_KINDS = 8
"""Different rewards that are counted one by one; where there are more, five equal ranges are."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Graded answers, those of a prompt side by side. `prompt_ids[i]` ends with the `hint_lengths[i]` tokens of a hint.

    A reward is None where nothing could be said of the answer: it gets no advantage.
    """

    prompt_ids: list[list[int]]
    hint_lengths: list[int]
    drawn: list[Drawn]
    rewards: list[float | None]
    grades: list[Grade]
    samples: int  # answers a prompt
    seconds: float  # of drawing

    def groups(self) -> list[list[float | None]]:
        """Rewards prompt by prompt."""
        return [self.rewards[i : i + self.samples] for i in range(0, len(self.rewards), self.samples)]

    def figures(self) -> dict[str, Any]:
        """Of the step: mean reward, reward by kind, errors of the grader apart, length."""
        scored = [reward for reward in self.rewards if reward is not None]
        flags = Counter(flag for grade in self.grades for flag in grade.errors.flags)
        return {
            "reward": float(np.mean(scored)) if scored else None,
            "spread": spread(self.groups()),
            "kinds": kinds(scored),
            "unscored": len(self.rewards) - len(scored),
            "grader_errors": dict(flags),
            "mean_tokens": float(np.mean([len(d.token_ids) for d in self.drawn])),
            "truncated_frac": float(np.mean([d.finish_reason == LENGTH for d in self.drawn])),
            "generate_seconds": round(self.seconds, 4),
        }


class Rollouts:
    """Draws and grades. The policy is `model` as it stands when it is asked."""

    def __init__(self, draw: Draw, model: Any, tokenizer: Any, grader: Grades, config: RlConfig) -> None:
        self.draw, self.model, self.tokenizer = draw, model, tokenizer
        self.grader, self.config = grader, config

    def of_step(self, prompts: Sequence[Prompt], step: int) -> Batch:
        """`config.samples` answers of each of `prompts` at `step` (from 1), with the hints of that step."""
        number = [hints.shown(step, p.key, len(p.hints) - 1, self.config) for p in prompts]
        begun = [p.hints[k] for p, k in zip(prompts, number, strict=True)]
        seeds = [
            [seed_of(self.config.seed, p.key, step, j) for j in range(self.config.samples)] for p in prompts
        ]
        return self._batch(prompts, begun, seeds, self.config.temperature)

    def greedy(self, prompts: Sequence[Prompt]) -> Batch:
        """The likeliest answer of each of `prompts`, without hints."""
        return self._batch(prompts, [[] for _ in prompts], [[0]] * len(prompts), 0.0)

    def _batch(
        self,
        prompts: Sequence[Prompt],
        begun: Sequence[list[int]],
        seeds: Sequence[Sequence[int]],
        temperature: float,
    ) -> Batch:
        started = time.perf_counter()
        asked = [[*p.ids, *hint] for p, hint in zip(prompts, begun, strict=True)]
        found = self.draw(
            self.model,
            self.tokenizer,
            asked,
            seeds=seeds,
            temperature=temperature,
            max_tokens=self.config.max_tokens,
            batch_size=self.config.engine_batch,
        )
        seconds = time.perf_counter() - started
        k = len(seeds[0])
        texts = [self.tokenizer.decode(hint) for hint in begun]
        drawn = [answer for group in found for answer in group]
        said = [Sample(texts[i // k] + d.text, d.finish_reason) for i, d in enumerate(drawn)]
        items = [p.row.item for p in prompts for _ in range(k)]
        grades = self.grader.grade_many(items, said, groups=[i // k for i in range(len(drawn))])
        return Batch(
            prompt_ids=[ids for ids in asked for _ in range(k)],
            hint_lengths=[len(hint) for hint in begun for _ in range(k)],
            drawn=drawn,
            rewards=[
                reward(grade, sample.text, self.config.partial)
                for grade, sample in zip(grades, said, strict=True)
            ],
            grades=grades,
            samples=k,
            seconds=seconds,
        )


def reward(grade: Grade, text: str, partial: float | None) -> float | None:
    """What an answer earns: its grade, `partial` where that is 0 and the answer states a final answer all the same."""
    value = grade.value
    if value == 0 and partial and find_answer(text, fallback=False) is not None:
        return partial
    return value


def kinds(rewards: Sequence[float]) -> dict[str, int]:
    """How many answers earned what, lowest reward first."""
    counted = Counter(round(r, 3) for r in rewards)
    if len(counted) <= MOST_KINDS:
        return {f"{value:g}": counted[value] for value in sorted(counted)}
    numbers, edges = np.histogram(rewards, bins=5)
    return {f"{a:.3g} to {b:.3g}": int(n) for a, b, n in zip(edges, edges[1:], numbers, strict=False)}
