"""The rows of a version by number and by key, and what they read in another version: texts are read when asked for."""

from __future__ import annotations

import threading
from collections import OrderedDict
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from recast.curate.errors import UsageError
from recast.curate.history.diff import Diff
from recast.curate.schema import VERSION_SCHEMA, decode_row
from recast.curate.store.gather import Gatherer
from recast.curate.store.store import Store
from recast.curate.store.versions import Version
from recast.pipelines.review.decisions import Key

_CACHED_ROWS = 64


class Rows:
    """May be read by several threads. `keys` are in the order of the version, `numbers` their places in it."""

    def __init__(self, store: Store, version: Version, against: Diff | None = None) -> None:
        """`against`: the diff from the version that rows are held against."""
        self.version, self.snapshot, self._against = version, store.open(version), against
        live = self.snapshot.live()
        self.keys: list[Key] = list(zip(live["row_id"].to_pylist(), live["target"].to_pylist(), strict=True))
        self.numbers: dict[Key, int] = {key: n for n, key in enumerate(self.keys)}
        self._root = store.root
        self._places = _Places(store.root, live)
        self._cache: OrderedDict[int, dict[str, Any]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.keys)

    def known(self, row_id: str, target: Any) -> Key:
        """The key of a row. Raises UsageError where there is none."""
        key = row_id, target
        if key not in self.numbers:
            raise UsageError(f"there is no row {row_id!r} (target {target!r}) in {self.version.ref}.")
        return key

    def read(self, number: int) -> dict[str, Any]:
        """All columns of a row; the same object while it is remembered."""
        with self._lock:
            if number in self._cache:
                self._cache.move_to_end(number)
                return self._cache[number]
            row = decode_row(self._places.read(number))
            self._cache[number] = row
            while len(self._cache) > _CACHED_ROWS:
                self._cache.popitem(last=False)
            return row

    def was(self, key: Key) -> str | None:
        """What a row read in the version that it is held against; None where it was not there."""
        if self._against is None or (number := self._before.get(key)) is None:
            return None
        with self._lock:
            return self._before_places.read(number)["completion"]

    @cached_property
    def _before(self) -> dict[Key, int]:
        """Number of the row in the log of changes, for rows that were there before."""
        assert self._against is not None
        found = self._against.changes
        keys = zip(found["row_id"].to_pylist(), found["target"].to_pylist(), strict=True)
        return {key: n for n, key in enumerate(keys) if found["part_before"][n].is_valid}

    @cached_property
    def _before_places(self) -> _Places:
        assert self._against is not None
        found = self._against.changes.select(["part_before", "pos_before"])
        return _Places(self._root, found.rename_columns(["part", "pos"]), ("completion",))


class _Places:
    """Rows by their number in a table of places (part, pos), a row at a time."""

    def __init__(
        self, root: Path, places: pa.Table, columns: tuple[str, ...] = tuple(VERSION_SCHEMA.names)
    ) -> None:
        coded = places["part"].combine_chunks().dictionary_encode()
        self._code = coded.indices.fill_null(0).to_numpy()
        self._position = places["pos"].combine_chunks().fill_null(0).to_numpy()
        self._gatherer = Gatherer(root, coded.dictionary.to_pylist(), columns)

    def read(self, number: int) -> dict[str, Any]:
        one = slice(number, number + 1)
        return self._gatherer.gather(self._code[one], self._position[one]).to_pylist()[0]
