"""Diversity: what one text adds to others, and how varied a whole set of texts is (`collapse` compares two).

What a text adds is told by its phrases (`Phrases`), or by embeddings, which come in as arrays. The group terms are on
the scale of the alignment term; the published marginal (arXiv 2602.11220) is kept for replication, and is too small to
matter: at m = 10 with distances of 0.01 to 0.15 it stays below 0.005. Needs no model.

N texts or embeddings, K candidates of one group, D embedding dimensions.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recast.curate.texts import grams, ngrams, words

STD_FLOOR = 0.01
"""Smallest standard deviation, in cosine distance 1 - cos, that a group is divided by: below it is noise."""
PHRASE_WORDS = (1, 2, 3)
"""Lengths of the phrases that texts are compared by."""
NOVELTY_FLOOR = 0.02
"""The same in novelty: one word changed in a text of thirty moves about a tenth of its phrases, half-way."""

Floats = NDArray[np.float64]


# --- phrases --------------------------------------------------------------------------------------------


class Phrases:
    """Phrases of the texts kept so far, and what another text would add to them.

    A phrase is one to three words in a row. Of one that c kept texts have, a text adds 1 / (1 + c): what a set holds is
    the sum over its phrases of 1 + 1/2 + ... + 1/c, so the more texts say it already, the less is added by saying it
    again (a monotone submodular function, which greedy choice comes close to the best of).

    >>> kept = Phrases()
    >>> kept.novelty("so 3 + 4 = 7")
    1.0
    >>> kept.add("so 3 + 4 = 7")
    >>> kept.novelty("so 3 + 4 = 7"), kept.novelty("hence 12")
    (0.5, 1.0)
    """

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()

    def add(self, text: str) -> None:
        for phrases in _phrases(text):
            self._held.update(phrases)

    def remove(self, text: str) -> None:
        """Take out a text that was added."""
        for phrases in _phrases(text):
            self._held.subtract(phrases)

    def novelty(self, text: str) -> float:
        """Mean of 1 / (1 + kept texts that have it) over the phrases of `text`, in (0, 1]; each length counts alike.

        Distinct phrases, so that length does not decide. 0.0 for a text without words.
        """
        means = [
            # exact: the order of a set is another in every process, and a choice hangs on the last bit
            math.fsum(1.0 / (1 + self._held[phrase]) for phrase in phrases) / len(phrases)
            for phrases in _phrases(text)
            if phrases
        ]
        return sum(means) / len(means) if means else 0.0


def _phrases(text: str) -> Iterator[frozenset[str]]:
    return (ngrams(text, n) for n in PHRASE_WORDS)


def novelties_K(texts: Sequence[str]) -> Floats:
    """What each text of a group adds to the others (`Phrases.novelty`)."""
    kept = Phrases()
    for text in texts:
        kept.add(text)
    found = np.zeros(len(texts))
    for i, text in enumerate(texts):
        kept.remove(text)
        found[i] = kept.novelty(text)
        kept.add(text)
    return found


# --- one group ------------------------------------------------------------------------------------------


def normalise_ND(embeddings: ArrayLike) -> Floats:
    """Rows of unit length; a row of zeros stays zero."""
    rows = np.asarray(embeddings, dtype=np.float64)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms > 0, norms, 1.0)


def distances_KK(embeddings_KD: ArrayLike) -> Floats:
    """Pairwise `(1 - cos) / 2` in [0, 1], zero on the diagonal."""
    unit = normalise_ND(embeddings_KD)
    distances = np.clip((1.0 - unit @ unit.T) / 2.0, 0.0, 1.0)
    np.fill_diagonal(distances, 0.0)
    return distances


def mean_distances_K(embeddings_KD: ArrayLike) -> Floats:
    """`b_i`: mean distance of each candidate to the others; zero for a group of one."""
    distances = distances_KK(embeddings_KD)
    count = len(distances)
    return distances.sum(axis=1) / max(1, count - 1)


def group_terms_K(embeddings_KD: ArrayLike, feasible_K: Sequence[bool] | None = None) -> Floats:
    """`v_i = logistic((b_i - mean b) / max(std b, 0.01))` over the feasible set S, in (0, 1).

    b_i is the mean of 1 - cos to the others. The standard deviation is floored at `STD_FLOOR`, so that a group of
    nearly equal texts is not spread out by noise. 0 for infeasible candidates and where |S| < 2.
    """
    rows = np.asarray(embeddings_KD, dtype=np.float64)
    feasible = np.ones(len(rows), bool) if feasible_K is None else np.asarray(feasible_K, bool)
    terms = np.zeros(len(rows))
    if feasible.sum() > 1:
        terms[feasible] = standing_K(2.0 * mean_distances_K(rows[feasible]), STD_FLOOR)
    return terms


def standing_K(values_K: Floats, floor: float) -> Floats:
    """`logistic((b_i - mean b) / max(std b, floor))`, in (0, 1): where each value stands in its group.

    The spread of the group is taken out, so that the term has its say however alike the texts become, down to `floor`,
    below which differences are noise.
    """
    return 1.0 / (1.0 + np.exp(-(values_K - values_K.mean()) / max(float(values_K.std()), floor)))


def paper_marginals_K(embeddings_KD: ArrayLike, feasible_K: Sequence[bool] | None = None) -> Floats:
    """`Delta_i = max(0, D(S) - D(S without i))`, D the mean pairwise distance (arXiv 2602.11220).

    D of a single text is 0. All zero where |S| < 2, as in the released code.
    """
    rows = np.asarray(embeddings_KD, dtype=np.float64)
    feasible = np.ones(len(rows), bool) if feasible_K is None else np.asarray(feasible_K, bool)
    marginals = np.zeros(len(rows))
    m = int(feasible.sum())
    if m < 2:
        return marginals
    distances = distances_KK(rows[feasible])
    total, own = distances.sum() / 2.0, distances.sum(axis=1)
    whole = total / (m * (m - 1) / 2)
    rest = (total - own) / ((m - 1) * (m - 2) / 2) if m > 2 else np.zeros(m)
    marginals[feasible] = np.maximum(0.0, whole - rest)
    return marginals


# --- a corpus -------------------------------------------------------------------------------------------


def distinct_n(texts: Sequence[str], n: int = 2, num_words: int = 64) -> float:
    """Distinct n-grams over all n-grams, every text cut to `num_words` first, because the ratio falls with length."""
    seen: set[tuple[str, ...]] = set()
    count = 0
    for text in texts:
        tokens = words(text)[:num_words]
        seen.update(grams(tokens, n))
        count += max(0, len(tokens) - n + 1)
    return len(seen) / count if count else 0.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """A sampled mean with its 95 % interval."""

    mean: float
    low: float
    high: float


def self_bleu(texts: Sequence[str], *, sample: int = 200, references: int = 50, seed: int = 0) -> Estimate:
    """Mean BLEU-4 of sampled texts against sampled others; lower is more diverse. Empty orders count 1e-9."""
    random = Random(seed)
    tokens = [t for t in (words(text) for text in texts) if t]
    if len(tokens) < 2:
        return Estimate(0.0, 0.0, 0.0)
    scores: list[float] = []
    for i in random.sample(range(len(tokens)), min(sample, len(tokens))):
        others = random.sample(range(len(tokens) - 1), min(references, len(tokens) - 1))
        scores.append(_bleu(tokens[i], [tokens[j + (j >= i)] for j in others]))
    mean = float(np.mean(scores))
    half = 1.96 * float(np.std(scores)) / math.sqrt(len(scores))
    return Estimate(mean, max(0.0, mean - half), min(1.0, mean + half))


def _bleu(candidate: tuple[str, ...], references: list[tuple[str, ...]], order: int = 4) -> float:
    logs = 0.0
    for n in range(1, order + 1):
        counts = Counter(grams(candidate, n))
        best: Counter[tuple[str, ...]] = Counter()
        for reference in references:
            best |= Counter(grams(reference, n))
        total = sum(counts.values())
        matched = sum(min(count, best[gram]) for gram, count in counts.items())
        logs += math.log(max(matched, 1e-9) / total if total else 1e-9)
    closest = min((abs(len(r) - len(candidate)), len(r)) for r in references)[1]
    brevity = min(0.0, 1.0 - closest / len(candidate))
    return math.exp(brevity + logs / order)


def vendi(embeddings_ND: ArrayLike) -> float:
    """`exp(-sum lambda log lambda)` of the eigenvalues of K/N, K the cosine similarities: effective number of texts.

    The spectrum of K/N equals that of X'X/N, so the smaller of the two is decomposed.
    """
    unit = normalise_ND(embeddings_ND)
    count, width = unit.shape
    if count == 0:
        return 0.0
    gram = (unit @ unit.T if count <= width else unit.T @ unit) / count
    values = np.linalg.eigvalsh(gram)
    values = values[values > 1e-12]
    return float(np.exp(-np.sum(values * np.log(values))))


def entropy(counts: Sequence[int]) -> float:
    """Shannon entropy in nats of a histogram."""
    array = np.asarray([c for c in counts if c > 0], dtype=np.float64)
    if not len(array):
        return 0.0
    shares = array / array.sum()
    return max(0.0, float(-(shares * np.log(shares)).sum()))


def opening_entropy(texts: Sequence[str], n: int = 5) -> float:
    """Entropy in nats of the first `n` words, figures counted alike: falls at once when a template takes over."""
    return entropy(
        list(Counter(tuple("0" if w[0].isdigit() else w for w in words(t)[:n]) for t in texts).values())
    )


def length_entropy(texts: Sequence[str], bin_words: int = 8) -> float:
    """Entropy in nats of the lengths, in bins of `bin_words` words."""
    return entropy(list(Counter(len(words(t)) // bin_words for t in texts).values()))


def cluster_coverage(embeddings_ND: ArrayLike, reference_MD: ArrayLike, *, num_clusters: int = 16) -> float:
    """Share of the reference's clusters that some text of `embeddings_ND` falls into.

    Centres are chosen among the reference by farthest-first traversal from its first row, so that nothing is drawn
    at random; every text belongs to its nearest centre by cosine.
    """
    reference, ours = normalise_ND(reference_MD), normalise_ND(embeddings_ND)
    if not len(reference) or not len(ours):
        return 0.0
    centres = [0]
    nearest = reference @ reference[0]
    for _ in range(min(num_clusters, len(reference)) - 1):
        farthest = int(nearest.argmin())
        if nearest[farthest] > 1.0 - 1e-9:
            break  # every row equals a centre
        centres.append(farthest)
        nearest = np.maximum(nearest, reference @ reference[farthest])
    reached = np.unique((ours @ reference[centres].T).argmax(axis=1))
    return len(reached) / len(centres)
