"""What versions and diffs cost: ratios measured in one run on the same rows.

    python tests/bench/store.py --rows 1000000

Rows are realistic: about 1 kB of text drawn from a word model with a Zipf vocabulary, each different. Every
figure is printed with its bound; exit status 1 where one is missed. Not a timed test: it needs a quiet machine.
pylance and deltalake are measured beside the store where they are installed.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curate import schema
from curate.diff import diff
from curate.store import Store

VOCABULARY = 20_000
GIB = 1 << 30


class Words:
    """Texts of words with Zipf frequencies."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        lengths = self.rng.integers(2, 10, VOCABULARY)
        self.words = np.array(["".join(map(chr, self.rng.integers(97, 123, n))) for n in lengths])
        weights = 1 / np.arange(1, VOCABULARY + 1)
        self.weights = weights / weights.sum()

    def texts(self, count: int, words: int) -> pa.Array:
        out: list[str] = []
        for start in range(0, count, 20_000):
            shape = min(20_000, count - start), words
            out += [" ".join(line) for line in self.words[self.rng.choice(VOCABULARY, shape, p=self.weights)]]
        return pa.array(out)


def rows(words: Words, count: int) -> pa.Table:
    """`count` rows as they are committed; the text of the expert is prompt, completion and demonstration."""
    pieces = []
    for start in range(0, count, 100_000):
        n = min(100_000, count - start)
        text = words.texts(n, 70)
        prompts = words.texts(n, 60).to_pylist()
        loose = pa.table(
            {
                "row_id": [hashlib.md5(b"%d" % i).hexdigest() for i in range(start, start + n)],
                "messages": [f'[{{"content":"{p}","role":"user"}}]' for p in prompts],
                "completion": text,
                "demonstration": text,
                "answer": [str(i) for i in range(start, start + n)],
            }
        )
        pieces.append(pa.Table.from_batches(schema.batches(loose)))
    return pa.concat_tables(pieces)


def with_texts(table: pa.Table, texts: pa.ChunkedArray | pa.Array) -> pa.Table:
    return table.set_column(
        table.schema.get_field_index("completion"), table.schema.field("completion"), texts
    )


@dataclass
class Figures:
    """What was measured, with the bounds it has to keep."""

    found: list[dict[str, Any]] = field(default_factory=list)
    missed: bool = False

    def say(
        self, name: str, value: float, bound: float | None = None, unit: str = "", note: str = ""
    ) -> None:
        ok = bound is None or value <= bound
        self.missed |= not ok
        self.found.append(
            {"measure": name, "value": value, "bound": bound, "unit": unit, "ok": ok, "note": note}
        )
        limit = "" if bound is None else f"   bound {bound:g}{unit} {'ok' if ok else 'MISSED'}"
        print(f"{name:<52}{value:>9.3f}{unit:<3}{limit}{'   ' + note if note else ''}", flush=True)


def timed(work: Callable[[], Any], times: int = 1) -> float:
    """Least wall seconds of `times` runs."""
    best = float("inf")
    for _ in range(times):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def size(folder: Path) -> int:
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())


def resident() -> float:
    """Most resident memory of this process so far, GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)


def store_figures(figures: Figures, table: pa.Table, words: Words, folder: Path) -> None:
    count = table.num_rows
    store = Store(folder / "home")

    def plain() -> None:
        pq.write_table(table, folder / "plain.parquet", compression="zstd")

    write_s = timed(plain)
    figures.say("pyarrow writes the table as zstd Parquet", write_s, unit=" s")
    first_s = timed(lambda: store.commit(table, "a"))
    figures.say("first commit / pyarrow", first_s / write_s, 3.0, " x", f"{first_s:.2f} s")

    picked = np.sort(words.rng.choice(count, count // 100, replace=False))
    changed = with_texts(table.take(pa.array(picked)), words.texts(len(picked), 70))
    before = size(store.root / "parts")
    some_s = timed(lambda: store.commit(changed, "a", mode="patch"))
    figures.say("commit of 1 %, given those rows / first", some_s / first_s, 0.10, " x", f"{some_s:.2f} s")
    grown = (size(store.root / "parts") - before) / before
    figures.say("growth of the store", 100 * grown, 2.0, " %")

    whole_s = commit_whole(store, table, picked, words)
    figures.say(
        "commit of 1 %, given the whole table / first", whole_s / first_s, 1.0, " x", f"{whole_s:.2f} s"
    )

    few = picked[: min(10_000, len(picked))]
    store.commit(
        with_texts(table.take(pa.array(few)), words.texts(len(few), 70)), "b", parent="a@v1", mode="patch"
    )
    counts_s = timed(lambda: diff(store, "a@v1", "b").counts, 5)
    figures.say(f"diff of {len(few)} changed rows, counts and keys", 1000 * counts_s, 50, " ms")
    texts_s = timed(lambda: sum(1 for _ in diff(store, "a@v1", "b").rows(["completion"])), 2)
    figures.say("the same with both texts", texts_s, 0.5 if count <= 1_000_000 else None, " s")

    full_s = commit_rewritten(store, table, words)
    figures.say("full rewrite, commit / first", full_s / first_s, 1.5, " x", f"{full_s:.2f} s")

    def read_all() -> None:
        for _ in diff(store, "a@v1", "full").batches(["completion"]):
            pass

    read_s = timed(read_all)
    figures.say("full rewrite, diff with both texts / first", read_s / first_s, 3.0, " x", f"{read_s:.2f} s")
    once_s = timed(lambda: store.open("a").dataset())
    figures.say("open as a memory-mapped Dataset, the first time", once_s, unit=" s")
    again_s = timed(lambda: store.open("a").dataset(), 3)
    figures.say("open as a memory-mapped Dataset, again", again_s, 0.5 if count <= 1_000_000 else None, " s")


def commit_whole(store: Store, table: pa.Table, picked: np.ndarray, words: Words) -> float:
    """Seconds to commit the whole table with new texts in the rows `picked`."""
    texts = table.column("completion").to_pylist()
    for place, text in zip(picked.tolist(), words.texts(len(picked), 70).to_pylist(), strict=True):
        texts[place] = text
    whole = with_texts(table, pa.array(texts))
    return timed(lambda: store.commit(whole, "a"))


def commit_rewritten(store: Store, table: pa.Table, words: Words) -> float:
    """Seconds to commit the table with every text new."""
    rewritten = with_texts(table, words.texts(table.num_rows, 70))
    return timed(lambda: store.commit(rewritten, "full", parent="a@v1"))


def others(figures: Figures, table: pa.Table, words: Words, folder: Path) -> None:
    """The same change in Lance and Delta Lake, by the way each offers to before and after rows."""
    picked = np.sort(words.rng.choice(table.num_rows, min(10_000, table.num_rows // 100), replace=False))
    changed = with_texts(table.take(pa.array(picked)), words.texts(len(picked), 70))
    try:
        lance = importlib.import_module("lance")
    except ImportError:
        print("pylance is not installed: pip install pylance")
    else:
        data = lance.write_dataset(table, str(folder / "lance"))
        data.merge_insert(["row_id"]).when_matched_update_all().execute(changed)

        def joined() -> None:
            old, new = (lance.dataset(str(folder / "lance"), version=v) for v in (1, 2))
            a, b = (d.to_table(columns=["row_id", "completion"]) for d in (old, new))
            both = a.join(b, "row_id", right_suffix="_after")
            both.filter(pa.compute.not_equal(both.column("completion"), both.column("completion_after")))

        figures.say(
            f"pylance {lance.__version__}: before and after by joining versions", timed(joined), unit=" s"
        )
    try:
        deltalake = importlib.import_module("deltalake")
    except ImportError:
        print("deltalake is not installed: pip install deltalake")
        return
    path = str(folder / "delta")
    deltalake.write_deltalake(path, table, configuration={"delta.enableChangeDataFeed": "true"})
    before = size(Path(path))
    merge = deltalake.DeltaTable(path).merge(
        changed, "s.row_id = t.row_id", source_alias="s", target_alias="t"
    )
    figures.say(
        f"deltalake {deltalake.__version__}: merge of the same rows",
        timed(lambda: merge.when_matched_update_all().execute()),
        unit=" s",
    )
    figures.say("deltalake: growth", 100 * (size(Path(path)) - before) / before, unit=" %")
    feed_s = timed(lambda: deltalake.DeltaTable(path).load_cdf(starting_version=1).read_all())
    figures.say("deltalake: change feed", feed_s, unit=" s")


def command_line(figures: Figures) -> None:
    """CPU seconds of the commands that must start at once."""
    for arguments in (["--help"], ["log"]):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([sys.executable, "-m", "pipelines.cli", *arguments], capture_output=True, env={
                "PYTHONPATH": str(Path(__file__).parents[2]), "RECAST_HOME": folder, "PATH": "/usr/bin:/bin",
            })  # fmt: skip
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        figures.say(f"recast {' '.join(arguments)}, CPU", cpu, 0.3, " s")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where to write (default: a temporary folder)")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--no-others", action="store_true", help="leave out pylance and deltalake")
    options = parser.parse_args()
    figures, words = Figures(), Words(options.seed)
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        table = rows(words, options.rows)
        per_row = table.nbytes / table.num_rows
        versions = ", ".join(
            f"{m} {importlib.import_module(m).__version__}" for m in ("duckdb", "pyarrow", "numpy")
        )
        print(f"{options.rows} rows of {per_row:.0f} bytes; Python {platform.python_version()}, {versions}\n")
        held = resident()
        store_figures(figures, table, words, folder)
        figures.say(
            "most resident memory", resident(), 3.0 + held, " GiB", f"{held:.2f} of it the rows themselves"
        )
        command_line(figures)
        if not options.no_others:
            others(figures, table, words, folder)
    finally:
        shutil.rmtree(folder)
    if options.json:
        options.json.write_text(json.dumps({"rows": options.rows, "figures": figures.found}, indent=2) + "\n")
    return int(figures.missed)


if __name__ == "__main__":
    sys.exit(main())
