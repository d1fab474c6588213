"""What an export costs beside pyarrow writing the same rows, and the memory it takes.

    python -m tests.bench.export                     # a million rows
    python -m tests.bench.export --rows 200000
    python -m tests.bench.export verl --earlier 2    # one format; rows with two earlier pairs of turns

Rows are those of the store's benchmark (`corpus`), about 1 kB each. Each part runs in a process of its own. The first
figure is processor time against pyarrow writing the same columns as zstd Parquet from an Arrow stream; JSON lines,
which pyarrow does not write, are held against the Parquet file of the same columns (`verl`; `parquet` for `jsonl`). The
exit status is 1 where a bound is missed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recast.curate.export.export import export
from recast.curate.export.registry import find
from recast.curate.store.store import Store
from tests.bench.corpus import Corpus

RATIO, GIB = 3.0, 1.0
TABLES, LINES = ("verl", "parquet", "hf"), ("trl", "openrlhf", "messages", "jsonl")


def spent() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def one(folder: Path, to: str) -> dict[str, Any]:
    """Export in this process; seconds of processor and wall, most resident memory in GiB."""
    began, wall = spent(), time.monotonic()
    turns = "all" if find(to)[2].trains == "all" else None
    done = export(Store(folder / "store"), "corpus", to, folder / f"out-{to}", turns=turns, validation=0.05)
    used, wall = spent() - began, time.monotonic() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
    return {
        "cpu": used,
        "wall": wall,
        "gib": peak,
        "rows": done.rows,
        "bytes": sum(file.bytes for file in done.files),
    }


def plain(folder: Path, to: str) -> dict[str, Any]:
    """pyarrow writing the rows of the files of `to`, which wait in an Arrow stream whose reading is taken off."""
    stream = folder / "rows.arrow"
    paths = sorted((folder / f"out-{to}").rglob("*.parquet"))
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(pa.OSFile(str(stream), "wb"))
        writer = stack.enter_context(pa.ipc.new_stream(sink, pq.read_schema(paths[0])))
        for path in paths:
            for batch in pq.ParquetFile(path).iter_batches(16_384):
                writer.write_batch(batch)
    began = spent()
    with pa.OSFile(str(stream), "rb") as source, pa.ipc.open_stream(source) as reader:
        for _ in reader:
            pass
    reading = spent() - began
    began, wall = spent(), time.monotonic()
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(pa.OSFile(str(stream), "rb"))
        reader = stack.enter_context(pa.ipc.open_stream(source))
        writer = stack.enter_context(
            pq.ParquetWriter(folder / "plain.parquet", reader.schema, compression="zstd")
        )
        for batch in reader:
            writer.write_batch(batch)
    return {"cpu": spent() - began - reading, "wall": time.monotonic() - wall}


def corpus(rows: int, earlier: int) -> Iterator[pa.RecordBatch]:
    """Rows of the corpus, with so many pairs of turns of other corpora before their question."""
    streams = [Corpus(rows, seed).batches() for seed in range(earlier + 1)]
    for batch, *before in zip(*streams, strict=True):
        inner = [pc.utf8_slice_codeunits(each.column("messages"), 1, -1) for each in (*before, batch)]
        for n, each in enumerate(before):
            said = pc.replace_substring(each.column("completion"), "\n", "\\n")
            inner[n] = pc.binary_join_element_wise(
                inner[n], ',{"content":"', said, '","role":"assistant"},', ""
            )
        turns = pc.binary_join_element_wise("[", *inner, "]", "")
        yield batch.set_column(
            batch.schema.get_field_index("messages"), batch.schema.field("messages"), turns
        )


def apart(*words: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.bench.export", "--part", *words]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("formats", nargs="*", default=[*TABLES, *LINES], metavar="FORMAT")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--earlier", type=int, default=0)
    parser.add_argument("--part", nargs=3, metavar=("WHAT", "FORMAT", "FOLDER"))
    given = parser.parse_args()
    if given.part:
        what, to, folder = given.part
        print(json.dumps((plain if what == "plain" else one)(Path(folder), to)))
        return 0
    missed = False
    with tempfile.TemporaryDirectory() as made:
        Store(Path(made) / "store").commit(corpus(given.rows, given.earlier), "corpus")
        base: dict[str, dict[str, Any]] = {}
        for to in sorted(given.formats, key=[*TABLES, *LINES].index):
            found = apart("one", to, made)
            like = to if to in TABLES else "parquet" if to == "jsonl" else "verl"
            if like not in base:
                if like != to:
                    apart("one", like, made)
                base[like] = apart("plain", like, made)
            beside = base[like]
            ratio = found["cpu"] / beside["cpu"]
            missed = missed or ratio > RATIO or found["gib"] > GIB
            print(
                f"{to:10} {found['cpu']:6.1f} s of processor ({found['wall']:.1f} s), pyarrow {beside['cpu']:.1f} s "
                f"({beside['wall']:.1f} s): {ratio:.2f} x (bound {RATIO:g}); {found['gib']:.2f} GiB (bound {GIB:g}); "
                f"{found['bytes'] / 1e6:,.0f} MB",
                flush=True,
            )
    return int(missed)


if __name__ == "__main__":
    raise SystemExit(main())
