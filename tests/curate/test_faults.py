"""The store under kill -9 and under many processes at once. Counts are printed; `make torture` runs them long."""

from __future__ import annotations

import contextlib
import itertools
import json
import multiprocessing
import os
import random
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from curate import upkeep
from curate.merge import merge
from curate.store import Store

# processes start from a server that has imported everything and never started a thread
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["curate.store", "curate.merge", "curate.upkeep", "curate.diff"])
KEYS = [f"k{n}" for n in range(12)]


def row(key: str, text: str) -> dict[str, Any]:
    return {"row_id": key, "messages": [], "completion": text}


def texts(store: Store, ref: str) -> dict[str, str]:
    return {r["row_id"]: r["completion"] for r in store.open(ref).rows(["row_id", "completion"])}


def say(path: Path, **facts: Any) -> None:
    """Append one line, durable before anything else happens: what was acknowledged."""
    with path.open("a") as file:
        file.write(json.dumps(facts) + "\n")
        file.flush()
        os.fsync(file.fileno())


def said(path: Path) -> list[dict[str, Any]]:
    lines = path.read_text().splitlines() if path.exists() else []
    found = []
    for line in lines:
        with contextlib.suppress(ValueError):  # the last line may be cut
            found.append(json.loads(line))
    return found


def work(root: str, acks: str, seed: int) -> None:
    """Commit, merge and collect without end, acknowledging every version with the rows it must hold."""
    store, rng, path = Store(root), random.Random(seed), Path(acks)
    while True:
        name = rng.choice(["d", "d/side"])
        now = texts(store, name)
        act = rng.random()
        if act < 0.6:
            rows = {key: f"{seed}-{rng.random()}" for key in rng.sample(KEYS, 3)}
            gone = [k for k in rng.sample(KEYS, 2) if k in now and k not in rows]
            version = store.commit(
                [row(*r) for r in rows.items()], name, mode="patch", remove=[(k, 0) for k in gone]
            )
            say(path, ref=version.ref, rows={k: t for k, t in (now | rows).items() if k not in gone})
        elif act < 0.8:
            done = merge(store, "d", "d/side", take="ours").version
            if done is not None:
                say(path, ref=done.ref, rows=None)
        else:
            upkeep.gc(store, grace_s=0)


def killed_rounds(rounds: int) -> dict[str, int]:
    """Kill a working process `rounds` times at random moments, checking everything after each."""
    rng = random.Random(5)
    counts = {"rounds": 0, "acknowledged": 0, "orphans": 0}
    with tempfile.TemporaryDirectory() as folder:
        store, acks = Store(Path(folder) / "home"), Path(folder) / "acks"
        store.commit([row(k, "first") for k in KEYS], "d")
        store.branch("d", "side")
        known = 0
        for number in range(rounds):
            process = CONTEXT.Process(target=work, args=(str(store.root), str(acks), number))
            process.start()
            deadline = time.monotonic() + 60
            while len(said(acks)) == known and process.is_alive() and time.monotonic() < deadline:
                time.sleep(0.01)  # until it has begun to acknowledge
            time.sleep(rng.random() * 0.5)
            assert process.pid is not None and process.is_alive(), "the worker died by itself"
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            told = said(acks)
            for ack in told[known:]:
                if ack["rows"] is not None:
                    assert texts(store, ack["ref"]) == ack["rows"], ack["ref"]
                assert store.has(ack["ref"])
            known = len(told)
            counts["rounds"] += 1
            counts["acknowledged"] = known
            counts["orphans"] += len(upkeep.gc(store, grace_s=0).files)
            found = upkeep.verify(store, deep=number % 5 == 4 or number == rounds - 1)
            assert found.problems == [], [str(p) for p in found.problems]
    return counts


def committer(root: str, who: int, commits: int) -> None:
    store = Store(root, deadline_s=300)
    for n in range(commits):
        store.commit([row(f"w{who}-{n}", "x"), row(f"shared{n}", f"by {who}")], "d", mode="patch")


def reader(root: str, stop: str, out: str) -> None:
    """Read the head again and again; every version must be whole."""
    store, seen = Store(root, deadline_s=300), 0
    while True:
        last = Path(stop).exists()
        snapshot = store.open("d")
        rows = list(snapshot.rows(["row_id"]))
        assert len(rows) == snapshot.version.rows == len({r["row_id"] for r in rows})
        seen += 1
        if last:
            break
    Path(out).write_text(str(seen))


def contention(writers: int, commits: int, readers: int) -> dict[str, int]:
    """Commit from many processes to one name while others read it."""
    with tempfile.TemporaryDirectory() as folder:
        store, stop = Store(Path(folder) / "home"), Path(folder) / "stop"
        store.commit([row("seed", "x")], "d")
        outs = [Path(folder) / f"out{n}" for n in range(readers)]
        reading = [
            CONTEXT.Process(target=reader, args=(str(store.root), str(stop), str(out))) for out in outs
        ]
        writing = [
            CONTEXT.Process(target=committer, args=(str(store.root), n, commits)) for n in range(writers)
        ]
        for process in reading + writing:
            process.start()
        for process in writing:
            process.join()
        stop.touch()
        for process in reading:
            process.join()
        assert [p.exitcode for p in writing + reading] == [0] * (writers + readers)
        rows = texts(store, "d")
        assert set(rows) == {"seed"} | {f"w{w}-{n}" for w in range(writers) for n in range(commits)} | {
            f"shared{n}" for n in range(commits)
        }
        log = store.log("d")
        assert [v.number for v in log] == list(range(writers * commits + 1, 0, -1))
        assert all(newer.parents == (older.id,) for newer, older in itertools.pairwise(log))
        assert upkeep.verify(store, deep=True).ok
        return {"commits": writers * commits, "reads": sum(int(out.read_text()) for out in outs)}


def test_kill_9_at_any_moment_loses_nothing_that_was_acknowledged(capsys: pytest.CaptureFixture[str]) -> None:
    counts = killed_rounds(10)
    with capsys.disabled():
        print(f"\nkill -9: {counts}")


def test_many_processes_lose_and_double_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    counts = contention(writers=3, commits=4, readers=2)
    with capsys.disabled():
        print(f"\nmany processes: {counts}")


@pytest.mark.torture
def test_two_hundred_kills(capsys: pytest.CaptureFixture[str]) -> None:
    counts = killed_rounds(200)
    with capsys.disabled():
        print(f"\nkill -9: {counts}")


@pytest.mark.torture
def test_eight_writers_of_fifty_commits_and_eight_readers(capsys: pytest.CaptureFixture[str]) -> None:
    counts = contention(writers=8, commits=50, readers=8)
    with capsys.disabled():
        print(f"\nmany processes: {counts}")
