"""The page on a name over time: figures where they are known, a command where they are not, strangers' text inert."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from recast.curate.gate import gate_files
from recast.curate.history.lineage import pin
from recast.curate.store.store import Store
from recast.pipelines.report.charts.timeline import Point, Timeline, panel
from recast.pipelines.report.history_page import Learned, Moment, render
from tests.fakes.evaluations import evaluated, tuned

GATE = "ab" * 8
FIRST = Moment("d@v1", 1, "main", 10, "+10", "ann", "2026-11-29 10:00", "import d.jsonl")
SECOND = replace(
    FIRST,
    ref="d@v2",
    number=2,
    message="rewritten",
    rewritten=0.6,
    false_accepts=0.01,
    false_accepts_interval=(0.0, 0.04),
    models=(Learned("m", 80.0, 60.0, (30.0, 90.0), 10.0, (-20.0, 40.0)),),
)


def test_a_measure_that_no_version_has_is_left_out_with_the_command_that_would_fill_it():
    page = render("d", [FIRST])
    assert "Models trained on each version</b> is left out" in page and "recast eval" in page
    assert ">Rows<" in page and ">Forgetting<" not in page


def test_every_known_measure_is_drawn_with_its_interval():
    page = render("d", [FIRST, SECOND])
    for title in (
        "Rows",
        "Rewritten",
        "Wrong texts that the gate accepts",
        "Gain",
        "Forgetting",
        "Downstream",
    ):
        assert f'class="name">{title}<' in page
    assert "v2\n60.0 [30.0, 90.0]\nm" in page  # what stands beside the point of the gain
    assert "m: gain +60.0, forgetting +10.0" in page


def test_the_same_moments_give_the_same_page_and_strangers_text_is_inert():
    hostile = replace(
        SECOND, message="<script>alert(1)</script>", author='" onclick="x', tags=("<i hidden>",)
    )
    page = render("d", [hostile], created_at="today")
    assert page == render("d", [hostile], created_at="today")
    assert "<script>alert(1)" not in page and 'onclick="x' not in page and "<i hidden>" not in page


def test_a_version_without_the_measure_has_no_point():
    drawn = panel(Timeline("t", "u", points=(Point(1, 5.0), Point(7, 6.0))))
    assert drawn is not None and drawn.count("<circle") == 2 and ">v1<" in drawn and ">v7<" in drawn
    assert panel(Timeline("t", "u")) is None


@pytest.fixture
def store(tmp_path) -> Store:
    """`d` in two versions, of which the second is rewritten, reviewed, judged by a measured gate, and trained on."""
    store = Store(tmp_path / ".recast")
    asked = [{"role": "user", "content": "How many?"}]
    rows = [{"row_id": f"r{i}", "messages": asked, "completion": f"text {i} of many"} for i in range(4)]
    store.commit(rows, "d")
    made = [
        {
            **row, "demonstration": row["completion"], "completion": f"so {row['completion']}", "decision": "rewrite",
            "gate_id": GATE, "nll_demonstration": 2.0, "nll_completion": 1.5,
        }
        for row in rows
    ]  # fmt: skip
    made[0]["meta"] = {"review": {"decision": "edited"}}
    made[1]["meta"] = {"review": {"decision": "accepted"}}
    store.commit(made, "d")
    rate = {"count": 1, "total": 100, "share": 0.01, "interval": [0.0, 0.05]}
    content = {"ensemble": {"false_accepts": rate, "false_rejects": rate}, "measured_at": "2026-11-29"}
    gate_files.keep_card(store.root, GATE, "labels", content)
    base = tuned(tmp_path / "base", "nothing")
    model = tuned(tmp_path / "model", base)
    pin(store, model, "d")
    evaluated(store.root, base, task=2, general=9)
    evaluated(store.root, model, task=8, general=8)
    return store


def test_history_gathers_what_the_store_knows(recast, store):
    said = recast("history", "d", "--target", "task", "-o", "page.html", "--json").json
    first, second = said["versions"]
    assert (first["ref"], first["rewritten"], first["models"]) == ("d@v1", None, [])
    assert (second["rewritten"], second["nll_gain"], second["reviewed"], second["corrected"]) == (
        1.0,
        0.5,
        2,
        1,
    )
    assert (second["false_accepts"], second["gate"]) == (0.01, GATE)
    (model,) = second["models"]
    # 2 of 10 became 8 of 10, and 9 of 10 became 8 of 10
    assert (model["downstream"], model["gain"], round(model["forgetting"], 6)) == (80.0, 60.0, 10.0)
    assert 0 < first["distinct"] <= 1 and first["vendi"] >= 1
    page = Path("page.html").read_text(encoding="utf-8")
    assert "2 versions, 4 rows in d@v2" in page and "http" not in page.replace("http-equiv", "")
    assert "2 versions, 1 model" in recast("history", "d", "-o", "page.html").out


def test_a_name_that_is_not_there_is_said(recast, store):
    assert recast("history", "nobody").code == 2
