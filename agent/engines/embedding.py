"""Embeddings of texts for the diversity terms: the backbone's own by default, sentence-transformers if named.

An embedder is a callable `texts -> (N, D)` float32 with rows of length 1 (`Embed`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from recast.agent.engines.protocol import Inspectable
from recast.curate.curation.diversity import normalise_ND
from recast.curate.errors import MissingDependencyError, ModelError

Embed = Callable[[Sequence[str]], np.ndarray]


def backbone_embedder(engine: Inspectable) -> Embed:
    """Mean-pooled last hidden state of the backbone, adapter off, over each text on its own."""

    def embed(texts: Sequence[str]) -> np.ndarray:
        empty: Any = [{"role": "user", "content": ""}]
        _, states = engine.score([empty] * len(texts), texts, adapter=False, embed=True)
        assert states is not None
        return unit_rows(states)

    return embed


def compared_by(name: str | None) -> tuple[Embed | None, bool]:
    """What the setting `learn.embedding` names: an embedder where a model is named, and whether phrases compare texts.

    None is phrases, `backbone` its own states, which the reward has from scoring.
    """
    return (None if name in (None, "backbone") else sentence_embedder(name)), name is None


def sentence_embedder(name_or_path: str, *, device: str | None = None) -> Embed:
    """A sentence-transformers model by name or folder. Raises where the package or the model is absent."""
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise MissingDependencyError(
            f"embedding {name_or_path!r} needs sentence-transformers: pip install 'recast-sft[embedded]', "
            "or leave the embedding empty for the backbone's own."
        ) from error
    try:
        model = SentenceTransformer(name_or_path, device=device)
    except (OSError, ValueError) as error:
        raise ModelError(f"{name_or_path!r} is no sentence-transformers model: {error}") from error

    def embed(texts: Sequence[str]) -> np.ndarray:
        return unit_rows(model.encode(list(texts), convert_to_numpy=True, show_progress_bar=False))

    return embed


def unit_rows(states: np.ndarray) -> np.ndarray:
    """Rows of length 1 in float32; a row of NaN (a text that could not be embedded) becomes 0."""
    return normalise_ND(np.nan_to_num(states)).astype(np.float32)
