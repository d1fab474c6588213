"""The report as a file: what it says, what it leaves out, and that row text can do nothing in it."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

from recast.pipelines.report import ReportData, build
from recast.pipelines.report.charts import flow
from recast.pipelines.report.charts.ridges import gap_closed
from recast.pipelines.report.charts.scales import bins, histogram, share, ticks
from recast.pipelines.report.data import Arm, Curve, Fate, Likelihoods
from recast.pipelines.report.markup import json_script, tag
from recast.pipelines.report.page import render
from recast.pipelines.report.samples import segments
from tests.fakes.report_example import example

ROOT = Path(__file__).parents[3]


def test_an_empty_run_names_the_verb_that_fills_each_section():
    page = render(ReportData())
    for verb in ("recast eval", "recast rewrite", "recast learn", "recast report VERSION"):
        assert verb in page
    assert "<section" not in page


def test_a_page_refers_to_nothing_outside_itself():
    page = render(example())
    assert not re.search(r"(?:src|href)=\"(?!#)", page)
    assert "url(http" not in page and "@import" not in page
    assert "default-src 'none'" in page


def test_the_same_records_give_the_same_bytes(tmp_path):
    assert build(example(), tmp_path / "a.html").read_bytes() == build(example(), tmp_path).read_bytes()


def test_samples_are_data_that_cannot_close_their_element():
    page = render(example())
    body = page.split('id="row-data">')[1].split("</script>")[0]
    assert "<" not in body
    assert len(json.loads(body)) == 40


@pytest.mark.parametrize(
    ("before", "after"),
    [("", ""), ("", "a b"), ("a b", ""), ("a b c", "a x y c"), ("a\n\nb", "b a\n"), ("x = 1", "x  =  1 ")],
)
def test_segments_join_to_both_texts(before, after):
    parts = segments(before, after)
    assert "".join(text for op, text in parts if op <= 0) == before
    assert "".join(text for op, text in parts if op >= 0) == after


def test_blanks_between_changes_are_part_of_the_change():
    # only the blank is common, and a word-by-word stripe of it would be unreadable
    assert segments("one two", "three four") == [[-1, "one two"], [1, "three four"]]


def test_an_escaped_script_still_decodes_to_itself():
    text = "</script>&<!--\u2028"
    written = json_script("x", text)
    assert "</script>&" not in written
    assert json.loads(written.split(">", 1)[1].rsplit("<", 1)[0]) == text


def test_attributes_and_children_are_escaped():
    assert tag("a", "<b>", title='"><i>') == '<a title="&quot;&gt;&lt;i&gt;">&lt;b&gt;</a>'
    assert tag("p", tag("b", "&"), None, hidden=True, id=None) == "<p hidden><b>&amp;</b></p>"


def test_ticks_are_round_and_inside():
    assert ticks(0, 104, 5) == [0, 20, 40, 60, 80, 100]
    assert ticks(-3.9, 29.1, 6) == [0, 5, 10, 15, 20, 25]
    assert ticks(1, 1) == [1]


def test_histogram_counts_every_value_even_beyond_the_edges():
    values = [0.1] * 500 + [0.2] * 499 + [50.0]
    edges = bins([values])
    assert edges[-1] < 1
    assert sum(histogram(values, edges)) == 1000


def test_percentages_say_all_or_none_only_when_exact():
    assert [share(n, 3000) for n in (0, 1, 29, 30, 1500, 2971, 2999, 3000)] == [
        "0 %", "< 0.1 %", "1.0 %", "1 %", "50 %", "99.0 %", "> 99.9 %", "100 %",
    ]  # fmt: skip


def test_gap_closed_is_measured_between_medians():
    # demonstrations 1.2, own 0.2: a gap of 1.0, of which 1.2 - 0.3 = 0.9 is gone
    groups = [
        Likelihoods("demonstration", "d", (1.1, 1.2, 9.0)),
        Likelihoods("completion", "c", (0.3,)),
        Likelihoods("self", "s", (0.2, 0.2)),
    ]
    assert gap_closed(groups) == pytest.approx(0.9)
    assert gap_closed(groups[:2]) is None


def test_missing_and_infinite_figures_are_shown_as_missing():
    arms = (Arm("base", "base", "base", 5.0, 80.0, 0.0), Arm("a", "a", "target", math.nan, None, math.inf))
    page = render(ReportData(arms=arms))
    assert not re.search(r"\b(nan|inf)\b", page.split("<body")[1].split("<script")[0])


def test_one_point_one_row_and_one_value_draw_without_error():
    page = render(
        ReportData(
            arms=(Arm("base", "base", "base", 0.0, 0.0, 0.0, suites={"s": 0.0}),
                  Arm("a", "a", "target", 0.0, 0.0, 0.0, suites={"s": 0.0})),
            fates=(Fate("fallback", "error", 1),),
            curves=(Curve("reward", "Reward", "higher", train=((0.0, 0.0),)),),
            likelihoods=(Likelihoods("demonstration", "d", (0.5,)),),
        )
    )  # fmt: skip
    assert page.count("<section") == 5


def test_the_flow_loses_no_row():
    kept = [Fate("fallback", f"reason_{i}", i + 1, f"task_{i}") for i in range(15)]
    fates = [*kept, Fate("rewrite", "", 30, "task_0")]
    drawing = str(flow.chart(fates))
    # 15 * 16 / 2 = 120 fallbacks and 30 rewrites; eight reasons at most, so the 8 rarest are one: 1 + .. + 8 = 36
    assert ">120, 80 %<" in drawing
    assert "8 other reasons" in drawing and ">36, 24 %<" in drawing
    # six tasks at most: task_0 has 1 + 30 rows, then 15, 14, 13, 12, and the ten rarest 2 + .. + 11 = 65
    assert "10 other tasks" in drawing and ">65, 43 %<" in drawing


def test_only_numpy_and_no_model_library_is_loaded():
    code = (
        "import sys; from pipelines.report import build, collect; "
        "print([m for m in ('torch', 'transformers', 'trl', 'peft') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert out.stdout.strip() == "[]"


def test_text_that_utf8_cannot_hold_does_not_stop_the_page(tmp_path):
    assert "a?b" in build(ReportData(title="a\ud800b"), tmp_path / "x.html").read_text()
