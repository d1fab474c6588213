"""Which chains of stages are compared, on which data. Fixed before the seeds that are reported are run.

A chain is what is done to the backbone, stage after stage: `sft`, `reject`, `rl`, or one after another, each from the
model that the last one left. A cell is a chain on some rows with one seed. Learning rates are not searched: they are
those that the proof of rewriting chose for `sft`, and those of the README for `rl`; every chain has the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

SFT, WARM_UP, REJECT, RL, UFT, PPO = "sft", "warmup", "reject", "rl", "uft", "ppo"
REWRITES, DEMONSTRATIONS = "rewrites", "demonstrations"
SPOKEN = {SFT: "SFT", WARM_UP: "warm-up", REJECT: "reject", RL: "RL", UFT: "UFT", PPO: "ReFT's PPO"}
NOISE = 0.2
FEW = 0.1
HIGH_LR = 1e-3
"""What the proof of rewriting chose for demonstrations; for rewrites it chose that of `SETTINGS`."""

SETTINGS: dict[str, dict[str, Any]] = {
    SFT: {"sft": {"lr": 3e-4, "epochs": 3, "batch_size": 16, "checkpoints": 0}},
    WARM_UP: {"sft": {"lr": 3e-4, "epochs": 1, "batch_size": 16, "checkpoints": 0}},
    REJECT: {"reject": {"lr": 3e-4, "epochs": 3, "batch_size": 16, "checkpoints": 0}},
    RL: {
        "rl": {
            "steps": 30, "prompts_per_step": 8, "samples": 4, "lr": 3e-4, "beta": 0.01, "max_tokens": 128,
            "eval_every": 10, "heldout_rows": 48, "save_every": 30,
        }
    },
    PPO: {
        "rl": {
            "steps": 30, "prompts_per_step": 32, "lr": 3e-4, "max_tokens": 128, "eval_every": 10, "heldout_rows": 48,
            "save_every": 30,
        }
    },
}  # fmt: skip
"""Of every stage, by what it is called in a chain. A step of RL and one of PPO have the same 32 answers."""
SETTINGS[UFT] = SETTINGS[RL]
OWN_ANSWERS: dict[str, Any] = {"samples": 4, "max_tokens": 128}
"""Of `reject` where no candidates lie beside the rows: on demonstrations, where the expert's text is learned if no
answer passed, and after `rl`, where nothing is."""
AFTER_RL: dict[str, Any] = {"lr": 1e-4, "epochs": 1, "none_passed": "drop"}


@dataclass(frozen=True, slots=True)
class Chain:
    """What is done to the backbone, and with which rows."""

    steps: tuple[str, ...]
    data: str = REWRITES
    noise: float = 0.0  # share of the demonstrations with a wrong answer
    share: float = 1.0  # of the rows
    lr: float | None = None  # of SFT; None: that of SETTINGS

    @property
    def rows(self) -> str:
        """The rows that it is trained on, of letters, digits and hyphens."""
        return f"{self.data}-n{100 * self.noise:.0f}" + (
            f"-s{100 * self.share:.0f}" if self.share < 1 else ""
        )

    @property
    def name(self) -> str:
        return "-".join([self.prefix(len(self.steps)), self.rows])

    def prefix(self, count: int) -> str:
        """The first `count` steps, of letters, digits and hyphens."""
        steps = [f"{s}{self.lr:g}" if self.lr and s == SFT else s for s in self.steps[:count]]
        return "-".join(steps).replace(".", "-")

    @property
    def label(self) -> str:
        """As tables call it."""
        if self.steps == (WARM_UP, PPO):
            return "ReFT"
        words = ", then ".join(SPOKEN[step] for step in self.steps)
        return f"{words} (lr {self.lr:g})" if self.lr else words


@dataclass(frozen=True, slots=True)
class Cell:
    """A chain with one seed."""

    chain: Chain
    seed: int

    @property
    def name(self) -> str:
        return f"{self.chain.name}-{self.seed}"


class ChainGrid(BaseModel):
    """The size of the proof. Its fingerprint stands in the result."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int = Field(default=600, ge=16)
    """Demonstrations of a seed."""
    style: str = "latex"
    """What they are written in."""
    mode: str = "anchored"
    """Reward of the agent that rewrites them: what the proof of rewriting chose."""
    target_items: int = Field(default=150, ge=8)
    """Questions of the task."""
    samples: int = Field(default=4, ge=1)
    """Answers drawn to each, for P(correct)."""
    disturbed_items: int = Field(default=50, ge=4)
    """Questions of the task that are put badly, each in every way."""
    general_items: int = Field(default=16, ge=2)
    """Questions of each general family."""
    seeds: int = Field(default=3, ge=1)

    def chains(self) -> list[Chain]:
        """All of them, those that share their rows side by side."""
        whole = (
            (SFT,),
            (REJECT,),
            (RL,),
            (SFT, RL),
            (REJECT, RL),
            (RL, REJECT),
            (UFT,),
            (WARM_UP,),
            (WARM_UP, PPO),
        )
        return [
            *(Chain(steps, noise=noise) for noise in (0.0, NOISE) for steps in whole),
            *(Chain(steps, DEMONSTRATIONS) for steps in ((SFT,), (SFT, RL), (REJECT,), (REJECT, RL))),
            *(Chain(steps, DEMONSTRATIONS, lr=HIGH_LR) for steps in ((SFT,), (SFT, RL))),
            *(Chain(steps, share=FEW) for steps in ((SFT,), (RL,), (SFT, RL), (REJECT, RL))),
        ]

    def cells(self) -> list[Cell]:
        """In the order in which they are made: the first seed of every chain, then the second."""
        return [Cell(chain, seed) for seed in range(self.seeds) for chain in self.chains()]


QUICK = ChainGrid(rows=64, target_items=24, disturbed_items=8, general_items=4, samples=2, seeds=1)
"""Shows that it runs; its figures say nothing."""
