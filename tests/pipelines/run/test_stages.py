"""Stages: order, references, failures, skipping what is finished, and going on after a kill. Real processes."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
import yaml

from recast.curate.errors import UsageError
from recast.pipelines.run import stages
from recast.pipelines.run.runs import open_store
from recast.pipelines.run.stages import Plan, Stage, StageFailedError
from recast.pipelines.terminal.progress import Silent
from tests.conftest import demonstrations


def chain(tmp_path):
    """import -> export and tag, which do not need each other."""
    file = demonstrations(tmp_path / "d.jsonl", 4)
    return [
        {"name": "data", "verb": "import", "args": {"path": str(file), "as": "sums"}},
        {
            "name": "out",
            "verb": "export",
            "args": {"name": "${data.version}", "out": str(tmp_path / "o.jsonl")},
        },
        {"name": "mark", "verb": "tag", "args": {"ref": "sums@v1", "tag": "ready"}, "needs": ["data"]},
    ]


class Heard(Silent):
    """Remembers what was said."""

    def __init__(self):
        self.started, self.finished = [], {}

    def start(self, name):
        self.started.append(name)

    def finish(self, name, words):
        self.finished[name] = words


def test_stages_run_after_what_they_need_with_its_results(tmp_path):
    heard = Heard()
    outcomes = stages.run(Plan.of(chain(tmp_path)), store=tmp_path / "s", jobs=2, reporter=heard)
    assert list(outcomes) == ["data", "out", "mark"]
    assert heard.started[0] == "data"
    assert outcomes["out"].result["version"] == "sums@v1"
    assert len((tmp_path / "o.jsonl").read_text().splitlines()) == 4
    assert open_store(tmp_path / "s").resolve("sums@ready").ref == "sums@v1"


def test_what_is_finished_is_found_and_only_a_change_is_redone(tmp_path):
    plan = chain(tmp_path)
    stages.run(Plan.of(plan), store=tmp_path / "s", jobs=1)
    again = stages.run(Plan.of(plan), store=tmp_path / "s", jobs=1)
    assert {name: o.found for name, o in again.items()} == {"data": True, "out": True, "mark": True}
    plan[1]["args"]["to"] = "trl"
    changed = stages.run(Plan.of(plan), store=tmp_path / "s", jobs=1)
    assert {name: o.found for name, o in changed.items()} == {"data": True, "out": False, "mark": True}


@pytest.mark.slow
def test_another_input_redoes_what_follows_from_it(tmp_path):
    plan = chain(tmp_path)
    stages.run(Plan.of(plan), store=tmp_path / "s", jobs=1)
    demonstrations(tmp_path / "d.jsonl", 5)
    again = stages.run(Plan.of(plan), store=tmp_path / "s", jobs=1)
    assert [o.found for o in again.values()] == [False, False, True]
    assert again["out"].result["version"] == "sums@v2"


def test_a_failure_stops_what_needs_it_and_nothing_else(tmp_path):
    plan = chain(tmp_path)
    plan.append({"name": "bad", "verb": "import", "args": {"path": str(tmp_path / "none.jsonl"), "as": "x"}})
    plan.append({"name": "after", "verb": "show", "args": {"name": "x"}, "needs": ["bad"]})
    with pytest.raises(StageFailedError) as error:
        stages.run(Plan.of(plan), store=tmp_path / "s", jobs=2)
    assert error.value.exit_code == 2
    assert "Stage bad failed" in str(error.value)
    assert "none.jsonl" in str(error.value)
    assert "Not run, since they need it: after" in str(error.value)
    assert (tmp_path / "o.jsonl").exists()


def test_a_reference_to_a_result_that_is_not_there_says_what_is(tmp_path):
    plan = chain(tmp_path)
    plan[1]["args"]["name"] = "${data.verison}"
    with pytest.raises(StageFailedError, match=r"\$\{data.verison\} names nothing; the result has version, "):
        stages.run(Plan.of(plan), store=tmp_path / "s", jobs=1)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([{"name": "a", "verb": "shwo"}], "there is no verb 'shwo'. Did you mean show?"),
        ([{"name": "a", "verb": "show", "args": {}}], "show needs name"),
        (
            [{"name": "a", "verb": "show", "args": {"name": "x"}, "need": "b"}],
            "stage 'a' has an unknown key 'need'",
        ),
        ([{"name": "a", "verb": "show", "args": {"name": "x"}, "needs": ["b"]}], "stage 'a' needs 'b'"),
        ([{"name": "a", "verb": "show", "args": {"name": "${b.version}"}}], "stage 'a' needs 'b'"),
        ([{"name": "a", "args": {}}], "stage 'a' has no verb"),
        (["show"], "stage 1 is 'show'"),
        ([{"verb": "log"}, {"verb": "log"}], "two stages are called 'log'"),
        (
            [{"name": "a", "verb": "log", "needs": "b"}, {"name": "b", "verb": "log", "needs": "a"}],
            "stages need each other in a circle: a, b",
        ),
    ],
)
def test_a_wrong_plan_is_refused_before_anything_runs(given, message):
    with pytest.raises(UsageError) as error:
        Plan.of(given)
    assert str(error.value).startswith(message)


def test_the_most_urgent_stage_begins_the_longest_chain():
    plan = Plan.of(
        [
            {"name": "short", "verb": "log"},
            {"name": "long", "verb": "log"},
            {"name": "long2", "verb": "log", "needs": "long"},
            {"name": "long3", "verb": "log", "needs": "long2"},
        ]
    )
    assert {s.name: plan.chain_length(s.name) for s in plan.stages} == {
        "short": 1, "long": 3, "long2": 2, "long3": 1,
    }  # fmt: skip


def test_a_stages_file_has_a_config_that_flags_override(tmp_path):
    from recast.pipelines.config import Config

    path = tmp_path / "s.yaml"
    path.write_text(
        yaml.safe_dump({"config": {"sft": {"epochs": 2, "lr": 0.1}}, "stages": [{"verb": "log"}]})
    )
    plan = Plan.load(path, Config.load(sets=["sft.lr=0.2"]))
    assert (plan.config.section("sft").epochs, plan.config.section("sft").lr) == (2, 0.2)
    assert plan.stages == (Stage("log", "log"),)


def test_the_time_left_is_the_longest_chain_or_the_work_over_the_workers(tmp_path):
    plan = Plan.of(
        [
            {"name": "a", "verb": "log", "seconds": 10},
            {"name": "b", "verb": "log", "seconds": 10, "needs": "a"},
            {"name": "c", "verb": "log", "seconds": 10},
            {"name": "d", "verb": "log", "seconds": 30},
        ]
    )
    runner = stages._Runner(plan, tmp_path, 2, Silent(), tmp_path)
    assert runner._seconds_left() == 30  # chain d 30; work 60 over 2 workers
    runner.outcomes["d"] = stages.StageOutcome("d", {}, 60.0, False, None)  # took twice what was expected
    # a fifth of the 60 s planned counts as seen: all take (60 + 12) / (30 + 12) of their 10 s, and a, b are a chain
    assert runner._seconds_left() == pytest.approx(2 * 10 * 72 / 42)


def test_a_stage_that_found_everything_in_place_does_not_make_the_rest_look_done(tmp_path):
    stages_ = [
        {"name": "fetch", "verb": "log", "seconds": 60},
        {"name": "learn", "verb": "log", "seconds": 540},
    ]
    runner = stages._Runner(Plan.of(stages_), tmp_path, 1, Silent(), tmp_path)
    runner.outcomes["fetch"] = stages.StageOutcome("fetch", {}, 0.0, False, None)
    assert runner._seconds_left() == pytest.approx(540 * 120 / 180)


def test_a_killed_run_goes_on_where_it_stopped(tmp_path, recast_process):
    """kill -9 of the parent: its workers die with it, and the same command does only what is missing."""
    plan = chain(tmp_path)
    # a stage that takes long enough to be killed in: an import of many rows
    demonstrations(tmp_path / "many.jsonl", 500_000)
    plan.append(
        {
            "name": "many",
            "verb": "import",
            "args": {"path": "many.jsonl", "as": "many"},
            "needs": ["out", "mark"],
        }
    )
    (tmp_path / "stages.yaml").write_text(yaml.safe_dump({"stages": plan}))
    run = recast_process("run", "stages.yaml", "--json", "-j", "1")
    runs_folder = tmp_path / ".recast" / "runs"
    deadline = time.monotonic() + 120
    while not (begun := unfinished(runs_folder)) or len(list(runs_folder.glob("*/result.json"))) < 3:
        assert time.monotonic() < deadline, run.stderr.read()
        assert run.poll() is None, run.communicate()
        time.sleep(0.05)
    worker = json.loads(begun[0].read_text().splitlines()[0])["pid"]
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    deadline = time.monotonic() + 10
    while alive(worker):
        assert time.monotonic() < deadline, "the worker outlived its parent"
        time.sleep(0.05)
    assert open_store(tmp_path / ".recast").names() == ["sums"]  # nothing half written

    demonstrations(tmp_path / "many.jsonl", 6)
    again = recast_process("run", "stages.yaml", "--json", "-j", "1")
    out, err = again.communicate(timeout=120)
    assert again.returncode == 0, err
    found = {name: stage["found"] for name, stage in json.loads(out)["stages"].items()}
    assert found == {"data": True, "out": True, "mark": True, "many": False}
    assert open_store(tmp_path / ".recast").resolve("many").rows == 6


def test_ctrl_c_stops_the_workers_and_says_that_the_command_goes_on(tmp_path, recast_process):
    demonstrations(tmp_path / "many.jsonl", 500_000)
    plan = [{"name": "many", "verb": "import", "args": {"path": "many.jsonl", "as": "many"}}]
    (tmp_path / "stages.yaml").write_text(yaml.safe_dump({"stages": plan}))
    run = recast_process("run", "stages.yaml")
    deadline = time.monotonic() + 120
    while not (begun := list((tmp_path / ".recast" / "runs").glob("import-*/events.jsonl"))):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    worker = json.loads(begun[0].read_text().splitlines()[0])["pid"]
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "the same command goes on" in err
    assert not alive(worker)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.exists() and ") Z" in stat.read_text())  # a zombie is dead


def unfinished(runs_folder: Path) -> list[Path]:
    """Event files of imports that have begun and not ended."""
    return [p for p in runs_folder.glob("import-*/events.jsonl") if not p.with_name("result.json").exists()]


def test_a_stage_that_is_shown_says_at_the_end_what_came_of_it(recast, tmp_path):
    planned = [{**stage, "show": stage["name"] == "mark"} for stage in chain(tmp_path)]
    (tmp_path / "stages.yaml").write_text(yaml.safe_dump({"stages": planned}))
    said = recast("run", "stages.yaml")
    assert said.code == 0, said.err
    assert said.out.rstrip().splitlines()[-2:] == ["mark", "sums@ready is sums@v1"]
