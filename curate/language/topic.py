"""Which words of a sentence a source knows, and which are new to it: a stand-in for a model that compares sentences.

Words are compared by their stems. Function words and the words of any solution (`curate.language.common_words`) count
for neither side. In scripts without spaces between words every character is one.

>>> known = stems("Natalia sold clips to 48 of her friends in April.")
>>> shared("First we add the clips that she sells.", (known,))
Shared(known=2, new=())
>>> shared("Buy cheap watches at our shop!", (known,))
Shared(known=0, new=('cheap', 'watches', 'shop'))
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from recast.curate.language.common_words import EMPTY, FUNCTION, is_common
from recast.curate.language.stems import stem

ENGLISH_SHARE = 0.15
"""Share of a text's words that are English function words, from which it counts as English."""

_IDEOGRAPH = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[{_IDEOGRAPH}]|[^\W\d_{_IDEOGRAPH}]+(?:['’][^\W\d_{_IDEOGRAPH}]+)*")
_NO_WORDS = re.compile(r"<<[^<>\n]*>>|\\[A-Za-z]+")  # calculator annotations, commands of LaTeX


class Shared(NamedTuple):
    """The different words of a sentence, common ones left out."""

    known: int
    new: tuple[str, ...]


def words_of(text: str) -> list[str]:
    """The words of `text` in lower case, in order, numbers and signs left out."""
    if "<<" in text or "\\" in text:
        text = _NO_WORDS.sub(" ", text)
    return _WORD.findall(text.lower())


@lru_cache(maxsize=2048)
def stems(text: str) -> frozenset[str]:
    """The stems of all words of `text`."""
    return frozenset(map(stem, words_of(text)))


@lru_cache(maxsize=2048)
def is_english(text: str) -> bool:
    """Whether English function words are frequent in `text`; so they are in English, and in no other language."""
    words = words_of(text)
    return sum(word in FUNCTION for word in words) >= ENGLISH_SHARE * len(words)


def shared(sentence: str, sources: Sequence[frozenset[str]]) -> Shared:
    """How many words of `sentence` one of the sources knows, and which are new to all."""
    known: set[str] = set()
    new: dict[str, str] = {}
    for word in words_of(sentence):
        key = _topical(word)
        if not key:
            continue
        if any(key in source for source in sources):
            known.add(key)
        else:
            new.setdefault(key, word)
    return Shared(len(known), tuple(new.values()))


@lru_cache(maxsize=2048)
def telling(text: str) -> frozenset[str]:
    """The words of `text` that are more than the frame of sums and an answer."""
    return frozenset(w for w in words_of(text) if w not in EMPTY and (len(w) > 1 or not w.isascii()))


@lru_cache(maxsize=65_536)
def _topical(word: str) -> str:
    """The stem of a word that can be on a topic or off it; empty for a common word and a single letter."""
    if is_common(word) or (len(word) == 1 and word.isascii()):
        return ""
    return stem(word)
