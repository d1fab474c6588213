"""What all engines do alike, over one that echoes: refusal by length, order, seeds, scores."""

from __future__ import annotations

import math

import pytest

from recast.agent.engines.protocol import (
    PROMPT_TOO_LONG,
    ContinuesTokens,
    Inspectable,
    KeepsAnswers,
    Sample,
    Sampling,
    uncached,
)
from recast.agent.engines.requests import TokenEngine, grouped, score_as_prompts
from tests.fakes.engines import FakeEngine
from tests.fakes.models import make_tokenizer


class Echo(TokenEngine):
    """Says how long the prompt was, and the seed; `room` is what it may draw."""

    def __init__(self, longest: int = 4) -> None:
        self.longest = longest
        self.asked: list[list[int]] = []

    @property
    def max_length(self) -> int:
        return self.longest

    def draw(self, requests, sampling, adapter):
        self.asked += [request.prompt for request in requests]
        said = [
            Sample(f"{len(r.prompt)}/{seed}", list(range(self.room(r, sampling))), [], "stop")
            for r in requests
            for seed in r.seeds
        ]
        return grouped(said, requests)


def test_prompts_that_leave_no_room_are_refused_and_the_others_keep_their_places() -> None:
    engine = Echo()
    prompts, seeds = [[1], [1] * 4, [1, 1, 1]], [[5, 6], [7, 8], [9, 10]]
    groups = engine.sample_ids(prompts, 2, Sampling(max_tokens=2), seeds=seeds, adapter=False)
    assert [[s.text for s in g] for g in groups] == [["1/5", "1/6"], ["", ""], ["3/9", "3/10"]]
    assert {s.finish_reason for s in groups[1]} == {PROMPT_TOO_LONG}
    assert engine.asked == [[1], [1, 1, 1]]
    assert [len(g[0].token_ids) for g in groups] == [2, 0, 1], "of 4 tokens the prompt of 3 leaves 1"


def test_an_engine_is_not_asked_where_nothing_fits() -> None:
    engine = Echo()
    assert len(engine.sample_ids([[1] * 9], 1, Sampling(), seeds=[[0]], adapter=True)[0]) == 1
    assert engine.asked == []


def test_a_seed_for_each_sample_of_every_prompt_is_needed() -> None:
    with pytest.raises(ValueError, match=r"seeds for 1 prompts x \[1\], expected 1 prompts x 2"):
        Echo().sample_ids([[1]], 2, Sampling(), seeds=[[0]], adapter=False)


def test_scores_are_the_mean_over_the_target_and_nan_beyond_the_model() -> None:
    engine = Echo(longest=100)
    engine.tokenizer = make_tokenizer()
    asked = [[{"role": "user", "content": text}] for text in ("a", "b" * 500)]
    short, long = score_as_prompts(
        engine, asked, ["x", "x"], lambda pairs: [[-1.0] + [-3.0] * (len(t) - 1) for _, t in pairs]
    )
    # "x" and its end of turn: two tokens of 1 and 3 nats
    assert (short.nll, short.num_tokens) == (2.0, 2) and math.isnan(short.entropy)
    assert math.isnan(long.nll) and long.num_tokens == 2


def test_what_only_some_engines_can_do_is_seen_by_its_member() -> None:
    plain, echo = FakeEngine(), Echo()
    assert not isinstance(plain, Inspectable | ContinuesTokens | KeepsAnswers)
    assert isinstance(echo, ContinuesTokens) and not isinstance(echo, Inspectable)
    assert uncached(plain) is plain  # pyright: ignore[reportArgumentType]
