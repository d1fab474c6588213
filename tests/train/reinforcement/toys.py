"""Toys for reinforcement: graders without files, prompts, and the engine as it is wired."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recast.pipelines.wiring.reinforcement import machinery
from recast.train.graders.format.rows import PromptRow
from recast.train.graders.records import Grade, Sample
from recast.train.reinforcement.config import RlConfig
from recast.train.reinforcement.rl import RlResult, rl

ARMS = (0.0, 0.5, 1.0)
TINY: dict[str, Any] = {
    "steps": 4, "prompts_per_step": 2, "samples": 4, "max_tokens": 4, "lr": 1e-3, "lora_rank": 4, "lora_alpha": 4,
    "eval_every": 2, "save_every": 1, "heldout_rows": 2, "precision": "fp32", "heldout": 0.25,
}  # fmt: skip


class Arms:
    """Three arms: what an answer earns is decided by its bytes modulo 3. `asked` counts what was graded."""

    name, id = "arms", "a" * 16

    def grade_many(self, items: Any, samples: Sequence[Sample], *, groups: Any = None) -> list[Grade]:
        return [Grade("arms", "toy", ARMS[sum(sample.text.encode()) % 3]) for sample in samples]


class Constant(Arms):
    """Every answer earns the same; None: nothing can be said of it."""

    def __init__(self, reward: float | None) -> None:
        self.reward, self.id = reward, f"{reward}".ljust(16, "c")

    def grade_many(self, items: Any, samples: Sequence[Sample], *, groups: Any = None) -> list[Grade]:
        return [Grade("constant", "toy", self.reward or 0.0, scored=self.reward is not None) for _ in samples]


def rows(count: int = 8) -> list[PromptRow]:
    return [
        PromptRow(
            [{"role": "user", "content": f"What is {i} + 2?"}],
            {"completion": f"We add. {i} + 2 = {i + 2}. The answer is {i + 2}."},
            f"row {i}",
        )
        for i in range(count)
    ]


def run(model: Path, out: Path, grader: Any = None, **settings: Any) -> RlResult:
    config = RlConfig(**{**TINY, **settings})
    return rl(rows(), model, grader or Arms(), config, out, machinery())
