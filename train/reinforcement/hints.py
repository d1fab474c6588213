"""Hints of UFT (arXiv 2505.16984): an answer begins with a part of the solution, less and less of it.

A solution of L pieces is cut into n = min(5, L) slices with borders round(i L / n). At step t (from 1) up to T

    q = q_lo + (q_hi - q_lo) / 2 * (1 + cos(pi t / T)),   k ~ Binomial(n, q)

slices are shown, none afterwards and never in validation. Each row of a step draws its k anew, the same for all its
answers. The loss gets the cross-entropy of the hint's tokens with a small weight.
"""

from __future__ import annotations

import math
import re
from itertools import pairwise

import numpy as np

from recast.curate.fingerprint import seed_of
from recast.curate.language.sentences import sentences
from recast.train.reinforcement.config import RlConfig


def share(step: int, config: RlConfig) -> float:
    """q, the probability with which a slice is shown at `step` (from 1); 0 after the steps with hints."""
    last = config.hinted_steps
    if not 1 <= step <= last:
        return 0.0
    rise = (config.hint_high - config.hint_low) / 2
    return config.hint_low + rise * (1 + math.cos(math.pi * step / last))


def shown(step: int, key: str, num_slices: int, config: RlConfig) -> int:
    """k, how many of `num_slices` slices of the solution of the prompt `key` are shown at `step` (from 1)."""
    q = share(step, config)
    if not q or not num_slices:
        return 0
    return int(np.random.default_rng(seed_of(config.seed, "hint", key, step)).binomial(num_slices, q))


def borders(num_pieces: int, most: int) -> list[int]:
    """How many of `num_pieces` pieces the first 0, 1, ..., n slices hold, n at most `most`."""
    n = min(most, num_pieces)
    return [round(i * num_pieces / n) for i in range(n + 1)] if n else [0]


def pieces(text: str) -> list[str]:
    """The steps of a solution, its sentences and lines, which joined are the text again."""
    places, found = [0], 0
    for sentence in sentences(text):
        at = text.find(sentence, found)
        if at < 0:  # a sentence that is not written as it stands, which is then no border
            continue
        found = at + len(sentence)
        space = re.compile(r"\s*").match(text, found)
        places.append(space.end() if space else found)
    places = [*dict.fromkeys([*places[:-1], len(text)])]
    return [text[a:b] for a, b in pairwise(places)]


def prefixes(text: str, most: int) -> list[str]:
    """What the first 0, 1, ..., n slices of `text` show, n at most `most`.

    A hint does not end in white space: a model that has learned to write a space with the next word could not go on.
    """
    cut = pieces(text)
    return ["".join(cut[:end]).rstrip() for end in borders(len(cut), most)]
