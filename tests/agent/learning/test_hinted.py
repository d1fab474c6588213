"""Hints: prompts of which nobody passes are asked again with the beginning of a solution, and then no more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from recast.agent.learning.config import LearnConfig
from recast.agent.learning.learn import learn, parted_rows
from recast.agent.learning.warm_start import WarmStart
from recast.agent.prompts.prompts import DEFAULT
from recast.curate.files import read_lines
from recast.curate.records import Verdict, VerdictStatus
from tests.fakes.learning import ROWS, TINY
from tests.fakes.models import load, make_adapter, make_model


class Begins:
    """Accepts what begins with `words`, or else the first sentence of the demonstration, and holds an e after it."""

    id = "b" * 16

    def __init__(self, words: str = "") -> None:
        self.words, self.passed = words, list[str]()

    def verify_many(
        self,
        rows: Sequence[Mapping[str, Any]],
        completions: Sequence[str],
        finish_reasons: Sequence[str] | None = None,
    ) -> list[Verdict]:
        verdicts = []
        for row, text in zip(rows, completions, strict=True):
            words = self.words or row["demonstration"].partition(".")[0] + "."
            good = text.startswith(words) and "e" in text.removeprefix(words)
            self.passed += [text] if good else []
            verdicts.append(Verdict(VerdictStatus.ACCEPTED if good else VerdictStatus.REJECTED))
        return verdicts


HINTED = TINY.model_copy(update={"hint_steps": 2, "hint_share": 1.0, "steps": 3, "beta": 0.0})


def test_a_hint_lets_groups_pass_that_nobody_passed_and_is_taken_away(tmp_path: Path) -> None:
    gate = Begins()
    result = learn(ROWS, *load(make_model("llama", tmp_path / "model")), gate, HINTED, tmp_path / "agent")
    lines = [line for line in read_lines(tmp_path / "agent" / "metrics.jsonl") if "pass_rate" in line]
    first, _, last = lines
    assert [line["pass_rate"] for line in lines] == [0.0, 0.0, 0.0], "nobody says it without being told"
    # at the first of two steps q is 0.05 + 0.475 (1 + cos(pi / 2)) = 0.525 of two slices
    assert 0 < first["hinted"] <= 4 and first["groups_taught"] == first["hinted"] / 4
    assert gate.passed and first["loss"] != 0.0
    assert last["hinted"] == 0 and last["groups_taught"] == 0.0, "after the steps with hints"
    assert all(line["advantage_all_fail"] == 0.0 for line in lines)
    assert result.before["pass_rate"] == result.after["pass_rate"] == 0.0, "held-out rows get no hint"


def test_the_beginning_is_that_of_an_accepted_text_where_the_warm_start_has_one(tmp_path: Path) -> None:
    folder = make_model("llama", tmp_path / "model")
    model, tokenizer = load(folder)
    solutions = {row["row_id"]: "We add. That is all." for row in ROWS}
    adapter = make_adapter(folder, tmp_path / "adapter", seed=0)
    warm = WarmStart(adapter, "a" * 16, 1, 1, (), solutions, 1.0, 0.5)
    config = HINTED.model_copy(update={"steps": 1, "lora_rank": 4})
    gate = Begins("We add.")
    learn(ROWS, model, tokenizer, gate, config, tmp_path / "agent", warm=warm)
    assert gate.passed


def test_prompts_with_a_hint_are_longer_which_counts_for_memory_and_for_the_models_length(
    tmp_path: Path,
) -> None:
    model, tokenizer = load(make_model("llama", tmp_path / "model"))
    plain = parted_rows(ROWS, model, tokenizer, TINY, DEFAULT)
    hinted = parted_rows(ROWS, model, tokenizer, HINTED, DEFAULT)
    longest = max(len(tokenizer(r["demonstration"], add_special_tokens=False)["input_ids"]) for r in ROWS)
    assert plain.longest_prompt < hinted.longest_prompt <= plain.longest_prompt + longest


def test_a_share_without_steps_and_hints_where_trl_draws_are_refused() -> None:
    with pytest.raises(ValidationError, match="hint_share has no effect where hint_steps is 0"):
        LearnConfig(hint_share=0.3)
    with pytest.raises(ValidationError, match="hint_steps has no effect where vllm is colocate"):
        LearnConfig(vllm="colocate", hint_steps=4)
