"""The rewriting job with the real hf engine and the real store."""

from __future__ import annotations

import hashlib
import random
import time
from pathlib import Path

import pytest

from recast.agent.rewriting.rewrite import RewriteConfig, rewrite
from recast.curate.records import Check, CheckStatus, Verdict, VerdictStatus
from recast.curate.store.store import Store
from tests.fakes import models
from tests.fakes.runs import digest, killed_again_and_again

CONFIG = RewriteConfig(candidates=3, max_tokens=8, batch_rows=4, window_rows=8, own_samples=1)


class CoinGate:
    """Random models write nonsense: accept a quarter of it by hash, so that every path is taken."""

    id = "c0" * 8

    def verify_many(self, rows, completions, finish_reasons=None):
        return [self._verify(text) for text in completions]

    def _verify(self, text):
        if hashlib.sha256(text.encode()).digest()[0] % 4 == 0:
            return Verdict(VerdictStatus.ACCEPTED)
        return Verdict(VerdictStatus.REJECTED, "coin", (Check("coin", CheckStatus.FAIL, "coin", "Tails."),))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return models.make_model("llama", tmp_path_factory.mktemp("models") / "m", hidden=32)


def engine(folder):
    from recast.agent.engines.hf.engine import HFEngine

    return HFEngine.load(folder, device="cpu", batch_size=6)


def rows(n=14):
    return [
        {
            "row_id": f"r{i}",
            "messages": [{"role": "user", "content": f"Tom has {i} apples. " * (1 + i % 3) + "How many?"}],
            "completion": f"{i} + 0 = {i}. The answer is {i}.",
            "answer": str(i),
        }
        for i in range(n)
    ]


def test_interrupted_anywhere_the_bytes_equal_those_of_an_uninterrupted_run(folder, tmp_path):
    whole = rewrite(rows(), engine(folder), CoinGate(), CONFIG, tmp_path / "whole")
    assert 0 < whole.counts["rewrite"] < 14
    for call in (1, 2, 5):  # the sample call during which the process dies
        dying, run = engine(folder), tmp_path / f"died-{call}"
        calls, sample = 0, dying.sample

        def dies(*args, sample=sample, call=call, **kwargs):
            nonlocal calls
            calls += 1
            if calls == call:
                raise KeyboardInterrupt
            return sample(*args, **kwargs)

        dying.sample = dies
        with pytest.raises(KeyboardInterrupt):
            rewrite(rows(), dying, CoinGate(), CONFIG, run)
        rewrite(rows(), engine(folder), CoinGate(), CONFIG, run)
        assert digest(run) == digest(tmp_path / "whole")


@pytest.mark.parametrize(
    "num_rows, num_kills", [(60, 10), pytest.param(2000, 100, marks=[pytest.mark.torture, pytest.mark.slow])]
)
def test_killed_at_random_moments_the_bytes_equal_those_of_an_uninterrupted_run(
    folder, tmp_path, num_rows, num_kills
):
    import torch

    torch.set_num_threads(1)  # a forked process has the thread that forked and no other
    loaded = engine(folder)
    settings = CONFIG.model_copy(update={"repairs": 1, "targets": 2, "window_rows": 32, "batch_rows": 8})

    def work(run):
        rewrite(rows(num_rows), loaded, CoinGate(), settings, run)

    started = time.monotonic()
    work(tmp_path / "whole")
    whole_s = time.monotonic() - started
    died = killed_again_and_again(work, tmp_path / "killed", num_kills, random.Random(1), 0.4 * whole_s)
    assert died == num_kills
    assert digest(tmp_path / "killed") == digest(tmp_path / "whole")


def test_several_targets_commit_under_the_conservation_law(folder, tmp_path):
    store = Store(tmp_path / "store")
    parent = store.commit(rows(), "expert")
    config = CONFIG.model_copy(update={"candidates": 12, "targets": 3, "tie_nats": 99.0})
    result = rewrite(store.open(parent), engine(folder), CoinGate(), config, tmp_path / "run")
    version = store.commit(
        result.rows(), "rewrites", parent=parent, law="rewrite", candidates=result.candidates()
    )
    assert version.rows == result.num_targets > 14 and version.added == result.num_targets - 14
    assert result.embedding == "phrases"


def test_a_rewriting_job_commits_under_the_conservation_law(folder, tmp_path):
    store = Store(tmp_path / "store")
    parent = store.commit(rows(), "expert")
    result = rewrite(store.open(parent).table(), engine(folder), CoinGate(), CONFIG, tmp_path / "run")
    version = store.commit(
        result.rows(), "rewrites", parent=parent, law="rewrite", candidates=result.candidates()
    )
    table = store.open(version).table().to_pylist()
    assert version.rows == 14 and {r["decision"] for r in table} == {"rewrite", "fallback"}
    assert all(r["nll_demonstration"] is not None and r["nll_self"] is not None for r in table)
    assert all(r["completion"] == r["demonstration"] for r in table if r["decision"] == "fallback")
    assert store.open(version).candidates().num_rows == 14 * 3


def test_a_prompt_too_long_for_the_model_is_a_row_that_falls_back(folder, tmp_path):
    long = {**rows(1)[0], "row_id": "long", "messages": [{"role": "user", "content": "many apples " * 2000}]}
    result = rewrite([*rows(3), long], engine(folder), CoinGate(), CONFIG, tmp_path)
    (row,) = [r for r in result.rows().read_all().to_pylist() if r["row_id"] == "long"]
    assert row["decision"] == "fallback" and row["reason"]
