"""Which rows are held out: by the hash of the row id alone, so that adding rows moves none to the other side.

    held = held_out([row["row_id"] for row in rows], 0.1)
    training, heldout = parted(rows, held)

Rows of one id (the targets of a row) share a side: a model must not be measured on another wording of what it
was trained on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")


def held_out(row_ids: Sequence[str], share: float) -> list[bool]:
    """Whether each row is held out, of which `share` (0 to 1) are on average.

    One id is held out whatever the share, and one is not where there are two: which ones these are can change when
    rows are added, nothing else can.
    """
    places = [_place(row_id) for row_id in row_ids]
    if not places:
        return []
    lowest, highest = min(places), max(places)
    held = [place < share or place == lowest for place in places]
    if all(held):
        held = [place < highest or highest == lowest for place in places]
    return held


def parted(rows: Sequence[T], held: Sequence[bool]) -> tuple[list[T], list[T]]:
    """(training rows, held-out rows), both in the order of `rows`."""
    pairs = list(zip(rows, held, strict=True))
    return [row for row, h in pairs if not h], [row for row, h in pairs if h]


def below(keys: Iterable[str], share: float) -> list[bool]:
    """Whether the hash of each key lies in the lowest `share` (0 to 1) of all: no other key has a say in it."""
    return below_bytes((key.encode("utf-8", "surrogatepass") for key in keys), share)


def below_bytes(keys: Iterable[bytes | memoryview], share: float) -> list[bool]:
    """`below` of keys as UTF-8."""
    # a digest is the first digits of a place in [0, 1), so bytes compare as places do
    bound = min(int(share * 2**64), 2**64 - 1).to_bytes(8, "big")
    digest = hashlib.sha256
    return [digest(key).digest() < bound for key in keys]


def _place(row_id: str) -> float:
    """A row's place in [0, 1)."""
    digest = hashlib.sha256(row_id.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
