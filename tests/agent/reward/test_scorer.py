"""From groups to rewards: who gets one, who gets 0, who gets none, and what TRL is told."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from recast.agent.engines.protocol import Score
from recast.agent.reward.alignment import AnchorCache
from recast.agent.reward.scorer import Scorer, Weights
from recast.curate.records import Check, CheckStatus, Verdict
from tests.fakes.engines import TOKENIZER, LengthEngine
from tests.fakes.gates import LetterVerdictGate
from tests.fakes.rows import question as row

ROWS = [row("q", "0123456789"), row("r", "0123456789")]  # demonstration 1.0 nats, own samples 1.0


def columns(*places: int) -> dict[str, list[Any]]:
    """The columns of a data set that TRL hands over, for the rows at `places`."""
    return {name: [ROWS[i][name] for i in places] for name in ("messages", "demonstration")}


class Engine(LengthEngine):
    """Scores as its base does, and embeds a text by its first letter."""

    eos_ids = (7,)

    def score(
        self,
        prompts: Sequence,
        completions: Sequence[str],
        *,
        adapter: bool,
        embed: bool = False,
        temperature: float = 1.0,
    ) -> tuple[list[Score], np.ndarray | None]:
        plain = self.logprobs(prompts, completions, adapter=adapter)
        scores = [replace(s, excess=s.excess / temperature) for s in plain]
        states = np.array([[ord(c[0]), 100.0] for c in completions]) if embed else None
        return scores, states


def scorer(**options: Any) -> Scorer:
    engine = Engine()
    return Scorer(
        engine,
        LetterVerdictGate(),
        AnchorCache(engine, TOKENIZER),
        Weights.of(**{"mode": "anchored", **options}),
    )


def test_accepted_gets_shaped_refused_gets_zero_undecided_gets_none() -> None:
    group = scorer(lambda_div=0.0).score(ROWS[:1], [["aaaa", "no", "u"]], [["stop"] * 3])[0]
    # gap 0 counts as 0.05 and "aaaa" lies below own samples: alignment 1
    assert group.rewards == (pytest.approx(1.35), 0.0, None)
    assert math.isnan(group.nll[1]) and group.nll[0] == pytest.approx(0.4)


def test_a_truncated_candidate_fails() -> None:
    group = scorer().score(ROWS[:1], [["aaaa"]], [["length"]])[0]
    assert group.rewards == (0.0,)


def test_a_soft_gate_pays_outside_the_gate() -> None:
    """For ablation: the answer alone is worth half, and the shaping is paid whatever the gate says."""

    class AnswerGate(LetterVerdictGate):
        def verify_many(self, *args: Any, **kwargs: Any) -> list[Verdict]:
            right = (Check("answer", CheckStatus.PASS), Check("arithmetic", CheckStatus.FAIL))
            return [
                replace(v, checks=right) if text[0] == "r" else v
                for text, v in zip(args[1], super().verify_many(*args, **kwargs), strict=True)
            ]

    subject = scorer(lambda_div=0.0, soft_gate=True)
    subject.gate = AnswerGate()
    group = subject.score(ROWS[:1], [["aaaa", "r", "no", "u"]], [["stop"] * 4])[0]
    # each is likelier than own samples: alignment 1, weight 0.35
    assert group.rewards == (pytest.approx(1.35), pytest.approx(0.85), pytest.approx(0.35), None)
    assert group.accepted == [True, False, False, False]


def test_scored_under_the_rewriting_prompt_the_demonstration_is_shown() -> None:
    subject = scorer(scored_under="rewriting")
    seen: list[Any] = []
    plain = subject.engine.logprobs
    subject.engine.logprobs = lambda prompts, *a, **k: seen.extend(prompts) or plain(prompts, *a, **k)
    subject.score(ROWS[:1], [["aaaa"]], [["stop"]])
    assert len(seen) == 2, "the candidate and the demonstration"
    assert all(ROWS[0]["demonstration"] in prompt[-1]["content"] for prompt in seen)


def test_refused_candidates_are_not_scored_unless_asked_for() -> None:
    subject = scorer()
    subject.score(ROWS[:1], [["no", "never"]], [["stop"] * 2])
    assert isinstance(subject.engine, Engine)  # the fake, which keeps what it was asked
    assert subject.engine.scored == ["0123456789"], "the demonstration alone"
    measured = subject.score(ROWS[:1], [["no"]], [["stop"]], score_rejected=True)[0]
    assert measured.nll[0] == pytest.approx(0.2) and measured.rewards == (0.0,)


def test_an_accepted_candidate_that_cannot_be_scored_has_no_reward() -> None:
    rows = [row("q", "long")]  # the demonstration cannot be scored: no anchor
    assert scorer().score(rows, [["aaaa"]], [["stop"]])[0].rewards == (None,)
    assert scorer(mode="paper").score(rows, [["aaaa"]], [["stop"]])[0].rewards[0] == pytest.approx(1.175)


def test_the_reward_function_drops_groups_in_which_none_passed() -> None:
    function = scorer(lambda_div=0.0).reward_func()
    completions = [[{"role": "assistant", "content": c}] for c in ("aa", "no", "no", "no")]
    rewards = function(completions=completions, **columns(0, 0, 1, 1), prompts=None, trainer_state=None)
    assert rewards == [pytest.approx(1.35), 0.0, None, None]


def test_the_reward_function_takes_plain_strings_and_finish_reasons() -> None:
    function = scorer(lambda_div=0.0).reward_func()
    found = function(completions=["aa", "aa"], finish_reason=["stop", "length"], **columns(0, 0))
    assert found == [pytest.approx(1.35), 0.0]


def test_a_completion_whose_tokens_end_in_no_end_of_turn_was_cut() -> None:
    function = scorer(lambda_div=0.0).reward_func()
    found = function(completions=["aa", "aa"], completion_ids=[[5, 7], [5, 5]], **columns(0, 0))
    assert found == [pytest.approx(1.35), 0.0]


def test_a_prompt_twice_in_a_row_stays_two_groups() -> None:
    seen: list[int] = []
    function = scorer().reward_func(group_size=2, on_scored=lambda groups: seen.append(len(groups)))
    function(completions=["aa", "ab", "ac", "ad"], **columns(0, 0, 0, 0))
    assert seen == [2]
    with pytest.raises(ValueError, match="whole groups"):
        function(completions=["aa", "ab", "ac"], **columns(0, 0, 1))


def test_figures_of_a_step() -> None:
    subject = scorer(lambda_div=0.0)
    groups = subject.score(ROWS, [["aaaa", "no"], ["u", "no"]], [["stop"] * 2] * 2)
    figures = subject.figures(groups)
    assert figures["reward"] == pytest.approx(1.35 / 4)
    assert figures["pass_rate"] == pytest.approx(0.25)
    assert figures["unverifiable_frac"] == pytest.approx(0.25)
    assert figures["nll"] == pytest.approx(0.4)
    assert (figures["groups_mixed"], figures["groups_all_fail"]) == (0.5, 0.5)
    assert figures["pair_distance"] is None
    assert (figures["unique_frac"], figures["repetition"]) == (1.0, 0.0)


def test_repetition_is_the_share_of_word_4_grams_said_before() -> None:
    # "a b c d" x 2 is 8 words, 5 4-grams, of which abcd comes twice
    text = "a b c d a b c d"
    group = scorer().score(ROWS[:1], [[text]], [["stop"]])
    assert scorer().figures(group)["repetition"] == pytest.approx(1 / 5)


def test_weights_follow_the_mode_unless_they_are_given() -> None:
    found = {mode: Weights.of(mode) for mode in ("paper", "anchored", "typical")}
    assert [w.lambda_dist for w in found.values()] == [0.35, 0.35, 1.0]
    assert [w.lambda_div for w in found.values()] == [0.5, 0.25, 0.25]
    before = [Weights.of(mode, revision=1) for mode in ("paper", "anchored", "typical")]
    assert [w.lambda_div for w in before] == [0.5, 0.15, 0.15], "as runs began that measured it by states"
    given = Weights.of("typical", 0.2, 0.0)
    assert (given.lambda_dist, given.lambda_div) == (0.2, 0.0)


def test_figures_tell_what_accepted_candidates_cost_beside_their_demonstration_and_whether_their_words_are_its() -> (
    None
):
    rows = [row("q", "apples and pears")]  # 16 letters: 1.6 nats
    subject = scorer(mode="paper")
    group = subject.score(rows, [["apples and a long story", "and", "no"]], [["stop"] * 3])
    figures = subject.figures(group)
    assert figures["nll_gain"] == pytest.approx((2.3 + 0.3) / 2 - 1.6)
    # stems: apple and | a long story -> 1 - 2*2/8; and -> 1 - 2*1/4
    assert figures["word_drift"] == pytest.approx((0.5 + 0.5) / 2)
    none = subject.figures(subject.score(rows, [["no"]], [["stop"]]))
    assert none["nll_gain"] is None and none["word_drift"] is None


def test_candidates_and_demonstration_are_measured_at_the_temperature_of_the_anchors() -> None:
    engine = Engine()
    anchors = AnchorCache(engine, TOKENIZER, own_samples=0, temperature=0.5)
    subject = Scorer(engine, LetterVerdictGate(), anchors, Weights.of("typical", lambda_div=0.0))
    # the fake's excess is 2 nats a letter, twice that at temperature 1/2: 16 of the candidate, 40 of the demonstration
    group = subject.score(ROWS[:1], [["aaaa"]], [["stop"]])[0]
    assert anchors.of(ROWS[:1])[0].excess_demonstration == 40.0
    assert group.rewards == (pytest.approx(1 + (1 - 16 / 40)),)


def test_diversity_is_told_by_phrases_or_by_states() -> None:
    texts = ["a b", "a b", "a c"]  # to the fake's states, which know the first letter alone, all are one
    engine = Engine()
    told = [
        Scorer(
            engine, LetterVerdictGate(), AnchorCache(engine, TOKENIZER), Weights.of("anchored"), phrases=by
        )
        for by in (True, False)
    ]
    phrases, states = (s.score(ROWS[:1], [texts], [["stop"] * 3])[0] for s in told)
    # novelties: twins 1/3 (a), 1/2 (b), 1/2 (a b): (5/12 + 1/2)/2; the third 1/3, 1 and 1: (2/3 + 1)/2
    assert phrases.novelty == pytest.approx((2 * (5 / 12 + 1 / 2) / 2 + (2 / 3 + 1) / 2) / 3)
    assert phrases.terms.diversity.tolist() == pytest.approx([0.33025, 0.33025, 0.80442], abs=1e-4)
    assert states.terms.diversity.tolist() == pytest.approx([0.5] * 3)
