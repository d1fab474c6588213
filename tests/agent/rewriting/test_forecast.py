"""Predictions from a few rows: numbers worked out by hand, and a prediction that comes true on a fake engine."""

from __future__ import annotations

import numpy as np
import pytest

from recast.agent.batches.source import Source
from recast.agent.rewriting.forecast import compare, draw, predict, scaled
from recast.agent.rewriting.rewrite import RewriteConfig, rewrite
from tests.fakes.engines import FakeEngine
from tests.fakes.gates import FakeGate
from tests.fakes.rows import rows


def test_totals_follow_the_length_of_rows() -> None:
    # tokens are exactly twice the characters, so there is no residual and no error
    exact = scaled([20, 40, 60], [10, 20, 30], total_size=1000, total=50)
    assert (exact.low, exact.value, exact.high) == pytest.approx((2000, 2000, 2000))
    # y = 10, 30 on x = 10, 10: R = 2, residuals -10, 10, s = sqrt(200) = 14.14; N = 4, n = 2:
    # error 4 sqrt(1/2) 14.14 / sqrt(2) = 28.28, times t(1) = 12.706
    rough = scaled([10, 30], [10, 10], total_size=40, total=4)
    assert rough.value == 80 and rough.high - rough.value == pytest.approx(12.706 * 28.28, rel=1e-3)


def test_the_sample_does_not_depend_on_the_order_of_delivery() -> None:
    given = rows(50)
    sample, sizes, total_chars, total = draw(Source.of(given), 8)
    again, _, _, _ = draw(Source.of(given[::-1]), 8)
    assert set(sample["row_id"].to_pylist()) == set(again["row_id"].to_pylist())
    assert total == 50 and len(sizes) == sample.num_rows == 8
    whole, all_sizes, _, _ = draw(Source.of(given), 99)
    assert whole["row_id"].to_pylist() == [r["row_id"] for r in given] and total_chars == np.sum(all_sizes)


def test_a_prediction_and_the_run_that_follows(tmp_path) -> None:
    config = RewriteConfig(embedding="none", batch_rows=16)
    found = predict(rows(300), FakeEngine(), FakeGate(), config, tmp_path / "plan", num_rows=32).to_dict()
    assert (found["rows"], found["sampled"]) == (300, 32)
    result = rewrite(rows(300), FakeEngine(), FakeGate(), config, tmp_path / "run")
    actual = {
        "tokens": result.num_tokens,
        "accepted_rows": result.counts["rewrite"] / 300,
        "bytes": result.part_bytes,
    }
    lines = {line["figure"]: line for line in compare(found, actual)}
    assert set(lines) == set(actual), "no figure that was not measured"
    assert lines["accepted_rows"]["inside"] and lines["tokens"]["inside"] and lines["bytes"]["inside"], lines
