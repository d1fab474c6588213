"""What versions and diffs cost: ratios measured in one run on the same rows.

    python -m tests.bench.store                      every figure (half an hour)
    python -m tests.bench.store size --rows 200000   one size
    python -m tests.bench.store peers                the same change in Lance and Delta Lake

Rows are realistic (`corpus`): words with Zipf frequencies, each text different. They wait in an Arrow file that is read
as a stream, so that the memory reported is the store's; the time of reading that file is taken off every commit. Each
part runs in a process of its own. Every figure is printed with its bound, and the exit status is 1 where one is missed.
Not a timed test: wall seconds need a quiet machine, ratios one that is equally busy throughout.
"""

from __future__ import annotations

import argparse
import contextlib
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

from recast.curate.history.diff import Diff, diff
from recast.curate.schema import VERSION_SCHEMA
from recast.curate.store.store import Store
from tests.bench.corpus import Corpus

ROOT = Path(__file__).parents[2]
MILLION, TEN_THOUSAND = 1_000_000, 10_000
COUNTS = "diff of 10,000 changed rows, counts and keys"


@dataclass
class Figures:
    """What was measured, with the bounds it has to keep."""

    found: list[dict[str, Any]] = field(default_factory=list)

    def say(
        self, name: str, value: float, unit: str = "", bound: float | None = None, note: str = ""
    ) -> None:
        ok = bound is None or value <= bound
        self.found.append(
            {"measure": name, "value": value, "unit": unit, "bound": bound, "ok": ok, "note": note}
        )
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

    def __init__(self, path: Path, batches: Iterator[pa.RecordBatch]) -> None:
        self.path = path
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, VERSION_SCHEMA) as stream:
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
        corpus = self.corpus
        self.one_percent = corpus.picked(corpus.rows // 100, 1)
        self.ten_thousand = corpus.picked(min(TEN_THOUSAND, corpus.rows // 20), 2)
        self.first = first = self._spool("first", corpus.batches())
        self.patch = self._spool("patch", corpus.chosen(first.reader(), self.one_percent, 1))
        self.whole = self._spool("whole", corpus.touched(first.reader(), self.one_percent, 2))
        self.few = self._spool("few", corpus.chosen(first.reader(), self.ten_thousand, 3))
        self.full = self._spool("full", corpus.revised(first.reader(), 4))

    def _spool(self, name: str, batches: Iterator[pa.RecordBatch]) -> Spool:
        return Spool(self.folder / f"{name}.arrow", batches)


def one_size(figures: Figures, rows: int, folder: Path, repeats: int) -> None:
    """Every figure of the store at one size; the bounds on ratios are set for a million rows."""
    work = Workload(Corpus(rows), folder)
    seen: dict[str, list[Cost]] = {}
    grown = 0.0
    for turn in range(repeats):
        grown = _one_turn(work, Store(folder / f"home{turn}"), seen)

    def ratio(measure: str, name: str, over: str, bound: float) -> None:
        wall = statistics.median(a.wall_s / b.wall_s for a, b in zip(seen[name], seen[over], strict=True))
        cpu = statistics.median(a.cpu_s / b.cpu_s for a, b in zip(seen[name], seen[over], strict=True))
        note = f"{median(seen[name])}; {cpu:.2f} x CPU"
        figures.say(measure, wall, "x", bound if rows == MILLION else None, note)

    def seconds(measure: str, name: str, bound: float | None = None, unit: str = "s") -> None:
        spent = median(seen[name])
        value = spent.wall_s * (1000 if unit == "ms" else 1)
        figures.say(measure, value, unit, bound if rows <= MILLION else None, str(spent))

    few, one = len(work.ten_thousand), len(work.one_percent)
    seconds("pyarrow writes the rows as zstd Parquet", "pyarrow")
    ratio("first commit / pyarrow", "first", "pyarrow", 3.0)
    ratio(f"commit of {one} rows, given those / first", "patch", "first", 0.10)
    figures.say("growth of the store by that", grown, "%", 2.0)
    ratio(f"commit of {one} rows, given the whole table / first", "whole", "first", 1.0)
    counting = median(seen["counts"])
    note = f"of {few} changed rows; {1000 * counting.cpu_s:.1f} ms CPU"
    figures.say(COUNTS, 1000 * counting.wall_s, "ms", 50, note)
    seconds("the same with both texts", "texts", 0.5)
    seconds("the same summed up, as recast diff does", "summary")
    ratio("full rewrite, commit / first", "full", "first", 1.5)
    ratio("full rewrite, diff with both texts / first", "full diff", "first", 3.0)
    ratio("full rewrite, diff summed up / first", "full summary", "first", 3.0)
    seconds("open as a memory-mapped Dataset, the first time", "dataset")
    seconds("open as a memory-mapped Dataset, after that", "dataset again", 0.5)
    figures.say("most resident memory of all of these", resident_gib(), "GiB", 3.0)


def _one_turn(work: Workload, store: Store, seen: dict[str, list[Cost]]) -> float:
    """Do everything once, adding what it cost to `seen`; return by how many percent changing 1 % grew the store."""

    def note(name: str, step: Callable[[], Any], less: Cost | None = None) -> None:
        spent = cost(step)
        seen.setdefault(name, []).append(spent.less(less) if less else spent)

    reading = work.first.reading()
    note("pyarrow", lambda: work.first.plain_parquet(work.folder / "plain.parquet"), reading)
    note("first", lambda: store.commit(work.first.reader(), "a"), reading)
    before = size(store.root / "parts")
    note("patch", lambda: store.commit(work.patch.reader(), "a", mode="patch"))
    grown = 100 * (size(store.root / "parts") - before) / before
    note("whole", lambda: store.commit(work.whole.reader(), "a"), reading)
    store.commit(work.few.reader(), "b", parent="a@v1", mode="patch")
    for _ in range(5):
        note("counts", lambda: counts_and_keys(diff(store, "a@v1", "b")))
    for _ in range(3):
        note("texts", lambda: texts_of(diff(store, "a@v1", "b")))
        note("summary", lambda: diff(store, "a@v1", "b").summary)
    note("full", lambda: store.commit(work.full.reader(), "c", parent="a@v1"), reading)
    note("full diff", lambda: texts_of(diff(store, "a@v1", "c")))
    note("full summary", lambda: diff(store, "a@v1", "c").summary)
    note("dataset", lambda: store.open("a").dataset())
    for _ in range(3):
        note("dataset again", lambda: store.open("a").dataset())
    shutil.rmtree(store.root)
    return grown


def counts_and_keys(found: Diff) -> tuple[dict[str, int], pa.Table]:
    return found.counts, found.changes.select(["row_id", "target", "op"])


def texts_of(found: Diff) -> int:
    """Read both texts of every row that differs, as Arrow; return how many rows that are."""
    return sum(keys.num_rows for keys, _, _ in found.batches(["completion"]))


def scaling(figures: Figures, found: dict[int, list[dict[str, Any]]]) -> None:
    """What the size of a version adds to a diff of the same number of changed rows."""
    spent = {
        rows: next(f["value"] for f in figures_ if f["measure"] == COUNTS) for rows, figures_ in found.items()
    }
    each = ", ".join(f"{value:.1f} ms at {rows:,}" for rows, value in spent.items())
    figures.say(
        "that diff, slowest size / fastest size", max(spent.values()) / min(spent.values()), "x", 1.5, each
    )


def commands(figures: Figures) -> None:
    """CPU seconds of the commands that must start at once, on a store of 50 versions."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "RECAST_HOME": folder}
        rows = [{"row_id": str(n), "messages": "[]", "completion": "x"} for n in range(1000)]
        for version in range(50):
            rows[version]["completion"] += " y"
            Store(folder).commit(rows, "a", message=f"change {version}")
        for arguments in (["--help"], ["log", "a"], ["show", "a", "-n", "1"]):
            spent = []
            for _ in range(5):
                before = resource.getrusage(resource.RUSAGE_CHILDREN)
                subprocess.run(
                    [sys.executable, "-m", "recast.pipelines.cli", *arguments],
                    env=environment,
                    capture_output=True,
                    check=True,
                )
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
            figures.say(
                f"recast {' '.join(arguments)}, CPU", statistics.median(spent), "s", 0.3, "median of 5"
            )


def peers(figures: Figures, rows: int, folder: Path) -> None:
    from tests.bench import peers as others

    work = Workload(Corpus(rows), folder)
    store = Store(folder / "home")
    store.commit(work.first.reader(), "a")
    before = size(store.root / "parts")
    store.commit(work.few.reader(), "a", mode="patch")
    figures.say("recast: growth", 100 * (size(store.root / "parts") - before) / before, "%")
    ours = median([cost(lambda: texts_of(diff(store, "a@v1", "a"))) for _ in range(3)])
    figures.say(
        f"recast: both texts of {len(work.ten_thousand)} changed rows", ours.wall_s, "s", note=str(ours)
    )
    table, changed = work.first.reader().read_all(), work.few.reader().read_all()
    for measure in (others.lance, others.delta):
        measure(figures, table, changed, folder, ours)


def about(folder: Path) -> str:
    """Machine, versions and settings."""
    model = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    packages = ("duckdb", "pyarrow", "numpy", "datasets", "pylance", "deltalake")
    found = []
    for package in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found.append(f"{package} {importlib.metadata.version(package)}")
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {model}, {os.cpu_count()} cores, {memory_gib:.0f} GiB; load "
        f"{os.getloadavg()[0]:.1f} before; OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'unset')}; "
        f"Python {platform.python_version()}, {', '.join(found)}; files under {folder}"
    )


def everything(options: argparse.Namespace, figures: Figures) -> None:
    """Each part in a process of its own, so that none sees the memory of another."""
    found: dict[int, list[dict[str, Any]]] = {}
    for rows, repeats in ((MILLION, options.repeats), (200_000, 1), (5_000_000, 1)):
        print(f"\n{rows:,} rows, {repeats} times", flush=True)
        found[rows] = _apart(options, "size", "--rows", str(rows), "--repeats", str(repeats))
        figures.found += found[rows]
    print("\nthe same diff at every size", flush=True)
    scaling(figures, dict(sorted(found.items())))
    for part in ("commands", "peers"):
        print(f"\n{part}", flush=True)
        figures.found += _apart(options, part)


def _apart(options: argparse.Namespace, *arguments: str) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        into = Path(folder) / "figures.json"
        command = [sys.executable, "-m", "tests.bench.store", *arguments, "--json", str(into), "--part"]
        if options.folder:
            command += ["--folder", str(options.folder)]
        done = subprocess.run(command, cwd=ROOT)
        if not into.exists():
            raise SystemExit(
                f"`{' '.join(command)}` ended with status {done.returncode} and measured nothing"
            )
        return json.loads(into.read_text())["figures"]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", default="all", choices=["all", "size", "peers", "commands"])
    parser.add_argument("--rows", type=int, default=MILLION)
    parser.add_argument(
        "--repeats", type=int, default=3, help="ratios are medians of so many runs (default 3)"
    )
    parser.add_argument("--folder", type=Path, help="where to write (default: a temporary folder)")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--part", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    figures = Figures()
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    facts = about(folder.parent)
    if not options.part:
        print(facts)
    try:
        if options.what == "all":
            everything(options, figures)
        elif options.what == "size":
            one_size(figures, options.rows, folder, options.repeats)
        elif options.what == "peers":
            peers(figures, options.rows, folder)
        else:
            commands(figures)
    finally:
        shutil.rmtree(folder)
    if options.json:
        options.json.write_text(json.dumps({"about": facts, "figures": figures.found}, indent=2) + "\n")
    return int(figures.missed)


if __name__ == "__main__":
    sys.exit(main())
