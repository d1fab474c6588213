"""What is compared with what. A grid is fixed before the seeds that are reported are run.

An arm is a way to fine-tune: the data, which of its rows, the objective, full weights or a LoRA, with or without
rehearsal rows. A cell is an arm at one learning rate, with one seed, on one backbone: one SFT and one evaluation.
Seeds stand for everything that is drawn: the demonstrations (in the pocket world), the agent's learning, the rewriting
and the order of SFT.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

AGENT_MODES = ("anchored", "paper", "typical")
DEMONSTRATIONS, PROMPT, ORACLE = "demonstrations", "prompt", "oracle"
BASELINES = ("sdft", "mind-the-gap")
DATA = (DEMONSTRATIONS, PROMPT, *BASELINES, *(f"agent-{mode}" for mode in AGENT_MODES), ORACLE)
OBJECTIVES = ("dft", "deft", "cayley", "eaft")
RANKS = (8, 32)
ABLATIONS: dict[str, dict[str, Any]] = {
    "soft-gate": {"soft_gate": True},
    "no-alignment": {"lambda_dist": 0.0},
    "no-diversity": {"lambda_div": 0.0},
    "rewriting-prompt": {"scored_under": "rewriting"},
}
"""What the study takes out of the best agent's reward, as settings of `agent.learning.learn`. The last one is the
paper's central claim: that scoring must not see the rewriting prompt. Only learning differs: every agent's candidates
pass the same gate and are chosen from by the same rule, which tells apart what was learned and not what was sifted
out."""


def spoken(data: str) -> str:
    """A data set as tables call it: `agent-typical-k2` is "agent, typical, k2"."""
    agent, _, rest = data.partition("-")
    return ", ".join([agent, *rest.split("-", 1)]) if agent == "agent" else data


@dataclass(frozen=True, slots=True)
class Arm:
    """A way to fine-tune."""

    data: str
    objective: str = "nll"
    rank: int | None = None
    rehearsal: bool = False
    rewritten_by: tuple[str, ...] = ()
    """Only the questions that all of these data sets rewrote; all rows where it names none."""

    @property
    def rows(self) -> str:
        """What its rows are called, of letters, digits and hyphens."""
        return "-".join([self.data, *(["by", *self.rewritten_by] if self.rewritten_by else [])])

    @property
    def name(self) -> str:
        """Of letters, digits and hyphens, as stages are called."""
        parts = [self.rows, self.objective.replace(":", "-").replace(".", "-")]
        parts += [f"lora{self.rank}"] if self.rank else []
        return "-".join([*parts, *(["rehearsal"] if self.rehearsal else [])])

    @property
    def label(self) -> str:
        """As tables call it."""
        words = [spoken(self.data) + (" + rehearsal" if self.rehearsal else "")]
        words += [self.objective.upper()] if self.objective != "nll" else []
        words += [f"LoRA {self.rank}"] if self.rank else []
        if self.rewritten_by == (self.data,):
            words.append("rewritten rows only")
        elif self.rewritten_by:
            *first, last = map(spoken, self.rewritten_by)
            words.append(f"questions that {'; '.join(first)} and {last} rewrote")
        return " · ".join(words)


@dataclass(frozen=True, slots=True)
class Cell:
    """One SFT and its evaluation."""

    arm: Arm
    lr: float
    seed: int

    @property
    def name(self) -> str:
        return f"{self.arm.name}-lr{self.lr:g}-{self.seed}".replace(".", "-")


class Grid(BaseModel):
    """The size of the proof. Its fingerprint stands in the result."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int = Field(default=600, ge=16)
    """Demonstrations drawn in the pocket world."""
    style: str = "latex"
    """What they are written in there."""
    target_items: int = Field(default=300, ge=8)
    """Questions of the pocket world's target suite; half of them choose, half are reported."""
    general_items: int = Field(default=64, ge=2)
    """Questions of each general family, halved alike."""
    lrs: tuple[float, ...] = (1e-4, 3e-4, 1e-3)
    """Peak learning rates of SFT: curves are compared, not single points."""
    seeds: int = Field(default=3, ge=1)
    """Seeds of every arm."""
    headline_seeds: int = Field(default=8, ge=1)
    """Seeds of the arms that bounds are set on: demonstrations, best agent, and that with rehearsal; all NLL."""
    slack: float = Field(default=2.0, ge=0)
    """Points by which a choice may miss the best on the target where it forgets less (`selection`)."""
    data: tuple[str, ...] = DATA
    objectives: tuple[str, ...] = OBJECTIVES
    ranks: tuple[int, ...] = RANKS
    rehearsal_share: float = Field(default=0.25, gt=0, lt=1)
    """Rehearsal rows by the side of every other row."""

    study: bool = False
    """Whether the best agent is taken apart: group size, gate, terms of the reward, rows."""
    study_groups: tuple[int, ...] = (2, 4, 16)
    """Group sizes K of the study; the agent itself has that of the configuration (8 in the pocket world)."""

    def variants(self, step_candidates: int) -> dict[str, dict[str, Any]]:
        """Settings of `agent.learning.learn` of the study's agents, by name.

        A step has `step_candidates` candidates whatever K, so that groups and not amounts are compared.
        """
        groups = {
            f"k{k}": {"candidates": k, "prompts_per_step": max(1, step_candidates // k)}
            for k in self.study_groups
        }
        return groups | ABLATIONS

    def headline(self, agent: str) -> Grid:
        """What further backbones are for: the two headline arms between prompting alone and the oracle."""
        data = (DEMONSTRATIONS, PROMPT, agent, ORACLE)
        left = tuple(name for name in data if name in self.data)
        return self.model_copy(
            update={"data": left, "objectives": (), "ranks": (), "headline_seeds": self.seeds, "study": False}
        )

    @field_validator("data")
    @classmethod
    def _can_be_compared(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [name for name in value if name not in DATA]:
            raise ValueError(f"no data set is called {unknown[0]!r}; there are {', '.join(DATA)}")
        if DEMONSTRATIONS not in value or not any(name.startswith("agent-") for name in value):
            raise ValueError("a proof compares demonstrations with the rows of at least one agent")
        return tuple(name for name in DATA if name in value)

    @property
    def agents(self) -> tuple[str, ...]:
        return tuple(name for name in self.data if name.startswith("agent-"))


QUICK = Grid(
    target_items=200,
    general_items=32,
    lrs=(3e-4,),
    seeds=1,
    headline_seeds=1,
    data=(DEMONSTRATIONS, PROMPT, "agent-typical", ORACLE),
    objectives=(),
    ranks=(),
)
"""One seed, one learning rate, the headline arms and what they lie between."""


def first_phase(grid: Grid) -> list[Cell]:
    """All data with NLL: what the best agent is chosen from."""
    arms = [Arm(data) for data in grid.data]
    return [Cell(arm, lr, seed) for arm in arms for lr in grid.lrs for seed in range(grid.seeds)]


def second_phase(grid: Grid, best: str) -> list[Cell]:
    """Demonstrations and the best agent's rows crossed with objectives, LoRA and rehearsal; further seeds of the arms
    that bounds are set on.
    """
    two = (DEMONSTRATIONS, best)
    bounded = [Arm(data) for data in two]
    arms = [Arm(data, objective) for data in two for objective in grid.objectives]
    arms += [Arm(data, rank=rank) for data in two for rank in grid.ranks]
    if grid.objectives:
        three = [data for data in (DEMONSTRATIONS, PROMPT, best) if data in grid.data]
        arms += [Arm(data, objective, rehearsal=True) for data in three for objective in ("nll", "deft")]
        bounded.append(Arm(best, rehearsal=True))
    cells = [Cell(arm, lr, seed) for arm in arms for lr in grid.lrs for seed in range(grid.seeds)]
    more = range(grid.seeds, grid.headline_seeds)
    return cells + [Cell(arm, lr, seed) for arm in bounded for lr in grid.lrs for seed in more]


def study_phase(
    grid: Grid, best: str, lrs: Mapping[str, float], *, some_rewritten_by: Callable[[Sequence[str]], bool]
) -> list[Cell]:
    """The best agent taken apart, and coverage set apart from quality; `lrs`: the learning rate chosen by data set.

    Rows that kept the expert's text are left out (`rewritten rows only`) of every rewriter's data, prompting, baselines
    and the agent; and all of these, the demonstrations and the oracle are given the questions that every rewriter
    rewrote, so that a data set cannot gain by which questions it covers. With fewer rows go fewer steps.
    `some_rewritten_by` says whether there are questions that all of some data sets rewrote; without any an arm is none.
    """
    arms = [(Arm(f"{best}-{variant}"), lrs[best]) for variant in grid.variants(0)]
    rewriters = [data for data in (PROMPT, *BASELINES, best) if data in lrs]
    arms += [(Arm(data, rewritten_by=(data,)), lrs[data]) for data in rewriters]
    matched = [data for data in (DEMONSTRATIONS, *rewriters, ORACLE) if data in lrs]
    arms += [(Arm(data, rewritten_by=tuple(rewriters)), lrs[data]) for data in matched if len(rewriters) > 1]
    able = [(arm, lr) for arm, lr in arms if not arm.rewritten_by or some_rewritten_by(arm.rewritten_by)]
    return [Cell(arm, lr, seed) for arm, lr in able for seed in range(grid.seeds)]
