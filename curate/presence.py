"""Who is at work in a folder that several processes and machines share: a file a process, touched while it lives.

A process counts as alive while its file was touched within `expiry_s` by the clock of the file system, which all
machines that share the folder read alike; their own clocks may be wrong by any amount. On the machine where it ran it
counts as gone at once when it is gone.

    with Presence(run / "workers", {"verb": "rewrite"}) as me:
        me.say(done=64, total=1000)
    [seen.host for seen in present(run / "workers") if seen.alive]

    workers/<id>.json        who: written once, touched again and again
    workers/<id>.said.json   how far: written anew with every beat that has something new
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recast.curate.files import write_json

EXPIRY_S = 120.0
"""After so long without a beat a process of another machine counts as dead. Clients of network file systems may show
times that are up to a minute old."""
BEATS = 8
"""Beats in that time."""
SAID = ".said.json"


@dataclass(frozen=True, slots=True)
class Seen:
    """A process as its file shows it to others."""

    id: str
    host: str
    pid: int
    place: str  # machine and process namespace, empty where nothing tells
    began: int  # when the process began, in ticks of that machine, 0 where nothing tells
    expiry_s: float
    facts: Mapping[str, Any]  # what it is, as it said when it came
    beat: float  # on the clock of the file system

    @property
    def gone(self) -> bool:
        """Whether it ran here and does no more."""
        return bool(self.place) and self.place == _place() and _began(self.pid) != self.began

    def alive(self, now: float) -> bool:
        """`now` on the clock of the file system (`clock`)."""
        return not self.gone and now - self.beat <= self.expiry_s


class Presence:
    """This process's file in `folder`, from entering to leaving the block."""

    def __init__(self, folder: Path, facts: Mapping[str, Any] | None = None, *, expiry_s: float = EXPIRY_S):
        self.folder, self.facts, self.expiry_s = folder, dict(facts or {}), expiry_s
        self.id = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
        self.path = folder / f"{self.id}.json"
        self._said: dict[str, Any] = {}
        self._new = False
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="presence", daemon=True)

    def __enter__(self) -> Presence:
        for path in self.folder.glob("*.json"):
            if not path.name.endswith(SAID) and (seen := read(path)) is not None and seen.gone:
                forget(path)
        self._write()
        self.since = self.path.stat().st_mtime  # on the clock of the file system
        self.say(since=self.since)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self._thread.join()
        forget(self.path)

    def say(self, **said: Any) -> None:
        """How far it is; others see it with the next beat."""
        self._said |= said
        self._new = True

    def now(self) -> float:
        """The clock of the file system. Raises OSError where the folder is gone."""
        self._touch()
        return self.path.stat().st_mtime

    def _write(self) -> None:
        who = {
            "id": self.id,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "place": _place(),
            "began": _began(os.getpid()),
            "expiry_s": self.expiry_s,
            "started": time.time(),
            "facts": self.facts,
        }
        write_json(self.path, who, indent=None)

    def _touch(self) -> None:
        try:
            os.utime(self.path)  # without a time of ours: the server of a network file system sets its own
        except FileNotFoundError:  # somebody took this process for dead
            if self.folder.is_dir():
                self._write()

    def _beat(self) -> None:
        while not self._left.wait(min(15.0, self.expiry_s / BEATS)):
            with contextlib.suppress(OSError):  # a disk that is full now may not be at the next beat
                self._touch()
                if self._new:
                    self._new = False
                    write_json(said_path(self.path), dict(self._said), indent=None)


def present(folder: Path) -> list[Seen]:
    """All processes that have a file in `folder`, dead ones too, by id."""
    paths = sorted(p for p in folder.glob("*.json") if not p.name.endswith(SAID))
    return [seen for path in paths if (seen := read(path)) is not None]


def read(path: Path) -> Seen | None:
    """What the file of a process says; None where it is gone, or no such file."""
    try:
        with path.open(
            encoding="utf-8"
        ) as file:  # opened, and not asked by name, a network file system asks its server
            beat = os.fstat(file.fileno()).st_mtime
            found = json.loads(file.read())
        return Seen(
            found["id"],
            found["host"],
            found["pid"],
            found["place"],
            found["began"],
            found["expiry_s"],
            {**found["facts"], "started": found["started"]},
            beat,
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def said(folder: Path, seen: Seen) -> dict[str, Any]:
    """What a process last said of how far it is."""
    try:
        return json.loads((folder / f"{seen.id}{SAID}").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def said_path(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(".json") + SAID)


def forget(path: Path) -> None:
    """Remove the files of a process that has gone."""
    path.unlink(missing_ok=True)
    said_path(path).unlink(missing_ok=True)


def clock(folder: Path) -> float:
    """The clock of the file system that holds `folder`, of this machine where the folder cannot be written to."""
    probe = folder / f".clock.{uuid.uuid4().hex[:8]}.tmp"
    try:
        probe.touch()
        now = probe.stat().st_mtime
        probe.unlink()
    except OSError:
        return time.time()
    return now


def _place() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _began(pid: int) -> int:
    """When a process of this machine began, in ticks since the machine did; 0 where there is none, or a zombie."""
    try:
        # behind the name, which may hold anything in brackets: state is the first field, the start the twentieth
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] == "Z" else int(fields[19])
