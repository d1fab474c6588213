"""Which words of a sentence a source knows, and which are new to it: a stand-in for a model that compares sentences.

Words are compared by their stems. Function words and the words of any solution (`curate.language.common_words`) count
for neither side. In scripts without spaces between words every character is one.

>>> question = "Natalia sold clips to 48 of her friends in April."
>>> sorted(shared("First we add the clips that she sells.", question).known)
['clip']
>>> sorted(shared("Buy cheap watches at our shop!", question).new)
['cheap', 'shop', 'watch']
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from recast.curate.language import prose
from recast.curate.language.common_words import EMPTY, is_common
from recast.curate.language.english import FUNCTION_WORDS
from recast.curate.language.stems import stem

ENGLISH_SHARE = 0.15
"""Share of a text's words that are English function words, from which it counts as English."""

_IDEOGRAPH = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[{_IDEOGRAPH}]|[^\W\d_{_IDEOGRAPH}]+(?:['’][^\W\d_{_IDEOGRAPH}]+)*")
_COMMAND = re.compile(r"\\[A-Za-z]+")  # of LaTeX


class Shared(NamedTuple):
    """The different words of a text, common ones left out, by their stems."""

    known: frozenset[str]
    new: frozenset[str]


def words_of(text: str) -> list[str]:
    """The words of `text` in lower case, in order, numbers and signs left out."""
    if "\\" in text:
        text = _COMMAND.sub(" ", text)
    return prose.bare_letters(text) if text.isascii() else _WORD.findall(text.lower())


@lru_cache(maxsize=2048)
def vocabulary(text: str) -> frozenset[str]:
    """The different words of `text`."""
    return prose.vocabulary(text) if text.isascii() and "\\" not in text else frozenset(words_of(text))


@lru_cache(maxsize=2048)
def stems(text: str) -> frozenset[str]:
    """The stems of all words of `text`."""
    return frozenset(map(stem, vocabulary(text)))


@lru_cache(maxsize=2048)
def is_english(text: str) -> bool:
    """Whether English function words are frequent in `text`; so they are in English, and in no other language."""
    words = words_of(text)
    return sum(word in FUNCTION_WORDS for word in words) >= ENGLISH_SHARE * len(words)


def shared(text: str, *sources: str) -> Shared:
    """Which words of `text` one of the sources holds, and which none of them."""
    every = new = frozenset(map(_topical, vocabulary(text))) - {""}
    for source in sources:
        if new:  # a source that nothing is asked of is not read
            new = new - stems(source)
    return Shared(every - new, new)


def most_new(text: str, *sources: str) -> int:
    """An upper bound, soon found, of the words of `text` that are new: as written, before stems are compared."""
    left = vocabulary(text).difference(*map(vocabulary, sources))
    return sum(_topical(word) != "" for word in left)


@lru_cache(maxsize=2048)
def telling(text: str) -> frozenset[str]:
    """The words of `text` that are more than the frame of sums and an answer."""
    return frozenset(w for w in vocabulary(text) if w not in EMPTY and (len(w) > 1 or not w.isascii()))


@lru_cache(maxsize=65_536)
def _topical(word: str) -> str:
    """The stem of a word that can be on a topic or off it; empty for a common word and a single letter."""
    if is_common(word) or (len(word) == 1 and word.isascii()):
        return ""
    return stem(word)
