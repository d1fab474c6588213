"""Progress: what reports mean, and the plain lines of a run that no terminal watches."""

from __future__ import annotations

import io

from recast.pipelines.terminal import progress
from recast.pipelines.terminal.progress import Lines, Pace, clock, describe, reporting


def test_the_words_of_every_reporting_module_are_understood():
    pace = Pace("x")
    pace.update({"step": 3, "steps": 10, "loss": 0.71234})
    assert (pace.done, pace.total, pace.note) == (3, 10, "loss 0.712")
    pace.update({"done": 4, "total": 8, "rewrite": 3, "seconds": 1.0})
    assert (pace.done, pace.total, pace.note) == (4, 8, "rewrite 3")


def test_time_left_follows_the_pace_since_the_first_report(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    pace = Pace("x")
    pace.update({"done": 50, "total": 100})  # found finished by a resumed run: no pace yet
    assert pace.seconds_left is None
    now[0] += 10
    pace.update({"done": 60, "total": 100})
    assert pace.seconds_left == 40.0  # 10 rows in 10 s, 40 rows to go


def test_another_phase_has_a_pace_of_its_own(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    pace = Pace("x")
    pace.update({"done": 0, "total": 10})
    now[0] = 1000.0
    pace.update({"done": 1, "total": 500})
    assert pace.seconds_left is None


def test_clock():
    assert [clock(s) for s in (0, 59.6, 75, 3661)] == ["0:00", "1:00", "1:15", "1:01:01"]


def test_descriptions_hold_figures_and_phases_only():
    assert describe({"phase": "scoring", "step": 1, "reward": 1.0, "ok": True, "rows_left": 3}) == (
        "scoring, reward 1, rows left 3"
    )


def test_lines_come_now_and_then(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    lines = Lines(stream, every_s=30)
    lines.start("learn")
    for step in range(60):
        now[0] += 1
        lines.update("learn", {"step": step, "steps": 60})
    said = stream.getvalue().splitlines()
    assert len(said) == 2  # after 5 s and after 35 s
    assert said[0].startswith("learn  4 of 60")
    assert said[0].endswith("left")


def test_both_ways_of_reporting_reach_the_reporter():
    seen = []
    with reporting("x", progress.Silent(), also=seen.append) as report:
        report({"done": 1, "total": 2})
        report(1, 2, {"loss": 0.5})
    assert seen == [{"done": 1, "total": 2}, {"done": 1, "total": 2, "loss": 0.5}]
