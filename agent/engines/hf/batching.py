"""Rows that run together: pieces of an order, bounded by their number and by what they come to when padded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

PREFILL_POSITIONS = 2**14
"""Most prompt positions prefilled together: activations of a prompt of 100 kB must not be held for a whole batch."""


def cut(
    order: Iterable[int], lengths: Sequence[Sequence[int]], most_rows: int, most_positions: int
) -> Iterator[list[int]]:
    """`order` in pieces of at most `most_rows` and, padded, `most_positions`; one row may be longer than that."""
    piece: list[int] = []
    width = 0
    for i in order:
        wider = max(width, len(lengths[i]))
        if piece and (len(piece) >= most_rows or (len(piece) + 1) * wider > most_positions):
            yield piece
            piece, wider = [], len(lengths[i])
        piece.append(i)
        width = wider
    if piece:
        yield piece
