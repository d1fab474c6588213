"""What a job of 100 M rows on 64 GPUs comes to: costs measured here on a few rows, and a simulation over them.

    python -m tests.bench.scale                                       100 M rows, 64 GPUs
    python -m tests.bench.scale --rows 10000000 --gpus 8 --tokens-per-second 3000
    python -m tests.bench.scale measure --sample 1000000              the costs alone, on so many rows

Measured: what one process does for a row or a batch, in processor seconds and bytes, with the project's own code and an
engine that says something at once. Assumed, and printed: what a GPU draws, how often a process dies, what a file
operation of a network file system takes. Simulated: who claims which batch when, deaths and what is made again, and the
wait at the end.
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import random
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from recast.agent.batches.source import Source
from recast.agent.engines.protocol import Sample
from recast.agent.rewriting.outcome import Tally
from recast.agent.rewriting.rewrite import READ, RewriteConfig, rewrite
from recast.curate.leases import Leases
from recast.curate.presence import EXPIRY_S, Presence
from recast.curate.store.catalog import memory
from recast.curate.store.store import Store
from tests.bench.corpus import Corpus
from tests.fakes.engines import FakeEngine
from tests.fakes.gates import FakeGate

CANDIDATES, TOKENS = 4, 180
FILE_OPERATIONS = 24
"""Of the network file system, a batch: lease, heartbeat, part, and the syncs of both."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Measured. Seconds are processor seconds of one core, a row or a batch each; bytes are on disk or in memory."""

    commit_s: float  # a row of the first version
    commit_bytes: float
    catalog_bytes: float  # the file, whatever it holds
    survey_s: float  # a row: the identity of a job's rows
    open_s: float  # a row: where the rows of a version lie
    open_bytes: float  # a row, in memory, while a version is read
    read_s: float  # a row: windows of rows
    part_s: float  # a batch, beside the engine: prompts, choice, table, file
    part_bytes: float  # a row
    lease_s: float  # a batch
    count_s: float  # a row: figures over the finished parts
    result_s: float  # a row: rows and candidates out of the parts, into a version
    result_bytes: float  # a row, the version with its candidates


class Talker(FakeEngine):
    """Says sixty words, as a rewrite has them, at once."""

    def __init__(self, corpus: Corpus) -> None:
        super().__init__()
        self.texts = [row["completion"] for batch in Corpus(4096, 1).batches() for row in batch.to_pylist()]

    def _sample(self, seed: int) -> Sample:
        text = f"{self.words[seed % 2]} {self.texts[seed % len(self.texts)]}"
        return Sample(text, [1] * TOKENS, [-0.5] * TOKENS, "stop")


def processor(call: Callable[[], Any]) -> tuple[float, Any]:
    """Processor seconds of a call with its threads, and what it returned."""
    started = time.process_time()
    found = call()
    return time.process_time() - started, found


def folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def measure(folder: Path, rows: int, config: RewriteConfig) -> Costs:
    """Make a version of `rows` rows, rewrite a twentieth of it, and commit that."""
    corpus, store = Corpus(rows), Store(folder / "store")
    drawing_s, batches = processor(lambda: list(corpus.batches()))
    commit_s, version = processor(lambda: store.commit(iter(batches), "all"))
    parts, catalog = folder_bytes(store.root / "parts"), (store.root / "catalog.duckdb").stat().st_size
    snapshot = store.open(version)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def places() -> int:
        with memory(folder / "tmp") as con:
            return sum(batch.nbytes for batch in snapshot.places(con)[1])

    open_s, held = processor(places)
    read_s, _ = processor(lambda: sum(w.num_rows for w in Source.of(snapshot).windows(config.window_rows)))
    survey_s, _ = processor(lambda: Source.of(snapshot).survey(READ))
    few = max(config.window_rows, rows // 20)
    some = store.commit(_first(corpus, few), "some")
    engine, run = Talker(corpus), folder / "run"
    spent_s, result = processor(
        lambda: rewrite(store.open(some), engine, FakeGate(), config, run, beside=False)
    )
    num_parts = math.ceil(few / config.batch_rows)
    tally = Tally()
    count_s, _ = processor(lambda: [tally.add(p) for p, _ in result._parts.in_input_order(result._source)])
    result_s, made = processor(
        lambda: store.commit(
            result.rows(), "made", parent=some, law="rewrite", candidates=result.candidates()
        )
    )
    after = folder_bytes(store.root / "parts")
    with Presence(folder / "workers") as me, Leases(me) as leases:
        lease_s, _ = processor(lambda: [(leases.claim(i), leases.release(i)) for i in range(500)])
    print(
        f"drawing the rows took {drawing_s:.0f} s, most resident memory {before / 2**20:.2f} GiB, {made.ref}"
    )
    return Costs(
        commit_s=commit_s / rows,
        commit_bytes=parts / rows,
        catalog_bytes=catalog,
        survey_s=survey_s / rows,
        open_s=open_s / rows,
        open_bytes=held / rows,
        read_s=read_s / rows,
        part_s=spent_s / num_parts,
        part_bytes=result.part_bytes / few,
        lease_s=lease_s / 500,
        count_s=count_s / few,
        result_s=result_s / few,
        result_bytes=(after - parts) / few - parts / rows,
    )


def _first(corpus: Corpus, rows: int) -> Iterator[pa.RecordBatch]:
    for batch in corpus.batches():
        yield batch.slice(0, rows)
        rows -= min(rows, batch.num_rows)
        if not rows:
            return


@dataclass(frozen=True, slots=True)
class Job:
    """What is asked, and what is assumed of the machines."""

    rows: int
    gpus: int
    tokens_per_second: float  # that one GPU draws
    days_between_deaths: float  # of one process
    file_s: float  # one operation of the network file system
    spread: float  # of the time of a batch, as the standard deviation of its logarithm
    batch_rows: int
    seed: int = 0


def simulate(costs: Costs, job: Job) -> dict[str, float]:
    """Where the time of the GPUs goes, in hours of the wall clock and shares of the GPUs' time."""
    rng = random.Random(job.seed)
    mean_s = job.batch_rows * CANDIDATES * TOKENS / job.tokens_per_second
    beside_s = costs.lease_s + job.file_s * FILE_OPERATIONS  # in the writer's thread and between batches
    to_begin_s = job.rows * (costs.open_s + costs.survey_s)  # each process does it for itself, all at once
    walk_s = job.rows * costs.read_s
    num = math.ceil(job.rows / job.batch_rows)
    free = [(to_begin_s, worker) for worker in range(job.gpus)]
    heapq.heapify(free)
    dies = [rng.expovariate(1 / (job.days_between_deaths * 86_400)) for _ in range(job.gpus)]
    again: list[float] = []  # when a batch whose holder died may be taken over
    handed, deaths, busy_s, lost_s, end_s = 0, 0, 0.0, 0.0, 0.0
    while handed < num or again:
        now, worker = heapq.heappop(free)
        if handed < num:
            handed += 1
        elif again[0] > now:
            heapq.heappush(free, (again[0], worker))
            continue
        else:
            heapq.heappop(again)
        takes = rng.lognormvariate(math.log(mean_s) - job.spread**2 / 2, job.spread) + beside_s
        takes += walk_s / num * job.gpus  # its share of reading what others make
        if dies[worker] < now + takes:
            deaths += 1
            lost_s += dies[worker] - now
            heapq.heappush(again, dies[worker] + EXPIRY_S)
            back = dies[worker] + 120 + to_begin_s  # started anew, and its rows surveyed again
            dies[worker] = back + rng.expovariate(1 / (job.days_between_deaths * 86_400))
            heapq.heappush(free, (back, worker))
            continue
        busy_s += takes - beside_s
        end_s = max(end_s, now + takes)
        heapq.heappush(free, (now + takes, worker))
    finish_s = job.rows * (costs.open_s * 3 + costs.count_s + costs.result_s) + num * 3 * job.file_s
    gpu_s = (end_s + finish_s) * job.gpus
    return {
        "batches": num,
        "deaths": deaths,
        "begin_h": to_begin_s / 3600,
        "make_h": (end_s - to_begin_s) / 3600,
        "finish_h": finish_s / 3600,
        "whole_h": (end_s + finish_s) / 3600,
        "drawing_share": busy_s / gpu_s,
        "beginning_share": to_begin_s * job.gpus / gpu_s,
        "lost_to_deaths_share": lost_s / gpu_s,
        "waiting_for_the_end_share": finish_s * (job.gpus - 1) / gpu_s,
        "file_operations_per_second": num * FILE_OPERATIONS / (end_s - to_begin_s),
    }


def weights(costs: Costs, job: Job) -> dict[str, str]:
    """What lies on the disk and in memory."""
    num = math.ceil(job.rows / job.batch_rows)
    gigabytes = lambda value: f"{value / 1e9:,.1f} GB"  # noqa: E731
    return {
        "version": gigabytes(costs.commit_bytes * job.rows),
        "catalog": f"{costs.catalog_bytes / 1e6:.1f} MB, whatever the rows",
        "plan": "below 2 kB, whatever the rows",
        "parts of the run": f"{gigabytes(costs.part_bytes * job.rows)} in {num:,} files of one folder",
        "version that is made": gigabytes(costs.result_bytes * job.rows),
        "memory of a process that reads": gigabytes(costs.open_bytes * job.rows),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", nargs="?", choices=["all", "measure"], default="all")
    parser.add_argument("--sample", type=int, default=200_000, help="rows that costs are measured on")
    parser.add_argument("--rows", type=int, default=100_000_000)
    parser.add_argument("--gpus", type=int, default=64)
    parser.add_argument("--tokens-per-second", type=float, default=15_000.0)
    parser.add_argument("--days-between-deaths", type=float, default=7.0)
    parser.add_argument("--file-ms", type=float, default=1.0)
    parser.add_argument("--spread", type=float, default=0.3)
    parser.add_argument("--batch-rows", type=int, default=64)
    parser.add_argument("--window-rows", type=int, default=RewriteConfig().window_rows)
    parser.add_argument("--costs", type=Path, help="file of costs measured before")
    asked = parser.parse_args()
    config = RewriteConfig(candidates=CANDIDATES, batch_rows=asked.batch_rows, window_rows=asked.window_rows)
    if asked.costs and asked.costs.exists():
        costs = Costs(**json.loads(asked.costs.read_text()))
    else:
        folder = Path(tempfile.mkdtemp(prefix="recast-scale-"))
        try:
            costs = measure(folder, asked.sample, config)
        finally:
            shutil.rmtree(folder)
        if asked.costs:
            asked.costs.write_text(json.dumps(asdict(costs)))
    for name, value in asdict(costs).items():
        print(f"  {name:<16} {value:.3g}")
    if asked.what == "measure":
        return
    job = Job(
        asked.rows,
        asked.gpus,
        asked.tokens_per_second,
        asked.days_between_deaths,
        asked.file_ms / 1000,
        asked.spread,
        asked.batch_rows,
    )
    print(", ".join(f"{name} {value:,g}" for name, value in asdict(job).items()))
    for name, value in weights(costs, job).items():
        print(f"  {name:<32} {value}")
    for name, value in simulate(costs, job).items():
        print(f"  {name:<32} {value:,.4g}")


if __name__ == "__main__":
    main()
