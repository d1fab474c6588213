"""Exact and near duplicates among many short texts: MinHash over word shingles, banded, in numpy and Arrow.

Words become numbers in Arrow (C++), shingles and hashes are array operations in chunks, and two texts are near
duplicates when they share a band and their signatures agree on at least `threshold` of the places, an unbiased
estimate of the Jaccard similarity of their shingle sets (standard error at most 0.0625 with 64 places). Groups are
the connected parts; the first row of a group is its representative. Nothing is drawn at random but from the seed.

N texts, W words of all texts, P permutations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

NUM_PERMUTATIONS = 64
NUM_BANDS = 16
CHUNK_ROWS = 50_000
_MERSENNE = np.uint64((1 << 61) - 1)

Words = NDArray[np.uint64]
Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Duplicates:
    """For every text the row it duplicates (itself if it is the first of its group), and how."""

    representative_N: Rows
    exact_N: NDArray[np.bool_]
    """True where the text equals its representative word for word."""

    @property
    def duplicate_N(self) -> NDArray[np.bool_]:
        return self.representative_N != np.arange(len(self.representative_N))

    @property
    def num_groups(self) -> int:
        return len(np.unique(self.representative_N[self.duplicate_N]))


def near_duplicates(
    texts: Sequence[str] | pa.Array | pa.ChunkedArray,
    *,
    threshold: float = 0.8,
    shingle: int = 3,
    seed: int = 0,
) -> Duplicates:
    """Group texts whose word shingles have an estimated Jaccard similarity of at least `threshold`.

    Case and white space do not count. Texts shorter than `shingle` words are compared as a whole; empty ones are
    duplicates of each other.
    """
    words, starts = _words(texts)
    count = len(starts) - 1
    whole = _text_hashes(words, starts)
    first = _first_of_equal(whole)
    kept = np.flatnonzero(first == np.arange(count))
    signatures = _signatures(words, starts, kept, shingle, seed)
    parents = _merge(signatures, threshold)
    representative = kept[parents][np.searchsorted(kept, first)]
    return Duplicates(representative, whole == whole[representative])


def _words(texts: Sequence[str] | pa.Array | pa.ChunkedArray) -> tuple[Words, Rows]:
    """Hashes of all words one after another, and where each text begins (N + 1 places)."""
    array = texts if isinstance(texts, pa.Array | pa.ChunkedArray) else pa.array(texts, pa.large_string())
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    array = pc.fill_null(array.cast(pa.large_string()), "")
    lists = pc.utf8_split_whitespace(pc.utf8_trim_whitespace(pc.utf8_lower(array)))
    starts = np.asarray(lists.offsets, dtype=np.int64)
    flat = lists.values.slice(starts[0], starts[-1] - starts[0]).dictionary_encode()
    vocabulary = flat.dictionary.to_pylist()
    hashes = np.fromiter((_hash(word) for word in vocabulary), np.uint64, len(vocabulary))
    indices = flat.indices.to_numpy(zero_copy_only=False)
    return (hashes[indices] if len(indices) else np.zeros(0, np.uint64)), starts - starts[0]


def _hash(word: str) -> int:
    """A 61-bit FNV-1a hash that is the same in every process, unlike `hash`."""
    value = 0xCBF29CE484222325
    for byte in word.encode("utf-8", "surrogatepass"):
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value >> 3


def _mix(values: Words) -> Words:
    """The finaliser of SplitMix64: every bit depends on every other."""
    with np.errstate(over="ignore"):
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _text_hashes(words: Words, starts: Rows) -> Words:
    """One 64-bit hash a text, over its words in order."""
    lengths = np.diff(starts)
    place = np.arange(len(words), dtype=np.uint64) - np.repeat(starts[:-1], lengths).astype(np.uint64)
    with np.errstate(over="ignore"):
        terms = _mix(words + (place + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15))
        sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(terms, dtype=np.uint64)])
        return _mix(sums[starts[1:]] - sums[starts[:-1]] + lengths.astype(np.uint64))


def _first_of_equal(keys: Words) -> Rows:
    """For every place the first place with the same key."""
    order = np.argsort(keys, kind="stable")
    sorted_keys = keys[order]
    new = np.concatenate([[True], sorted_keys[1:] != sorted_keys[:-1]]) if len(keys) else np.zeros(0, bool)
    first = np.empty(len(keys), np.int64)
    first[order] = order[np.flatnonzero(new)[np.cumsum(new) - 1]] if len(keys) else 0
    return first


def _signatures(words: Words, starts: Rows, kept: Rows, shingle: int, seed: int) -> NDArray[np.uint32]:
    """MinHash signatures (len(kept), P) of the texts in `kept`."""
    random = np.random.default_rng(seed)
    a = random.integers(1, int(_MERSENNE), NUM_PERMUTATIONS, dtype=np.uint64) | np.uint64(1)
    b = random.integers(0, int(_MERSENNE), NUM_PERMUTATIONS, dtype=np.uint64)
    signatures = np.empty((len(kept), NUM_PERMUTATIONS), np.uint32)
    for begin in range(0, len(kept), CHUNK_ROWS):
        rows = kept[begin : begin + CHUNK_ROWS]
        hashes, places = _shingles(words, starts, rows, shingle)
        for p in range(NUM_PERMUTATIONS):
            with np.errstate(over="ignore"):
                permuted = ((hashes * a[p] + b[p]) >> np.uint64(32)).astype(np.uint32)  # multiply-shift
            signatures[begin : begin + len(rows), p] = np.minimum.reduceat(permuted, places)
    return signatures


def _shingles(words: Words, starts: Rows, rows: Rows, shingle: int) -> tuple[Words, Rows]:
    """Hashes of the word n-grams of some texts, and where each text's begin. Every text has at least one."""
    lengths = starts[rows + 1] - starts[rows]
    sizes = np.maximum(lengths - shingle + 1, 1)
    places = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    offset = np.arange(places[-1]) - np.repeat(places[:-1], sizes)
    at = np.repeat(starts[rows], sizes) + offset
    ends = np.repeat(starts[rows + 1], sizes)
    padded = np.concatenate([words, np.zeros(1, np.uint64)])
    hashes = np.zeros(places[-1], np.uint64)
    with np.errstate(over="ignore"):
        for n in range(shingle):
            position = np.minimum(at + n, len(words))
            word = np.where(at + n < ends, padded[position], np.uint64(0))
            hashes = _mix(hashes * np.uint64(31) + word + np.uint64(n + 1))
    return hashes, places[:-1]


def _merge(signatures: NDArray[np.uint32], threshold: float) -> Rows:
    """For every row of `signatures` the first row of its connected group."""
    count, width = signatures.shape
    parents = np.arange(count)
    if count < 2:
        return parents
    rows_per_band = width // NUM_BANDS
    for band in range(NUM_BANDS):
        block = signatures[:, band * rows_per_band : (band + 1) * rows_per_band].astype(np.uint64)
        keys = np.zeros(count, np.uint64)
        with np.errstate(over="ignore"):
            for column in block.T:
                keys = _mix(keys * np.uint64(31) + column)
        order = np.argsort(keys, kind="stable")
        near = np.flatnonzero(keys[order][1:] == keys[order][:-1])
        # neighbours in a bucket, and each with the first of its bucket, so that one odd row breaks no chain
        first = _first_of_equal(keys)[order[near + 1]]
        for one, two in ((order[near], order[near + 1]), (first, order[near + 1])):
            agree = (signatures[one] == signatures[two]).mean(axis=1) >= threshold
            for x, y in zip(one[agree].tolist(), two[agree].tolist(), strict=True):
                x, y = _root(parents, x), _root(parents, y)
                if x != y:
                    parents[max(x, y)] = min(x, y)
    for i in range(count):
        parents[i] = parents[parents[i]]  # a parent comes before its child, so it is final already
    return parents


def _root(parents: Rows, i: int) -> int:
    while parents[i] != i:
        parents[i] = parents[parents[i]]
        i = int(parents[i])
    return i
