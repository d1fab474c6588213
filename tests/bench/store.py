"""What versions and diffs cost: ratios measured in one run on the same rows.

    python -m tests.bench.store                        every figure: 1 M rows, then 200 k, 1 M and 5 M (half an hour)
    python -m tests.bench.store ratios --rows 200000   one part of it

Rows are realistic (`corpus`): words with Zipf frequencies, each text different. They wait in an Arrow file that is read
as a stream, so that the memory reported is the store's; the time of reading that file is taken off every commit. Each
part runs in a process of its own. Every figure is printed with its bound, and the exit status is 1 where one is missed.
Not a timed test: wall seconds need a quiet machine, ratios a machine that is equally busy throughout.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from curate.diff import Diff, diff
from curate.store import Store
from tests.bench.corpus import Corpus

ROOT = Path(__file__).parents[2]
TEN_THOUSAND = 10_000
SIZES = (200_000, 1_000_000, 5_000_000)


@dataclass
class Figures:
    """What was measured, with the bounds it has to keep."""

    found: list[dict[str, Any]] = field(default_factory=list)

    def say(self, name: str, value: float, unit: str = "", bound: float | None = None, note: str = "") -> None:
        ok = bound is None or value <= bound
        self.found.append({"measure": name, "value": value, "unit": unit, "bound": bound, "ok": ok, "note": note})
        limit = "" if bound is None else f"bound {bound:g} {unit} {'' if ok else 'MISSED'}"
        print(f"{name:<62}{value:>9.3f} {unit:<4} {limit:<20} {note}", flush=True)

    @property
    def missed(self) -> bool:
        return not all(f["ok"] for f in self.found)


@dataclass(frozen=True)
class Cost:
    """Seconds that some work took, on the clock and of all cores."""

    wall_s: float
    cpu_s: float

    def less(self, other: Cost) -> Cost:
        return Cost(self.wall_s - other.wall_s, self.cpu_s - other.cpu_s)

    def __str__(self) -> str:
        return f"{self.wall_s:.2f} s, {self.cpu_s:.2f} s CPU"


def cost(work: Callable[[], Any]) -> Cost:
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return Cost(time.perf_counter() - wall, time.process_time() - cpu)


def median(costs: list[Cost]) -> Cost:
    return Cost(statistics.median(c.wall_s for c in costs), statistics.median(c.cpu_s for c in costs))


def size(folder: Path) -> int:
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())


def resident_gib() -> float:
    """Most resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)


class Spool:
    """Rows that wait in an uncompressed Arrow file."""

    def __init__(self, path: Path, batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> None:
        self.path = path
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, schema) as stream:
            for batch in batches:
                stream.write_batch(batch)

    def reader(self) -> pa.RecordBatchReader:
        return pa.ipc.open_stream(pa.OSFile(str(self.path)))

    def reading(self) -> Cost:
        """What it costs to read all of it and do nothing."""
        return cost(lambda: [None for _ in self.reader()])

    def plain_parquet(self, path: Path) -> None:
        """What every commit is compared with: pyarrow's writer with zstd and nothing else set."""
        reader = self.reader()
        with pq.ParquetWriter(path, reader.schema, compression="zstd") as writer:
            for batch in reader:
                writer.write_batch(batch, row_group_size=batch.num_rows)


@dataclass
class Workload:
    """The rows of one size and everything that is committed of them."""

    corpus: Corpus
    folder: Path

    def __post_init__(self) -> None:
        self.schema = next(self.corpus.batches()).schema
        self.one_percent = self.corpus.picked(self.corpus.rows // 100, 1)
        self.ten_thousand = self.corpus.picked(min(TEN_THOUSAND, self.corpus.rows // 20), 2)
        self.first = self._spool("first", self.corpus.batches())
        self.patch = self._spool("patch", self.corpus.chosen(self.one_percent, 1))
        self.whole = self._spool("whole", self.corpus.batches(2, self.one_percent))
        self.few = self._spool("few", self.corpus.chosen(self.ten_thousand, 3))
        self.full = self._spool("full", self.corpus.batches(4))

    def _spool(self, name: str, batches: Iterator[pa.RecordBatch]) -> Spool:
        return Spool(self.folder / f"{name}.arrow", batches, self.schema)


def ratios(figures: Figures, rows: int, folder: Path, repeats: int, limits: bool = True) -> None:
    """The table of bounds at one size."""
    work = Workload(Corpus(rows), folder)
    seen: dict[str, list[Cost]] = {}

    def note(name: str, spent: Cost) -> None:
        seen.setdefault(name, []).append(spent)

    grown = 0.0
    for turn in range(repeats):
        store = Store(folder / f"home{turn}")
        reading = work.first.reading()
        note("pyarrow", cost(lambda: work.first.plain_parquet(folder / "plain.parquet")).less(reading))
        note("first", cost(lambda: store.commit(work.first.reader(), "a")).less(reading))  # noqa: B023
        before = size(store.root / "parts")
        note("patch", cost(lambda: store.commit(work.patch.reader(), "a", mode="patch")))  # noqa: B023
        grown = 100 * (size(store.root / "parts") - before) / before
        note("whole", cost(lambda: store.commit(work.whole.reader(), "a")).less(reading))  # noqa: B023
        store.commit(work.few.reader(), "b", parent="a@v1", mode="patch")
        for _ in range(5):
            note("counts", cost(lambda: diff(store, "a@v1", "b").counts))  # noqa: B023
        for _ in range(3):
            note("texts", cost(lambda: texts_of(diff(store, "a@v1", "b"))))  # noqa: B023
            note("summary", cost(lambda: diff(store, "a@v1", "b").summary))  # noqa: B023
        note("full", cost(lambda: store.commit(work.full.reader(), "c", parent="a@v1")).less(reading))  # noqa: B023
        note("full diff", cost(lambda: texts_of(diff(store, "a@v1", "c"))))  # noqa: B023
        note("full summary", cost(lambda: diff(store, "a@v1", "c").summary))  # noqa: B023
        note("dataset", cost(lambda: store.open("a").dataset()))  # noqa: B023
        for _ in range(3):
            note("dataset again", cost(lambda: store.open("a").dataset()))  # noqa: B023
        shutil.rmtree(store.root)

    def ratio(name: str, over: str) -> float:
        return statistics.median(a.wall_s / b.wall_s for a, b in zip(seen[name], seen[over], strict=True))

    def say(measure: str, name: str, over: str, bound: float) -> None:
        cpu = statistics.median(a.cpu_s / b.cpu_s for a, b in zip(seen[name], seen[over], strict=True))
        figures.say(
            measure, ratio(name, over), "x", bound if limits else None, f"{median(seen[name])}; {cpu:.2f} x CPU"
        )

    def say_time(measure: str, name: str, bound: float | None = None, unit: str = "s") -> None:
        spent = median(seen[name])
        scale = 1000 if unit == "ms" else 1
        figures.say(measure, scale * spent.wall_s, unit, bound if limits else None, f"{spent}")

    few, one = len(work.ten_thousand), len(work.one_percent)
    say_time("pyarrow writes the rows as zstd Parquet", "pyarrow")
    say("first commit / pyarrow", "first", "pyarrow", 3.0)
    say(f"commit of {one} rows, given those rows / first", "patch", "first", 0.10)
    figures.say("growth of the store", grown, "%", 2.0 if limits else None)
    say(f"commit of {one} rows, given the whole table / first", "whole", "first", 1.0)
    say_time(f"diff of {few} changed rows, counts and keys", "counts", 50, "ms")
    say_time("the same with both texts", "texts", 0.5)
    say_time("the same summed up (recast diff)", "summary")
    say("full rewrite, commit / first", "full", "first", 1.5)
    say("full rewrite, diff with both texts / first", "full diff", "first", 3.0)
    say("full rewrite, diff summed up / first", "full summary", "first", 3.0)
    say_time("open as a memory-mapped Dataset, the first time", "dataset")
    say_time("open as a memory-mapped Dataset, after that", "dataset again", 0.5)
    figures.say("most resident memory", resident_gib(), "GiB", 3.0 if limits else None)


def texts_of(found: Diff) -> int:
    """Read both texts of every row that differs, as Arrow; return how many rows that are."""
    return sum(keys.num_rows for keys, _, _ in found.batches(["completion"]))


def main() -> int:
    figures = Figures()
    folder = Path(tempfile.mkdtemp(dir=sys.argv[3] if len(sys.argv) > 3 else None))
    try:
        ratios(figures, int(sys.argv[1]), folder, int(sys.argv[2]))
    finally:
        shutil.rmtree(folder)
    return int(figures.missed)


if __name__ == "__main__":
    sys.exit(main())
