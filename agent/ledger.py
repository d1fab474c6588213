"""What a step's reward was made of: group fates, and which term moved the candidates apart. Pure numpy.

A term can have weight and no say: in a prototype the diversity term was too small to stop pair diversity from
falling by half. The ledger shows it at every step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from agent.reward import GroupReward

WINDOW = 5
"""Steps averaged at each end of a run, for the alarms."""
ALARM_MIN_SHARE = 0.01
"""Share of the shaping variance below which a term has no say."""
ALARM_REPETITION_RISE = 0.05
"""Rise of the share of repeated 4-grams."""
ALARM_LENGTH_FALL = 0.6
"""Mean length that is left of the first steps', likewise the next two."""
ALARM_DIVERSITY_FALL = 0.5
ALARM_OPENING_FALL = 0.5


def shaping_shares(groups: Sequence[GroupReward], weights: dict[str, float]) -> dict[str, float]:
    """Share of the within-group variance of the shaping that each term brings, over feasible candidates.

    `weights` maps `alignment`, `diversity`, `copy` to their signed factors. The share of a term t in the sum
    s is cov(t, s) / var(s): shares add up to 1, and one is negative where a term works against the others.
    All 0 where no candidate differs from its group.
    """
    centred: dict[str, list[np.ndarray]] = {name: [] for name in weights}
    for group in groups:
        gate = group.reward > 0
        if gate.sum() < 2:
            continue
        for name, weight in weights.items():
            term = weight * getattr(group, name)[gate]
            centred[name].append(term - term.mean())
    terms = {name: np.concatenate(parts) if parts else np.zeros(0) for name, parts in centred.items()}
    total = sum(terms.values()) if terms else np.zeros(0)
    variance = float(np.dot(total, total))
    if variance < 1e-12:
        return dict.fromkeys(weights, 0.0)
    return {name: float(np.dot(term, total)) / variance for name, term in terms.items()}


def gate_share(groups: Sequence[GroupReward]) -> float:
    """Share of the within-group variance of the whole reward that the gate brings (0 to 1)."""
    gate, total = 0.0, 0.0
    for group in groups:
        g = (group.reward > 0).astype(float)
        r = group.reward - group.reward.mean()
        total += float(np.dot(r, r))
        # the gate's part: what the reward would vary by if every feasible candidate had the same shaping
        level = group.reward[g > 0].mean() if g.any() else 0.0
        between = level * g - (level * g).mean()
        gate += float(np.dot(between, between))
    return gate / total if total > 1e-12 else 0.0


def group_fates(accepted: Sequence[Sequence[bool]]) -> dict[str, float]:
    """Fractions of groups in which all, some and none of the candidates passed."""
    count = max(1, len(accepted))
    whole = sum(all(group) for group in accepted)
    none = sum(not any(group) for group in accepted)
    return {
        "groups_all_pass": whole / count,
        "groups_mixed": (len(accepted) - whole - none) / count,
        "groups_all_fail": none / count,
    }


def mean_or_none(values: Sequence[float] | np.ndarray) -> Any:
    """Mean of the finite values, None where there are none (JSON holds no NaN)."""
    array = np.asarray(values, dtype=np.float64)
    array = array[np.isfinite(array)]
    return float(array.mean()) if len(array) else None


def alarms(steps: Sequence[Mapping[str, Any]], weights: Mapping[str, float]) -> dict[str, str]:
    """What is wrong with a run so far, by name, each with its figures. `steps` are the lines of metrics.jsonl.

    Compares the last `WINDOW` steps with the first ones; says nothing before there are twice as many.
    """
    found: dict[str, str] = {}
    if len(steps) < 2 * WINDOW:
        return found
    before, now = steps[:WINDOW], steps[-WINDOW:]

    def mean(lines: Sequence[Mapping[str, Any]], name: str) -> float | None:
        return mean_or_none([line[name] for line in lines if line.get(name) is not None])

    varied = [line for line in now if any(line.get(f"share_{name}") for name in weights)]
    for name, weight in weights.items():
        shares = [abs(line[f"share_{name}"]) for line in varied if line.get(f"share_{name}") is not None]
        # a copy term that never acts is what one hopes for
        if weight and name != "copy" and shares and max(shares) < ALARM_MIN_SHARE:
            found[f"weak_{name}"] = f"{name} brings under 1 % of the shaping variance"
    changes = (
        ("repetition", lambda a, b: b > a + ALARM_REPETITION_RISE, "repeated 4-grams rose"),
        ("mean_tokens", lambda a, b: b < a * ALARM_LENGTH_FALL, "rewrites became shorter"),
        ("pair_distance", lambda a, b: b < a * ALARM_DIVERSITY_FALL, "candidates of a prompt grew alike"),
        ("opening_entropy", lambda a, b: b < a * ALARM_OPENING_FALL, "one opening takes over"),
    )
    for name, wrong, words in changes:
        first, last = mean(before, name), mean(now, name)
        if first is not None and last is not None and wrong(first, last):
            found[name] = f"{words}: {first:.3g} at first, {last:.3g} now"
    return found
