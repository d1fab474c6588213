"""Whether a first step shows anything to learn, and what is advised where it does not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from recast.agent.learning.config import LearnConfig
from recast.agent.learning.signal import signal
from recast.curate.records import Verdict, VerdictStatus

COOL = LearnConfig(temperature=0.5)


def group(*rewards: float, reason: str = "wrong_answer", texts: int = 4) -> Any:
    """Candidates that passed where they earned something; `texts` of them differ."""
    verdicts = [
        Verdict(VerdictStatus.ACCEPTED) if r else Verdict(VerdictStatus.REJECTED, reason) for r in rewards
    ]
    said = [str(i % texts) for i in range(len(rewards))]
    return SimpleNamespace(
        rewards=rewards, verdicts=verdicts, accepted=[v.accepted for v in verdicts], texts=said
    )


def advised(*groups: Any, config: LearnConfig = COOL, warm: bool = False, plain: bool = True) -> list[str]:
    return signal(groups, config, warm=warm, plain_prompt=plain).advice


def test_prompts_that_teach_are_counted_and_the_share_has_an_interval_over_prompts() -> None:
    found = signal(
        [group(1.5, 0, 0, 0), group(0, 0, 0, 0), group(1.2, 1.1, 1.3, 1.4)],
        COOL,
        warm=False,
        plain_prompt=True,
    )
    assert (found.prompts, found.candidates, found.teaching) == (3, 12, 2)
    # shares 1/4, 0, 1: mean 5/12, deviation 0.5204, Student's t of 2 degrees 4.303
    assert found.accepted["value"] == pytest.approx(5 / 12)
    assert (found.accepted["low"], found.accepted["high"]) == (0.0, 1.0)
    assert found.reasons == {"wrong_answer": 7}
    assert found.advice == [], "two of three prompts teach"
    assert found.words.startswith(
        "42% of 12 candidates passed the gate (0% to 100%), and 2 of 3 prompts teach"
    )


def test_where_nobody_passes_a_warm_start_comes_first_and_only_once() -> None:
    fail = group(0, 0, 0, 0)
    assert "warm_start.rows" in advised(fail, fail)[0]
    assert not any("warm_start" in words for words in advised(fail, fail, warm=True))
    assert signal([fail] * 4, COOL, warm=False, plain_prompt=True).accepted["high"] == pytest.approx(
        0.49, abs=0.01
    )


def test_what_is_advised_is_what_has_not_been_done() -> None:
    fail = group(0, 0, 0, 0)
    hot = LearnConfig(temperature=1.0)
    assert any("learn.temperature=0.6" in words for words in advised(fail, fail, config=hot))
    assert not any("learn.temperature" in words for words in advised(fail, fail))
    assert any("prompts.preset=math" in words for words in advised(fail, fail))
    assert not any("preset" in words for words in advised(fail, fail, plain=False))
    assert any("learn.redraws=2" in words for words in advised(fail, fail))
    assert not any("redraws" in words for words in advised(fail, fail, config=LearnConfig(redraws=1)))


def test_candidates_that_are_alike_want_a_higher_temperature_and_cut_ones_more_tokens() -> None:
    same = group(0, 0, 0, 0, texts=1)
    assert "learn.temperature=0.8" in advised(same, same)[0]
    cut = group(0, 0, 0, 0, reason="truncated")
    assert "learn.max_tokens=1024" in advised(cut, cut)[0]


def test_where_all_pass_and_earn_the_same_nothing_is_left_to_learn() -> None:
    full = group(1.5, 1.5, 1.5, 1.5)
    assert advised(full, full) == [
        "all pass and earn the same: there is nothing left to learn from these rows"
    ]
