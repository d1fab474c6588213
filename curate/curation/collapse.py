"""The flattening alarm: is a version less varied than the demonstrations that it came from?

Both sides are the same rows, at most `sample` of them, chosen by a hash of their ids, so that memory does not grow
with the version and no metric moves because the sets differ. Catches: a template that took over, openings and lengths
that became alike, content that drew together. Cannot catch: what differs in words and vectors but says the same.
Vectors are those of an embedding model where one is given, else hashed words (`selection`): no torch is needed.

>>> [str(loss) for loss in losses(Profile(vendi=4.0), Profile(vendi=1.0), 0.3)]
['vendi fell from 4 to 1 (-75%)']
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from hashlib import blake2b
from typing import Any

from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field

from recast.curate.curation.budget import hashed_words_ND
from recast.curate.curation.diversity import (
    cluster_coverage,
    distinct_n,
    length_entropy,
    opening_entropy,
    self_bleu,
    vendi,
)

COLUMNS = ("row_id", "target", "completion", "demonstration")

Embed = Callable[[Sequence[str]], ArrayLike]


NOT_IDENTITY: dict[str, str] = {}
"""Every setting decides what comes out."""


class DiversityConfig(BaseModel):
    """When a version counts as flattened, and which tags it then cannot have."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_loss: float = Field(default=0.3, gt=0.0, lt=1.0)
    """Share of any measure of diversity that a version may lose against its demonstrations."""
    guarded_tags: tuple[str, ...] = ("ready",)
    """Tags that a flattened version gets with `--accept-risk` only."""
    sample: int = Field(default=5000, ge=2)
    """Rows that are measured, chosen by a hash of their ids."""
    embedding: str | None = None
    """Sentence-transformers model for the Vendi score and the coverage of clusters. null: hashed words."""


@dataclass(frozen=True, slots=True)
class Profile:
    """How varied a set of texts is; larger is more varied in every field. None: not measured."""

    distinct_1: float | None = None
    distinct_2: float | None = None
    distinct_3: float | None = None
    dissimilarity: float | None = None
    """1 - self-BLEU, of 200 texts against 50 others each."""
    dissimilarity_error: float | None = None
    """Half the width of its 95 % interval."""
    opening_entropy: float | None = None
    """Nats, over the first five words."""
    length_entropy: float | None = None
    """Nats, over lengths in steps of eight words."""
    vendi: float | None = None
    """Effective number of texts."""
    cluster_coverage: float | None = None
    """Share of the demonstrations' 16 clusters that the texts reach."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A field of the profile that fell by more than allowed."""

    field: str
    before: float
    after: float

    @property
    def share(self) -> float:
        return 1.0 - self.after / self.before

    def __str__(self) -> str:
        return f"{self.field} fell from {self.before:.3g} to {self.after:.3g} (-{self.share:.0%})"


def profile(texts: Sequence[str], vectors_ND: ArrayLike, reference_ND: ArrayLike) -> Profile:
    """Measure texts. `vectors_ND` are theirs, `reference_ND` those of the demonstrations."""
    bleu = self_bleu(texts)
    return Profile(
        *(distinct_n(texts, n) for n in (1, 2, 3)),
        dissimilarity=1.0 - bleu.mean,
        dissimilarity_error=(bleu.high - bleu.low) / 2.0,
        opening_entropy=opening_entropy(texts),
        length_entropy=length_entropy(texts),
        vendi=vendi(vectors_ND),
        cluster_coverage=cluster_coverage(vectors_ND, reference_ND),
    )


def losses(before: Profile, after: Profile, max_loss: float) -> list[Loss]:
    """The measures of which `after` keeps less than `1 - max_loss`.

    Self-BLEU is an estimate: it counts as fallen only where the interval around it lies below the limit.
    """
    found: list[Loss] = []
    for name in (f.name for f in fields(Profile) if not f.name.endswith("_error")):
        old, new = getattr(before, name), getattr(after, name)
        if not old or new is None:
            continue
        error = getattr(after, f"{name}_error", None) or 0.0
        if new + error < (1.0 - max_loss) * old:
            found.append(Loss(name, old, new))
    return found


@dataclass(frozen=True, slots=True)
class Flattening:
    """A version beside its demonstrations."""

    num_rows: int
    """How many rows were measured."""
    vectors: str
    """What the vectors are: a model's name, or `hashed words`."""
    before: Profile
    after: Profile
    losses: tuple[Loss, ...]


def measure(
    rows: Iterable[Mapping[str, Any]], config: DiversityConfig | None = None, *, embed: Embed | None = None
) -> Flattening:
    """Compare the completions of rows (which have `COLUMNS`) with their demonstrations."""
    config = config or DiversityConfig()
    # the rows with the smallest hashes: the same ones whatever the order, and no more of them in memory
    chosen = heapq.nsmallest(
        config.sample,
        ((_hash(row), n, row) for n, row in enumerate(rows)),
    )
    old = [row["demonstration"] for *_, row in chosen]
    new = [row["completion"] for *_, row in chosen]
    vectors_of = embed or hashed_words_ND
    reference = vectors_of(old)
    before = profile(old, reference, reference)
    after = before if old == new else profile(new, vectors_of(new), reference)
    name = "hashed words" if embed is None else config.embedding or "embeddings"
    return Flattening(len(chosen), name, before, after, tuple(losses(before, after, config.max_loss)))


def _hash(row: Mapping[str, Any]) -> bytes:
    key = f"{row['row_id']}/{row['target']}".encode("utf-8", "surrogatepass")
    return blake2b(key, digest_size=8).digest()
