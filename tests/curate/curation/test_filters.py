"""Every filter removes what it names, in order, and nothing disappears."""

from __future__ import annotations

import json

import numpy as np
import pytest

from recast.curate.curation.budget import hashed_words_ND, select, uncertainty_N
from recast.curate.curation.decontamination import Benchmarks, texts_of
from recast.curate.curation.filters import CurateConfig, curate, garbled
from recast.curate.errors import DataError

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
        row(12, "half of \ufffd\ufffd\ufffd\ufffd\ufffd\ufffd is gone"),
    ]
    config = CurateConfig(min_pass_rate=0.1, max_pass_rate=0.9, max_nll=3.0)
    benchmarks = Benchmarks(
        ["Zero: one, two, three four five six seven eight nine ten eleven twelve thirteen and so on"]
    )
    outcome = curate(rows, config, benchmarks=benchmarks)
    assert outcome.reasons == [
        "", "exact_duplicate", "near_duplicate", "too_short", "too_long", "repetition", "false_equality",
        "wrong_answer", "too_hard", "too_easy", "high_nll", "contaminated", "garbled",
    ]  # fmt: skip
    assert outcome.details[1] == outcome.details[2] == "of row r0"
    assert outcome.details[6] == "3 + 4 = 8 is false"
    assert outcome.details[11].endswith("ten eleven twelve thirteen")
    assert sum(outcome.counts.values()) == len(rows)


def test_a_good_row_does_not_go_as_the_duplicate_of_a_bad_one():
    text = f"{FILLER}, which makes 3 + 4 = "
    outcome = curate([row(0, text + "8", "q"), row(1, text + "7", "q")])
    assert outcome.reasons == ["false_equality", ""]


def test_batches_give_what_one_pass_gives(monkeypatch):
    rows = [row(i % 40, pass_rate=(i % 7) / 6) for i in range(100)]
    config = CurateConfig(budget=20, max_pass_rate=0.9)
    whole = curate(rows, config)
    monkeypatch.setattr("recast.curate.curation.filters.BATCH_ROWS", 7)
    done: list[int] = []
    parts = curate(iter(rows), config, progress=done.append)
    assert (parts.reasons, parts.details) == (whole.reasons, whole.details)
    assert done[:2] == [7, 14] and done[-1] == 100


def test_a_filter_without_its_column_says_so():
    outcome = curate([row(0), row(1)], CurateConfig(max_pass_rate=0.9, max_nll=2.0, semantic_duplicate=0.9))
    assert outcome.reasons == ["", ""]
    assert outcome.switched_off == {
        "max_pass_rate": "no row has pass_rate",
        "max_nll": "no row has nll_demonstration",
        "semantic_duplicate": "no embedding model was given",
    }


def test_an_outlier_in_nll_is_far_above_the_median():
    # median 1.1; distances to it 0.2 0.2 0.1 0 0 0.7 0.9 1.9, so MAD 0.2 and the limit 1.1 + 6 * 0.2965 = 2.88
    values = [0.9, 0.9, 1.0, 1.1, 1.1, 1.8, 2.0, 3.0]
    outcome = curate([row(i, nll_demonstration=v) for i, v in enumerate(values)])
    assert outcome.reasons == [""] * 7 + ["high_nll"]
    assert outcome.details[7] == "3 nats per token, more than 2.88"


def test_a_short_benchmark_question_contaminates_only_itself():
    rows = [row(0, prompt="2 plus 2"), row(1, prompt="2 plus 2 plus 2")]
    assert curate(rows, benchmarks=Benchmarks(["2 plus 2?"])).reasons == ["contaminated", ""]


def test_a_solution_of_a_benchmark_contaminates_too():
    text = "so we take all of the apples and give them to the friend who asked first"
    assert Benchmarks([text]).shared("a question", f"Now: {text}.") is not None
    assert (
        Benchmarks([text]).shared("a question", "another text altogether, as long as the other one is")
        is None
    )


def test_a_benchmark_file_is_read_whole_or_not_at_all(tmp_path):
    path = tmp_path / "bench.jsonl"
    path.write_text(json.dumps({"q": "one", "choices": ["two", {"text": "three"}], "n": 4}) + "\n")
    assert list(texts_of(path)) == ["one", "two", "three"]
    path.write_text('{"q": "one"}\n{broken\n')
    with pytest.raises(DataError, match=r"line 2.*half"):
        list(texts_of(path))


def test_garbled_by_hand():
    assert garbled("") == garbled("plain\ttext\nof two lines, naïve 🧮") == 0.0
    assert garbled("ab\x00\ufffd") == 0.5


def test_the_budget_prefers_uncertain_rows():
    rows = [row(i, pass_rate=p) for i, p in enumerate([0.0, 0.5, 1.0, 0.4])]
    outcome = curate(rows, CurateConfig(budget=2))
    assert outcome.reasons == ["over_budget", "", "over_budget", ""]
    assert curate(rows, CurateConfig(budget=9)).counts == {"kept": 4}


def test_uncertainty_by_hand():
    assert uncertainty_N([0.0, 0.25, 0.5, 1.0, np.nan]).tolist() == [0.0, 0.75, 1.0, 0.0, 0.5]


def test_selection_spreads_over_the_space():
    points = np.array([[1.0, 0.0], [1.0, 0.01], [0.0, 1.0], [-1.0, 0.0]])
    assert select([1.0, 1.0, 1.0, 1.0], points, 3) == [0, 3, 2]
    assert select([1.0, 0.9, 0.0, 0.0], points, 2) == [0, 3]  # 0.9 + 0 against 0 + 1
    assert select([1.0], points[:1], 5) == [0]


def test_without_a_model_the_budget_is_spread_over_words():
    apples, trains = "apples and pears in a bowl", "a train to the coast at noon"
    # with the first chosen, the two trains are farther away than the second bowl
    assert select([0.5] * 4, hashed_words_ND([apples, apples, trains, trains]), 2) == [0, 2]
    near, far = hashed_words_ND([apples, apples + " today"]), hashed_words_ND([apples, trains])
    assert near[0] @ near[1] > 0.8 > far[0] @ far[1]


def test_embeddings_are_asked_for_the_rows_that_are_left():
    points = {"no": [0.0, 0.0], "east": [1.0, 0.0], "eastward": [1.0, 0.1], "west": [-1.0, 0.0]}
    rows = [
        row(0, "no"),
        *(
            row(i, f"to the {w} of it", w, pass_rate=0.5)
            for i, w in enumerate(["east", "eastward", "west"], 1)
        ),
    ]
    asked: list[str] = []

    def embed(texts):
        asked.extend(texts)
        return [points[text.split("\n")[0]] for text in texts]

    assert curate(rows, CurateConfig(budget=2), embed=embed).kept == [1, 3]
    assert len(asked) == 3
    outcome = curate(rows, CurateConfig(semantic_duplicate=0.99), embed=embed)
    assert outcome.reasons == ["too_short", "", "semantic_duplicate", ""]
    assert outcome.details[2] == "of row r1"
