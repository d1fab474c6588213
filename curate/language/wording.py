"""What stands in the place of a word: the words of a text between neighbours that a source has, too.

A place is known by two words on either side, by three before the end of a sentence or by three after its beginning. Signs
of punctuation are passed over, as are words that lead a sentence in (`so`, `next`); numbers count by their value.

>>> [(put.old, put.new) for put in substituted("Tom has 5 blue pens. He ate them all.", "Tom has 5 red pens. He sold them all.")]
[(('red',), ('blue',)), (('sold',), ('ate',))]
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from recast.curate.language.tokens import number, read
from recast.curate.language.word_classes import LEADING

Key = tuple[str, ...]
Words = tuple[str, ...]
_PASSED = frozenset(",;:.!?()\"'’“”*_`")
BEGIN, END = "\x02", "\x03"
"""Where a sentence begins and ends."""
MAX_WORDS = 2
"""Words that may stand in one place."""
MIN_SHARED = 0.7
"""Share of the words of a sentence that another has from which both say nearly the same."""


class Put(NamedTuple):
    """Words of a text in the place of words of the source."""

    old: Words
    new: Words
    context: Key
    """The words on either side."""
    sentence: Words
    """The sentence in which the new ones stand."""
    source: Words
    """The sentence in which the old ones stand."""


@lru_cache(maxsize=2048)
def told(text: str) -> tuple[Words, ...]:
    """The sentences of `text` as words in lower case, numbers in one way of writing, no punctuation."""
    return tuple([words for sentence in read(text) if len(words := _words(sentence.tokens)) > 2])


def _words(tokens: tuple[str, ...]) -> Words:
    words: list[str] = []
    for token in tokens:
        if token in _PASSED:
            continue
        low = token.lower()
        if not words and low in LEADING:
            continue
        value = number(token) if not token[-1].isalpha() or token[0].isupper() or "-" in token else None
        words.append(low if value is None else f"{token[0] if token[0] in '$€£' else ''}{value}")
    return tuple(words)


def _keys(words: Words, most: int) -> Iterator[tuple[Key, Words]]:
    padded = (BEGIN, *words, END)
    count = len(padded)
    for size in range(1, most + 1):
        for at in range(1, count - size):
            end = at + size
            middle = padded[at:end]
            if at > 1 and end < count - 1:
                yield (*padded[at - 2 : at], "", *padded[end : end + 2]), middle
            elif at == 1 and count - end > 3:
                yield (BEGIN, "", *padded[end : end + 3]), middle
            elif end == count - 1 and at > 3:
                yield (*padded[at - 3 : at], "", END), middle


@lru_cache(maxsize=1024)
def places(text: str) -> dict[Key, dict[Words, Words]]:
    """What stands in each place of `text`, at most `MAX_WORDS` words, and in which sentence."""
    found: dict[Key, dict[Words, Words]] = {}
    for words in told(text):
        for key, middle in _keys(words, MAX_WORDS):
            found.setdefault(key, {})[middle] = words
    return found


def substituted(text: str, *sources: str) -> Iterator[Put]:
    """Every place of `text` that a source has, too, with other words than in any of them, in sentences that say nearly
    the same."""
    known = {words for source in sources for words in told(source)}
    for words in told(text):
        if words in known:
            continue
        held = set(words)
        for key, middle in _keys(words, MAX_WORDS):
            olds = [old for source in sources if (old := places(source).get(key))]
            if not olds or any(middle in old for old in olds):
                continue
            for found in olds:
                for old, sentence in found.items():
                    if len(old) + len(middle) <= MAX_WORDS + 1 and _alike(held, middle, sentence):
                        yield Put(old, middle, key, words, sentence)


def _alike(held: set[str], middle: Words, sentence: Words) -> bool:
    """Whether a sentence has most words of another, and all its numbers but those of `middle`."""
    new = held.difference(sentence, middle)
    if "=" in held:
        return not new  # a sum is told with other words where it is another one
    return len(new) <= (1 - MIN_SHARED) * len(held) and not any(word[-1].isdigit() for word in new)
