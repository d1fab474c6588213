"""Exact, near and semantic duplicates among many texts: groups that do not depend on the order of the texts.

Two texts are exact duplicates if they have the same words (case and white space do not count). They are near
duplicates if their sets of word 3-grams have an estimated Jaccard similarity of at least `threshold`: MinHash by rensa
with 64 places (standard error at most 0.0625) in 16 bands, which find a pair at 0.8 with probability
1 - (1 - 0.8^4)^16 = 0.9998. Semantic duplicates have a cosine of at least a threshold, all compared with all.
Duplicates of duplicates belong together: a group is a connected component, and of each the first text stays. So the
groups are those of the set of texts, however it is ordered, cut or spread over machines; only which text is the first
is a matter of order.

The parts of the rule are functions of their own, which other places than this process can run, too: `words_key`,
`sketches_ND`, `bands_NB`, `pairs_of_key`, `components`.

>>> [d and d.first for d in near_duplicates(["one two three four", "five six", "ONE two  three four"])]
[None, None, 0]
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import ArrayLike, NDArray
from rensa import RMinHash  # pyright: ignore[reportAttributeAccessIssue]  # compiled, untyped

from recast.curate.curation.diversity import normalise_ND
from recast.curate.texts import grams

NUM_PERMUTATIONS, NUM_BANDS, SEED = 64, 16, 0
BATCH_ROWS = 10_000  # whose shingles are in memory at once
BLOCK_ROWS = 1024

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Duplicate:
    """What a text duplicates: the place of the first of its group, and whether word for word."""

    first: int
    exact: bool


class DuplicateFinder:
    """Gathers texts, 260 bytes for each that has words of its own, and tells their groups once all are there."""

    def __init__(self, threshold: float | None = 0.8) -> None:
        """`threshold` None: exact duplicates only."""
        self.threshold = threshold
        self._same: list[int] = []  # of every text the place of the first one with its words
        self._place: dict[bytes, int] = {}
        self._different: list[int] = []  # places of the texts that have a sketch
        self._sketches: list[NDArray[np.uint32]] = []

    def add(self, texts: Sequence[str]) -> None:
        """Take more texts. Places count all texts ever added, from 0."""
        new: list[str] = []
        for place, text in enumerate(texts, len(self._same)):
            first = self._place.setdefault(words_key(text), place)
            self._same.append(first)
            if first == place:
                self._different.append(place)
                new.append(text)
        if self.threshold is not None and new:
            self._sketches.append(sketches_ND(new))

    def found(self) -> list[Duplicate | None]:
        """What each text duplicates, None where it stays."""
        same = np.array(self._same, np.int64)
        if self.threshold is None or not self._sketches:
            return told(same, same)
        sketches, places = np.concatenate(self._sketches), np.array(self._different)
        heads = components(len(sketches), near_pairs(sketches, self.threshold))
        head_of = np.arange(len(same))
        head_of[places] = places[heads]
        return told(head_of[same], same)


def told(first_N: NDArray[np.int64], same_N: NDArray[np.int64]) -> list[Duplicate | None]:
    """Duplicates from the first text of each one's group, and the first text with the same words."""
    return [
        None if first == place else Duplicate(int(first), bool(first == same))
        for place, (first, same) in enumerate(zip(first_N, same_N, strict=True))
    ]


def near_duplicates(texts: Sequence[str], *, threshold: float = 0.8) -> list[Duplicate | None]:
    """What each text duplicates, None for the first of every group."""
    finder = DuplicateFinder(threshold)
    for i in range(0, len(texts), BATCH_ROWS):
        finder.add(texts[i : i + BATCH_ROWS])
    return finder.found()


def words_key(text: str) -> bytes:
    """16 bytes that texts of the same words share."""
    return blake2b(_spaced(text).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def sketches_ND(texts: Sequence[str]) -> NDArray[np.uint32]:
    """The MinHash of every text, (N, `NUM_PERMUTATIONS`)."""
    shingles = [list(map(" ".join, grams(text.split(), 3))) or [text] for text in map(_spaced, texts)]
    digests = RMinHash.digests_from_token_sets(shingles, NUM_PERMUTATIONS, SEED)
    return np.array(digests, np.uint32).reshape(len(texts), NUM_PERMUTATIONS)


def bands_NB(sketches_ND: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """A key for every text and band, (N, `NUM_BANDS`): texts that agree in a band have the same key there.

    Texts may have it by accident, too; `near_pairs` looks at the sketches themselves.
    """
    keys = np.zeros((len(sketches_ND), NUM_BANDS), np.uint64)
    places = sketches_ND.reshape(len(sketches_ND), NUM_BANDS, -1).astype(np.uint64)
    for column in range(places.shape[2]):  # FNV-1a over whole numbers: unsigned arithmetic wraps
        keys = (keys ^ places[:, :, column]) * np.uint64(0x100000001B3) + np.uint64(0x9E3779B97F4A7C15)
    return keys


def near_pairs(sketches_ND: NDArray[np.uint32], threshold: float) -> Iterator[Pair]:
    """Pairs of texts that agree in a band and in at least `threshold` of all places, enough of them to connect all that
    such pairs connect."""
    for keys in bands_NB(sketches_ND).T:
        yield from pairs_of_key(keys, sketches_ND, threshold)


def pairs_of_key(
    keys_N: NDArray[np.uint64], sketches_ND: NDArray[np.uint32], threshold: float
) -> Iterator[Pair]:
    """The same of one band, whose keys are given."""
    order = np.argsort(keys_N, kind="stable")
    begins = np.concatenate([[0], np.flatnonzero(np.diff(keys_N[order])) + 1])
    sizes = np.diff(np.append(begins, len(order)))
    twos = begins[sizes == 2]  # nearly all there are: compared at once
    one, other = order[twos], order[twos + 1]
    for begin in range(0, len(twos), BATCH_ROWS):
        a, b = one[begin : begin + BATCH_ROWS], other[begin : begin + BATCH_ROWS]
        near = (sketches_ND[a] == sketches_ND[b]).sum(1) >= threshold * NUM_PERMUTATIONS
        yield from zip(a[near].tolist(), b[near].tolist(), strict=True)
    for begin, size in zip(begins[sizes > 2].tolist(), sizes[sizes > 2].tolist(), strict=True):
        members = order[begin : begin + size]
        pairs = pairs_within(sketches_ND[members], threshold)
        yield from ((int(members[a]), int(members[b])) for a, b in pairs)


def pairs_within(sketches_MD: NDArray[np.uint32], threshold: float) -> Iterator[Pair]:
    """The same among a few texts, each compared with all that are not connected with it yet."""
    least = threshold * NUM_PERMUTATIONS
    left = np.arange(len(sketches_MD))
    while len(left) > 1:
        # grow one component to its end, so that what it holds is compared with the rest once and never again
        frontier, left = [int(left[0])], left[1:]
        while frontier and len(left):
            one = frontier.pop()
            near = (sketches_MD[left] == sketches_MD[one]).sum(1) >= least
            yield from ((one, int(other)) for other in left[near])
            frontier += left[near].tolist()
            left = left[~near]


def components(count: int, pairs: Iterable[Pair]) -> NDArray[np.int64]:
    """The smallest member of the component that each of `count` nodes is in, int64[count]."""
    parent = list(range(count))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for a, b in pairs:
        a, b = sorted((root(a), root(b)))
        parent[b] = a
    return np.array([root(node) for node in range(count)], np.int64)


def semantic_duplicates(embeddings_ND: ArrayLike, min_cosine: float) -> list[int | None]:
    """The first row of the group that rows with a cosine of at least `min_cosine` form, None for that one itself.

    Compares all with all: 100,000 rows of 384 dimensions are 4 * 10^12 operations.
    """
    unit = normalise_ND(embeddings_ND).astype(np.float32)

    def near() -> Iterator[Pair]:
        for begin in range(0, len(unit), BLOCK_ROWS):
            block = unit[begin : begin + BLOCK_ROWS]
            later, earlier = np.nonzero(block @ unit[: begin + len(block)].T >= min_cosine)
            yield from zip((later + begin).tolist(), earlier.tolist(), strict=True)

    first = components(len(unit), near())
    return [None if group == place else int(group) for place, group in enumerate(first)]


def _spaced(text: str) -> str:
    return " ".join(text.lower().split())
