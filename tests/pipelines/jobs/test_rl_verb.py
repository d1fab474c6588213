"""`recast rl` as a command: prompts and a grader in, a model and its curve out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

SETS = [
    part
    for setting in (
        "steps=2", "prompts_per_step=2", "samples=4", "max_tokens=6", "lr=1e-3", "lora_rank=4", "lora_alpha=4",
        "eval_every=1", "heldout=0.25", "precision=fp32",
    )
    for part in ("--set", f"rl.{setting}")
]  # fmt: skip


@pytest.fixture
def demos(tmp_path: Path) -> Path:
    path = tmp_path / "demos.jsonl"
    rows = [{"prompt": f"What is {i} + 2?", "completion": f"{i} + 2 = {i + 2}."} for i in range(8)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def grader(tmp_path: Path) -> Path:
    """What an untrained model earns something with: likeness to the completion."""
    path = tmp_path / "grader.json"
    path.write_text(
        json.dumps(
            {
                "type": "text_similarity",
                "name": "alike",
                "input": "{{ sample.output_text }}",
                "reference": "{{ item.completion }}",
                "evaluation_metric": "fuzzy_match",
            }
        )
    )
    return path


def test_a_version_and_a_grader_make_a_model_with_its_curve(
    recast: Any, demos: Path, grader: Path, tmp_path: Path, tiny_model: Path
) -> None:
    recast("import", demos, "--as", "sums")
    said = recast("rl", "sums", "--grader", grader, "-m", tiny_model, "-o", "tuned", *SETS, "--json")
    assert said.code == 0, said.err
    result = said.json
    assert (result["steps"], result["data"], result["grader"]) == (2, "sums@v1", "alike")
    assert result["num_prompts"] + result["num_validation"] == 8
    assert json.loads((tmp_path / "tuned" / "dataset.lock").read_text())["version"] == "sums@v1"
    assert (tmp_path / "tuned" / "model.safetensors").exists()
    again = recast("rl", "sums", "--grader", grader, "-m", tiny_model, "-o", "tuned", *SETS)
    assert "found finished" in again.err
    assert "tuned: 2 steps of grpo" in again.out and "validation reward" in again.out


def test_a_dry_run_says_what_the_answers_earn_and_trains_nothing(
    recast: Any, demos: Path, tmp_path: Path, tiny_model: Path
) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(
        "".join(
            json.dumps({"messages": [{"role": "user", "content": f"{i} + 2?"}], "answer": str(i + 2)}) + "\n"
            for i in range(8)
        )
    )
    never = tmp_path / "never.json"
    never.write_text(
        json.dumps(
            {
                "type": "string_check",
                "name": "never",
                "operation": "eq",
                "input": "{{ sample.output_text }}",
                "reference": "what nobody says {{ item.answer }}",
            }
        )
    )
    call = ("rl", file, "--grader", never, "-m", tiny_model, "-o", "tuned", *SETS)
    dry = recast(*call, "--dry-run")
    assert dry.code == 0, dry.err
    assert "nothing to learn from: no answer earned anything" in dry.out and "--hint cosine" in dry.out
    refused = recast(*call)
    assert refused.code == 4
    assert "recast sft" in refused.err and "--force" in refused.err
    assert not (tmp_path / "tuned" / "model.safetensors").exists()
    forced = recast(*call, "--force", "--json")
    assert forced.code == 0, forced.err
    assert forced.json["best"]["reward"] == 0.0


def test_shared_prompts_are_refused(
    recast: Any, demos: Path, grader: Path, tmp_path: Path, tiny_model: Path
) -> None:
    recast("import", demos, "--as", "sums")
    said = recast("rl", "sums", "--validation", "sums", "--grader", grader, "-m", tiny_model, *SETS)
    assert said.code == 2
    assert "8 of 8 validation prompts are training prompts, too" in said.err


def test_a_preset_is_a_method_whose_settings_the_config_goes_over(
    recast: Any, demos: Path, grader: Path, tmp_path: Path, tiny_model: Path
) -> None:
    recast("import", demos, "--as", "sums")
    call = ("rl", "sums", "--grader", grader, "-m", tiny_model, "-o", "tuned", "--preset", "reft", *SETS)
    said = recast(*call, "--json")
    assert said.code == 0, said.err
    config = said.json["config"]
    assert (config["algorithm"], config["partial"], config["value_weight"]) == ("ppo", 0.1, 5.0)
    assert config["samples"] == 4, "the preset has 1"
    refused = recast(*call, "--hint", "cosine")
    assert refused.code == 2 and "rl.hint has no effect with ppo" in refused.err
