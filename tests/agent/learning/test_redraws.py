"""Dynamic sampling: prompts that teach nothing are replaced, and the figures stay those of what was asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from recast.agent.learning.config import LearnConfig
from recast.agent.learning.learn import learn
from recast.curate.files import read_lines
from recast.curate.records import Verdict, VerdictStatus
from tests.fakes.learning import ROWS, TINY
from tests.fakes.models import load, make_model


class EvenGate:
    """Of rows of even ids it accepts every second candidate, of the others none."""

    id = "e" * 16

    def verify_many(
        self,
        rows: Sequence[Mapping[str, Any]],
        completions: Sequence[str],
        finish_reasons: Sequence[str] | None = None,
    ) -> list[Verdict]:
        return [
            Verdict(
                VerdictStatus.ACCEPTED
                if int(row["row_id"]) % 2 == 0 and n % 2 == 0
                else VerdictStatus.REJECTED
            )
            for n, row in enumerate(rows)
        ]


def steps(tmp_path: Path, redraws: int) -> list[dict[str, Any]]:
    config = TINY.model_copy(update={"redraws": redraws, "steps": 3, "beta": 0.0})
    out = tmp_path / str(redraws)
    learn(ROWS, *load(make_model("llama", tmp_path / "model")), EvenGate(), config, out)
    return [line for line in read_lines(out / "metrics.jsonl") if "pass_rate" in line]


def test_prompts_of_which_nobody_passes_are_replaced_and_the_pass_rate_is_of_those_that_came(
    tmp_path: Path,
) -> None:
    plain, replaced = steps(tmp_path, 0), steps(tmp_path, 8)
    assert any(line["groups_all_fail"] for line in plain), "the order of the rows has odd ones in three steps"
    for before, line in zip(plain, replaced, strict=True):
        assert line["groups_taught"] == 1.0, "eight rounds find an even row for every slot"
        assert (line["pass_rate"], line["groups_all_fail"]) == (
            before["pass_rate"],
            before["groups_all_fail"],
        )
        assert line["redrawn"] >= 4 * line["groups_all_fail"]
        assert line["advantage_all_fail"] == 0.0
        assert "groups_taught" not in before and "redrawn" not in before


def test_a_budget_of_one_round_draws_as_many_prompts_as_taught_nothing(tmp_path: Path) -> None:
    for line in steps(tmp_path, 1):
        assert line["redrawn"] == 4 * line["groups_all_fail"]
        assert 1 - line["groups_all_fail"] <= line["groups_taught"] <= 1


def test_where_trl_draws_by_itself_it_is_refused() -> None:
    with pytest.raises(ValidationError, match="redraws has no effect where vllm is colocate"):
        LearnConfig(vllm="colocate", redraws=1)
