"""`recast reject` as a command: preferences in, a model and an audit out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from recast.train.model.loading import load

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
    # nine rows are trained, three times, four a step
    assert "tuned: 7 steps of rejective on 12 rows of prefs@v1: 12 accepted texts, 12 refused" in again.out
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


@pytest.fixture
def own(recast: Any, tmp_path: Path) -> Path:
    """A version of prompts, and a grader of what an untrained model says."""
    rows = [{"prompt": f"What is {i} + 2?", "completion": f"{i} + 2 = {i + 2}."} for i in range(12)]
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert recast("import", "d.jsonl", "--as", "sums").code == 0
    source = "def grade(sample, item):\n    return sum(sample['output_text'].encode()) % 2"
    path = tmp_path / "odd.json"
    path.write_text(json.dumps({"type": "python", "name": "odd", "source": source}))
    return path


def test_own_answers_under_a_grader_are_learned_from_and_found_again(
    recast: Any, own: Path, tmp_path: Path, tiny_model: Path
) -> None:
    call = (
        "reject", "sums", "--grader", own, "--samples", "4", "-m", tiny_model, "-o", "tuned", *SETS,
        "--set", "reject.max_tokens=200", "--set", "reject.lora_rank=4", "--set", "reject.none_passed=drop",
    )  # fmt: skip
    said = recast(*call, "--json")
    assert said.code == 0, said.err
    result = said.json
    assert (result["data"], result["candidates"]) == ("sums@v1", None)
    assert (result["drawn"]["drawn"], result["drawn"]["grader"]) == (48, "odd")
    assert result["num_by_expert"] == 0
    assert "48 answers of its own" in recast(*call).out
    # the result of the run is gone, the answers are not: nothing is drawn or trained again
    for file in (tmp_path / ".recast" / "runs").glob("reject-*/result.json"):
        file.unlink()
    again = recast(*call, "--json")
    assert again.code == 0 and again.json == result


def test_a_reward_model_of_own_answers_is_a_grader_by_its_folder(
    recast: Any, own: Path, tmp_path: Path, tiny_model: Path
) -> None:
    sets = [
        f"reward_model.{s}" for s in ("max_tokens=200", "none_passed=drop", "checkpoints=0", "heldout=0.25")
    ]
    said = recast(
        "reward-model", "sums", "--grader", own, "--samples", "6", "-m", tiny_model, "-o", "reward",
        *(part for s in sets for part in ("--set", s)), "--json",
    )  # fmt: skip
    assert said.code == 0, said.err
    assert said.json["num_pairs"] > 0 and said.json["drawn"]["drawn"] == 72
    item = json.dumps({"messages": [{"role": "user", "content": "1 + 1?"}]})
    graded = recast("grader", "run", "reward", "--item", item, "--sample", "2", "--json")
    assert graded.code == 0, graded.err
    assert graded.json["metadata"]["type"] == "reward_model" and graded.json["reward"] != 0


def test_who_answers_and_what_becomes_the_reward_model_may_be_two_models(
    recast: Any, own: Path, tmp_path: Path, tiny_model: Path
) -> None:
    call = ("reward-model", "sums", "--grader", own, "-m", tiny_model)
    refused = recast(*call, "--start", tiny_model)
    assert refused.code == 2 and "--samples draws" in refused.err
    grown = tmp_path / "grown"
    model, tokenizer = load(tiny_model)
    with torch.no_grad():
        model.get_input_embeddings().weight.mul_(1.5)
    model.save_pretrained(grown)
    tokenizer.save_pretrained(grown)
    sets = [
        f"reward_model.{s}" for s in ("max_tokens=200", "none_passed=drop", "checkpoints=0", "heldout=0.25")
    ]
    options = ("--samples", "6", *(part for s in sets for part in ("--set", s)), "--json")
    alone, of_another = (
        recast(*call, "-o", name, *extra, *options)
        for name, extra in (("alone", ()), ("other", ("--start", grown)))
    )
    assert of_another.code == 0, of_another.err
    assert of_another.json["model"] == str(grown)
    answers = [(tmp_path / name / "answers.jsonl").read_bytes() for name in ("alone", "other")]
    assert answers[0] == answers[1]
    assert alone.json["model_fingerprint"] != of_another.json["model_fingerprint"]


def test_answers_need_a_grader_and_settings_of_them_too(
    recast: Any, preferences: Path, tiny_model: Path
) -> None:
    recast("import", preferences, "--as", "prefs")
    said = recast("reject", "prefs", "--samples", "4", "-m", tiny_model)
    assert said.code == 2 and "Add --grader FILE" in said.err
    said = recast("reject", "prefs", "-m", tiny_model, "--set", "reject.temperature=0.5")
    assert said.code == 2 and "reject.temperature has no effect" in said.err
