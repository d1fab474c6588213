"""Batches of a job on disk: the plan that fixes them, and one Parquet part for each that is finished.

A part is written whole or not at all (`curate.files`), so a part that exists can be read; after a
kill the missing ones are made again, in the same batches. Where several processes share a job (`curate.leases`), the
first whole part of a batch stands. Batches hold rows of like length inside windows of the
input order, so a job holds one window of rows, and results stream back in the input's order window by window.
What is stored of the plan is what fixes the batches: rows (by their digest), batch and window size. Every part
says which rows it holds, and that is checked whenever it is read.

    folder/plan.json                 identity of the job, number of rows, size of batches and windows
    folder/parts/part-000000.parquet one batch
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recast.agent.batches.source import Source, lengths
from recast.curate import files
from recast.curate.errors import IntegrityError, UsageError
from recast.curate.fingerprint import fingerprint
from recast.curate.presence import Presence

PLAN = "plan.json"
POSITION = "position"  # the column of every part that holds a row's place in the input
BATCHING = 2  # changes with the rule that forms batches: another rule is another job
READERS = 8
AGAIN = "Remove it and run the same command again: its rows will be made anew."

Batch = tuple[int, tuple[int, ...]]
"""Index of a batch in the job, and the input positions of its rows."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Which rows (by input position) form which batch."""

    fingerprint: str
    identity: dict[str, Any]
    num_rows: int
    batch_rows: int
    window_rows: int

    @classmethod
    def of(cls, identity: Mapping[str, Any], num_rows: int, batch_rows: int, window_rows: int) -> Plan:
        identity = {**identity, "batching": [BATCHING, batch_rows, window_rows]}
        return cls(fingerprint(identity)[:16], identity, num_rows, batch_rows, window_rows)

    def without(self, *keys: str) -> Plan:
        """The plan of a job whose identity lacks `keys`: as it was before there were those."""
        left = {name: value for name, value in self.identity.items() if name not in keys}
        return Plan.of(left, self.num_rows, self.batch_rows, self.window_rows)

    def batches(self, window: int, sizes: Sequence[int]) -> list[Batch]:
        """Batches of the rows of one window, whose lengths are `sizes`: like lengths together, longest first.

        Longest first: running out of memory shows at the start of a window, not at its end.
        """
        start, indices = window * self.window_rows, self.indices(window)
        members = sorted(range(len(sizes)), key=lambda i: (-sizes[i], i))
        cut = [members[i : i + self.batch_rows] for i in range(0, len(members), self.batch_rows)]
        return [(n, tuple(start + i for i in batch)) for n, batch in zip(indices, cut, strict=True)]

    def indices(self, window: int) -> range:
        """The indices of a window's batches, which are known without its rows."""
        begin = window * -(-self.window_rows // self.batch_rows)
        num_rows = min(self.window_rows, self.num_rows - window * self.window_rows)
        return range(begin, begin + -(-num_rows // self.batch_rows))


@dataclass(frozen=True, slots=True)
class Window:
    """Consecutive rows of the input and the batches they form."""

    start: int
    rows: pa.Table
    batches: list[Batch]


def windows(source: Source, plan: Plan, wanted: Callable[[range], bool] = lambda _: True) -> Iterator[Window]:
    """The windows of a source, in order, those whose indices of batches are `wanted`. One is held at a time."""
    for number, rows in enumerate(source.windows(plan.window_rows)):
        if wanted(plan.indices(number)):
            yield Window(number * plan.window_rows, rows, plan.batches(number, lengths(rows).tolist()))


def begun(folder: Path) -> str | None:
    """Fingerprint of the job that a folder holds, finished or not; None where it holds none."""
    stored = folder / PLAN
    return json.loads(stored.read_text())["fingerprint"] if stored.exists() else None


class Parts:
    """The folder of one job. Raises UsageError where it holds another job's plan."""

    def __init__(self, folder: Path, plan: Plan, me: Presence | None = None) -> None:
        """`me`: this process among those that share the job; None where it has the folder for itself."""
        self.folder, self.plan, self.shared = folder, plan, me is not None
        stored = folder / PLAN
        if stored.exists():
            found = json.loads(stored.read_text())
            if found["fingerprint"] != plan.fingerprint:
                changed = sorted(k for k, v in plan.identity.items() if found["identity"].get(k) != v)
                raise UsageError(
                    f"{folder} holds another job, {found['fingerprint']}; this one is {plan.fingerprint} "
                    f"(different: {', '.join(changed)}). Choose another run folder, or remove that one."
                )
        else:
            (folder / "parts").mkdir(parents=True, exist_ok=True)
            files.write_json(stored, asdict(plan), indent=None)
        for within in (folder, folder / "parts"):
            # what others may still be writing is no leftover
            files.sweep(within, *((me.expiry_s, me.now()) if me else (0.0, math.inf)))

    @property
    def num_bytes(self) -> int:
        """Of all finished parts on the disk."""
        return sum(path.stat().st_size for path in (self.folder / "parts").glob("*.parquet"))

    def path(self, index: int) -> Path:
        return self.folder / "parts" / f"part-{index:06d}.parquet"

    def is_done(self, index: int) -> bool:
        return self.path(index).exists()

    def write(self, batch: Batch, table: pa.Table) -> None:
        """Store a finished batch, whole or not at all."""
        with (files.first if self.shared else files.whole)(self.path(batch[0])) as temporary:
            pq.write_table(table, temporary, compression="zstd")

    def read(self, batch: Batch, columns: Sequence[str] | None = None) -> pa.Table:
        """One part, its rows in batch order. Raises IntegrityError where it is not what was planned."""
        path = self.path(batch[0])
        try:
            table = pq.read_table(path, columns=[POSITION, *columns] if columns is not None else None)
        except (pa.ArrowInvalid, OSError) as error:
            raise IntegrityError(f"{path} cannot be read ({error}). {AGAIN}") from error
        # a row with several targets stands several times, one after another
        if tuple(position for position, _ in groupby(table[POSITION].to_pylist())) != batch[1]:
            raise IntegrityError(
                f"{path} holds {table.num_rows} rows that are not those of batch {batch[0]} of the plan. {AGAIN}"
            )
        return table

    def in_input_order(
        self, source: Source, columns: Sequence[str] | None = None
    ) -> Iterator[tuple[pa.Table, pa.Table]]:
        """Windows of the finished job: the parts' rows in input order, and for each the input's row."""
        # a part is small, and opening it is most of the work: what ends a large job is that, a million times
        with ThreadPoolExecutor(READERS, thread_name_prefix="parts") as pool:
            for window in windows(source, self.plan):
                read = list(pool.map(lambda batch: self.read(batch, columns), window.batches))
                made = pa.concat_tables(
                    read, promote_options="permissive"
                )  # older parts may lack a nested column
                order = np.argsort(made[POSITION].to_numpy(), kind="stable")
                made = made.take(order)
                yield made, window.rows.take(made[POSITION].to_numpy() - window.start)
