"""`recast reject` as a command: preferences in, a model and an audit out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

SETS = ("--set", "reject.batch_size=4", "--set", "reject.heldout=0.25", "--set", "reject.checkpoints=0")


@pytest.fixture
def preferences(tmp_path: Path) -> Path:
    rows = [
        {
            "prompt": f"Tom has {i} apples and buys 2 more. How many?",
            "chosen": f"{i} + 2 = {i + 2}. The answer is {i + 2}.",
            "rejected": f"{i} + 2 = {i + 3}. The answer is {i + 3}.",
        }
        for i in range(12)
    ]
    path = tmp_path / "preferences.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_imported_preferences_are_learned_from(
    recast: Any, preferences: Path, tmp_path: Path, tiny_model: Path
) -> None:
    assert recast("import", preferences, "--as", "prefs").code == 0
    said = recast("reject", "prefs", "-m", tiny_model, "-o", "tuned", *SETS, "--json")
    assert said.code == 0, said.err
    result = said.json
    assert (result["num_rows"], result["num_accepted"], result["num_refused"]) == (12, 12, 12)
    assert result["reasons"] == {"rejected": 12}
    assert result["candidates"] == "prefs@v1"
    assert json.loads((tmp_path / "tuned" / "dataset.lock").read_text())["version"] == "prefs@v1"
    again = recast("reject", "prefs", "-m", tiny_model, "-o", "tuned", *SETS)
    assert "found finished" in again.err
    assert "tuned: 3 steps of rejective on 12 rows of prefs@v1: 12 accepted texts, 12 refused" in again.out
    assert "right above wrong" in again.out


def test_a_version_without_candidates_is_refused_with_the_way_out(
    recast: Any, tmp_path: Path, tiny_model: Path
) -> None:
    (tmp_path / "d.jsonl").write_text('{"prompt": "1 + 1?", "completion": "2"}\n')
    recast("import", "d.jsonl", "--as", "plain")
    said = recast("reject", "plain", "-m", tiny_model, "-o", "tuned")
    assert said.code == 2
    assert "none of the 1 rows has a rejected candidate" in said.err
    assert "recast sft" in said.err


def test_a_reward_model_of_preferences_grades(
    recast: Any, preferences: Path, tmp_path: Path, tiny_model: Path
) -> None:
    recast("import", preferences, "--as", "prefs")
    (tmp_path / "margin.json").write_text(
        json.dumps({"type": "exact", "name": "first", "reference": "2 + 2 = 4. The answer is 4."})
    )
    sets = ("--set", "reward_model.heldout=0.25", "--set", "reward_model.checkpoints=0")
    said = recast(
        "reward-model", "prefs", "-m", tiny_model, "-o", "reward", *sets, "--grader", "margin.json", "--json"
    )
    assert said.code == 0, said.err
    assert (said.json["num_pairs"], said.json["num_ungraded"]) == (12, 0)
    assert said.json["heldout"]["pairs"] == said.json["num_heldout"] > 0
    grader = {"type": "reward_model", "name": "reward", "model": "reward", "scale": "sigmoid"}
    (tmp_path / "grader.json").write_text(json.dumps(grader))
    item = json.dumps({"messages": [{"role": "user", "content": "1 + 1?"}]})
    graded = recast("grader", "run", "grader.json", "--item", item, "--sample", "2", "--json")
    assert graded.code == 0, graded.err
    assert 0 < graded.json["reward"] < 1
