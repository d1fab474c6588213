"""Batches of a job on disk: the plan that fixes them, and one Parquet part for each that is finished.

A job's batches are decided once and stored. A part is written beside its final name, flushed to the disk
and renamed, so a part that exists is whole; after a kill the missing ones are made again, in the same
batches. Rows are bucketed by length inside windows of the input order, so that results stream back in
the input's order with one window in memory.

    folder/plan.json                 identity of the job and its batches
    folder/parts/part-000000.parquet one batch
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curate.errors import IntegrityError, UsageError
from curate.fingerprint import fingerprint

PLAN = "plan.json"
POSITION = "position"  # the column of every part that holds a row's place in the input
AGAIN = "Remove it and run the same command again: its rows will be made anew."


@dataclass(frozen=True, slots=True)
class Plan:
    """Which rows (by input position) form which batch. `windows[w]` is a range of batch indices."""

    fingerprint: str
    identity: dict[str, Any]
    batches: tuple[tuple[int, ...], ...]
    windows: tuple[tuple[int, int], ...]

    @property
    def num_rows(self) -> int:
        return sum(len(batch) for batch in self.batches)


def make_plan(identity: Mapping[str, Any], lengths: Sequence[int], batch_rows: int, window_rows: int) -> Plan:
    """Bucket rows by length inside windows of `window_rows` input rows; longest batches first in each.

    Longest first: running out of memory shows at the start of a window, not at its end.
    """
    batches: list[tuple[int, ...]] = []
    windows: list[tuple[int, int]] = []
    for start in range(0, len(lengths), window_rows):
        first = len(batches)
        members = sorted(range(start, min(start + window_rows, len(lengths))), key=lambda i: (-lengths[i], i))
        batches.extend(tuple(members[i : i + batch_rows]) for i in range(0, len(members), batch_rows))
        windows.append((first, len(batches)))
    return Plan(fingerprint(dict(identity))[:16], dict(identity), tuple(batches), tuple(windows))


class Parts:
    """The folder of one job. Raises UsageError where it holds another job's plan."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.folder, self.plan = folder, plan
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
            text = json.dumps(
                {"fingerprint": plan.fingerprint, "identity": plan.identity, "batches": plan.batches}
            )
            _write_whole(stored, lambda tmp: tmp.write_text(text))
        for leftover in (folder / "parts").glob("*.tmp"):
            leftover.unlink()  # cut short by a kill

    def path(self, index: int) -> Path:
        return self.folder / "parts" / f"part-{index:06d}.parquet"

    def is_done(self, index: int) -> bool:
        return self.path(index).exists()

    def write(self, index: int, table: pa.Table) -> None:
        """Store the finished batch `index`, whole or not at all."""
        _write_whole(self.path(index), lambda tmp: pq.write_table(table, tmp, compression="zstd"))

    def read(self, index: int, columns: Sequence[str] | None = None) -> pa.Table:
        """One part, its rows in batch order. Raises IntegrityError where it is not what was planned."""
        path = self.path(index)
        try:
            table = pq.read_table(path, columns=[POSITION, *columns] if columns is not None else None)
        except (pa.ArrowInvalid, OSError) as error:
            raise IntegrityError(f"{path} cannot be read ({error}). {AGAIN}") from error
        if tuple(table[POSITION].to_pylist()) != self.plan.batches[index]:
            raise IntegrityError(
                f"{path} holds {table.num_rows} rows that are not those of batch {index} of the plan. {AGAIN}"
            )
        return table

    def in_input_order(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Tables of consecutive input rows, one a window."""
        for first, end in self.plan.windows:
            table = pa.concat_tables([self.read(i, columns) for i in range(first, end)])
            yield table.take(pc.sort_indices(table[POSITION]))


def _write_whole(path: Path, write: Callable[[Path], object]) -> None:
    tmp = path.with_name(path.name + ".tmp")
    try:
        write(tmp)
        with tmp.open("rb") as file:
            os.fsync(file.fileno())
        tmp.replace(path)
    except OSError:  # a full disk: give back what the half-written file took
        tmp.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)  # the rename itself must survive a power cut, too
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
