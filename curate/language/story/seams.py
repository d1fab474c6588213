"""Where a copy goes on with words that do not follow there: the seams of a text that is put together of its source.

A model that copies loses its place: it leaves words out, goes on from another occurrence of a word, says some again.
A sentence is laid out in as few runs of the source's words as it takes; where one run ends and the next begins is a
seam. Sums count as what they come to, since a text may work them out before it tells them. A seam alone is no fault:
a text may begin a sentence with another subject, join what two sentences say, move words behind a comma, say `we
add` for `we can add`. So only texts are judged that say most else in the source's sentences, and only sentences of
few runs; what is put in other words has many. English words only.

>>> source = "Each of the 5 pies costs Ann $2. So she needs the money of 5 friends to pay for the pies."
>>> seam("Each of the 5 pies costs Ann $2. So she needs for the pies.", source)
Seam(before='so she needs', after='for the pies')
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import NamedTuple

from recast.curate.language.common_words import is_common
from recast.curate.language.english import FUNCTION_WORDS, IMPOSSIBLE, SELDOM
from recast.curate.language.stems import stem
from recast.curate.language.story.wording import BEGIN, END, Words, told, worked_out
from recast.curate.language.tokens import number, read
from recast.curate.language.word_classes import GENERIC, PEOPLE, RELATING
from recast.curate.maths.units import dimensions, singular

MIN_COPIED = 0.2
"""Share of a text's words in sentences of the source, from which it is a copy."""
MAX_RUNS = 4
"""Runs of a sentence that is copied with a fault; the same in other words takes more."""
MIN_WORDS = 3
"""Words from which a sentence is looked at, and the end of one."""
MIN_PLURAL = 4
"""Letters that a plural has more than."""
MAX_TELLING = 2
"""Words before another that tell of it."""
MAX_PLACES = 50
"""Places of two words that are tried: a table of figures may have them anywhere."""
SHOWN = 4
"""Words on either side of a seam by which it is named."""
_SUBJECT = 2
"""Words of a new subject at the beginning of a sentence."""
_BEGINS_WITH_NUMBER = re.compile(r"(?:In|On|At|By|For|After|From) \$?\d")
_SIGNS = frozenset("+-*/=≈×÷")
_CUTS = frozenset(",;:().")
_JOINTS = frozenset(
    "and or but so then that which who whom whose what where when while if because since as for after before until "
    "though although whereas thus hence therefore".split()
)
"""They join what another sentence says."""
_TELL_MORE = ("of", "in", "on", "at", "for", "from", "with", "who", "which", "that", "whose", "where", "when")
"""They begin what tells more of the word before."""
_LOOSE = frozenset(
    "all both very also only just quite still already even now then too again about exactly total altogether together "
    "combined extra additional remaining new".split()
)
"""Words that a sentence may lack."""
_HOLD = FUNCTION_WORDS - _LOOSE
"""Function words that cannot be left out."""
_BEFORE_VERBS = frozenset("i you he she it we they there this that these those".split())
_BEGIN_CLAUSES = frozenset("i you he she it we they".split())
_AFTER_PREPOSITIONS = frozenset("it them him her us me you".split())
_NEEDED_BY_NOTHING = _JOINTS | _SIGNS | _BEGIN_CLAUSES | {END}
"""What need not stand behind a word: what joins, what begins a clause of its own (`the pens that he bought`)."""
_BEHIND_NUMBERS = (RELATING - {"and", "but", "if"}) | {"in", "on", "at", "into", "per"}


class Seam(NamedTuple):
    """The words on either side."""

    before: str
    after: str


class _Laid(NamedTuple):
    words: Words
    """In lower case, numbers by their values, without signs of punctuation."""
    tokens: Words
    """As they are written, with such signs."""

    def cuts(self) -> frozenset[int]:
        """The places of the words before which a sign stands that divides."""
        found, at = set[int](), 0
        for token in self.tokens:
            if _word(token):
                at += 1
            elif token in _CUTS:
                found.add(at)
        return frozenset(found)


@dataclass(frozen=True)
class _Source:
    """What is copied: the sentences of question and demonstration, with their sums and with what these come to."""

    prompt: str
    demonstration: str

    @cached_property
    def sentences(self) -> tuple[Words, ...]:
        found: dict[Words, None] = {}
        for text in (self.prompt, self.demonstration):
            for sentence in read(text):
                found[BEGIN, *_lay(worked_out(sentence.tokens)).words, END] = None
                if sentence.computes:
                    found[BEGIN, *_lay(sentence.tokens).words, END] = None
        return tuple(found)

    @cached_property
    def ends(self) -> frozenset[str]:
        """Words with a sign behind them."""
        told = [
            _lay(sentence.tokens) for text in (self.prompt, self.demonstration) for sentence in read(text)
        ]
        return frozenset(laid.words[at - 1] for laid in told for at in laid.cuts() if at)

    @cached_property
    def whole(self) -> frozenset[Words]:
        return frozenset(words[1:-1] for words in self.sentences)

    @cached_property
    def places(self) -> dict[Words, list[tuple[Words, int]]]:
        """Where two words stand side by side."""
        found: dict[Words, list[tuple[Words, int]]] = {}
        for words in self.sentences:
            for at, pair in enumerate(pairwise(words)):
                found.setdefault(pair, []).append((words, at))
        return found

    @cached_property
    def before(self) -> dict[str, list[Words]]:
        """The pairs of words side by side by their second one."""
        found: dict[str, list[Words]] = {}
        for pair in self.places:
            found.setdefault(pair[1], []).append(pair)
        return found

    @cached_property
    def words(self) -> frozenset[str]:
        return frozenset(word for words in self.sentences for word in words)

    @cached_property
    def stems(self) -> frozenset[Words]:
        """Stems of words side by side: `it costs` for `it cost`."""
        return frozenset((stem(one), stem(two)) for one, two in self.places)

    @cached_property
    def measured(self) -> frozenset[str]:
        """What the units of the source measure: time, money. Those of two letters are prepositions more often."""
        found = {name for word in self.words if len(word) > 2 for name in dimensions(word)}
        return frozenset(found | {"money"} if "$" in f"{self.prompt}{self.demonstration}" else found)


def seam(text: str, prompt: str, demonstration: str = "") -> Seam | None:
    """The first seam of `text`, if it is a copy, where no sentence goes on so."""
    known, quick = _quickly(prompt, demonstration), told(text)
    if known.isdisjoint(quick) and not _BEGINS_WITH_NUMBER.search(text):
        return None
    if all(words in known or "answer" in words for words in quick):
        return None
    ours = [
        laid for sentence in read(text)
        if not sentence.computes and len((laid := _lay(sentence.tokens)).words) >= MIN_WORDS
        and "answer" not in laid.words
    ]  # fmt: skip
    source = _source(prompt, demonstration)
    other = [one for one in ours if one.words not in source.whole]
    for one in other:
        if found := _unheld(one, source):
            return found
    if not other or len(other) == len(ours):
        return None
    size = sum(len(one.words) for one in ours)
    copied = size - sum(len(one.words) for one in other)
    laid = [(one, tuple(_runs((BEGIN, *one.words, END), source))) for one in other]
    copied += sum(len(one.words) for one, runs in laid if len(runs) == 1)
    if copied < MIN_COPIED * size:
        return None
    for one, runs in laid:
        if 1 < len(runs) <= MAX_RUNS and (found := _faulty(one, runs, source)):
            return found
    return None


def _unheld(laid: _Laid, source: _Source) -> Seam | None:
    """The beginning of a sentence that the source has with one number more, behind a preposition, which is then left
    with what is none of it: `In 30 kids came` for `In 2005, 30 kids came`."""
    one, two = laid.words[:2]
    if one in _BEHIND_NUMBERS and two[0].isdigit():
        for theirs, at in source.places.get((BEGIN, one), ()):
            lost, rest = theirs[at + 2 : at + 3], theirs[at + 3 : -1]
            if rest == laid.words[1:] and lost[0][0].isdigit():
                return Seam(one, _shown(laid.words[1 : SHOWN + 1]))
    return None


def _runs(words: Words, source: _Source) -> Iterator[tuple[int, int]]:
    """Where the runs of a sentence begin and end, each as long as the source has it."""
    begin, count = 0, len(words)
    while begin < count:
        longest = 1
        for theirs, at in source.places.get(words[begin : begin + 2], ())[:MAX_PLACES]:
            size = 2
            while words[begin + size : begin + size + 1] == theirs[at + size : at + size + 1] != ():
                size += 1
            longest = max(longest, size)
        yield begin, begin + longest
        begin += longest


def _faulty(laid: _Laid, runs: tuple[tuple[int, int], ...], source: _Source) -> Seam | None:
    """The first seam where the sentence cannot go on so."""
    words, cuts = (BEGIN, *laid.words, END), laid.cuts()
    for begin, end in runs:
        if end - begin == 1 and _other_things(words[begin - 1], words[begin], source):
            return Seam(_shown(words[max(0, begin - SHOWN) : begin]), _shown(words[begin : begin + SHOWN]))
    for (begin, end), (_, last) in pairwise(runs):
        one, two = words[end - 1], words[end]
        if two == END and _breaks_off(words[begin:end], source):
            return Seam(_shown(words[max(begin, end - SHOWN) : end]), "")
        if one == BEGIN or two == END or end - 1 in cuts:
            continue
        never = (one, two) in IMPOSSIBLE or (one, two) in SELDOM
        if not never and (
            not source.words.issuperset((one, two))
            or not _SIGNS.isdisjoint((one, two))
            or one in _BEFORE_VERBS
            or two in _BEGIN_CLAUSES
            or words[end + 1] in _AFTER_PREPOSITIONS
            or (begin == 0 and end <= _SUBJECT + 1)
            or (len(runs) > 2 and not _JOINTS.isdisjoint((one, two)))
            or two[-1].isdigit()
            or (one[-1].isdigit() and two not in _BEHIND_NUMBERS)
            or ((one, two) not in source.places and (stem(one), stem(two)) in source.stems)
            or _begins_before(words, end, source)
            or _left_out(one, two, source)
            or _moved(words[end - 2 : end], words[end:last], source)
        ):
            continue
        return Seam(_shown(words[max(begin, end - SHOWN) : end]), _shown(words[end : min(last, end + SHOWN)]))
    return None


def _begins_before(words: Words, end: int, source: _Source) -> bool:
    """Whether the run that begins at `end` may as well begin with the sentence, behind a word that leads it in."""
    for theirs, at in source.places.get((words[end - 1], words[end]), ())[:MAX_PLACES]:
        size = 0
        while size < min(at + 1, end) and theirs[at - size] == words[end - 1 - size]:
            size += 1
        if end - size <= _SUBJECT:
            return True
    return False


def _left_out(one: str, two: str, source: _Source) -> bool:
    """Whether the source has no more between two words than what tells of one of them: `of the pens`, `who eat rolls`
    behind the first, `total` or `very large` before the second."""
    if any(
        two in theirs[at + 3 :] and theirs[theirs.index(two, at + 3) - 1] not in FUNCTION_WORDS
        for tells in _TELL_MORE
        for theirs, at in source.places.get((one, tells), ())
    ):
        return True
    if any(theirs[at + 2] == two for word in _LOOSE for theirs, at in source.places.get((one, word), ())):
        return True
    return one in FUNCTION_WORDS and any(
        theirs[i] == one and _HOLD.isdisjoint(theirs[i + 1 : at + 1])
        for pair in source.before.get(two, ())
        for theirs, at in source.places[pair]
        for i in range(max(0, at - MAX_TELLING), at)
    )


def _moved(before: Words, run: Words, source: _Source) -> bool:
    """Whether a sentence of the source begins with what the copy says behind words of it: `on Monday`."""
    moved = run[:-1] if run[-1] == END else run
    return any(
        theirs[1 : 1 + len(moved)] == moved and any(before == pair for pair in pairwise(theirs))
        for theirs, at in source.places.get((BEGIN, run[0]), ())
    )


def _breaks_off(run: Words, source: _Source) -> bool:
    """Whether a sentence ends with words behind which the source always has some that they need: its verb, its noun."""
    if len(run) < MIN_WORDS or run[-1][-1].isdigit() or run[-1] in source.ends:
        return False
    after = {theirs[at + 2] for theirs, at in source.places[run[-2:]]}
    return not any(
        word in _NEEDED_BY_NOTHING or word in _BEHIND_NUMBERS or word[0].isdigit() for word in after
    )


def _other_things(count: str, noun: str, source: _Source) -> bool:
    """Whether a number, or a letter that stands for one, counts what the source has no word of: a plural, or a unit of
    what the source does not measure."""
    if (
        noun in source.words
        or noun[-1] != "s"
        or not (count[-1].isdigit() or (len(count) == 1 and count.isalpha()))
    ):
        return False
    if measured := dimensions(noun):
        return measured.keys().isdisjoint(source.measured)
    one = singular(noun)
    return (
        count[-1].isdigit() and len(noun) > MIN_PLURAL and noun[-2] != "s" and one not in source.words
        and one not in GENERIC and one not in PEOPLE and not is_common(noun)
    )  # fmt: skip


def _shown(words: Words) -> str:
    return " ".join(word for word in words if word not in (BEGIN, END))


@lru_cache(maxsize=1024)
def _quickly(prompt: str, demonstration: str) -> frozenset[Words]:
    """The sentences of the source as another reading has them already."""
    return frozenset((*told(prompt), *told(demonstration)))


@lru_cache(maxsize=1024)
def _source(prompt: str, demonstration: str) -> _Source:
    return _Source(prompt, demonstration)


def _lay(tokens: Words) -> _Laid:
    return _Laid(tuple([word for token in tokens if (word := _word(token))]), tokens)


@lru_cache(maxsize=16384)
def _word(token: str) -> str:
    """A token in lower case, a number by its value and without its currency; empty for punctuation."""
    value = number(token)
    if value is not None:
        return str(value)
    return token.lower() if token[0].isalpha() or token in _SIGNS else ""
