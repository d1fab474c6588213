"""Reward models through real TRL steps on a model of some 30 thousand parameters."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from recast.curate.errors import DataError, UsageError
from recast.curate.files import read_lines
from recast.pipelines.wiring.graders import RewardModels
from recast.train.reward_model.config import RewardModelConfig
from recast.train.reward_model.measures import measures
from recast.train.reward_model.reward_model import RewardModelResult, reward_model
from tests.fakes import models
from tests.fakes.runs import killed_at_step

FAST = {"lr": 1e-2, "epochs": 4, "batch_size": 8, "precision": "fp32", "heldout": 0.25}


def row(i: int, j: int) -> dict[str, Any]:
    return {
        "row_id": f"{i}-{j}", "target": 0, "decision": "expert",
        "messages": [{"role": "user", "content": f"Tom has {i} apples and buys {j} more. How many?"}],
        "completion": f"{i} + {j} = {i + j}. The answer is {i + j}.",
    }  # fmt: skip


ROWS = [row(i, j) for i in range(2, 8) for j in range(1, 7)]
CANDIDATES = [
    {"row_id": r["row_id"], "target": 0, "k": 0, "attempt": 0, "text": r["completion"].replace("The", "So the"),
     "finish_reason": "stop", "status": "rejected", "reason": "wrong_answer"}
    for r in ROWS
]  # fmt: skip


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "base"
    return models.make_model("llama", folder, hidden=32, texts=[r["completion"] for r in ROWS], scale=1)


@pytest.fixture(scope="module")
def made(base, tmp_path_factory) -> RewardModelResult:
    out = tmp_path_factory.mktemp("reward") / "out"
    return reward_model(ROWS, CANDIDATES, base, RewardModelConfig(**FAST), out)


def test_it_tells_accepted_from_refused_on_rows_that_it_has_not_seen(made):
    assert made.heldout is not None
    assert made.heldout["accuracy"]["value"] >= 0.85
    assert made.num_pairs == 36
    assert made.num_heldout == made.heldout["pairs"]


def test_a_grader_reads_the_rewards_that_training_saw(made):
    stored = pq.read_table(Path(made.out) / "pairs.parquet").to_pylist()
    rewards = RewardModels()(made.out, [(r["messages"], r["completion"]) for r in ROWS])
    assert rewards == pytest.approx([pair["accepted"] for pair in stored], abs=1e-4)


def test_trl_takes_it_as_a_reward_function(made):
    from transformers import AutoModelForSequenceClassification

    assert AutoModelForSequenceClassification.from_pretrained(made.out).config.num_labels == 1


def test_a_lora_learns_its_score_layer_too(base, tmp_path):
    config = RewardModelConfig(**{**FAST, "lora_rank": 4, "center": 0.01})
    found = reward_model(ROWS, CANDIDATES, base, config, tmp_path / "out")
    assert found.heldout is not None
    assert found.heldout["accuracy"]["value"] >= 0.85


def test_the_margin_of_a_pair_is_the_difference_of_its_grades(base, tmp_path):
    def grade(rows, texts):
        assert [r["row_id"] for r in rows] == [r["row_id"] for r in ROWS]
        return [
            None if r["row_id"] == "2-1" else 0.25 if "So the" in t else 1.0
            for r, t in zip(rows, texts, strict=True)
        ]

    config = RewardModelConfig(**{**FAST, "epochs": 1})
    found = reward_model(ROWS, CANDIDATES, base, config, tmp_path / "out", grade=grade)
    margins = [p["margin"] for p in pq.read_table(tmp_path / "out" / "pairs.parquet").to_pylist()]
    assert margins == [0.0] + [0.75] * 35
    assert found.num_ungraded == 1


def test_a_killed_run_ends_in_the_same_weights(base, made, tmp_path):
    script = textwrap.dedent(
        f"""
        from recast.train.reward_model.config import RewardModelConfig
        from recast.train.reward_model.reward_model import reward_model
        from tests.train.reward_model.test_reward_model import CANDIDATES, FAST, ROWS

        reward_model(ROWS, CANDIDATES, {str(base)!r}, RewardModelConfig(**FAST), {str(tmp_path / "out")!r},
                     progress=lambda p: print(p["step"], flush=True))
        """
    )
    killed_at_step(script, made.steps // 2)
    found = reward_model(ROWS, CANDIDATES, base, RewardModelConfig(**FAST), tmp_path / "out")
    assert found.fingerprint == made.fingerprint
    a, b = ((Path(folder) / "model.safetensors").read_bytes() for folder in (made.out, tmp_path / "out"))
    assert a == b
    assert [p["step"] for p in read_lines(tmp_path / "out" / "loss.jsonl")] == list(range(1, made.steps + 1))


def test_a_finished_run_is_found_again_and_another_one_refused(base, made):
    assert reward_model(ROWS, CANDIDATES, base, RewardModelConfig(**FAST), made.out) == made
    with pytest.raises(UsageError, match="finished run"):
        reward_model(ROWS, CANDIDATES, base, RewardModelConfig(**FAST, center=0.1), made.out)
    with pytest.raises(DataError, match="all 36 pairs are longer than max_length=8"):
        reward_model(ROWS, CANDIDATES, base, RewardModelConfig(**FAST, max_length=8), Path(made.out) / "x")


def test_measures_by_hand():
    # row a: one right, one wrong; row b: one tie, half right
    found = measures(
        ["a", "a", "b"], np.array([1.0, 0.0, 2.0]), np.array([0.0, 2.0, 2.0]), np.array([3.0, -1.0, 0.0])
    )
    assert found["accuracy"]["value"] == 0.5
    assert found["mean_gap"] == pytest.approx((1 - 2 + 0) / 3, abs=1e-4)
    assert (found["accepted_longer"]["value"], found["accepted_longer"]["pairs"]) == (1.0, 1)
    assert (found["accepted_shorter"]["value"], found["accepted_shorter"]["pairs"]) == (0.0, 1)
    # said: s(1) .731 right, s(-2) .119 right, .5 right; s(-1) .269 wrong, s(2) .881 wrong, .5 wrong
    expected = ((1 - 0.7311) + (1 - 0.1192) + 0.0 + 0.2689 + 0.8808) / 6
    assert found["calibration_error"] == pytest.approx(expected, abs=1e-3)
