"""A row that raises is data; an engine that fails on everything stops the job."""

from __future__ import annotations

import pytest

from recast.agent.batches.isolation import CANARY, described, each, sample_each
from recast.agent.engines.protocol import Sampling
from tests.fakes.engines import FakeEngine


def doubled(chosen):
    if 2 in chosen:
        raise ValueError("two")
    return [2 * i for i in chosen]


def never() -> None:
    raise AssertionError("the engine was asked for nothing")


def test_what_raises_together_is_called_alone_and_keeps_its_exception() -> None:
    found = each(doubled, 4, never)
    assert [found[0], found[1], found[3]] == [0, 2, 6]
    assert isinstance(found[2], ValueError) and described(found[2]) == "ValueError: two"
    assert each(doubled, 2, never) == [0, 2] and each(doubled, 0, never) == []


def test_where_all_raise_the_probe_tells_bad_rows_from_a_dead_engine() -> None:
    def broken(chosen):
        raise ValueError(f"{len(chosen)} rows")

    def dead() -> None:
        raise RuntimeError("device lost")

    assert [str(e) for e in each(broken, 2, lambda: None)] == ["1 rows", "1 rows"]
    with pytest.raises(ValueError, match="2 rows"):  # what was raised first, not what the probe met
        each(broken, 2, dead)


def test_a_prompt_that_cannot_be_made_is_its_rows_own_failure() -> None:
    rows = [{"content": "a"}, {}, {"content": "b"}]

    def prompt(i: int):
        return [{"role": "user", "content": rows[i]["content"]}]

    first, broken, last = sample_each(FakeEngine(), prompt, 1, Sampling(), [[0], [1], [2]], adapter=False)
    assert isinstance(broken, KeyError)
    # the fake answers by the seed: 0 and 2 are even, of two words the first
    assert isinstance(first, list) and isinstance(last, list)
    assert [g[0].text for g in (first, last)] == ["good 0", "good 2"]


def test_the_engine_is_asked_for_one_token_in_the_jobs_own_way() -> None:
    class Picky(FakeEngine):
        """Refuses every row, answers the canary."""

        def sample(self, prompts, k, sampling, *, seeds, adapter):
            if prompts != [CANARY]:
                raise ValueError("no")
            asked.append((k, sampling, adapter))
            return super().sample(prompts, k, sampling, seeds=seeds, adapter=adapter)

    asked: list[tuple] = []
    prompt = [{"role": "user", "content": "x"}]
    groups = sample_each(Picky(), lambda i: prompt, 2, Sampling(0.5, 0.9, 64), [[0, 1]], adapter=True)
    assert isinstance(groups[0], ValueError)
    assert asked == [(1, Sampling(0.5, 0.9, 1), True)]
