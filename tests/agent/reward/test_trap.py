"""What each reward mode pays in a world where a long-winded style beats the own style's mean NLL (`tests.fakes.trap`).

The scores are real. Those of `trap_scores.json` were taken from the trap's backbone after 120 steps; `make torture`
builds one anew. What agents that learn with these rewards end in is measured by `tests/bench/agent_trap.py`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recast.agent.reward.formula import MeasuredGroup, Mode, Weights, group_reward
from tests.fakes import trap

SCORES = Path(__file__).with_name("trap_scores.json")
STYLES = ("own", "winded", "tripled")
OWN, WINDED, TRIPLED = range(3)


@pytest.fixture(scope="module", params=["recorded", pytest.param("built", marks=pytest.mark.torture)])
def scores(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    if request.param == "recorded":
        return json.loads(SCORES.read_text())
    from recast.agent.engines.hf.engine import HFEngine

    folder = tmp_path_factory.mktemp("trap")
    return trap.measure(HFEngine.load(trap.build(folder / "backbone", folder / "work")))


def alignment(scores: dict[str, Any], mode: Mode) -> np.ndarray:
    """Mean alignment term of the three styles, a group of all three a problem, all accepted."""
    groups = []
    for *texts, demonstration in zip(*(scores[s] for s in STYLES), scores["demonstration"], strict=True):
        nll, excess = np.array(texts).T
        group = MeasuredGroup(
            np.ones(len(STYLES), bool),
            nll,
            excess,
            nll_demonstration=demonstration[0],
            excess_demonstration=demonstration[1],
            nll_self=scores["nll_self"],
        )
        groups.append(group_reward(group, Weights.of(mode)).alignment)
    return np.mean(groups, axis=0)


def test_the_trap_is_set(scores: dict[str, Any]) -> None:
    own, winded = (np.mean(scores[style], axis=0) for style in ("own", "winded"))
    assert winded[0] < 0.8 * own[0], "mean NLL prefers the style in which the backbone hardly ever speaks"
    assert winded[1] > own[1] + 1.0, "yet to begin it is a surprise"


def test_paper_mode_walks_into_the_trap(scores: dict[str, Any]) -> None:
    found = alignment(scores, "paper")
    assert found[WINDED] > found[OWN] + 0.1


def test_anchored_mode_pays_the_trap_no_less_than_the_own_style(scores: dict[str, Any]) -> None:
    # both lie about the level of own samples, where the term saturates
    found = alignment(scores, "anchored")
    assert found[WINDED] >= found[OWN]


def test_typical_mode_pays_the_own_style(scores: dict[str, Any]) -> None:
    found = alignment(scores, "typical")
    assert found[OWN] > found[WINDED] + 0.1


def test_saying_it_three_times_buys_nothing_in_typical_mode(scores: dict[str, Any]) -> None:
    found = alignment(scores, "typical")
    assert found[TRIPLED] <= found[WINDED]
