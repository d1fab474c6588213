"""How far rewrites are from what they rewrite: less likely than it, or about other things.

A gate sees one text at a time. What an agent does to slip past it shows in the mean over many accepted ones: they cost
the backbone more than the demonstrations that they were to make cheaper, and they leave the demonstrations' words.
"""

from __future__ import annotations

from recast.curate.language.stems import beginning
from recast.curate.texts import bare_words

MAX_NLL_GAIN = 0.05
"""Nats a token by which accepted rewrites may cost more than their demonstrations, in the mean."""
MAX_WORD_DRIFT = 0.5
"""Mean word drift of accepted rewrites above which they speak of other things than their demonstrations."""
MIN_ROWS = 10
"""Rewritten rows below which a mean says nothing."""


def word_drift(text: str, demonstration: str) -> float:
    """1 - Dice coefficient of the two texts' stems, in [0, 1]: 0 for the same words, 1 for none in common.

    Stems are the beginnings of words (`curate.language.stems`); numbers are left to the gate. Both words that are new
    and words that are gone raise it. 0 where neither text has a word.
    """
    ours, theirs = _stems(text), _stems(demonstration)
    return 1.0 - 2.0 * len(ours & theirs) / (len(ours) + len(theirs)) if ours or theirs else 0.0


def warnings(nll_gain: float | None, drift: float | None) -> dict[str, str]:
    """What the means over accepted rewrites give cause to say, by name, each with its figures.

    `nll_gain` is the rewrites' mean NLL less that of their demonstrations, in nats a token under the backbone.
    """
    found: dict[str, str] = {}
    if nll_gain is not None and nll_gain > MAX_NLL_GAIN:
        found["less_likely"] = (
            f"accepted rewrites cost the backbone {nll_gain:.3g} nats a token more than their demonstrations, limit "
            f"{MAX_NLL_GAIN:g}: they are not its own style, read some of them"
        )
    if drift is not None and drift > MAX_WORD_DRIFT:
        found["word_drift"] = (
            f"accepted rewrites have left the words of their demonstrations: drift of {drift:.2f}, limit "
            f"{MAX_WORD_DRIFT:g}; read some of them"
        )
    return found


def _stems(text: str) -> frozenset[str]:
    return frozenset(beginning(w) for w in bare_words(text) if not w[0].isdigit())
