"""Clauses that a text copies from its source, and what it exchanged in those that it copied nearly.

A text of which a good part stands in the source clause by clause means to say what the source says: where the rest of
a clause is the source's, too, the one thing in which it differs is no other way of saying it. What may differ are
function words, endings, words left out, and sums, of which only what they come to counts on either side. In any text
`first` and `second` are kept apart, and so are `she` and what is counted.

>>> [(s.old, s.new) for s in slips("Tom sold 5 pens. Tom ate 9 buns.", "Tom sold 5 pens. Ann ate 9 buns.")]
[('Ann', 'Tom')]
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import NamedTuple

from recast.curate.language.quantities import quantities
from recast.curate.language.stems import stem
from recast.curate.language.story.people import bare, people
from recast.curate.language.story.wording import worked_out
from recast.curate.language.tokens import number, read
from recast.curate.language.word_classes import GRAMMAR, LEADING
from recast.curate.maths.units import singular

Keys = tuple[str, ...]
MIN_COPIED = 0.4
"""Share of a text's clauses that stand in the source from which it is a copy."""
MIN_KEYS = 3
"""Telling words of a clause from which it is compared."""
MAX_NEW, MAX_OLD = 2, 3
"""Words that one thing is called by, in a copy and in the source."""
_PLACES = frozenset("first second third fourth fifth".split())
_ORDERS = _PLACES | {"last", "other", "next"}
_ONE = frozenset(("he", "she"))
_PRONOUNS = _ONE | {"they"}
_TELLING = _PLACES | _ONE
_SPOKEN = {"plus": "+", "minus": "-", "times": "*", "divided": "/", "equals": "="}
_SIGNS = frozenset(_SPOKEN.values())
_KEPT = (
    _ORDERS | _PRONOUNS | frozenset("each every per by more less fewer no not both all half twice".split())
)
"""Words of grammar that say of whom, of which or of how many."""
_CUTS = frozenset(".;:!?()") | frozenset(
    "so but then which if because since while when who whereas although".split()
)
_LISTS = frozenset((",", "and"))
"""They end a clause that has its number; before that they list what it is about."""


class Slip(NamedTuple):
    """What a copy has in the place of what the source has."""

    old: str
    new: str
    clause: str
    """The copy's."""
    number: str = ""
    """The new number, where one stands in the place of another."""
    anywhere: bool = False
    """Whether it says something else in a text that is no copy, too."""


class _Clause(NamedTuple):
    keys: Keys
    """Its telling words by their stems, numbers by their values."""
    words: Keys
    """The same as they are written."""
    text: str
    plain: bool
    """Whether its sentence shows no sum."""


class _Place(NamedTuple):
    """What a clause has between words that it shares with one of the source, and what the source has there."""

    before: Keys
    new: Keys
    old: Keys
    after: Keys


@dataclass(frozen=True)
class _Source:
    """What is compared with: everything that question and demonstration say."""

    prompt: str
    demonstration: str
    clauses: tuple[_Clause, ...]
    known: frozenset[Keys]

    @cached_property
    def words(self) -> frozenset[str]:
        return frozenset(key for keys in self.known for key in keys)

    @cached_property
    def pairs(self) -> frozenset[tuple[str, str]]:
        """Words side by side."""
        return frozenset(pair for keys in self.known for pair in pairwise(keys))

    @cached_property
    def names(self) -> frozenset[str]:
        return frozenset(map(stem, people(self.prompt, self.demonstration)))

    @cached_property
    def things(self) -> frozenset[str]:
        """Persons, and what numbers count or stand for."""
        return self.names | self.counted

    @cached_property
    def counted(self) -> frozenset[str]:
        """What numbers count."""
        told = (*quantities(self.prompt), *quantities(self.demonstration))
        return frozenset(stem(singular(quantity.head)) for quantity in told if quantity.head)


def slips(text: str, prompt: str, demonstration: str = "") -> Iterator[Slip]:
    """What `text` exchanges in clauses that it nearly copies."""
    ours = [clause for clause in _clauses(text) if len(clause.keys) >= MIN_KEYS]
    if not ours:
        return
    source = _source(prompt, demonstration)
    other = [clause for clause in ours if clause.keys not in source.known]
    copied = len(ours) - len(other) >= MIN_COPIED * len(ours)
    told = {clause.keys for clause in ours}
    for clause in other:
        if copied:
            slip = _exchange(clause, source, told) or _twice(clause, source)
        else:
            slip = None if _TELLING.isdisjoint(clause.keys) else _exchange(clause, source, told)
        if slip and (copied or slip.anywhere):
            yield slip


def _exchange(clause: _Clause, source: _Source, told: Set[Keys]) -> Slip | None:
    """The first exchange that says something else; none where a clause of the source has all of the clause's words.
    `told` are the clauses of the text."""
    ours, found = clause.keys, None
    held = frozenset(ours)
    for other in source.clauses:
        theirs = other.keys
        if 2 * len(held.intersection(theirs)) < len(held):
            continue
        begin, end = _shared(ours, theirs)
        if begin + end < 2:
            continue
        place = _Place(
            ours[:begin],
            ours[begin : len(ours) - end],
            theirs[begin : len(theirs) - end],
            ours[len(ours) - end :],
        )
        if not _SIGNS.isdisjoint((*place.new, *place.old)):
            continue
        if not place.new:
            return None
        figure = next(filter(_figure, place.new), "")
        wrong = (
            _other_number(figure, place, source, clause.plain, theirs in told)
            if figure
            else _other_word(place, source)
        )
        if wrong and found is None:
            put, taken = clause.words[begin : len(ours) - end], other.words[begin : len(theirs) - end]
            number = figure if taken else ""
            found = Slip(
                " ".join(taken) or "nothing", " ".join(put), clause.text, number, _anywhere(place, source)
            )
    return found


def _shared(ours: Keys, theirs: Keys) -> tuple[int, int]:
    """How many keys two clauses have in common from their beginning, and how many of the rest from their end."""
    shorter = min(len(ours), len(theirs))
    begin = next((i for i in range(shorter) if ours[i] != theirs[i]), shorter)
    rest = shorter - begin
    return begin, next((i for i in range(rest) if ours[-1 - i] != theirs[-1 - i]), rest)


def _other_number(figure: str, place: _Place, source: _Source, plain: bool, both: bool) -> bool:
    """Whether a number stands where it does not belong. `plain` where no sum makes it there, `both` where the text has
    the source's clause, too."""
    before, new, old, after = place
    if not old:  # `they have 83 meat 51 pumpkins`
        following = (*new, *after)[new.index(figure) + 1 :]
        return bool(before and after) and (figure, following[0]) not in source.pairs
    if not (len(new) == len(old) == 1 and _figure(old[0])) or ("%" in figure) != ("%" in old[0]):
        return False
    if not after and len(before) < MIN_KEYS - plain:
        return False
    pairs = [(figure, key) for key in after] or [(before[-1], figure)]
    return (plain and both and bool(before)) or source.pairs.isdisjoint(pairs)


def _other_word(place: _Place, source: _Source) -> bool:
    """Whether a word says another of several, or another owner of a number."""
    before, new, old, after = place
    if not old or len(new) > MAX_NEW or len(old) > MAX_OLD:
        return False
    counts = any(map(_figure, old))
    if _ORDERS.issuperset(new):
        return counts or not _ORDERS.isdisjoint(old)  # `the next one` for `another 18`
    numbers = [key for key in (*before, *after) if _figure(key)]
    if not numbers or len(old) == MAX_OLD or not _PRONOUNS.isdisjoint(old):
        return False
    if _ONE.issuperset(new):
        return len(before) < MIN_KEYS and _another(new[0], old, source)
    if counts:
        return False
    subject = not before and bool(after) and not _figure(after[0])
    return (
        subject and (len(new) == 1 or new[0].endswith("'"))
        and _PRONOUNS.isdisjoint(new) and source.words.issuperset(new)
        and any(key.rstrip("'") in source.things for key in (*new, *old))
        and not any(a.startswith(b) or b.startswith(a) for a in new for b in old)
        and not any({*new, *numbers}.issubset(known) for known in source.known)
    )  # fmt: skip


def _anywhere(place: _Place, source: _Source) -> bool:
    """Whether `first` stands for `second`, or `she` for `1 dog`."""
    if _ONE.issuperset(place.new):
        return not source.counted.isdisjoint(place.old)
    return _PLACES.issuperset((*place.new, *place.old))


_COSTS = frozenset(map(stem, "worth cost costs weigh weighs hold holds contain contains".split()))


def _another(pronoun: str, old: Keys, source: _Source) -> bool:
    """Whether `he` or `she` is somebody else than `old`, who has no name: where there are names, and the pronoun is
    another's or `old` is counted."""
    if not source.names or not source.names.isdisjoint(old) or any(key.endswith("'") for key in old):
        return False
    if not _COSTS.isdisjoint(old):
        return False  # `the dimes are worth 20 cents` and `she has 20 cents`
    return "1" in old or (
        not any(map(_figure, old)) and (pronoun in source.words or old[-1] in source.counted)
    )


def _twice(clause: _Clause, source: _Source) -> Slip | None:
    """A number that stands twice where the source has it once: `into 90 groups of 90`."""
    figures = [key for before, key in pairwise(("", *clause.keys)) if _figure(key) and before != "by"]
    if len({*figures}) == len(figures) or not _SIGNS.isdisjoint(clause.keys):
        return None
    for figure in figures:
        if figures.count(figure) > 1 and not any(keys.count(figure) > 1 for keys in source.known):
            return Slip(figure, f"{figure} twice", clause.text)
    return None


@lru_cache(maxsize=1024)
def _source(prompt: str, demonstration: str) -> _Source:
    told = (*_clauses(prompt), *_clauses(demonstration))
    return _Source(prompt, demonstration, told, frozenset(clause.keys for clause in told))


@lru_cache(maxsize=2048)
def _clauses(text: str) -> tuple[_Clause, ...]:
    """The clauses of `text` in order, those without a telling word left out."""
    found: list[_Clause] = []
    for sentence in read(text):
        begin, counts, words, keys = 0, False, list[str](), list[str]()
        tokens = worked_out(sentence.tokens)
        for at, token in enumerate((*tokens, ".")):
            key = _key(token)
            if not key:
                continue
            if key is not _CUT and (key is not _LIST or not counts):
                if key is not _LIST:
                    words.append(token)
                    keys.append(key)
                    counts = counts or key[0].isdigit()
                continue
            if keys:
                text_ = " ".join(tokens[begin:at])
                found.append(_Clause(tuple(keys), tuple(words), text_, not sentence.computes))
            begin, counts, words, keys = at + 1, False, [], []
    return tuple(found)


_CUT, _LIST = "\x02", "\x03"


@lru_cache(maxsize=16384)
def _key(token: str) -> str:
    """By what a token is compared, or what it does to a clause; empty for most punctuation and words of grammar."""
    value, low = number(token), token.lower()
    if value is not None:
        return f"{value}%" if token[-1] == "%" else str(value)
    if low in _CUTS:
        return _CUT
    if low in _LISTS:
        return _LIST
    if not low[0].isalpha():
        return low if low in _SIGNS else ""
    if low in _SPOKEN:
        return _SPOKEN[low]
    if low in _KEPT:
        return "each" if low in ("every", "per") else low
    if low in GRAMMAR or low in LEADING:
        return ""
    word = bare(low)
    return stem(word) if word == low else f"{stem(word)}'"


def _figure(key: str) -> bool:
    return key[0].isdigit()
