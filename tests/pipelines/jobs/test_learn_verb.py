"""learn and plan --learn on the command line: a warm start, what the first step says, settings that are suggested."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from tests.conftest import command_of, demonstrations

LEARN = (
    "steps=1", "prompts_per_step=2", "candidates=2", "max_tokens=8", "lora_rank=4", "heldout=0.25", "heldout_rows=1",
    "beta=0", "temperature=1.0",
)  # fmt: skip
SETS = [part for setting in LEARN for part in ("--set", f"learn.{setting}")]
WARM = [
    part
    for setting in ("rows=3", "candidates=2", "temperatures=[1.0]", "presets=[]", "epochs=1")
    for part in ("--set", f"warm_start.{setting}")
]


@pytest.fixture
def imported(recast, tmp_path, tiny_model):
    assert recast("import", demonstrations(tmp_path / "sums.jsonl"), "--as", "sums").code == 0
    (tmp_path / "any.yaml").write_text("name: any\nchecks:\n  - {type: copy}\n")
    return ("-m", tiny_model)


def test_a_warm_start_and_what_the_first_step_says_stand_in_the_result(recast, imported):
    said = recast("learn", "sums", *imported, *SETS, *WARM, "--set", "gate=any.yaml", "-o", "agent", "--json")
    assert said.code == 0, said.err
    result = said.json
    assert result["warm_start"]["texts"] > 0 and result["warm_start"]["rounds"][0]["candidates"] == 6
    assert result["signal"]["candidates"] == 4
    assert "warm start: " in said.err and "of 4 candidates passed the gate" in said.err
    assert Path("agent/warm/texts.jsonl").exists()
    again = recast("learn", "sums", *imported, *SETS, *WARM, "--set", "gate=any.yaml", "-o", "agent")
    assert "found finished" in again.err and "  warm start: " in again.out


def test_without_one_nothing_of_it_is_made(recast, imported):
    said = recast("learn", "sums", *imported, *SETS, "--set", "gate=any.yaml", "-o", "agent", "--json").json
    assert said["warm_start"] is None and not Path("agent/warm").exists()
    assert "warm_start" not in json.loads(Path("agent/job.json").read_text())


def test_a_warm_start_of_which_nothing_passes_says_what_helps(recast, imported):
    said = recast("learn", "sums", *imported, *SETS, *WARM, "-o", "agent")
    assert said.code == 2 and "no rewrite of 3 rows passed the gate" in said.err
    assert not Path("agent/warm").exists()


def test_settings_of_learning_are_suggested_with_the_command_that_takes_them(recast, imported):
    plan = ("plan", "sums", *imported, "--learn", "--rows", "4", "--set", "learn.max_tokens=8")
    result = recast(*plan, "--json").json
    assert (result["rows"], result["sampled"]) == (8, 4)
    assert [trial["temperature"] for trial in result["tried"]] == [0.3, 0.6, 1.0]
    assert all(trial["candidates"] == 32 for trial in result["tried"])
    words = shlex.split(result["next"])
    assert words[:3] == ["recast", "learn", "sums@v1"]
    read = command_of("learn").make_context("learn", words[2:], resilient_parsing=False).params
    assert {f"{name}={value}" for name, value in result["settings"].items()} <= set(read["sets"])
    assert result["settings"]["warm_start.rows"] == 8, "a random model passes no gate"
    shown = recast(*plan).out
    assert f"learn so: {result['next']}" in shown and "temperature 0.3: 0 % of 32 candidates pass" in shown


@pytest.mark.parametrize(
    "option", [("--paper",), ("--targets", "2"), ("--prompts", "math", "--prompts", "default")]
)
def test_what_a_suggestion_would_pass_over_is_refused(recast, imported, option):
    said = recast("plan", "sums", *imported, "--learn", *option)
    assert said.code == 2 and f"with --learn, {option[0]} would have no effect" in said.err
