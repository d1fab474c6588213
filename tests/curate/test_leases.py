"""Who is at work, and who may do what: files that processes and machines share."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from recast.curate import files, leases, presence
from recast.curate.leases import Leases
from recast.curate.presence import Presence, present

HOLDER = """
import sys, time
from pathlib import Path
from recast.curate.leases import Leases
from recast.curate.presence import Presence
with Presence(Path(sys.argv[1]), expiry_s=float(sys.argv[2])) as me, Leases(me) as held:
    print(held.claim(7), flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    """Start a process that holds the lease of unit 7."""
    started = []

    def start(expiry_s=60.0):
        command = [sys.executable, "-c", HOLDER, str(tmp_path), str(expiry_s)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None and process.stdout.readline() == "True\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def elsewhere(path):
    """Make the file of a process that of one on another machine."""
    (path.write_text(json.dumps(json.loads(path.read_text()) | {"place": "another machine"})))


def test_a_unit_is_one_process_s_until_it_is_released(tmp_path):
    with Presence(tmp_path) as one, Presence(tmp_path) as two, Leases(one) as first, Leases(two) as second:
        assert first.claim(7) and not second.claim(7)
        assert first.claim(7), "what is held stays held"
        assert second.claim(8)
        second.release(7)
        assert leases.holders(tmp_path) == {7: one.id, 8: two.id}, "nobody releases what another holds"
        first.release(7)
        assert second.claim(7)
    assert list(tmp_path.iterdir()) == [], "who leaves takes its files along"


def test_the_lease_of_a_killed_process_of_this_machine_is_taken_over_at_once(tmp_path, holder):
    process = holder()
    with Presence(tmp_path) as me, Leases(me) as mine:
        assert not mine.claim(7)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert mine.claim(7)
        assert leases.holders(tmp_path) == {7: me.id}


def test_a_stopped_process_keeps_its_lease_until_it_expires(tmp_path, holder):
    process = holder(expiry_s=1.0)
    process.send_signal(signal.SIGSTOP)
    with Presence(tmp_path) as me, Leases(me) as mine:
        assert not mine.claim(7)
        deadline = time.monotonic() + 20
        while not mine.claim(7):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_process_that_beats_keeps_its_lease_beyond_its_expiry(tmp_path, holder):
    holder(expiry_s=1.0)
    with Presence(tmp_path) as me, Leases(me) as mine:
        time.sleep(1.6)
        assert not mine.claim(7)


def test_a_machine_whose_clock_is_wrong_takes_nothing_from_the_living(tmp_path, monkeypatch):
    """Age is the difference of two times of the file system; the clock of neither machine enters."""
    with Presence(tmp_path) as one, Leases(one) as first:
        assert first.claim(7)
        elsewhere(one.path)
        monkeypatch.setattr(time, "time", lambda: 4e9)
        with Presence(tmp_path) as two, Leases(two) as second:
            assert not second.claim(7)


@pytest.fixture
def expired(tmp_path):
    """The lease of unit 7 of a process of another machine that counts as dead."""
    with Presence(tmp_path) as one:
        assert Leases(one).claim(7)
        elsewhere(one.path)
        os.utime(one.path, (0, 0))  # the lease is the same file
        yield one


def test_of_many_that_want_an_expired_lease_one_gets_it(tmp_path, expired):
    many = [Presence(tmp_path) for _ in range(8)]
    with contextlib.ExitStack() as stack:
        for me in many:
            stack.enter_context(me)
        os.utime(expired.path, (0, 0))
        got, barrier = [], threading.Barrier(len(many))

        def want(me):
            barrier.wait()
            if Leases(me).claim(7):
                got.append(me.id)

        threads = [threading.Thread(target=want, args=(me,)) for me in many]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert got == [leases.holders(tmp_path)[7]]
        assert not list(tmp_path.glob("*.lease.*")), "no turn is left"


@pytest.mark.parametrize("faster", ["nobody", "one that has it", "one that has done it"])
def test_who_acts_late_on_a_dead_holder_takes_nothing_from_who_was_faster(
    tmp_path, expired, monkeypatch, faster
):
    """Between reading that the holder is dead and acting on it another process takes the lease over."""
    with Presence(tmp_path) as fast, Presence(tmp_path) as slow:
        os.utime(expired.path, (0, 0))
        real, quick = presence.read, Leases(fast)

        def read(path):
            monkeypatch.setattr(presence, "read", real)
            seen = real(path)
            if faster != "nobody":
                assert quick.claim(7)
            if faster == "one that has done it":
                quick.release(7)
            return seen

        monkeypatch.setattr(presence, "read", read)
        assert Leases(slow).claim(7) == (faster != "one that has it")
        assert leases.holders(tmp_path) == {7: (fast if faster == "one that has it" else slow).id}


def test_a_turn_of_one_that_died_in_it_is_taken_over_too(tmp_path, expired):
    with Presence(tmp_path) as died, Presence(tmp_path) as me:
        (tmp_path / f"000007.lease.{expired.id[-6:]}").hardlink_to(died.path)
        assert not Leases(me).claim(7), "it may be about to take the lease"
        elsewhere(died.path)
        for dead in (expired, died):
            os.utime(dead.path, (0, 0))
        assert Leases(me).claim(7)
        assert leases.holders(tmp_path) == {7: me.id}


def test_the_files_of_processes_that_are_gone_are_removed_by_the_next_one(tmp_path, holder):
    process = holder()
    process.kill()
    process.wait()
    assert [seen.alive(presence.clock(tmp_path)) for seen in present(tmp_path)] == [False]
    with Presence(tmp_path) as me:
        assert [seen.id for seen in present(tmp_path)] == [me.id]


def test_others_see_how_far_a_process_is(tmp_path):
    with Presence(tmp_path, {"verb": "rewrite"}, expiry_s=0.4) as me:
        me.say(done=3, total=9)
        (seen,) = present(tmp_path)
        deadline = time.monotonic() + 10
        while presence.said(tmp_path, seen) != {"since": me.since, "done": 3, "total": 9}:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert seen.facts["verb"] == "rewrite" and seen.pid == os.getpid() and seen.alive(me.now())


def test_a_process_whose_file_was_removed_writes_it_anew(tmp_path):
    with Presence(tmp_path) as me:
        me.path.unlink()
        me.now()
        assert [seen.id for seen in present(tmp_path)] == [me.id]


def test_of_two_writers_the_first_whole_file_stands(tmp_path):
    path = tmp_path / "part"
    with files.first(path) as slow:
        slow.write_text("second")
        with files.first(path) as fast:
            fast.write_text("first")
    assert path.read_text() == "first"
    assert [p.name for p in tmp_path.iterdir()] == ["part"]


def test_a_leftover_is_swept_when_it_is_old_and_its_writer_does_not_mind(tmp_path):
    path = tmp_path / "part"
    with files.first(path) as mine:
        mine.write_text("x")
        files.sweep(tmp_path, 60.0, presence.clock(tmp_path))
        assert mine.exists(), "somebody may be writing it"
        path.write_text("of another")
        os.utime(mine, (0, 0))
        files.sweep(tmp_path, 60.0, presence.clock(tmp_path))
        assert not mine.exists()
    assert path.read_text() == "of another"
