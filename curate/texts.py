"""Words of a text, their n-grams, and how much of one text stands in another.

>>> words("So 3.5 kg<<7/2=3.5>>!"), bare_words("So 3.5 kg!")
(('so', '3.5', 'kg', '!'), ('so', '3.5', 'kg'))
>>> containment("a b c d", "a b c x", 3)
0.5
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

_BARE = r"\w+(?:[.,]\d+)*"
_BARE_WORD = re.compile(_BARE)
_WORD = re.compile(rf"{_BARE}|[^\w\s]")
_ASCII_WORD = re.compile(_WORD.pattern, re.ASCII)  # in two thirds of the time
_ANNOTATION = re.compile(r"<<[^<>\n]{0,300}>>")


@lru_cache(maxsize=2048)
def words(text: str) -> tuple[str, ...]:
    """Words, numbers and signs of `text` in lower case, calculator annotations left out."""
    told = (_ANNOTATION.sub("", text) if "<<" in text else text).lower()
    return tuple((_ASCII_WORD if told.isascii() else _WORD).findall(told))


def bare_words(text: str) -> tuple[str, ...]:
    """Words and numbers of `text` in lower case without signs, those of annotations among them."""
    return tuple(_BARE_WORD.findall(text.lower()))


def grams(tokens: Sequence[str], n: int) -> Iterator[tuple[str, ...]]:
    """Every `n` of `tokens` in a row, from the first place to the last; none where there are fewer than `n`."""
    return zip(*(tokens[i:] for i in range(n)), strict=False)


@lru_cache(maxsize=2048)
def ngrams(text: str, n: int) -> frozenset[str]:
    """The distinct n-grams of the words of `text`, with a space between their words."""
    return frozenset(map(" ".join, grams(words(text), n)))  # the garbage collector need not walk over strings


def containment(text: str, source: str, n: int = 8) -> float:
    """Share of the distinct word n-grams of `text` that occur in `source`, in [0, 1]; 0.0 where it has none."""
    ours = ngrams(text, n)
    return len(ours & ngrams(source, n)) / len(ours) if ours else 0.0
