"""So many accepted rows in a stated mix, over a fake engine that is right about every other time."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from recast.agent.batches.job import Budget
from recast.agent.rewriting.rewrite import RewriteConfig, rewrite
from recast.agent.rewriting.rounds import Rounds, Wanted
from recast.curate import schema
from recast.curate.curation.quotas import quotas
from recast.curate.errors import BudgetReached
from recast.curate.schema import CANDIDATE_SCHEMA, VERSION_SCHEMA
from tests.fakes.engines import FakeEngine
from tests.fakes.gates import FakeGate
from tests.fakes.rows import rows

TABLE = pa.Table.from_batches(list(schema.batches(rows(120))), VERSION_SCHEMA)
KINDS = np.arange(120) // 40  # 40 of each of three kinds


def wanted(count: int, tries: int = 1, of_row: Any = KINDS) -> Wanted:
    return Wanted(of_row, quotas(np.bincount(of_row), count), tries, 0, 2, 1)


def job(folder: Path, count: int = 30, tries: int = 1, of_row: Any = KINDS) -> Rounds:
    return Rounds(wanted(count, tries, of_row), TABLE.take, folder)


def one(words: tuple[str, ...] = ("good", "bad")) -> Any:
    def run(table: pa.Table, folder: Path, seed: int, budget: Budget, progress: Any) -> Any:
        config = RewriteConfig(candidates=1, batch_rows=2, window_rows=4, embedding="none", seed=seed)
        return rewrite(table, FakeEngine(words), FakeGate(), config, folder, budget=budget, progress=progress)

    return run


def test_every_kind_has_its_quota_of_accepted_rows_and_no_row_more(tmp_path: Path) -> None:
    found = job(tmp_path)
    found.run(one())
    out = found.rows().read_all()
    assert out.schema == VERSION_SCHEMA and set(out["decision"].to_pylist()) == {"rewrite"}
    ids = out["row_id"].to_pylist()
    assert len(set(ids)) == len(ids) == 30
    assert Counter(int(name[1:]) // 40 for name in ids) == {0: 10, 1: 10, 2: 10}
    figures = found.figures()
    assert figures["rows"] == figures["wanted"] == 30 and not found.short.any()
    assert 30 < figures["rows_tried"] < 100, "about two for one, and not all"


def test_all_candidates_stand_beside_and_those_are_chosen_that_are_in(tmp_path: Path) -> None:
    found = job(tmp_path)
    found.run(one())
    candidates = found.candidates().read_all()
    assert candidates.schema == CANDIDATE_SCHEMA
    assert candidates.num_rows == found.figures()["num_candidates"] == found.figures()["rows_tried"]
    chosen = {c["row_id"]: c["text"] for c in candidates.to_pylist() if c["chosen"]}
    assert chosen == {r["row_id"]: r["completion"] for r in found.rows().read_all().to_pylist()}


def test_rows_that_failed_are_tried_again_with_other_seeds_when_no_fresh_ones_are_left(
    tmp_path: Path,
) -> None:
    few = job(tmp_path / "once", 60)
    few.run(one(("good", "bad", "bad", "bad")))
    assert few.short.sum() > 0, "a quarter of 40 is no 20"
    found = job(tmp_path / "again", 60, tries=12)
    found.run(one(("good", "bad", "bad", "bad")))
    assert not found.short.any()
    keys = [(c["row_id"], c["k"], c["attempt"]) for c in found.candidates().read_all().to_pylist()]
    assert len(set(keys)) == len(keys) and max(attempt for _, _, attempt in keys) > 0
    seeds = [c["seed"] for c in found.candidates().read_all().to_pylist()]
    assert len(set(seeds)) == len(seeds)


def test_what_cannot_be_had_is_known_by_kind(tmp_path: Path) -> None:
    """The third kind has questions that the engine cannot be asked."""
    found = job(tmp_path, tries=2)
    broken = [f"question {n} " for n in range(80, 120)]

    def run(table: pa.Table, folder: Path, seed: int, budget: Budget, progress: Any) -> Any:
        config = RewriteConfig(candidates=1, batch_rows=2, window_rows=4, embedding="none", seed=seed)
        return rewrite(table, FakeEngine(broken=broken), FakeGate(), config, folder, budget=budget)

    found.run(run)
    assert found.short.tolist() == [0, 0, 10] and found.figures()["reasons"]["error"] == 80


def test_a_budget_ends_it_with_all_kinds_about_as_far_and_a_larger_one_goes_on(tmp_path: Path) -> None:
    whole = job(tmp_path / "whole")
    whole.run(one())
    stopped = job(tmp_path / "parts")
    with pytest.raises(BudgetReached):
        stopped.run(one(), budget=Budget(max_candidates=40))
    assert stopped.stopped and 0 < stopped.got.sum() < 30
    assert np.ptp(stopped.got) <= 6
    again = job(tmp_path / "parts")
    again.run(one(), budget=Budget(max_candidates=200))
    assert again.rows().read_all().equals(whole.rows().read_all()), "a pause leaves no trace"
    assert again.figures() == whole.figures()


def test_progress_is_towards_what_is_wanted(tmp_path: Path) -> None:
    said: list[Any] = []
    found = job(tmp_path)
    found.run(one(), progress=said.append)
    assert {point["total"] for point in said} == {30} and said[-1]["done"] <= 30
    assert said[-1]["round"] == found.figures()["rounds"]
