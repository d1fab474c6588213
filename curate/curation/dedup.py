"""Exact, near and semantic duplicates among many texts, found while they stream by.

A text is an exact duplicate of the first text with the same words (case and white space do not count). It is a near
duplicate of an earlier text that stays if their sets of word 3-grams have an estimated Jaccard similarity of at least
`threshold`: MinHash by rensa with 64 places (standard error at most 0.0625) in 16 bands, which find a pair at
0.8 with probability 1 - (1 - 0.8^4)^16 = 0.9998. Only texts that stay are remembered, about 1.3 kB each.
Semantic duplicates compare embeddings, all with all.

>>> [d and d.first for d in near_duplicates(["one two three four", "five six", "ONE two  three four"])]
[None, None, 0]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import ArrayLike
from rensa import RMinHash, RMinHashDeduplicator  # pyright: ignore[reportAttributeAccessIssue]  # compiled, untyped

from recast.curate.curation.diversity import normalise_ND
from recast.curate.texts import grams

NUM_PERMUTATIONS, NUM_BANDS, SEED = 64, 16, 0
BATCH_ROWS = 10_000  # whose shingles are in memory at once
BLOCK_ROWS = 1024


@dataclass(frozen=True, slots=True)
class Duplicate:
    """What a text duplicates: the place of the first of its group, and whether word for word."""

    first: int
    exact: bool


class DuplicateFinder:
    """Remembers the texts that were added, and says of each new one what it duplicates."""

    def __init__(self, threshold: float | None = 0.8) -> None:
        """`threshold` None: exact duplicates only."""
        self._near = (
            None
            if threshold is None
            else RMinHashDeduplicator(threshold, NUM_PERMUTATIONS, True, NUM_BANDS, SEED)
        )
        self._first_place: dict[bytes, int] = {}
        self._stands_for: dict[int, int] = {}  # a near duplicate's place to that of the text that stays
        self._count = 0

    def add(self, texts: Sequence[str]) -> list[Duplicate | None]:
        """What each of `texts` duplicates, None where it stays. Places count all texts ever added, from 0."""
        found: list[Duplicate | None] = [None] * len(texts)
        begin = self._count
        self._count += len(texts)
        places: list[int] = []
        shingles: list[list[str]] = []
        for place, text in enumerate(texts, begin):
            words = text.lower().split()
            key = blake2b(" ".join(words).encode("utf-8", "surrogatepass"), digest_size=16).digest()
            first = self._first_place.setdefault(key, place)
            if first == place:
                places.append(place)
                shingles.append(list(map(" ".join, grams(words, 3))) or [" ".join(words)])
            else:
                found[place - begin] = Duplicate(
                    self._stands_for.get(first, first), first not in self._stands_for
                )
        if self._near is None or not places:
            return found
        sketches = RMinHash.from_token_sets(shingles, NUM_PERMUTATIONS, SEED)
        stays = self._near.add_pairs(zip(map(str, places), sketches, strict=True))
        near = [i for i, stay in enumerate(stays) if not stay]
        for i, matches in zip(near, self._near.get_duplicate_sets([sketches[i] for i in near]), strict=True):
            first = min(map(int, matches))
            self._stands_for[places[i]] = first
            found[places[i] - begin] = Duplicate(first, False)
        # an exact copy inside this batch was met before its original was known to be a near duplicate
        return [
            Duplicate(self._stands_for[d.first], False) if d and d.first in self._stands_for else d
            for d in found
        ]


def near_duplicates(texts: Sequence[str], *, threshold: float = 0.8) -> list[Duplicate | None]:
    """What each text duplicates, None for the first of every group."""
    finder = DuplicateFinder(threshold)
    batches = (texts[i : i + BATCH_ROWS] for i in range(0, len(texts), BATCH_ROWS))
    return [found for batch in batches for found in finder.add(batch)]


def semantic_duplicates(embeddings_ND: ArrayLike, min_cosine: float) -> list[int | None]:
    """The first earlier row that stays and has a cosine of at least `min_cosine`, None where there is none.

    Compares every row with every one that stays: 100,000 rows of 384 dimensions are 4 * 10^12 operations.
    """
    unit = normalise_ND(embeddings_ND).astype(np.float32)
    stays = np.zeros(len(unit), bool)
    found: list[int | None] = [None] * len(unit)
    for begin in range(0, len(unit), BLOCK_ROWS):
        block = unit[begin : begin + BLOCK_ROWS]
        earlier = np.flatnonzero(stays[:begin])
        near_before = block @ unit[earlier].T >= min_cosine
        near_within = block @ block.T >= min_cosine
        for i in range(len(block)):
            if near_before[i].any():
                found[begin + i] = int(earlier[near_before[i].argmax()])
                continue
            within = near_within[i, :i] & stays[begin : begin + i]
            if within.any():
                found[begin + i] = begin + int(within.argmax())
            else:
                stays[begin + i] = True
    return found
