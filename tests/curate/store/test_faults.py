"""The store under kill -9 and under many processes at once. Counts are printed; `make torture` runs them long."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import random
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path

import pytest

from recast.curate import schema
from recast.curate.errors import IntegrityError
from recast.curate.history.merge import merge
from recast.curate.store import maintenance
from recast.curate.store.store import Store
from tests.curate.store.store_workers import KEYS, committer, reader, row, said, texts, work

# processes start from a server that has imported everything and never started a thread
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    # pandas: pyarrow imports it with the first table
    ["tests.curate.store.store_workers", "recast.curate.store.index", "recast.curate.store.staging", "pandas"]
)


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
            counts["orphans"] += len(maintenance.gc(store, grace_s=0).files)
            found = maintenance.verify(store, deep=number % 5 == 4 or number == rounds - 1)
            assert found.problems == [], [str(p) for p in found.problems]
    return counts


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
        assert maintenance.verify(store, deep=True).ok
        return {"commits": writers * commits, "reads": sum(int(out.read_text()) for out in outs)}


def damaged_rounds(rounds: int) -> Counter[str]:
    """Flip one bit of a random part, or cut the catalog short: `verify` names it and no reader is misled."""
    rng, counts = random.Random(11), Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "home")
        store.commit([row(k, f"text of {k} " * 30) for k in KEYS], "d")
        store.branch("d", "side")
        candidates = schema.CANDIDATE_SCHEMA.empty_table()
        store.commit(
            [row(KEYS[0], "changed")], "d", mode="patch", remove=[(KEYS[1], 0)], candidates=candidates
        )
        store.commit([row(KEYS[2], "aside"), row("new", "x")], "d/side", mode="patch")
        merge(store, "d", "d/side")
        expected = {v.ref: texts(store, v.ref) for v in store.log("d")}
        files = sorted((store.root / "parts").rglob("*.parquet"))
        for number in range(rounds):
            file = store.catalog.path if number % 5 == 4 else rng.choice(files)
            whole = file.read_bytes()
            if file == store.catalog.path:
                file.write_bytes(whole[: rng.randrange(len(whole))])
            else:
                at = rng.randrange(len(whole))
                file.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << rng.randrange(8)]) + whole[at + 1 :])
            problems = [str(p) for p in maintenance.verify(store, deep=number % 2 == 1).problems]
            name = file.name if file == store.catalog.path else file.stem
            assert any(name in problem for problem in problems), (number, name, problems)
            for ref, rows in expected.items():
                try:
                    assert texts(store, ref) == rows, (number, name, ref)
                    counts["reads that the damage did not touch"] += 1
                except IntegrityError:
                    counts["reads refused"] += 1
            counts["catalogs cut" if file == store.catalog.path else "bits flipped"] += 1
            file.write_bytes(whole)
        assert maintenance.verify(store, deep=True).problems == []
    return counts


@pytest.mark.slow
def test_kill_9_at_any_moment_loses_nothing_that_was_acknowledged(capsys: pytest.CaptureFixture[str]) -> None:
    counts = killed_rounds(10)
    with capsys.disabled():
        print(f"\nkill -9: {counts}")


@pytest.mark.slow
def test_many_processes_lose_and_double_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    counts = contention(writers=3, commits=4, readers=2)
    with capsys.disabled():
        print(f"\nmany processes: {counts}")


def test_a_flipped_bit_or_a_cut_catalog_is_found_and_misleads_no_reader(
    capsys: pytest.CaptureFixture[str],
) -> None:
    counts = damaged_rounds(10)
    with capsys.disabled():
        print(f"\ndamage: {dict(counts)}")


@pytest.mark.torture
def test_two_hundred_damages(capsys: pytest.CaptureFixture[str]) -> None:
    counts = damaged_rounds(200)
    with capsys.disabled():
        print(f"\ndamage: {dict(counts)}")


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


def test_a_healthy_catalog_is_never_called_cut_short(tmp_path: Path) -> None:
    """DuckDB trims its file itself: the size it counts on is often more than there is."""
    store, rng = Store(tmp_path / "home"), random.Random(1)
    for number in range(12):
        rows = [row(f"r{i}", f"{number} {i} " * rng.randint(1, 60)) for i in range(rng.randint(1, 800))]
        store.commit(rows, f"n{number % 3}")
        if number % 5 == 4:
            maintenance.gc(store)
        assert maintenance.verify(store).problems == []


def test_a_writer_that_was_killed_before_it_noted_the_size_raises_no_alarm(tmp_path: Path) -> None:
    store = Store(tmp_path / "home")
    store.commit([row("a", "text " * 4000)], "d")
    note = (tmp_path / "home" / "catalog.size").read_text()
    store.commit([row("b", "text " * 4000)], "e")
    (tmp_path / "home" / "catalog.size").write_text(note)  # as if the second writer had not come to it
    assert maintenance.verify(store).problems == []
