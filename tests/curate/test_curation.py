"""Every filter removes what it names, in order, and nothing disappears."""

from __future__ import annotations

import numpy as np

from curate.curation import CurateConfig, curate, select

FILLER = "the train leaves in the morning and comes back in the evening with many people in it"


def row(i: int, completion: str = "", prompt: str = "", **extra) -> dict:
    return {
        "row_id": f"r{i}",
        "messages": [{"role": "user", "content": prompt or f"question {i} about number {i * i} and {i * 7}"}],
        "completion": completion
        or f"solution {i} says that {i} + 1 = {i + 1} follows from what is known of {i * 3}",
        **extra,
    }


def test_rows_with_nothing_wrong_stay():
    outcome = curate([row(i) for i in range(5)])
    assert outcome.reasons == [""] * 5
    assert outcome.counts == {"kept": 5}


def test_each_filter_gives_its_reason():
    rows = [
        row(0, FILLER, FILLER),
        row(1, FILLER, FILLER),
        row(2, FILLER + " today", FILLER),
        row(3, "no"),
        row(4, "word " * 5000),
        row(5, FILLER + " " + FILLER + " " + FILLER),
        row(6, "We add 3 + 4 = 8 and stop there"),
        row(7, "The answer is 8 as everyone can see", answer="7"),
        row(8, pass_rate=0.05),
        row(9, pass_rate=1.0),
        row(10, nll_demonstration=9.0),
        row(11, prompt="one two three four five six seven eight nine ten eleven twelve thirteen fourteen"),
    ]
    config = CurateConfig(min_pass_rate=0.1, max_pass_rate=0.9, max_nll=3.0)
    benchmark = "zero one two three four five six seven eight nine ten eleven twelve thirteen and so on"
    outcome = curate(rows, config, benchmarks=[benchmark])
    assert outcome.reasons == [
        "", "exact_duplicate", "near_duplicate", "too_short", "too_long", "repetition", "false_equality",
        "wrong_answer", "too_hard", "too_easy", "high_nll", "contaminated",
    ]  # fmt: skip
    assert outcome.details[1] == "of row r0"
    assert outcome.details[6] == "3 + 4 = 8 is false"
    assert sum(outcome.counts.values()) == len(rows)


def test_a_filter_without_its_column_says_so():
    outcome = curate([row(0), row(1)], CurateConfig(max_pass_rate=0.9))
    assert outcome.reasons == ["", ""]
    assert outcome.switched_off == {"pass_rate": "no row has pass_rate"}


def test_a_short_benchmark_question_contaminates_only_itself():
    rows = [row(0, prompt="2 plus 2"), row(1, prompt="2 plus 2 plus 2")]
    assert curate(rows, benchmarks=["2 plus 2"]).reasons == ["contaminated", ""]


def test_the_budget_prefers_uncertain_rows():
    rows = [row(i, pass_rate=p) for i, p in enumerate([0.0, 0.5, 1.0, 0.4])]
    outcome = curate(rows, CurateConfig(budget=2))
    assert outcome.reasons == ["over_budget", "", "over_budget", ""]
    assert "embeddings" in outcome.switched_off


def test_selection_spreads_over_the_space():
    points = np.array([[1.0, 0.0], [1.0, 0.01], [0.0, 1.0], [-1.0, 0.0]])
    assert select([1.0, 1.0, 1.0, 1.0], points, 3) == [0, 3, 2]
    assert select([1.0, 0.9, 0.0, 0.0], points, 2) == [0, 3]  # 0.9 + 0 against 0 + 1
    assert select([1.0], points[:1], 5) == [0]


def test_embeddings_are_used_for_the_rows_that_are_left():
    rows = [row(0, "no"), *(row(i, pass_rate=0.5) for i in (1, 2, 3))]
    points = [[0.0, 0.0], [1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]]
    assert curate(rows, CurateConfig(budget=2), embeddings_ND=points).kept == [1, 3]
