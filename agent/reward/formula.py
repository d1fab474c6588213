"""The gated reward of one group of K candidates, with its breakdown. Pure numpy.

    R_i = g_i (1 + lambda_dist d_i + lambda_div v_i - lambda_copy c_i)                             (arXiv 2602.11220)

g is the gate's verdict (1 or 0), d alignment with the frozen backbone, v what the candidate adds to the group's
diversity, c how much of it is copied. All terms are exactly 0 outside the gate. Modes differ in d and v; each stands
beside its code: `paper_alignment`, `anchored_alignment`, `typical_alignment`.

`paper` is the published formula as released. The two others deviate: alignment is measured against fixed levels instead
of the group, so that a group of equals is not told apart by noise; diversity is where the candidate's novelty stands in
its group (`curate.curation.diversity.standing_K`), since the published marginal stays below 0.005; and there is a copy
term.

Who computes NLLs, verdicts and embeddings is not this module's business (`agent.reward.scorer`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from recast.curate.curation.diversity import NOVELTY_FLOOR, group_terms_K, paper_marginals_K, standing_K

REVISION = 2
"""Of what the reward measures. 1: excess at temperature 1 whatever the candidates are drawn at, diversity by hidden
states with a weight of 0.15. A run that began under it goes on under it (`agent.learning.learn`)."""
Mode = Literal["paper", "anchored", "typical"]
Floats = NDArray[np.float64]

PAPER_EPS = 1e-6
"""The released code adds it to the standard deviation, and once more on division."""
MIN_GAP_NATS = 0.05
"""Least distance per token between the demonstration and own samples that the anchored scale is stretched over."""
MIN_EXCESS_NATS = 5.0
"""Least excess of a demonstration that the typical scale is stretched over: own samples spread about as much."""
FREE_OVERLAP = 0.6
"""Share of a candidate that may be the demonstration's before the copy term begins."""


@dataclass(frozen=True, slots=True)
class MeasuredGroup:
    """What was measured of one group of K candidates. Arrays have length K, `embeddings` (K, D).

    Figures of candidates that are not feasible are not looked at, and may be NaN.
    """

    feasible: NDArray[np.bool_]  # the gate
    nll: Floats  # nats per token under the QA prompt
    excess: Floats | None = None  # sum_t (-log p_t - H_t) at the temperature of sampling, nats
    embeddings: Floats | None = (
        None  # what diversity is measured by where there is no novelty; None: no such term
    )
    novelty: Floats | None = None  # what the phrases of each add to the other feasible ones, in [0, 1]
    overlap: Floats | None = (
        None  # share of each that its demonstration holds too, in [0, 1]; None: no copy term
    )
    base: Floats | None = None  # what each has before the terms; None: 1
    nll_demonstration: float = np.nan
    excess_demonstration: float = np.nan
    nll_self: float = np.nan  # of the backbone's own samples

    def of_feasible(self, name: Literal["nll", "excess"]) -> Floats:
        """A measured figure of the feasible candidates. Raises ValueError where one of them lacks it."""
        column = self.nll if name == "nll" else self.excess
        if column is None or column.shape != self.feasible.shape:
            found = None if column is None else column.shape
            raise ValueError(
                f"{name} is {found}, expected one value for each of {len(self.feasible)} candidates"
            )
        missing = np.flatnonzero(self.feasible & ~np.isfinite(column))
        if len(missing):
            at = int(missing[0])
            raise ValueError(f"{name} of feasible candidate {at} is {column[at]}; leave it out of `feasible`")
        return column[self.feasible]


@dataclass(frozen=True, slots=True)
class Weights:
    """Mode and weights of the reward; `of` fills in what suits the mode."""

    mode: Mode
    lambda_dist: float
    lambda_div: float
    lambda_copy: float = 0.1
    soft_gate: bool = False
    """For ablation: a rejected candidate has half of what an accepted one has if its answer is right, else 0, and
    the terms on top of that. Here shaping leaks out of the gate, which is the point of measuring it."""
    scored_under: Literal["question", "rewriting"] = "question"
    """For ablation: `rewriting` asks how likely a text is where the demonstration is shown."""

    @classmethod
    def of(
        cls,
        mode: Mode = "typical",
        lambda_dist: float | None = None,
        lambda_div: float | None = None,
        *,
        revision: int = REVISION,
        **others: Any,
    ) -> Weights:
        """Weights of `mode`; None is filled in.

        Alignment 0.35 as in the paper, 1 in `typical`, whose term is meant to decide between styles and at 0.35 had a
        twentieth of the advantage variance while some candidates failed; diversity 0.25, about a third of the shaping's
        variance on a real model where it is told by phrases, 0.5 in `paper`.
        """
        dist = (1.0 if mode == "typical" else 0.35) if lambda_dist is None else lambda_dist
        usual = 0.5 if mode == "paper" else 0.25 if revision > 1 else 0.15
        div = usual if lambda_div is None else lambda_div
        return cls(mode, dist, div, **others)

    @property
    def signed(self) -> dict[str, float]:
        """Factor of each term in the reward."""
        return {"alignment": self.lambda_dist, "diversity": self.lambda_div, "copy": -self.lambda_copy}


@dataclass(frozen=True, slots=True)
class GroupReward:
    """Arrays of length K: the scalar, and the terms before their weights; 0 for infeasible candidates."""

    reward: Floats
    alignment: Floats
    diversity: Floats
    copy: Floats

    @property
    def by_name(self) -> dict[str, Floats]:
        """The terms by name, those of `Weights.signed`."""
        return {"alignment": self.alignment, "diversity": self.diversity, "copy": self.copy}


def group_reward(group: MeasuredGroup, weights: Weights) -> GroupReward:
    """R_i = g_i (b_i + lambda_dist d_i + lambda_div v_i - lambda_copy c_i), b_i = 1 unless the group says otherwise.

    Raises ValueError for what the mode needs and the group lacks: the levels of demonstration and own samples in
    `anchored`, the excess of demonstration and candidates in `typical`. Where nothing is feasible nothing is needed.
    """
    gate = group.feasible
    align, diversity, copy = (np.zeros(len(gate)) for _ in range(3))
    if gate.any():
        align[gate] = _alignment(group, weights.mode)
        if group.novelty is not None and weights.mode != "paper":
            if gate.sum() > 1:
                diversity[gate] = standing_K(group.novelty[gate], NOVELTY_FLOOR)
        elif group.embeddings is not None:
            rows = np.where(gate[:, None], np.asarray(group.embeddings, dtype=np.float64), 0.0)
            marginals = paper_marginals_K if weights.mode == "paper" else group_terms_K
            diversity = marginals(rows, gate.tolist())
        if group.overlap is not None and weights.mode != "paper":
            copy = np.where(gate, np.maximum(0.0, group.overlap - FREE_OVERLAP), 0.0)
    before = 1.0 if group.base is None else group.base
    shaped = (
        before + weights.lambda_dist * align + weights.lambda_div * diversity - weights.lambda_copy * copy
    )
    return GroupReward(np.where(gate, shaped, 0.0), align, diversity, copy)


def _alignment(group: MeasuredGroup, mode: str) -> Floats:
    """d of the feasible candidates."""
    nll = group.of_feasible("nll")
    if mode == "paper":
        return paper_alignment(nll)
    if mode == "anchored":
        own, demonstration = _level(group, "nll_self", mode), _level(group, "nll_demonstration", mode)
        return anchored_alignment(nll, own, demonstration)
    if mode == "typical":
        return typical_alignment(group.of_feasible("excess"), _level(group, "excess_demonstration", mode))
    raise ValueError(f"reward mode {mode!r} is none of paper, anchored, typical")


def paper_alignment(nll: Floats) -> Floats:
    """d_i = 1 / (1 + exp z_i), z_i = (l_i - mean l) / (std l + eps), over the feasible set (arXiv 2602.11220).

    The population's standard deviation, 1 where the set has one member. As released; l is nats per token.
    """
    spread = float(nll.std()) + PAPER_EPS if len(nll) > 1 else 1.0
    return 1.0 / (1.0 + np.exp((nll - nll.mean()) / (spread + PAPER_EPS)))


def anchored_alignment(nll: Floats, own: float, demonstration: float) -> Floats:
    """d_i = clip(1 - max(l_i - l_self, 0) / max(l_demo - l_self, 0.05), 0, 1), l in nats per token.

    0 at the demonstration's NLL, 1 at the level of the backbone's own samples and below: degenerate text gains nothing.
    """
    return _between(nll, own, demonstration, MIN_GAP_NATS)


def typical_alignment(excess: Floats, demonstration: float) -> Floats:
    """d_i = clip(1 - max(x_i, 0) / max(x_demo, 5), 0, 1), x_i = sum_t (-log p_T(y_t) - H(p_T)) in nats.

    p_T is the backbone at the temperature T that candidates are drawn at, in both places. The excess surprisal x is
    minus the sum of the centred log-likelihood of arXiv 2602.12222, and 0 in expectation on the backbone's own samples
    at T. So padding never pays, as it does where T is left out of it: text that is drawn below T = 1 has a negative
    excess there, the more so the longer it is.
    """
    return _between(excess, 0.0, demonstration, MIN_EXCESS_NATS)


def _between(values: Floats, own: float, demonstration: float, min_gap: float) -> Floats:
    """1 at `own` and below, 0 at `demonstration`, linear between them over at least `min_gap`."""
    return np.clip(1.0 - np.maximum(values - own, 0.0) / max(demonstration - own, min_gap), 0.0, 1.0)


def _level(
    group: MeasuredGroup, name: Literal["nll_self", "nll_demonstration", "excess_demonstration"], mode: str
) -> float:
    value = getattr(group, name)
    if not np.isfinite(value):
        raise ValueError(f"mode {mode!r} needs a finite {name}, found {value}")
    return value
