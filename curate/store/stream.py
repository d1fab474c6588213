"""The rows of a version one after the other in an order of their own, from any place in it, in constant memory.

    stream = Stream.of(store.open("gsm8k@v3"), seed=0)
    for row in stream.rows(share(((0, len(stream)),), 2, 8)):          # what the third of eight ranks reads
        ...

Without a seed the order is that of the version. With one, blocks of BLOCK rows come in random order, and windows of
`buffer` rows of that are shuffled: all of it follows from version, seed, epoch and buffer, so a place in the order is
the whole state of a reader. Nothing has to be kept of a buffer, and what is left of an epoch can be shared out anew
among any number of readers. A reader holds one window and a few row groups.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from recast.curate.errors import UsageError
from recast.curate.fingerprint import canonical_json
from recast.curate.store import turns
from recast.curate.store.gather import Gatherer
from recast.curate.store.places import Places, mapped
from recast.curate.store.snapshot import Snapshot
from recast.curate.store.turns import Format

BLOCK = 1_024
"""Rows that stay together until they come into a window: reading one row alone would decode its whole row group."""
BUFFER = 8_192

Stretch = tuple[int, int]  # places from the first to before the second
Stretches = tuple[Stretch, ...]


@dataclass(frozen=True)
class Stream:
    """The rows of a version in one order."""

    root: Path
    version_id: str
    places: Places
    format: Format
    seed: int | None
    buffer: int
    epoch: int = 0
    """Any number; another one is another order."""

    @classmethod
    def of(
        cls, snapshot: Snapshot, format: Format = "rows", *, seed: int | None = None, buffer: int = BUFFER
    ) -> Stream:
        """The stream of a version. `seed`: None is the order of the version; `buffer`: rows that are shuffled together.

        Raises UsageError for another format and a buffer without a row.
        """
        turns.require(format)
        if buffer < 1:
            raise UsageError(f"the buffer is of {buffer} rows; expected 1 at least, for instance {BUFFER}.")
        version_id = snapshot.version.id
        return cls(snapshot.root, version_id, Places(mapped(snapshot)), format, seed, buffer)

    def __len__(self) -> int:
        return len(self.places)

    def at(self, epoch: int) -> Stream:
        return replace(self, epoch=epoch)

    @property
    def order(self) -> str:
        """What the order follows from: places of one order mean nothing in another."""
        how = (
            "as stored" if self.seed is None else f"seed {self.seed} epoch {self.epoch} buffer {self.buffer}"
        )
        return f"version {self.version_id[:16]} {how}"

    def rows(self, stretches: Stretches) -> Iterator[dict[str, Any]]:
        """The rows at the places `stretches` of the order."""
        gatherer = Gatherer(self.root, self.places.parts, turns.columns(self.format))
        for begin, end in stretches:
            while begin < end:
                stop = min(end, (begin // self.buffer + 1) * self.buffer)
                yield from turns.rows(self.format, gatherer.gather(*self._window(begin, stop)))
                begin = stop

    def _window(self, begin: int, end: int) -> tuple[np.ndarray, np.ndarray]:
        """Part and position of the rows at the places from `begin` to before `end`, which lie in one window."""
        if self.seed is None:
            return self.places.between(begin, end)
        first = begin // self.buffer * self.buffer
        last = min(first + self.buffer, len(self))
        chosen = permuted(last - first, self.seed, self.epoch, "window", first)[begin - first : end - first]
        part, position = self._in_blocks(first, last)
        return part[chosen], position[chosen]

    def _in_blocks(self, begin: int, end: int) -> tuple[np.ndarray, np.ndarray]:
        """As `_window`, where only blocks have changed places."""
        blocks, starts = self._blocks
        parts: list[np.ndarray] = []
        positions: list[np.ndarray] = []
        at = int(np.searchsorted(starts, begin, side="right")) - 1
        while begin < end:
            stop = min(end, int(starts[at + 1]))
            offset = int(blocks[at]) * BLOCK - int(starts[at])
            part, position = self.places.between(begin + offset, stop + offset)
            parts.append(part)
            positions.append(position)
            begin, at = stop, at + 1
        return np.concatenate(parts), np.concatenate(positions)

    @cached_property
    def _blocks(self) -> tuple[np.ndarray, np.ndarray]:
        """int64[blocks], the block at each turn; int64[blocks + 1], the place where each begins and where all end."""
        count = -(-len(self) // BLOCK)
        blocks = permuted(count, self.seed, self.epoch, "blocks")
        sizes = np.minimum(len(self) - blocks * BLOCK, BLOCK)
        return blocks, np.concatenate([[0], np.cumsum(sizes)])


def permuted(count: int, *seeds: Any) -> np.ndarray:
    """int64[count]: the numbers below `count` in an order that `seeds` decide, on every machine and for good.

    Not NumPy's generators: their streams may change from one release to the next, and a state outlives a release.
    """
    key = int.from_bytes(hashlib.sha256(canonical_json(list(seeds)).encode()).digest()[:8], "little")
    # splitmix64 (Steele, Lea, Flood 2014), arithmetic modulo 2**64
    z = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(key)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.argsort(z ^ (z >> np.uint64(31)), kind="stable")


# places


def count(stretches: Stretches) -> int:
    return sum(end - begin for begin, end in stretches)


def share(stretches: Stretches, index: int, of: int) -> Stretches:
    """Share number `index` of `of` shares: one after the other, of sizes that differ by one at most."""
    total = count(stretches)
    return _cut(stretches, total * index // of, total * (index + 1) // of)


def without(stretches: Stretches, done: int) -> Stretches:
    """What is left after the first `done` places."""
    return _cut(stretches, done, count(stretches))


def _cut(stretches: Stretches, first: int, last: int) -> Stretches:
    """Places number `first` to before `last` of `stretches`."""
    found: list[Stretch] = []
    for begin, end in stretches:
        size = end - begin
        inside = max(first, 0), min(last, size)
        if inside[0] < inside[1]:
            found.append((begin + inside[0], begin + inside[1]))
        first, last = first - size, last - size
    return tuple(found)


def together(pieces: Sequence[Stretches]) -> Stretches:
    """All places of `pieces`, in order, neighbours joined."""
    found: list[Stretch] = []
    for begin, end in sorted(stretch for piece in pieces for stretch in piece):
        if found and found[-1][1] == begin:
            begin = found.pop()[0]
        found.append((begin, end))
    return tuple(found)
