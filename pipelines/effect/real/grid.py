"""What is compared, and with which settings. Fixed before the seeds that are reported are run.

One seed tunes every data set at both learning rates, the headline at the first rate before all else; the rule of
`pipelines.effect.selection` then chooses a rate for each, and the other seeds are run at that one. A seed stands for
all that is drawn: the demonstrations, the agent's learning, the rewriting, the order of SFT.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from recast.pipelines.effect.grid import DEMONSTRATIONS, PROMPT, Arm, Cell

AGENT, SDFT = "agent-typical", "sdft"
DATA = (DEMONSTRATIONS, PROMPT, AGENT, SDFT)
"""In the order of the tables."""
HEADLINE = (AGENT, DEMONSTRATIONS, PROMPT)
"""In the order in which they are run: what takes longest first, which is what can fail."""

SETTINGS: dict[str, Any] = {
    "gate": "strict",  # of learning and of both rewritings: no number that is not given or worked out
    "prompts": {"preset": "math"},
    "engine": {"dtype": "bfloat16"},
    "warm_start": {"rows": 48, "candidates": 4, "temperatures": [0.3, 0.6], "presets": ["default"]},
    "learn": {
        "steps": 30, "prompts_per_step": 6, "candidates": 6, "temperature": 0.6, "lr": 2e-4, "schedule": "linear",
        "beta": 0.0, "redraws": 1, "lora_rank": 16, "max_tokens": 96, "heldout_rows": 24, "eval_every": 10,
        "save_every": 5,
    },
    "rewrite": {"candidates": 4, "temperature": 0.6, "max_tokens": 96, "batch_rows": 32},
    "sft": {"epochs": 2, "batch_size": 8, "lora_rank": 16, "telemetry_tokens": 0},
}  # fmt: skip
"""Of all stages, in the form of a configuration."""
TARGET_TOKENS, GENERAL_TOKENS, DRIFT_TOKENS = 96, 64, 128
"""Longest replies that are measured."""


class RealGrid(BaseModel):
    """The size of the proof. Its fingerprint stands in the result."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int = Field(default=240, ge=16)
    """Demonstrations of a seed."""
    target_items: int = Field(default=400, ge=8)
    """Questions of the task; half of them choose, half are reported."""
    general_items: int = Field(default=16, ge=2)
    """Instructions of each family, halved alike."""
    drift_items: int = Field(default=3, ge=1)
    """Instructions of each family on which drift from the backbone is measured."""
    lrs: tuple[float, ...] = (1e-3, 3e-4)
    """Peak learning rates of SFT, in the order in which they are run."""
    seeds: int = Field(default=3, ge=1)
    slack: float = Field(default=2.0, ge=0)
    """Points by which a choice may miss the best on the task where it forgets less (`selection`)."""

    def first_seed(self) -> list[Cell]:
        """Every data set at every rate, the headline first."""
        headline = [Cell(Arm(data), lr, 0) for lr in self.lrs for data in HEADLINE]
        return headline + [Cell(Arm(SDFT), lr, 0) for lr in self.lrs]

    def further_seeds(self, chosen: Mapping[Arm, float]) -> list[Cell]:
        """The other seeds, each data set at the rate that was chosen for it; of all seeds the headline first."""
        seeds = range(1, self.seeds)
        headline = [Cell(Arm(data), chosen[Arm(data)], seed) for seed in seeds for data in HEADLINE]
        return headline + [Cell(Arm(SDFT), chosen[Arm(SDFT)], seed) for seed in seeds]


QUICK = RealGrid(rows=32, target_items=24, general_items=4, drift_items=1, lrs=(1e-3,), seeds=1)
"""Shows that it runs; its figures say nothing."""
