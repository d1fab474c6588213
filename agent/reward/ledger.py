"""What a step's reward was made of: group fates, and which term moved the candidates apart. Pure numpy.

A term can have weight and no say: in a prototype the diversity term was too small to stop pair diversity from
falling by half. The ledger shows it at every step, and `alarms` says what went wrong over the steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from recast.agent.reward import drift
from recast.agent.reward.formula import GroupReward
from recast.curate.records import CheckStatus, Verdict

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
ALARM_MIN_DISTANCE = 0.005
"""Pair distance below which candidates were alike from the start: half of `curate.curation.diversity.STD_FLOOR`, as
pair distances are (1 - cos) / 2."""
ALARM_JUDGE = 0.2
"""Share of judged candidates on which the judge contradicts the other checks."""
ALARM_KL = 0.5
"""Mean KL from the backbone in nats per token: about e^0.5 = 1.6 times as likely as before, token after token."""
ALARM_ADVANTAGE = 1e-6
"""Advantage above which a candidate of a group in which none passed counts as rewarded."""
STOPS = ("kl", "repetition")
"""Alarms that end a run: what follows them is text that nobody wants."""

Rewards = Sequence[Sequence[float | None]]


def shaping_shares(groups: Sequence[GroupReward], weights: Mapping[str, float]) -> dict[str, float]:
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
            term = weight * group.by_name[name][gate]
            centred[name].append(term - term.mean())
    terms = {name: np.concatenate(parts) if parts else np.zeros(0) for name, parts in centred.items()}
    total = sum(terms.values()) if terms else np.zeros(0)
    variance = float(np.dot(total, total))
    if variance < 1e-12:
        return dict.fromkeys(weights, 0.0)
    return {name: float(np.dot(term, total)) / variance for name, term in terms.items()}


def gate_share(groups: Rewards, scale: Literal["batch", "group", "none"] = "none") -> float:
    """Share of the variance of the advantages that the gate brings (0 to 1); the shaping brings the rest.

    `groups` holds the rewards of each group: 0 where the gate refused, None where there is none; a group in
    which none passed has no advantage and is left out. The advantages of a group vary between its passed and
    its failed candidates (the gate's part) and among the passed ones (the shaping's). `scale` is TRL's
    `scale_rewards`: `group` weighs groups by the inverse of their variance, the others weigh all alike.
    """
    gate, total = 0.0, 0.0
    for group in groups:
        r = np.array([value for value in group if value is not None], dtype=np.float64)
        passed = r > 0
        if not passed.any():
            continue
        whole = float(np.square(r - r.mean()).sum())
        shaping = float(np.square(r[passed] - r[passed].mean()).sum())
        weight = len(r) / whole if scale == "group" and whole > 1e-12 else 1.0
        gate, total = gate + weight * (whole - shaping), total + weight * whole
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


def judge_disagreement(verdicts: Sequence[Verdict]) -> float | None:
    """Share of the candidates on which a judge contradicts the checks that need no judge; None without a judge.

    It contradicts where it says YES to an answer that is checked to be wrong, or NO where all else passes.
    """
    judged, against = 0, 0
    for verdict in verdicts:
        said = {check.name: check.status for check in verdict.checks}
        judge = said.pop("judge", CheckStatus.UNDECIDED)
        if judge is CheckStatus.UNDECIDED:
            continue
        judged += 1
        fooled = judge is CheckStatus.PASS and said.get("answer") is CheckStatus.FAIL
        strict = judge is CheckStatus.FAIL and all(s is CheckStatus.PASS for s in said.values())
        against += fooled or strict
    return against / judged if judged else None


def mean_or_none(values: Sequence[float] | np.ndarray) -> Any:
    """Mean of the finite values, None where there are none (JSON holds no NaN)."""
    array = np.asarray(values, dtype=np.float64)
    array = array[np.isfinite(array)]
    return float(array.mean()) if len(array) else None


def alarms(steps: Sequence[Mapping[str, Any]], weights: Mapping[str, float]) -> dict[str, str]:
    """What is wrong with a run so far, by name, each with its figures. `steps` are the lines of metrics.jsonl.

    What must never happen is said at once; for the rest the last `WINDOW` steps are compared with the first
    ones, so nothing is said before there are twice as many.
    """
    found: dict[str, str] = {}
    leaked = [line["step"] for line in steps if (line.get("advantage_all_fail") or 0.0) > ALARM_ADVANTAGE]
    if leaked:
        found["advantage_all_fail"] = (
            f"candidates of a group in which none passed had an advantage, first at step {leaked[0]}"
        )
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
    limits = (
        ("kl", ALARM_KL, "the agent is far from the backbone: KL of {0:.3g} nats a token, limit {1:g}"),
        (
            "judge_disagreement",
            ALARM_JUDGE,
            "the judge contradicts the other checks on {0:.0%}, limit {1:.0%}",
        ),
    )
    for name, limit, words in limits:
        last = mean(now, name)
        if last is not None and last > limit:
            found[name] = words.format(last, limit)
    found |= drift.warnings(mean(now, "nll_gain"), mean(now, "word_drift"))
    changes = (
        ("repetition", lambda a, b: b > a + ALARM_REPETITION_RISE, "repeated 4-grams rose"),
        ("mean_tokens", lambda a, b: b < a * ALARM_LENGTH_FALL, "rewrites became shorter"),
        (
            "pair_distance",
            lambda a, b: a >= ALARM_MIN_DISTANCE and b < a * ALARM_DIVERSITY_FALL,
            "candidates of a prompt grew alike",
        ),
        ("opening_entropy", lambda a, b: b < a * ALARM_OPENING_FALL, "one opening takes over"),
    )
    for name, wrong, words in changes:
        first, last = mean(before, name), mean(now, name)
        if first is not None and last is not None and wrong(first, last):
            found[name] = f"{words}: {first:.3g} at first, {last:.3g} now"
    return found
