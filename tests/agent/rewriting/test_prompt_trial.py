"""Prompts on the same rows: exact p-values worked out by hand, and a choice that can be that there is none."""

from __future__ import annotations

import pytest

from recast.agent.engines.protocol import Sample
from recast.agent.prompts.config import PromptsConfig
from recast.agent.prompts.prompts import DEFAULT, Prompts
from recast.agent.rewriting.forecast import Interval
from recast.agent.rewriting.prompt_trial import Trial, choice, sign_flip, try_prompts
from recast.agent.rewriting.rewrite import RewriteConfig
from recast.curate.errors import UsageError
from tests.fakes.engines import FakeEngine
from tests.fakes.gates import FakeGate
from tests.fakes.rows import rows

BRIEF = Prompts(PromptsConfig(system="brief"))


class Obeys(FakeEngine):
    """Good at every prompt with a system turn; at others where the seed is even."""

    class Tokenizer:
        chat_template = "{{ messages }}"

        def apply_chat_template(self, messages, **_):
            return list(range(10 * len(messages)))

    tokenizer = Tokenizer()

    def sample(self, prompts, k, sampling, *, seeds, adapter):
        drawn = super().sample(prompts, k, sampling, seeds=seeds, adapter=adapter)
        told = [prompt[0]["content"] == "brief" for prompt in prompts]
        return [
            [Sample("good", [1], [-1.0], "stop")] * k if t else group
            for t, group in zip(told, drawn, strict=True)
        ]


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        ([], 1.0),
        ([0, 0, 0], 1.0),
        ([1], 1.0),  # +1 or -1, both as far from 0
        ([1, 1, 1, 1, 1, 0], 2 / 32),  # all five up or all five down, of 2^5 ways
        ([2, 1], 2 / 4),  # sums 3, 1, -1, -3: two of four as far as 3
        ([4, -1, -1], 8 / 8),  # sums 6, 4, 4, 2 and their opposites: all as far as 2
    ],
)
def test_p_values_are_shares_of_all_signs(differences, p):
    assert sign_flip(differences) == pytest.approx(p)


def test_a_better_prompt_is_taken_and_its_figures_are_those_of_its_rows(tmp_path):
    config = RewriteConfig(embedding="none", candidates=4)
    trials = try_prompts(
        rows(40), Obeys(), FakeGate(), config, tmp_path, {"plain": DEFAULT, "brief": BRIEF}, num_rows=16
    )
    plain, brief = trials
    assert (plain.prompt_id, brief.prompt_id) == ("rewrite-1", BRIEF.rewrite_id)
    assert brief.accepted_by_row == (4,) * 16 and brief.accepted_candidates.value == 1.0
    assert brief.accepted_candidates.low == pytest.approx(16 / (16 + 1.959964**2)), (
        "Wilson: no spread between rows"
    )
    assert brief.tokens == 64 and brief.tokens_per_accepted_row == 4.0 and brief.reasons == {}
    assert (plain.prompt_tokens, brief.prompt_tokens) == (10, 20)
    accepted = sum(plain.accepted_by_row)
    assert plain.accepted_candidates.value == pytest.approx(accepted / 64)
    assert plain.reasons == {"bad": 64 - accepted}
    found = choice(trials)
    assert (found.take, found.leading, found.level) == ("brief", "brief", 0.05) and found.p_values[
        "plain"
    ] < 0.001


def trial(name: str, *accepted: int, tokens: int = 100) -> Trial:
    none = Interval(0.0, 0.0, 0.0)
    return Trial(name, name, len(accepted), none, none, tokens, None, 0.0, {}, accepted)


def test_where_rows_cannot_tell_no_prompt_is_taken():
    # differences 1, 1, 1, 1, -1: the sum 3 or more in absolute in 2 (1 + 5) of 32 ways
    found = choice([trial("a", 1, 1, 1, 1, 0), trial("b", 0, 0, 0, 0, 1)])
    assert found.take is None and found.leading == "a" and found.p_values == {"b": pytest.approx(12 / 32)}


def test_among_more_prompts_each_must_be_beaten_and_by_more():
    clear, even = (1,) * 6, (0,) * 6
    assert choice([trial("a", *clear), trial("b", *even)]).take == "a"  # p = 2 / 64 = 0.031
    four = choice([trial("a", *clear), *(trial(name, *even) for name in "bcd")])
    assert four.take is None and four.level == pytest.approx(0.1 / 4)
    assert choice([trial("a", *clear), trial("b", *clear)]).take is None
    assert choice([trial("a", *clear), trial("b", *clear, tokens=50)]).leading == "b", (
        "the cheaper of two equals"
    )


def test_two_names_of_one_prompt_are_refused(tmp_path):
    again = Prompts(PromptsConfig(examples=()))
    with pytest.raises(UsageError, match="plain and again ask alike"):
        try_prompts(
            rows(4), Obeys(), FakeGate(), RewriteConfig(), tmp_path, {"plain": DEFAULT, "again": again}
        )
