"""What a stream costs: rows a second, memory, and how soon it goes on in the midst of an epoch.

    python -m tests.bench.stream                     # a million rows
    python -m tests.bench.stream --rows 100000

Rows are those of the store's benchmark (`corpus`), about 1 kB each. Each order is read in a process of its own, as one
rank of one; processor time. The exit status is 1 where memory is above its bound.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from recast.curate.store.store import Store
from recast.pipelines.wiring.stream import streamed
from tests.bench.corpus import Corpus

GIB = 1.0


def spent() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def one(folder: Path, seed: int | None) -> dict[str, Any]:
    """Read all rows; then begin in the midst."""
    began = spent()
    stream = streamed(Store(folder).open("corpus"), "prompt_completion", seed=seed)
    opened, began = spent() - began, spent()
    rows = sum(1 for _ in stream)
    read = spent() - began
    state = stream.state_dict()
    state["examples_iterable"]["done"] = rows // 2
    again = streamed(Store(folder).open("corpus"), "prompt_completion", seed=seed)
    again.load_state_dict(state)
    began = time.monotonic()
    next(iter(again))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
    return {"opened": opened, "rows": rows, "read": read, "first": time.monotonic() - began, "gib": peak}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--part", nargs=2, metavar=("FOLDER", "SEED"))
    given = parser.parse_args()
    if given.part:
        folder, seed = given.part
        print(json.dumps(one(Path(folder), None if seed == "none" else int(seed))))
        return 0
    missed = False
    with tempfile.TemporaryDirectory() as folder:
        Store(folder).commit(Corpus(given.rows).batches(), "corpus")
        for seed in ("none", "0"):
            command = [sys.executable, "-m", "tests.bench.stream", "--part", folder, seed]
            found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            missed = missed or found["gib"] > GIB
            print(
                f"{'as stored' if seed == 'none' else 'shuffled'}: {found['rows'] / found['read']:,.0f} rows a second "
                f"of processor; opened in {found['opened']:.2f} s, first row from the middle {found['first']:.2f} s; "
                f"{found['gib']:.2f} GiB (bound {GIB:g})",
                flush=True,
            )
    return int(missed)


if __name__ == "__main__":
    raise SystemExit(main())
