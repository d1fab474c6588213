"""What the processes of test_faults do. Imports little: every process of those tests starts with it."""

from __future__ import annotations

import contextlib
import json
import os
import random
import time
from pathlib import Path
from typing import Any

from recast.curate.errors import RecastError
from recast.curate.history.merge import merge
from recast.curate.store import maintenance
from recast.curate.store.store import Store

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
            maintenance.gc(store, grace_s=0)


def work_until_refused(root: str, acks: str, seed: int) -> None:
    """`work`, until the store refuses (a file of it is damaged meanwhile)."""
    with contextlib.suppress(RecastError, OSError):
        work(root, acks, seed)


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
        time.sleep(0.05)
    Path(out).write_text(str(seen))
