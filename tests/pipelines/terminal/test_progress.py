"""Progress: what reports mean, and the plain lines of a run that no terminal watches."""

from __future__ import annotations

import ast
import io
from pathlib import Path

import pytest

from recast.pipelines.terminal import progress
from recast.pipelines.terminal.progress import DONE, TOTAL, Lines, Pace, clock, describe, reporting

ROOT = Path(__file__).parents[3]


# module -> a report of the form that it makes, as arguments of `progress`; and what a person reads of it
REPORTS = {
    "agent/batches/job.py": (
        [{"done": 4, "total": 8, "made": 2, "rewrite": 3, "fallback": 1, "seconds": 1.0}],
        "4 of 8  rewrite 3, fallback 1",
    ),
    "agent/learning/session.py": (
        [{"step": 2, "total": 40, "phase": "measuring held-out rows"}],
        "2 of 40  measuring held-out rows",
    ),
    "pipelines/wiring/learning/warm_start.py": (
        [{"phase": "warm start, drawing 1 of 4", "done": 4, "total": 8, "say": []}],
        "4 of 8  warm start, drawing 1 of 4",
    ),
    "agent/rewriting/rounds.py": (
        [{"done": 4, "total": 30, "made": 2, "rewrite": 3, "fallback": 1, "seconds": 1.0, "round": 2}],
        "4 of 30  rewrite 3, fallback 1, round 2",
    ),
    "curate/curation/filters.py": ([300], "300 done"),
    "curate/gate/audit.py": ([{"done": 3, "total": 24}], "3 of 24"),
    "curate/gate/calibration.py": ([{"done": 3}], "3 done"),
    "curate/gate/report_card.py": ([{"done": 3}], "3 done"),
    "curate/history/edits.py": ([{"done": 3}], "3 done"),
    "curate/ingest/importer.py": ([None, 40, {"done": 3, "note": "MB, 1,200 rows"}], "3 of 40  MB, 1,200 rows"),
    "pipelines/jobs/people/history.py": ([{"done": 2, "total": 5}], "2 of 5"),
    "pipelines/jobs/versions/curate.py": ([{"done": 300, "total": 1000}], "300 of 1000"),
    "pipelines/run/sharing.py": ([{"done": 4, "total": 8}], "4 of 8"),
    "train/attribution/influence.py": ([{"step": 0, "steps": 2, "phase": "test"}], "0 of 2  test"),
    "train/attribution/retrain.py": (
        [{"step": 4, "steps": 12, "phase": "seed 2 of 3, with all"}],
        "4 of 12  seed 2 of 3, with all",
    ),
    "train/evaluation/evaluate.py": ([{"done": 3, "total": 24}], "3 of 24"),
    "train/graders/report.py": ([{"done": 3}], "3 done"),
    "train/pretraining/pretrain.py": (
        [3, 10, {"step": 3, "loss": 2.51234, "tokens": 4096, "seconds": 1.0, "lr_factor": 1.0}],
        "3 of 10  loss 2.51, tokens 4096, lr factor 1",
    ),
    "train/reinforcement/course.py": ([{"step": 2, "total": 40}], "2 of 40"),
    "train/reinforcement/rl.py": (
        [{"step": 0, "total": 40, "phase": "grading 32 prompts"}],
        "0 of 40  grading 32 prompts",
    ),
    "train/rejection/answers.py": (
        [{"done": 8, "total": 64, "phase": "answering"}],
        "8 of 64  answering",
    ),
    "train/sft/trainer.py": (
        [{"step": 3, "steps": 10, "loss": 0.71234, "seconds": 1.0}],
        "3 of 10  loss 0.712",
    ),
}  # fmt: skip


def reports_in(path: Path) -> list[ast.Call]:
    """The calls of `progress` in a file that report something, but for those that only hand a report on."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    named = [c for c in calls if "progress" in (getattr(c.func, "id", ""), getattr(c.func, "attr", ""))]
    named = [c for c in named if c.args or c.keywords]
    return [c for c in named if not (len(c.args) == 1 and isinstance(c.args[0], ast.Name))]


def test_every_module_that_reports_is_in_the_table_with_the_words_that_it_uses():
    found = {
        str(path.relative_to(ROOT)): calls
        for package in ("agent", "curate", "train", "pipelines")
        for path in sorted((ROOT / package).rglob("*.py"))
        if (calls := reports_in(path))
    }
    assert sorted(found) == sorted(REPORTS)
    for module, calls in found.items():
        known = {key for given in REPORTS[module][0] if isinstance(given, dict) for key in given}
        for call in calls:
            literal = [key for arg in call.args if isinstance(arg, ast.Dict) for key in arg.keys]
            keys = {key.value for key in literal if isinstance(key, ast.Constant)}
            keys |= {keyword.arg for keyword in call.keywords}
            assert keys - known <= {*DONE, *TOTAL, "phase"}, f"{module}:{call.lineno} reports {keys - known}"


@pytest.mark.parametrize("module", REPORTS)
def test_a_person_reads_how_far_every_module_is(module, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    with reporting("job", Lines(stream)) as report:
        now[0] += 10  # the first line is due
        given, expected = REPORTS[module]
        report(*given)
    said, _, _ = stream.getvalue().rpartition("  ")  # the last words are how long it took so far
    assert said == f"job  {expected}"


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


def test_what_is_to_be_said_is_said_at_once_and_is_no_figure(monkeypatch):
    monkeypatch.setattr(progress.time, "monotonic", lambda: 0.0)
    stream = io.StringIO()
    with reporting("learn", Lines(stream)) as report:
        report({"step": 1, "total": 40, "say": ["12% of 64 candidates passed", "lower the temperature"]})
    assert stream.getvalue() == "learn  12% of 64 candidates passed\nlearn  lower the temperature\n"
    assert describe({"say": ["x"], "reward": 1.0}) == "reward 1"
