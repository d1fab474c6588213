"""The persons that a row tells of.

>>> sorted(people("Natalia sold 5 clips to April . how many ?", "Natalia sold 5 to April."))
['natalia']
"""

from __future__ import annotations

import re
from functools import lru_cache

from recast.curate.language.prose import vocabulary
from recast.curate.language.word_classes import GENERIC, GRAMMAR, LEADING, NO_PERSON

_NO_NAME = frozenset(word.lower() for word in NO_PERSON) | LEADING | GENERIC
_NAME = re.compile(r"[A-Z](?<![\w'].)[a-z]{2,}(?![A-Z])")  # begins with what is rare, and is soon found
_SMALL = re.compile(r"(?<![\w'])[a-z]+(?:'[a-z]+)*")
_ENDINGS = ("ing", "ly", "tion")
"""Of words that begin a sentence and are no names; `Sally` stands within one, too, and `Sally has`."""
_NAMED = re.compile(
    r"(?<=[a-z,] )[A-Z][a-z]+(?:ing|ly|tion)\b|\b[A-Z][a-z]+ly(?= (?:has|had|is|was|and [A-Z][a-z]))"
)


@lru_cache(maxsize=2048)
def people(prompt: str, demonstration: str) -> frozenset[str]:
    """Names in lower case: words of the question that question or demonstration write with a capital only."""
    text = f"{prompt}\n{demonstration}"
    asked = vocabulary(prompt)
    likely = frozenset(_NAMED.findall(text))
    named = {
        name for name in map(str.lower, _NAME.findall(text))
        if name not in GRAMMAR and name not in _NO_NAME and name.removesuffix("s") not in _NO_NAME
        and (not name.endswith(_ENDINGS) or name.title() in likely) and (name in asked or f"{name}'s" in asked)
    }  # fmt: skip
    if not any(name in text for name in named):
        return frozenset(named)
    small = set(_SMALL.findall(text))
    return frozenset(named - (small - asked if prompt.islower() else small))


def bare(word: str) -> str:
    """A word in lower case and without a genitive's ending.

    >>> bare("Ann's")
    'ann'
    """
    return word.lower().removesuffix("'s").removesuffix("’s")
