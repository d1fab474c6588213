"""Telemetry of the gate: figures worked out by hand, and the tokens of a model in the order of its rows."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from recast.pipelines.report.data import ReportData
from recast.pipelines.report.gates import tunings
from recast.pipelines.report.page import render
from recast.train.model.loading import load
from recast.train.sft.examples import Example
from recast.train.sft.objective_names import CONCENTRATION, Objective
from recast.train.sft.objectives import TokenStatistics, apply, token_statistics
from recast.train.sft.scoring import add_scoring
from recast.train.sft.telemetry import GateMeans, measure, read_measured, sample, summary, write_tokens
from tests.fakes import models


def test_means_are_over_tokens_whatever_the_batches():
    means = GateMeans(Objective.parse("p"))
    for p in ([0.5], [0.25, 0.25, 1.0]):
        of = TokenStatistics(torch.tensor(p).log())
        means.add(of, apply(Objective.parse("p"), of).gate)
    found = means.flush()
    # (0.5 + 0.25 + 0.25 + 1) / 4; the NLL is (1 + 2 + 2 + 0) / 4 bits
    assert found == pytest.approx({"p": 0.5, "gate": 0.5, "nll": 1.25 * math.log(2), "exponent": 1.0})
    assert means.flush() == {}


def test_an_objective_that_only_weighs_has_no_exponent():
    means = GateMeans(Objective.parse("dft"))
    of = token_statistics(torch.zeros(2, 4), torch.tensor([0, 1]), frozenset([CONCENTRATION]))
    means.add(of, apply(Objective.parse("dft"), of).gate)
    found = means.flush()
    assert "exponent" not in found and found["concentration"] == pytest.approx(0.25)  # 4 x (1/4)^2


def tokens(p: list[float], entropy: list[float], gate: list[float]) -> dict[str, np.ndarray]:
    return {
        "nll": -np.log(np.array(p, dtype=np.float32)),
        "entropy": np.array(entropy, dtype=np.float32),
        "exponent": np.full(len(p), np.nan, dtype=np.float32),
        "gate": np.array(gate, dtype=np.float32),
    }


def test_mass_and_changes_by_hand():
    base = tokens([0.05, 0.45, 0.95, 1.0], [6.0, 0.3, 0.0, 0.0], [1.0, 0.5, 0.25, 0.25])
    tuned = tokens([0.55, 0.2, 0.4, 1.0], [0.3, 0.3, 0.3, 0.0], [1, 1, 1, 1])
    found = summary(Objective.parse("eaft"), base, tuned)
    mass = np.array(found["base"]["gate"])
    assert mass.shape == (10, 11) and mass.sum() == 2.0
    assert mass[0, -1] == 1.0  # p 0.05, entropy beyond the last edge
    assert mass[4, 3] == 0.5  # p 0.45, entropy in [0.2, 0.4)
    assert mass[9, 0] == 0.5  # 0.95 and exactly 1, entropy 0
    assert "exponent" not in found["base"]["means"] and found["base"]["means"]["gate"] == 0.5
    rows = {row["low"]: row for row in found["by_confidence"]}
    assert sorted(rows) == [0.0, 0.4, 0.9]
    assert (rows[0.0]["learned"], rows[0.0]["forgotten"], rows[0.0]["fell"]) == (1, 0, 0)
    assert (rows[0.4]["learned"], rows[0.4]["forgotten"], rows[0.4]["fell"]) == (
        0,
        0,
        1,
    )  # it was under a half
    assert (rows[0.9]["tokens"], rows[0.9]["forgotten"], rows[0.9]["fell"]) == (2, 1, 1)
    assert rows[0.9]["p_change"] == pytest.approx((0.4 - 0.95) / 2)
    assert rows[0.0]["loss_change"] == pytest.approx(math.log(0.05 / 0.55), rel=1e-6)


def test_a_sample_is_drawn_whole_rows_until_there_are_enough():
    examples = [Example([0] * (2 + n), 2) for n in (10, 20, 30)]
    assert sample(examples, 1000, 0) == [0, 1, 2] and sample(examples, 0, 0) == []
    some = sample(examples, 15, 3)
    assert 1 <= len(some) < 3 and some == sample(examples, 15, 3)


def test_tokens_are_measured_in_the_order_of_the_rows_whatever_their_lengths(tmp_path):
    model, tokenizer = load(models.make_model("llama", tmp_path / "m", hidden=32, scale=3))
    ids = tokenizer(list(models.TEXTS))["input_ids"]  # of different lengths, so that batches are not in order
    examples = [Example(row, 3) for row in ids]
    objective = Objective.parse("deft")
    found = measure(add_scoring(model), examples, objective, pad_id=0, batch_size=2, bf16=False)
    alone = [measure(model, [e], objective, pad_id=0, batch_size=1, bf16=False) for e in examples]
    for name in ("nll", "entropy", "exponent", "gate"):
        np.testing.assert_allclose(
            found[name], np.concatenate([a[name] for a in alone]), rtol=1e-3, atol=1e-5
        )
    np.testing.assert_allclose(found["exponent"], np.exp(-found["entropy"]), rtol=1e-5)  # C is exp(-H2)
    chosen = [0, 3]
    part = measure(model, [examples[i] for i in chosen], objective, pad_id=0, batch_size=2, bf16=False)
    write_tokens(tmp_path / "tokens.parquet", examples, chosen, base=part)
    indices, read = read_measured(tmp_path / "tokens.parquet", "base")
    assert indices == chosen and all(np.array_equal(read[name], part[name]) for name in part)


def test_the_figures_are_drawn_from_the_data_of_a_run(tmp_path):
    base, tuned = tokens([0.1, 0.9], [1.0, 0.1], [1.0, 0.5]), tokens([0.6, 0.3], [0.5, 0.2], [0.9, 0.4])
    (tmp_path / "telemetry.json").write_text(json.dumps(summary(Objective.parse("deft"), base, tuned)))
    points = [
        {"step": n, "p": 0.1 * n, "gate": 0.5, "exponent": 0.2, "concentration": 0.3} for n in range(1, 5)
    ]
    (tmp_path / "loss.jsonl").write_text("".join(json.dumps(p) + "\n" for p in points))
    (read,) = tunings({"tuned": tmp_path})
    assert [s.points[-1] for s in read.means.series] == [(4, 0.4), (4, 0.5), (4, 0.2), (4, 0.3)]
    page = render(ReportData(tunings=(read,)))
    assert "What the objective trusted" in page and "1 learned, 1 forgotten" in page
    assert page.count('class="cell"') == 4  # two cells with tokens, before and after
    assert "67 % of the gate" in page  # 1.0 of 1.5
    assert tunings({"other": tmp_path / "nothing"}) == ()
