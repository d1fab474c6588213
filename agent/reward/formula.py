"""The gated reward of one group of K candidates, with its breakdown. Pure numpy.

    R_i = g_i (1 + lambda_dist d_i + lambda_div v_i - lambda_copy c_i)

g is the gate's verdict (1 or 0), d alignment with the frozen backbone, v what the candidate adds to the
group's diversity, c how much of it is copied. All terms are exactly 0 outside the gate. Three modes differ in
d and v:

`paper`     (arXiv 2602.11220, the released code) d_i = logistic(-z_i), z the group's z-score of the NLL over the
            feasible set; v_i the raw marginal of the mean pairwise distance; no copy term.
`anchored`  d_i = clip(1 - max(l_i - l_self, 0) / max(l_demo - l_self, 0.05), 0, 1): 0 at the demonstration's NLL,
            1 at the level of the backbone's own samples and below, so degenerate text gains nothing.
`typical`   the same form in excess surprisal x = sum_t (-log p_t - H_t), which is 0 in expectation on own
            samples: d_i = clip(1 - max(x_i, 0) / max(x_demo, 5), 0, 1). A sum, so padding never pays. Weighed by 1:
            at 0.35 the gate's noise drowned it.

Who computes NLLs, verdicts and embeddings is not this module's business (`agent.reward.scorer`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recast.curate.curation.diversity import group_terms_K, paper_marginals_K

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
class GroupReward:
    """Arrays of length K: the scalar, and the terms before their weights; 0 for infeasible candidates."""

    reward: Floats
    alignment: Floats
    diversity: Floats
    copy: Floats


def group_reward(
    feasible: Sequence[bool],
    nll: ArrayLike,
    embeddings: ArrayLike | None,
    *,
    mode: Mode,
    lambda_dist: float | None = None,
    lambda_div: float | None = None,
    lambda_copy: float = 0.1,
    nll_demonstration: float | None = None,
    nll_self: float | None = None,
    excess: ArrayLike | None = None,
    excess_demonstration: float | None = None,
    overlap: ArrayLike | None = None,
    base: ArrayLike | None = None,
) -> GroupReward:
    """Reward one group. Weights that are None are those of `weights_of`.

    `feasible[i]` is the gate; `nll[i]` nats per token under the QA prompt (ignored where infeasible, may be
    NaN there); `embeddings` (K, D) or None for no diversity term; `nll_demonstration` and `nll_self` are needed
    by `anchored`, `excess` (nats, summed) and `excess_demonstration` by `typical`; `overlap[i]` in [0, 1] is
    the share of candidate i that its demonstration holds too; `base[i]` is what a feasible candidate has before
    the terms, 1 where it is not given. Raises ValueError for what the mode lacks.
    """
    gate = np.asarray(feasible, dtype=bool)
    nlls = _column(nll, gate, "nll")
    align = np.zeros(len(gate))
    if mode == "paper":
        align[gate] = _zscore_alignment(nlls[gate])
    elif mode == "anchored":
        own, demo = _needed(nll_self, "nll_self", mode), _needed(nll_demonstration, "nll_demonstration", mode)
        align[gate] = _anchored(nlls[gate], own, demo, MIN_GAP_NATS)
    elif mode == "typical":
        if excess is None:
            raise ValueError("mode 'typical' needs the excess surprisal of every candidate, found None")
        demo = _needed(excess_demonstration, "excess_demonstration", mode)
        align[gate] = _anchored(_column(excess, gate, "excess")[gate], 0.0, demo, MIN_EXCESS_NATS)
    else:
        raise ValueError(f"reward mode {mode!r} is none of paper, anchored, typical")

    diversity = np.zeros(len(gate))
    if embeddings is not None and gate.any():
        rows = np.where(gate[:, None], np.asarray(embeddings, dtype=np.float64), 0.0)
        diversity = (
            paper_marginals_K(rows, gate.tolist()) if mode == "paper" else group_terms_K(rows, gate.tolist())
        )
    copy = np.zeros(len(gate))
    if overlap is not None and mode != "paper":
        copy = np.where(gate, np.maximum(0.0, np.asarray(overlap, dtype=np.float64) - FREE_OVERLAP), 0.0)
    lambda_dist, lambda_div = weights_of(mode, lambda_dist, lambda_div)
    before = 1.0 if base is None else np.asarray(base, dtype=np.float64)
    shaped = before + lambda_dist * align + lambda_div * diversity - lambda_copy * copy
    return GroupReward(np.where(gate, shaped, 0.0), align, diversity, copy)


def weights_of(
    mode: Mode, lambda_dist: float | None = None, lambda_div: float | None = None
) -> tuple[float, float]:
    """Weights of alignment and diversity; None is filled in with what suits the mode.

    Alignment 0.35 as in the paper, 1 in `typical`, whose term is meant to decide between styles and at 0.35 had a
    twentieth of the advantage variance while some candidates failed; diversity 0.15 on the repaired scale, 0.5 in
    `paper`.
    """
    dist = (1.0 if mode == "typical" else 0.35) if lambda_dist is None else lambda_dist
    div = (0.5 if mode == "paper" else 0.15) if lambda_div is None else lambda_div
    return dist, div


def _zscore_alignment(nll: Floats) -> Floats:
    """d = 1 / (1 + exp z) over the feasible set, its standard deviation 1 where it has one member."""
    if not len(nll):
        return nll
    spread = float(nll.std()) + PAPER_EPS if len(nll) > 1 else 1.0
    return 1.0 / (1.0 + np.exp((nll - nll.mean()) / (spread + PAPER_EPS)))


def _anchored(values: Floats, own: float, demonstration: float, min_gap: float) -> Floats:
    return np.clip(1.0 - np.maximum(values - own, 0.0) / max(demonstration - own, min_gap), 0.0, 1.0)


def _column(values: ArrayLike, gate: NDArray[np.bool_], name: str) -> Floats:
    column = np.asarray(values, dtype=np.float64)
    if column.shape != gate.shape:
        raise ValueError(
            f"{name} has shape {column.shape}, expected one value for each of {len(gate)} candidates"
        )
    if not np.isfinite(column[gate]).all():
        at = int(np.flatnonzero(gate & ~np.isfinite(column))[0])
        raise ValueError(f"{name} of feasible candidate {at} is {column[at]}; leave it out of `feasible`")
    return column


def _needed(value: float | None, name: str, mode: str) -> float:
    if value is None or not np.isfinite(value):
        raise ValueError(f"mode {mode!r} needs a finite {name}, found {value}")
    return float(value)
