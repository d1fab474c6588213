"""What stands in the place of a word: the words of a text between neighbours that a source has, too.

A place is known by two words on either side, by three before the end of a sentence or by three after its beginning,
that of a number by one before it and three after it, too.
Signs of punctuation are passed over, as are words that lead a sentence in (`so`, `next`); numbers count by their value,
and of a sum only what it comes to, since a text may work it out before it tells it.

>>> [(put.old, put.new) for put in substituted("Tom has 5 blue pens.", "Tom has 5 red pens.")]
[(('red',), ('blue',))]
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from recast.curate.language.tokens import number, read
from recast.curate.language.word_classes import LEADING

Key = tuple[str, ...]
Words = tuple[str, ...]
_PASSED = frozenset(",;:.!?()\"'’“”*_`")
_SIGNS = frozenset("+-*/×÷x")
MAX_UNIT_WORDS = 3
"""Words of an operand beside its figure."""
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


@lru_cache(maxsize=2048)
def reckoned(text: str) -> frozenset[Words]:
    """Those of `told` in which a sum stands."""
    return frozenset(_words(sentence.tokens) for sentence in read(text) if sentence.computes)


def _words(tokens: tuple[str, ...]) -> Words:
    words = [word for token in worked_out(tokens) if (word := _word(token))]
    begin = 0
    while begin < len(words) and words[begin] in LEADING:
        begin += 1
    return tuple(words[begin:] if begin else words)


@lru_cache(maxsize=8192)
def worked_out(tokens: tuple[str, ...]) -> tuple[str, ...]:
    """`tokens` without the sums that come to the number after their sign: `sold 6 boxes * 8 pens = 48 pens`."""
    if "=" not in tokens:
        return tokens
    kept: list[str] = []
    for token in tokens:
        if token == "=" and (begin := _sum_begins(kept)) is not None:
            del kept[begin:]
        else:
            kept.append(token)
    return tuple(kept)


def _sum_begins(tokens: list[str]) -> int | None:
    """Where the sum begins that `tokens` end with; None where they end with none."""
    begin, at = None, len(tokens)
    while True:
        figure = next((i for i in _nearest(at) if tokens[i][-1].isdigit()), None)
        if figure is None:
            return begin
        if at < len(tokens):
            begin = figure
        sign = next((i for i in _nearest(figure) if tokens[i] in _SIGNS), None)
        if sign is None or any(tokens[i][-1].isdigit() for i in range(sign, figure)):
            return begin
        at = sign


def _nearest(at: int) -> range:
    """The places before `at`, nearest first, in which the rest of an operand may stand."""
    return range(at - 1, max(-1, at - 2 - MAX_UNIT_WORDS), -1)


@lru_cache(maxsize=16384)
def _word(token: str) -> str:
    """A token in lower case, a number by its value; empty for punctuation."""
    if token in _PASSED:
        return ""
    value = number(token) if not token[-1].isalpha() or token[0].isupper() or "-" in token else None
    return token.lower() if value is None else f"{token[0] if token[0] in '$€£' else ''}{value}"


def _places(words: Words, known: Container[tuple[str, str]]) -> dict[Key, Words]:
    """What stands in each place of a sentence, at most `MAX_WORDS` words, where `known` has the pairs of neighbours."""
    padded = (BEGIN, *words, END)
    count = len(padded)
    kept = [pair in known for pair in pairwise(padded)]
    found: dict[Key, Words] = {}
    for size in range(1, MAX_WORDS + 1):
        for at in range(1, count - size):
            end = at + size
            if at > 1 and end < count - 1:
                if kept[at - 2] and kept[end]:
                    found[(*padded[at - 2 : at], "", *padded[end : end + 2])] = padded[at:end]
                if size == 1 and padded[at][-1].isdigit() and end < count - 3 and kept[end] and kept[end + 1]:
                    found[(padded[at - 1], "", *padded[end : end + 3])] = padded[at:end]
            elif at == 1 and count - end > 3:
                if kept[end] and kept[end + 1]:
                    found[(BEGIN, "", *padded[end : end + 3])] = padded[at:end]
            elif end == count - 1 and at > 3 and kept[at - 3] and kept[at - 2]:
                found[(*padded[at - 3 : at], "", END)] = padded[at:end]
    return found


def _pairs(words: Words) -> set[tuple[str, str]]:
    """Words of a sentence side by side, its beginning and its end among them."""
    return set(pairwise((BEGIN, *words, END)))


@lru_cache(maxsize=1024)
def _held(text: str) -> tuple[tuple[Words, frozenset[str]], ...]:
    return tuple([(words, frozenset(words)) for words in told(text)])


def stands_in(text: str, key: Key, middle: Words) -> bool:
    """Whether `middle` stands in a place of `text`."""
    known = set(pairwise(key))
    return any(
        held.issuperset(middle) and _places(words, known).get(key) == middle for words, held in _held(text)
    )


def substituted(text: str, *sources: str) -> Iterator[Put]:
    """Every place of `text` that a source has, too, with other words than in any of them, in sentences that say nearly
    the same."""
    theirs = [pair for source in sources for pair in _held(source)]
    known = {words for words, _ in theirs}
    for words, held in _held(text):
        if words in known:
            continue
        most = MAX_WORDS if "=" in held else (1 - MIN_SHARED) * len(held) + MAX_WORDS
        # a sum is told with other words where it is another one
        least = len(held) - most
        near = [(sentence, there) for sentence, there in theirs if len(held & there) >= least]
        if any(held <= there and _within(words, sentence) for sentence, there in near):
            continue  # a sentence of the source, with words left out
        ours = _pairs(words) if near else set[tuple[str, str]]()
        for sentence, _ in near:
            shared = ours & _pairs(sentence)
            places = _places(words, shared) if shared else {}
            table = _places(sentence, shared) if places else {}
            for key, middle in places.items():
                old = table.get(key)
                if (
                    old and old != middle and len(old) + len(middle) <= MAX_WORDS + 1
                    and _alike(held, middle, sentence)
                    and not any(stands_in(source, key, middle) for source in sources)
                ):  # fmt: skip
                    yield Put(old, middle, key, words, sentence)


def _within(words: Words, sentence: Words) -> bool:
    """Whether a sentence has the words in their order, perhaps with others between."""
    rest = iter(sentence)
    return all(word in rest for word in words)


def _alike(held: frozenset[str], middle: Words, sentence: Words) -> bool:
    """Whether a sentence has most words of another, and all its numbers but those of `middle`."""
    new = held.difference(sentence, middle)
    if "=" in held:
        return not new
    return len(new) <= (1 - MIN_SHARED) * len(held) and not any(word[-1].isdigit() for word in new)
