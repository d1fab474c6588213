"""Commands that share a run: what they make, what kills and cancels leave, what `recast jobs` says of them."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import time
from pathlib import Path

import pytest

from recast.curate.errors import UsageError
from recast.pipelines.run import runs, sharing
from recast.pipelines.run.runs import open_store
from tests.conftest import demonstrations

ROWS = 120


@pytest.fixture
def store(tmp_path, recast) -> Path:
    demonstrations(tmp_path / "d.jsonl", ROWS)
    assert recast("import", "d.jsonl", "--as", "sums").code == 0
    return tmp_path / ".recast"


def rewriting(model: Path, *more: str) -> list[str]:
    sets = ("candidates=4", "max_tokens=64", "batch_rows=2", "scoring=false")
    return [
        *("rewrite", "sums", "--as", "again", "--model", str(model), "--json"),
        *(word for value in sets for word in ("--set", f"rewrite.{value}")),
        *more,
    ]


def folder(store: Path) -> Path:
    (found,) = (store / "runs").glob("rewrite-*")
    return found


def parts(run: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in (run / "parts").glob("*.parquet")}


def until(condition, what: str, patience_s: float = 120.0):
    deadline = time.monotonic() + patience_s
    while not (found := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return found


def at_work(recast) -> list[dict]:
    """The processes that `recast jobs` names."""
    return [hand for job in recast("jobs", "--json").json["jobs"] for hand in job["hands"] if hand["alive"]]


@pytest.mark.slow
def test_two_commands_one_of_two_processes_share_a_run_and_one_is_killed(
    tmp_path, store, tiny_model, recast, recast_process
):
    """Three processes; the parent of two dies, then the third is alone. The version is that of one process."""
    both = recast_process(*rewriting(tiny_model, "--workers", "2"))
    third = recast_process(*rewriting(tiny_model, "--workers", "1"))
    hands = until(
        lambda: len(at_work(recast)) == 3 and len(parts(folder(store))) > 1 and at_work(recast),
        "all three are at work",
    )
    stopped = [hand["pid"] for hand in hands]
    for pid in stopped:  # or they may be done before the next command has begun
        os.kill(pid, signal.SIGSTOP)
    alone = recast(*rewriting(tiny_model))
    assert alone.code == 2 and "With --workers the same command helps them" in alone.json["error"]["message"]
    both.kill()
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)
    out, err = third.communicate(timeout=300)
    assert third.returncode == 0, err
    shared = json.loads(out)
    assert shared["rows"] == ROWS and len(open_store(store).log("again")) == 1
    made = parts(folder(store))
    again = recast(*rewriting(tiny_model, "--workers", "2"))
    assert again.json == shared and "found finished" in again.err
    assert recast(*rewriting(tiny_model, "--fresh")).json["version"] == "again@v2"
    assert parts(folder(store)) == made, "whoever shares a run makes what one process makes"
    rows = [
        [{**row, "run_id": None} for row in open_store(store).open(v).rows()]
        for v in ("again@v1", "again@v2")
    ]
    assert rows[0] == rows[1]


@pytest.mark.torture
@pytest.mark.slow
def test_a_process_that_dies_is_started_anew(tmp_path, store, tiny_model, recast, recast_process):
    run = recast_process(*rewriting(tiny_model, "--workers", "2"))
    first = until(lambda: len(at_work(recast)) == 2 and at_work(recast), "both are at work")
    for hand in first:
        os.kill(hand["pid"], signal.SIGKILL)
    out, err = run.communicate(timeout=300)
    assert run.returncode == 0, err
    assert json.loads(out)["rows"] == ROWS
    assert not list((folder(store) / "workers").iterdir()), "nothing is left of the dead"


@pytest.mark.slow
def test_a_cancelled_run_stops_and_the_same_command_goes_on(
    tmp_path, store, tiny_model, recast, recast_process
):
    run = recast_process(*rewriting(tiny_model, "--workers", "2"))
    until(lambda: len(at_work(recast)) == 2 and parts(folder(store)), "both are at work")
    (job,) = recast("jobs", "--json").json["jobs"]
    assert (job["state"], job["total"]) == ("running", ROWS)
    asked = recast("jobs", "cancel", "rewrite", "--json")
    assert {one["pid"] for one in asked.json["asked"]} == {hand["pid"] for hand in job["hands"]}
    _, err = run.communicate(timeout=120)
    assert run.returncode == 130, err
    assert "cancelled by `recast jobs cancel`" in err
    assert 0 < len(parts(folder(store))) < ROWS / 2, "it was in the midst"
    (job,) = recast("jobs", "--json").json["jobs"]
    assert (job["state"], job["hands"]) == ("unfinished", [])
    assert recast("jobs", "cancel", "rewrite").code == 2, "nobody is at work on it"
    assert recast(*rewriting(tiny_model)).json["rows"] == ROWS
    assert recast("jobs").out.startswith("nothing is running")
    assert "finished" in recast("jobs", "--all").out


def test_an_audit_is_shared_by_chunks(tmp_path, recast, recast_process):
    demonstrations(tmp_path / "d.jsonl", 3000)
    recast("import", "d.jsonl", "--as", "sums")
    commands = [recast_process("gate", "run", "sums", "--workers", "1", "--json") for _ in range(2)]
    said = [json.loads(command.communicate(timeout=120)[0]) for command in commands]
    assert said[0] == said[1] and said[0]["rows"] == 3000
    (run,) = (tmp_path / ".recast" / "runs").glob("gate-run-*")
    assert not list((run / "workers").iterdir()) and not (run / "parts").exists()


def test_a_run_is_found_whatever_its_number_of_workers(tmp_path, store, tiny_model):
    from recast.pipelines.config import Config
    from recast.pipelines.verbs import VERBS

    asked = [
        runs.identity_of(VERBS[verb], {"name": "sums", **more}, Config(), store)
        for verb in ("gate run", "rehearse")
        for more in ({}, {"workers": 3})
    ]
    assert asked[0] == asked[1] and asked[2] == asked[3]


def test_starting_over_is_not_shared(tmp_path, store, tiny_model, recast):
    said = recast(*rewriting(tiny_model, "--workers", "2", "--fresh"))
    assert said.code == 2 and "--fresh starts over" in said.json["error"]["message"]


def test_a_run_that_cannot_work_says_why_it_failed_and_not_that_its_processes_did(tmp_path, store, recast):
    said = recast(*rewriting(tmp_path, "--workers", "2"))
    assert said.code == 2 and str(tmp_path) in said.json["error"]["message"]


def test_shared_and_alone_exclude_each_other(tmp_path):
    with (
        runs.locked(tmp_path, shared=True),
        runs.locked(tmp_path, 0.0, shared=True),
        pytest.raises(UsageError, match="processes that share it"),
        runs.locked(tmp_path, 0.0),
    ):
        pass
    with (
        runs.locked(tmp_path, 0.0),
        pytest.raises(UsageError, match=f"as process {os.getpid()}"),
        runs.locked(tmp_path, 0.0, shared=True),
    ):
        pass


@pytest.mark.parametrize(
    "visible, each, groups",
    [("0,1,2,3", 1, ["0", "1", "2", "3"]), ("4,5,6", 2, ["4,5"]), ("", 1, [""]), ("7", 2, [""])],
)
def test_gpus_are_shared_out(monkeypatch, visible, each, groups):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert sharing.devices(each) == groups


@pytest.mark.torture
@pytest.mark.slow
def test_fifty_kills_of_any_process_leave_a_run_that_the_rest_finish(
    tmp_path, store, tiny_model, recast, recast_process
):
    """Two commands of two processes each; parents and children die at random, and each command is given again."""
    rng, kills = random.Random(0), 0
    start = lambda: recast_process(*rewriting(tiny_model, "--workers", "2"))  # noqa: E731
    commands = [start(), start()]
    while kills < 50 and all(command.poll() is None for command in commands):
        time.sleep(rng.uniform(0.1, 3.0))
        children = [hand["pid"] for hand in at_work(recast)]
        victim = rng.choice([*(command.pid for command in commands), *children])
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            continue
        kills += 1
        commands = [command if command.pid != victim else start() for command in commands]
    for command in commands:
        out, err = command.communicate(timeout=600)
        assert command.returncode == 0, err
    assert json.loads(out)["rows"] == ROWS and len(open_store(store).log("again")) == 1
    made = parts(folder(store))
    recast(*rewriting(tiny_model, "--fresh"))
    assert parts(folder(store)) == made
