"""Grades while learning: paid in full at first, linearly less, and the gate alone in the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from recast.agent.learning.config import LearnConfig
from recast.agent.learning.learn import learn
from recast.curate.files import read_lines
from recast.curate.records import Check, CheckStatus, Verdict, VerdictStatus
from tests.fakes.learning import ROWS, TINY
from tests.fakes.models import load, make_model


class AnswerOnlyGate:
    """Refuses all; every second candidate has the right answer and no step, which is a grade of 0.2."""

    id = "f" * 16

    def verify_many(
        self,
        rows: Sequence[Mapping[str, Any]],
        completions: Sequence[str],
        finish_reasons: Sequence[str] | None = None,
    ) -> list[Verdict]:
        steps = Check("steps", CheckStatus.FAIL, "missing_step", "", 0.0)
        return [
            Verdict(
                VerdictStatus.REJECTED,
                "missing_step",
                (Check("answer", CheckStatus.FAIL if n % 2 else CheckStatus.PASS), steps),
            )
            for n in range(len(rows))
        ]


def test_grades_fade_over_their_share_of_the_steps() -> None:
    config = LearnConfig(steps=20, graded=0.5)
    paid = [config.paid_for_grades(step) for step in (0, 5, 9, 10, 19)]
    assert paid == [1.0, 0.5, pytest.approx(0.1), 0.0, 0.0]
    assert LearnConfig(steps=20).paid_for_grades(0) == 0.0


@pytest.mark.parametrize("redraws", [0, 1])
def test_groups_in_which_none_passes_teach_until_grades_have_ended(tmp_path: Path, redraws: int) -> None:
    config = TINY.model_copy(update={"graded": 0.5, "steps": 4, "beta": 0.0, "redraws": redraws})
    learn(ROWS, *load(make_model("llama", tmp_path / "model")), AnswerOnlyGate(), config, tmp_path / "run")
    lines = [line for line in read_lines(tmp_path / "run" / "metrics.jsonl") if "pass_rate" in line]
    assert [line["groups_taught"] for line in lines] == [1.0, 1.0, 0.0, 0.0], (
        "in full, half, nothing, nothing"
    )
    assert all(line["pass_rate"] == line["share_gate"] == line["advantage_all_fail"] == 0 for line in lines)
    assert all(line["grade"] == pytest.approx(0.1) for line in lines), (
        "what they would earn is told throughout"
    )
    moved = [line["grad_norm"] > 0 for line in lines]
    assert moved == [True, True, False, False]


def test_grades_and_the_soft_gate_exclude_each_other() -> None:
    with pytest.raises(ValidationError, match="both pay refused candidates"):
        LearnConfig(graded=0.5, soft_gate=True)
