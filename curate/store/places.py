"""Where the rows of a version lie: part and position of each, in order, in a file that is mapped and not read.

    places = Places(mapped(snapshot))
    part, position = places.between(4_000, 5_000)     # of 1,000 rows; `part` counts in places.parts

Twelve bytes a row: whoever reads a stretch of a large version pages in that stretch of the file alone, and processes
share it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from recast.curate.files import whole
from recast.curate.schema import VERSION_SCHEMA
from recast.curate.store.catalog import memory
from recast.curate.store.gather import Gatherer
from recast.curate.store.snapshot import READ_ROWS, Snapshot

_SCHEMA = pa.schema([pa.field("part", pa.int32()), pa.field("pos", pa.int64())])
_PARTS = b"recast.parts"


def mapped(snapshot: Snapshot) -> Path:
    """The file of a version's places, in `cache/`; made where there is none."""
    path = snapshot.root / "cache" / f"{snapshot.version.id[:32]}.places.arrow"
    with contextlib.suppress(pa.ArrowException, OSError):  # none, or one that was cut
        if len(Places(path)) == snapshot.version.rows:
            return path
    with memory(snapshot.root / "tmp") as con, whole(path) as temporary:
        parts, batches = snapshot.places(con)
        schema = _SCHEMA.with_metadata({_PARTS: json.dumps(parts)})
        with pa.OSFile(str(temporary), "wb") as sink, pa.ipc.new_file(sink, schema) as file:
            for batch in batches:
                file.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
    return path


class Places:
    """A file that `mapped` made. A copy in another process opens it for itself."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __len__(self) -> int:
        return self._table.num_rows

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    @cached_property
    def parts(self) -> list[str]:
        return json.loads((self._table.schema.metadata or {})[_PARTS])

    def between(self, begin: int, end: int) -> tuple[np.ndarray, np.ndarray]:
        """Part (int32[rows], into `parts`) and position in it (int64[rows]) of the rows `begin` to before `end`."""
        stretch = self._table.slice(begin, end - begin)
        if stretch.num_rows != end - begin:
            raise IndexError(f"{self.path} has {len(self)} rows; {end} were asked for")
        part, position = (np.concatenate([_numbers(c) for c in column.chunks]) for column in stretch.columns)
        return part, position

    @cached_property
    def _table(self) -> pa.Table:
        return pa.ipc.open_file(pa.memory_map(str(self.path))).read_all()


def _numbers(column: pa.Array) -> np.ndarray:
    return column.to_numpy(zero_copy_only=True)


def stretch(snapshot: Snapshot, begin: int, end: int, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The rows from `begin` to before `end` in order, as `Snapshot.batches` yields all."""
    schema = pa.schema([VERSION_SCHEMA.field(name) for name in columns])
    places = Places(mapped(snapshot))
    gatherer = Gatherer(snapshot.root, places.parts, columns)
    for at in range(begin, end, READ_ROWS):
        gathered = gatherer.gather(*places.between(at, min(at + READ_ROWS, end)))
        yield from (
            pa.RecordBatch.from_arrays(batch.columns, schema=schema) for batch in gathered.to_batches()
        )
