"""Two texts sentence by sentence: which sentence of one became which of the other.

Sentences are alike by the content words, numbers and signs of sums that they share; pairs keep their order. What is
left over on either side was added, dropped, moved, or belongs to a pair beside it as part of a merged or split one.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import lru_cache

from recast.curate.language.english import FUNCTION_WORDS
from recast.curate.language.sentences import sentences
from recast.curate.language.stems import stem
from recast.curate.language.tokens import OPERATORS, number, read
from recast.curate.language.word_classes import LEADING

LEAST_ALIKE, LEAST_OTHERWISE = 0.45, 0.6
"""Share of both sentences' keys that two of them have in common, from which they are a pair; the second where one of
them has numbers and the other none."""
SAME = 0.85
"""The share from which a sentence that stands elsewhere is the same one."""
INSIDE = 0.6
"""Share of a sentence's keys that a neighbour's pair took over, from which the two were made one."""
MOST_QUOTED = 6
"""Sentences of a quotation."""
MOST_PAIRS = 40_000
"""Pairs of sentences that are compared; of longer texts only equal sentences are found."""

Keys = Counter[str]
_MARKS = re.compile(r"\A\s*(?:[*+•-]\s*(?=[^\W\d_])|#{1,4} )|\*\*|__")
"""Bullets, headings and emphasis, which are no signs of sums."""
_SUMMING = ("total", "all", "sum")
_LIST_NUMBER = re.compile(r"\W*\d{1,2}[.)]\W*")
_QUOTED = re.compile(r"[.!?][\"”'’)]+\Z")
"""Ends a sentence inside another: `The answer to "How many?" is 34.`"""


@dataclass(frozen=True)
class Line:
    """One sentence."""

    text: str
    words: tuple[str, ...]
    """In lower case, numbers in one way of writing, without punctuation."""
    written: tuple[str, ...]
    """The same words as they stand."""
    keys: Keys
    """What tells it from others: stems of content words, numbers, signs of sums."""
    computes: bool
    bare: bool = False
    """It has less than two content words, so that `keys` are all its words (`There are 3.`)."""

    @property
    def counts(self) -> bool:
        return any(word[-1].isdigit() for word in self.words)

    @property
    def asks(self) -> bool:
        return self.text.rstrip(" *_\"')").endswith(("?", "？"))


@lru_cache(maxsize=2048)
def lines(text: str) -> tuple[Line, ...]:
    """The sentences of `text` in order; what holds no word, number or sign of a sum is left out."""
    return tuple(line for told in split(text) if (line := _line(told)) is not None)


def _is_open(told: str) -> bool:
    """Whether a quotation that begins in it does not end there, or the other way round."""
    return told.count('"') % 2 == 1


def split(text: str) -> list[str]:
    """The sentences of `text`, without the numbers of a list; one that ends in a quotation goes on behind it."""
    out: list[str] = []
    every = list(sentences(text))
    for place, told in enumerate(every):
        quoting = out and _is_open(out[-1]) and any(map(_is_open, every[place : place + MOST_QUOTED]))
        if quoting or (out and told[0].islower() and _QUOTED.search(out[-1])):
            out[-1] = f"{out[-1]} {told}"
        elif _LIST_NUMBER.fullmatch(told) and place + 1 < len(every) and not (out and out[-1].endswith(":")):
            continue
        else:
            out.append(told)
    return out


def _line(told: str) -> Line | None:
    found = read(_MARKS.sub("", told))
    tokens = [token for sentence in found for token in sentence.tokens]
    words, written = [], []
    for token in tokens:
        if token[0].isalnum() or token[-1].isdigit() or token in OPERATORS or token in "+-":
            value = number(token)
            words.append(token.lower() if value is None else str(value))
            written.append(token)
    if not words:
        return None
    keys = Counter(
        stem(word) if word[0].isalpha() else word
        for word in words
        if word not in FUNCTION_WORDS and (word[0].isalnum() or word in OPERATORS or word in "+-")
    )
    bare = len(keys) < 2
    if bare:  # `I see.`: what else could tell it
        keys = Counter(words)
    computes = any(sentence.computes for sentence in found)
    return Line(told, tuple(words), tuple(written), keys, computes, bare)


def alike(a: Line, b: Line) -> float:
    """Dice's coefficient of what tells two sentences, in [0, 1]; of all their words where either is bare."""
    one, other = (Counter(a.words), Counter(b.words)) if a.bare != b.bare else (a.keys, b.keys)
    return 2 * (one & other).total() / (one.total() + other.total())


def held(part: Keys, whole: Keys) -> float:
    """Share of `part` that stands in `whole`."""
    return (part & whole).total() / part.total()


@dataclass(frozen=True)
class Alignment:
    """What became of every sentence. Places are indices into the lines of the two texts."""

    pairs: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    merged: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    """A sentence before, and the one after that took it over beside another."""
    split: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    """A sentence before, and one after that was a part of it."""
    moved: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    dropped: list[int] = field(default_factory=list[int])
    added: list[int] = field(default_factory=list[int])


def align(before: tuple[Line, ...], after: tuple[Line, ...]) -> Alignment:
    """Pair the sentences of two texts."""
    pairs = _pairs(before, after)
    found = Alignment(pairs)
    partner, origin = dict(pairs), {j: i for i, j in pairs}
    left = [i for i in range(len(before)) if i not in partner]
    new = [j for j in range(len(after)) if j not in origin]
    for i in left:
        if (j := next((j for j in new if same(before[i], after[j])), None)) is not None:
            found.moved.append((i, j))
            new.remove(j)
    gone = {i for i, _ in found.moved}
    for i in (i for i in left if i not in gone):
        j = _taken_over(i, before, after, partner)
        found.dropped.append(i) if j is None else found.merged.append((i, j))
    for j in new:
        i = _taken_over(j, after, before, origin)
        found.added.append(j) if i is None else found.split.append((i, j))
    return found


def same(a: Line, b: Line) -> bool:
    """Whether both say the same, up to a word."""
    return len(a.words) > 2 and alike(a, b) >= SAME


def _taken_over(
    place: int, ours: tuple[Line, ...], theirs: tuple[Line, ...], partner: dict[int, int]
) -> int | None:
    """The sentence of the other text that holds this one besides the pair of a neighbour of this one."""
    for step in (1, -1):
        beside = place + step
        while 0 <= beside < len(ours) and beside not in partner:
            beside += step
        if beside in partner:
            whole = theirs[partner[beside]].keys
            keys = ours[place].keys
            numbers_stay = all(key in whole for key in keys if key[0].isdigit())
            if keys.total() > 1 and numbers_stay and held(keys, whole - ours[beside].keys) >= INSIDE:
                return partner[beside]
    return None


def _pairs(before: tuple[Line, ...], after: tuple[Line, ...]) -> list[tuple[int, int]]:
    """The pairs in order whose likeness adds up to most."""
    start = 0
    while start < min(len(before), len(after)) and before[start].words == after[start].words:
        start += 1
    end = 0
    while end < min(len(before), len(after)) - start and before[-1 - end].words == after[-1 - end].words:
        end += 1
    rows, columns = range(start, len(before) - end), range(start, len(after) - end)
    same = [(i, i) for i in range(start)]
    last = [(len(before) - k, len(after) - k) for k in range(end, 0, -1)]
    if len(rows) * len(columns) > MOST_PAIRS:
        a, b = [before[i].words for i in rows], [after[j].words for j in columns]
        # sentences that are said hundreds of times are passed over: they would cost the square of their number
        blocks = SequenceMatcher(None, a, b, autojunk=True).get_matching_blocks()
        found = [(rows[i + n], columns[j + n]) for i, j, size in blocks for n in range(size)]
        return [*same, *found, *last]
    return [*same, *_best(before, after, rows, columns), *last]


def _best(
    before: tuple[Line, ...], after: tuple[Line, ...], rows: range, columns: range
) -> list[tuple[int, int]]:
    """Needleman and Wunsch's alignment without cost of gaps over likenesses of pairs."""
    likeness = [[_pairable(before[i], after[j]) for j in columns] for i in rows]
    total = [[0.0] * (len(columns) + 1) for _ in range(len(rows) + 1)]
    for i in range(len(rows) - 1, -1, -1):
        for j in range(len(columns) - 1, -1, -1):
            here = likeness[i][j]
            paired = total[i + 1][j + 1] + here if here else 0.0
            total[i][j] = max(total[i + 1][j], total[i][j + 1], paired)
    found, i, j = [], 0, 0
    while i < len(rows) and j < len(columns):
        here = likeness[i][j]
        if here and total[i][j] == total[i + 1][j + 1] + here:
            found.append((rows[i], columns[j]))
            i, j = i + 1, j + 1
        elif total[i][j] == total[i + 1][j]:
            i += 1
        else:
            j += 1
    return found


def _pairable(a: Line, b: Line) -> float:
    """How alike two sentences are, 0 where they are no pair."""
    here = alike(a, b)
    return here if here >= (LEAST_ALIKE if a.counts == b.counts else LEAST_OTHERWISE) else 0.0


def without_lead(words: tuple[str, ...]) -> tuple[str, ...]:
    """The words without those that lead a sentence in (`so`, `therefore`)."""
    at = 0
    while at < len(words) - 1 and words[at] in LEADING and not _begins(words[at], words[at + 1]):
        at += 1
    return words[at:]


def _begins(word: str, following: str) -> bool:
    """Whether a leading word belongs to the sentence itself, as in `in 3 years` and `the first 16 minutes`."""
    return following[-1].isdigit() or (word == "in" and following not in _SUMMING)
