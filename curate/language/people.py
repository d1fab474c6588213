"""The persons that a row tells of.

>>> sorted(people("Natalia sold clips to April . how many did natalia sell ?", "Natalia sold 5 to April. If April..."))
['april', 'natalia']
"""

from __future__ import annotations

from functools import lru_cache

from recast.curate.language.prose import vocabulary
from recast.curate.language.tokens import read
from recast.curate.language.word_classes import GENERIC, GRAMMAR, LEADING, NO_PERSON

_NO_NAME = frozenset(word.lower() for word in NO_PERSON) | LEADING | GENERIC
_ENDINGS = ("ing", "ly", "tion")


@lru_cache(maxsize=2048)
def people(prompt: str, demonstration: str) -> frozenset[str]:
    """Names in lower case: words that the question has, and that question or demonstration write with a capital only."""
    small: set[str] = set()
    named: set[str] = set()
    for text in (prompt, demonstration):
        for sentence in read(text):
            for token in sentence.tokens:
                if token.islower():
                    small.add(token)
                elif token[0].isupper() and token[1:].islower() and len(token) > 2:
                    named.add(token.lower().removesuffix("'s").removesuffix("’s"))
    asked = vocabulary(prompt)
    lower = small - asked if prompt.islower() else small
    return frozenset(
        name for name in named
        if name not in lower and name not in GRAMMAR and name not in _NO_NAME and name.removesuffix("s") not in _NO_NAME and not name.endswith(_ENDINGS)
        and (name in asked or f"{name}'s" in asked)
    )  # fmt: skip
