"""Settings of learning read off a few rows, by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from recast.agent.engines.protocol import LENGTH, STOP, Sample
from recast.agent.learning.config import LearnConfig
from recast.agent.learning.suggestion import Tried, bounded, learning_rate, suggested, tried
from recast.agent.prompts.prompts import DEFAULT
from tests.fakes.gates import LetterVerdictGate

WARM = Tried(0.6, 32, 256, {"low": 0.1, "value": 0.2, "high": 0.3}, 16, 18, 0.0, (40, 60, 100), {"copy": 9})


class Engine:
    """Says of the first row an accepted text and a refused one, of the others what is cut."""

    def sample(self, prompts: Any, k: int, sampling: Any, *, seeds: Any, adapter: bool) -> list[list[Sample]]:
        assert (sampling.temperature, adapter, len({s for row in seeds for s in row})) == (
            0.6,
            False,
            k * len(prompts),
        )
        first = [Sample("a" if j < 2 else "no", [1] * 9, [0.0] * 9, STOP) for j in range(k)]
        return [first, *[[Sample("a", [1] * 20, [0.0] * 20, LENGTH)] * k] * (len(prompts) - 1)]


def test_a_temperature_is_tried_on_whole_rows() -> None:
    rows = [
        {"row_id": name, "messages": [{"role": "user", "content": name}], "demonstration": "01"}
        for name in "qrs"
    ]
    found = tried(rows, Engine(), LetterVerdictGate(), DEFAULT, 0.6, LearnConfig())  # pyright: ignore[reportArgumentType]
    assert (found.rows, found.candidates, found.teaching, found.passing) == (3, 24, 1, 1)
    assert found.accepted["value"] == 2 / 24
    assert found.truncated == 16 / 24 and found.tokens == (9, 9)


def test_the_temperature_of_the_most_rows_that_teach_is_taken_and_the_batch_follows() -> None:
    cold = replace(WARM, temperature=0.3, teaching=8, accepted={"low": 0.3, "value": 0.4, "high": 0.5})
    found = suggested([cold, WARM], 300, 135_000_000, LearnConfig())
    # half of the rows teach: 8 prompts for 4; 99 % of the lengths lie below 99.2, 1.25 of it in sixteens
    assert found.settings == {
        "learn.temperature": 0.6,
        "learn.lr": 2e-4,
        "learn.prompts_per_step": 8,
        "learn.max_tokens": 128,
    }
    assert found.because.keys() == found.settings.keys()


def test_where_few_rows_teach_a_warm_start_is_drawn_of_as_many_as_make_48_texts() -> None:
    weak = replace(WARM, teaching=4, passing=8)
    found = suggested([weak], 300, 135_000_000, LearnConfig()).settings
    # a row in four has a text, and two of it are taken: 96 rows
    assert (found["warm_start.rows"], found["learn.prompts_per_step"]) == (96, 32)
    none = replace(WARM, teaching=0, passing=0, tokens=(), truncated=0.5)
    found = suggested([none], 200, 135_000_000, LearnConfig(max_tokens=100)).settings
    assert (found["warm_start.rows"], found["learn.prompts_per_step"], found["learn.max_tokens"]) == (
        200,
        64,
        200,
    )


def test_the_learning_rate_lies_between_those_of_the_nearest_sizes() -> None:
    sizes = [1_000_000, 135_000_000, 1_000_000_000, 7_000_000_000, 70_000_000_000]
    assert [learning_rate(n) for n in sizes] == [3e-4, 2e-4, 2e-5, 3e-6, 3e-6]


def test_what_is_tried_is_no_longer_than_demonstrations_allow() -> None:
    def tokenizer(texts: list[str], *, add_special_tokens: bool) -> dict[str, list[list[int]]]:
        return {"input_ids": [list(map(ord, text)) for text in texts]}

    rows = [{"demonstration": "0123456789"}, {"demonstration": "01"}]
    assert bounded(LearnConfig(), rows, tokenizer).max_tokens == 2 * 10 + 32
    assert bounded(LearnConfig(max_tokens=8), rows, tokenizer).max_tokens == 8
