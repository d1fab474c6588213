"""Which rows to keep where there is a budget: uncertain ones, spread over the space of their texts.

Uncertain means that the model solves a row about half of the time: rows that it always or never solves teach least.
Spread is measured on embeddings, or, where no model is given, on hashed words.
N rows, D dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recast.curate.curation.diversity import normalise_ND

HASHED_DIMENSIONS = 128


def uncertainty_N(pass_rate_N: ArrayLike) -> NDArray[np.float64]:
    """`4 p (1 - p)` of the pass rates, 1 at one half and 0 at both ends; 0.5 where a row has none (NaN)."""
    rate = np.asarray(pass_rate_N, dtype=np.float64)
    return np.where(np.isnan(rate), 0.5, 4.0 * rate * (1.0 - rate))


def hashed_words_ND(texts: Sequence[str]) -> NDArray[np.float32]:
    """Signed hashes of the words of each text, of length 1 (feature hashing, arXiv 0902.2206).

    Inner products estimate the cosine of the word counts, damped by square roots; needs no model.
    """
    rows = np.zeros((len(texts), HASHED_DIMENSIONS), np.float32)
    for i, text in enumerate(texts):
        words, counts = np.unique(text.lower().split(), return_counts=True)
        hashes = np.array([crc32(word.encode("utf-8", "surrogatepass")) for word in words], np.int64)
        signs = np.where(hashes >> 31, 1.0, -1.0)
        np.add.at(rows[i], hashes % HASHED_DIMENSIONS, signs * np.sqrt(counts))
    return normalise_ND(rows).astype(np.float32)


def select(uncertainty_N: ArrayLike, embeddings_ND: ArrayLike, budget: int) -> list[int]:
    """Greedy choice of `budget` rows: the next is the largest (uncertainty + distance to the nearest chosen one).

    Both terms lie in [0, 1]; the distance is (1 - cos) / 2, and 1 before anything is chosen. Deterministic: ties go
    to the earlier row.
    """
    gain = np.array(uncertainty_N, dtype=np.float32)
    unit = normalise_ND(embeddings_ND).astype(np.float32)
    nearest = np.ones(len(unit), np.float32)
    chosen: list[int] = []
    for _ in range(min(budget, len(unit))):
        i = int((gain + nearest).argmax())
        chosen.append(i)
        gain[i] = -np.inf
        nearest = np.minimum(nearest, (1.0 - unit @ unit[i]) / 2.0)
    return chosen
