"""Ray against what this machine does without it: the same rows, and what a cluster costs beside.

    python -m tests.bench.on_ray overhead                          two actors against two leases, the pocket
    python -m tests.bench.on_ray duplicates --rows 200000          near duplicates against one process
    python -m tests.bench.on_ray duplicates --out out/duplicates   goes on: what is finished is a file there

`overhead` rewrites twice, few rows and many, and divides what the further rows cost: starting up is left out. Seconds
are of the processor, Ray's own processes included, and of the clock, which needs a machine that does nothing else: its
workers stand back behind all that does (`RAY_worker_niceness`). The exit status is 1 where the bound is missed, or
where the rows differ.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from recast.curate.curation.dedup import DuplicateFinder
from recast.curate.store.store import Store
from recast.pipelines.on_ray.cluster import Cluster
from recast.pipelines.on_ray.duplicates import Gathered

OVERHEAD = 1.10
SETTINGS = {"batch_rows": 32, "max_tokens": 64}
TEXTS = 10_000  # added at once
TICKS = os.sysconf("SC_CLK_TCK")

Spent = tuple[float, float]
"""Seconds of the processor, and of the clock."""


def descendants(of: int) -> set[int]:
    """Processes that this one began, and those that they did, as they are now."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended
            continue
    found, new = set[int](), {of}
    while new:
        new = {pid for pid, parent in parents.items() if parent in new} - found
        found |= new
    return found


def processor_of(pids: set[int]) -> float:
    """Seconds that they and their ended children have taken."""
    ticks = 0
    for pid in pids:
        try:
            ticks += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]))
        except OSError:
            continue
    return ticks / TICKS


def spent(call: Callable[[], Any]) -> Spent:
    """What a call takes, with all processes that it begins or asks."""

    def now() -> float:
        here, gone = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
        own = here.ru_utime + here.ru_stime + gone.ru_utime + gone.ru_stime
        return own + processor_of(descendants(os.getpid()))

    used, began = now(), time.monotonic()
    call()
    return now() - used, time.monotonic() - began


def rewritten(store: Path, rows: int, to: str, *more: str) -> None:
    command = ["rewrite", f"sums{rows}", "--as", to, "--workers", "2", "--store", str(store), "--json", *more]
    sets = [word for key, value in SETTINGS.items() for word in ("--set", f"rewrite.{key}={value}")]
    subprocess.run(
        [sys.executable, "-m", "recast.pipelines.cli", *command, *sets], check=True, stdout=subprocess.DEVNULL
    )


def overhead(few: int, many: int) -> int:
    """Two actors against two processes that share by leases."""
    import ray

    from recast.pipelines.demo.files import row
    from recast.pipelines.demo.styles import qa
    from recast.pipelines.demo.world import problems

    os.environ["OMP_NUM_THREADS"] = "1"
    took: dict[str, list[Spent]] = {"leases": [], "ray": []}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        store = Store(home / "store")
        drawn = [
            row(problem, i, qa(problem)) for i, problem in enumerate(problems("word2", "train", many, seed=1))
        ]
        for rows in (few, many):
            store.commit(islice(map(_stored, drawn), rows), f"sums{rows}")
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        address = ray.get_runtime_context().gcs_address
        for rows in (few, many):
            took["leases"].append(spent(lambda rows=rows: rewritten(home / "store", rows, f"leased{rows}")))
            took["ray"].append(
                spent(lambda rows=rows: rewritten(home / "store", rows, f"ray{rows}", "--ray", address))
            )
        ray.shutdown()
        same = all(_rows(store, f"leased{rows}") == _rows(store, f"ray{rows}") for rows in (few, many))
    per_row = {
        who: [(more - less) / (many - few) for less, more in zip(*both, strict=True)]
        for who, both in took.items()
    }
    ratio, by_clock = (r / lease for r, lease in zip(per_row["ray"], per_row["leases"], strict=True))
    for who, ((less, less_wall), (more, more_wall)) in took.items():
        print(f"{who}: {few} rows {less:.1f} s of processor ({less_wall:.1f} s by the clock)", end=", ")
        print(f"{many} rows {more:.1f} s ({more_wall:.1f} s)")
    print(f"a further row on Ray: {ratio:.2f} x of leases in processor time (bound {OVERHEAD:g})", end=", ")
    print(f"{by_clock:.2f} x by the clock")
    print(f"rows {'the same' if same else 'DIFFER'}")
    return int(ratio > OVERHEAD or not same)


def _stored(drawn: dict[str, str]) -> dict[str, Any]:
    messages = [{"role": "user", "content": drawn["question"]}]
    return {
        "row_id": drawn["id"],
        "messages": messages,
        "completion": drawn["solution"],
        "answer": drawn["answer"],
    }


def _rows(store: Store, name: str) -> Any:
    return store.open(name).table(["row_id", "completion", "decision", "reason"])


def texts(rows: int) -> Iterator[str]:
    """Short texts, half of them disturbed copies."""
    random = Random(0)
    vocabulary = [f"word{i}" for i in range(20_000)]
    for n in range(0, rows, 2):
        words = random.choices(vocabulary, k=random.randint(10, 30))
        yield " ".join(words)
        yield " ".join([*words, "more"]) if n % 4 else " ".join(random.choices(vocabulary, k=20))


def firsts(finder: Any, rows: int) -> np.ndarray:
    """int64[rows]: the first of each text's group, -1 for a text that stays."""
    stream = texts(rows)
    while some := list(islice(stream, TEXTS)):
        finder.add(some)
    return np.array([-1 if found is None else found.first for found in finder.found()], np.int64)


def duplicates(rows: int, out: Path) -> int:
    """Near duplicates on a cluster of two cores against one process."""
    found: dict[str, np.ndarray] = {}
    out.mkdir(parents=True, exist_ok=True)
    for who in ("alone", "ray"):
        kept = out / f"{who}-{rows}.npy"
        if not kept.exists():
            finder = DuplicateFinder() if who == "alone" else Gathered(0.8)

            def one(finder: Any = finder, who: str = who) -> None:
                found[who] = firsts(finder, rows)

            if who == "ray":
                with Cluster("local", workers=2):
                    used, wall = spent(one)
            else:
                used, wall = spent(one)
            print(f"{who}: {rows:,} texts in {used:.0f} s of processor ({wall:.0f} s)", flush=True)
            np.save(kept, found[who])
        found[who] = np.load(kept)
    same = bool((found["alone"] == found["ray"]).all())
    print(f"{int((found['alone'] >= 0).sum()):,} duplicates, {'the same rows' if same else 'OTHER ROWS'}")
    return int(not same)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=["overhead", "duplicates"])
    parser.add_argument("--few", type=int, default=256, help="rows of the shorter rewriting")
    parser.add_argument("--many", type=int, default=1024, help="and of the longer one")
    parser.add_argument("--rows", type=int, default=1_000_000, help="texts among which duplicates are found")
    parser.add_argument("--out", type=Path, default=Path("out/on_ray"))
    given = parser.parse_args()
    return overhead(given.few, given.many) if given.what == "overhead" else duplicates(given.rows, given.out)


if __name__ == "__main__":
    raise SystemExit(main())
