"""What a clause affirms: whether it denies, and on which side of pairs of opposites (`more` and `fewer`) it stands.

Clauses are cut at marks, `and`, `but`, `while` and their like, since one sentence tells of both sides (`47 get off
and 13 get on`). `opposed` compares two clauses about the same thing and names what turned: nothing where both
sides, or neither, say it, where a denial and an opposite cancel out (`did not lose`, `kept`), and where who is
compared with whom changes places with it (`Ann has 5 more than Tom`, `Tom has 5 fewer than Ann`).

>>> [(c.said, c.denials) for c in clauses("13 more people get on, and 2 do not.")]
[(('more', 'on'), 0), ((), 1)]
>>> opposed(clauses("Tom received 5 pens.")[0], clauses("Tom gave Ann 5 pens.")[0])
'gave/received'
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from recast.curate.language.stems import BEGINNING
from recast.curate.language.tokens import EQUAL, Sentence, read
from recast.curate.language.topic import vocabulary
from recast.curate.language.word_classes import GRAMMAR
from recast.curate.maths.numbers import Value
from recast.curate.maths.units import singular

# one axis a line, its two sides apart by |; every form that is written. The first ones are told by either party.
_CONVERSE = """
gave give gives giving gifted donate donates donated | receive receives received receiving
buy buys bought buying purchase purchases purchased | sell sells sold selling
earn earns earned earning receive receives received | spend spends spent spending pay pays paid
borrow borrows borrowed | lend lends lent lending
win wins won | lose loses lost
"""
_AXES = """
more extra additional | fewer less
gain gains gained gaining | lose loses lost losing
before previously earlier | after afterwards later
increase increases increased increasing rise rises rose raised grew grows | decrease decreases decreased decreasing \
drop drops dropped fell falls fallen declined reduced reduces shrank shrinks
join joins joined joining | quit quits leave leaves left
enter enters entered | exit exits exited
arrive arrives arrived | depart departs departed
deposit deposits deposited | withdraw withdraws withdrew withdrawn
find finds found | lose loses lost
begin begins began start starts started | end ends ended finish finishes finished stop stops stopped
open opens opened opening | close closes closed closing shut
with | without
on | off
above over | below under beneath underneath
up upward | down downward
older | younger
taller longer | shorter
higher | lower
heavier | lighter
faster quicker | slower
bigger larger greater | smaller
cheaper | costlier pricier
wider | narrower
deeper | shallower
hotter warmer | colder cooler
most | least
maximum | minimum
all every | none
same equal | different unequal
true | false
correct right | incorrect wrong
profit profits profited | loss
discount discounted | surcharge markup
full | empty
north northward | south southward
east eastward | west westward
boy boys | girl girls
man men | woman women
brother brothers | sister sisters
son sons | daughter daughters
mother mom | father dad
husband | wife
aunt aunts | uncle uncles
morning | evening afternoon night
alive | dead
present | absent
remember remembered | forget forgot
push pushed | pull pulled
load loaded | unload unloaded
pass passes passed | fail fails failed
healthy | sick ill
clean | dirty
even | odd
"""
_SIDES: dict[str, list[tuple[int, int]]] = {}
_WORDS: dict[tuple[int, int], tuple[str, ...]] = {}
_NUM_CONVERSE = _CONVERSE.count("|")
for _axis, _line in enumerate((_CONVERSE.strip() + _AXES.replace("\\\n", "").rstrip()).splitlines()):
    for _side, _words in enumerate(_line.split("|")):
        for _word in _words.split():
            _SIDES.setdefault(_word, []).append((_axis, _side))
        _WORDS[_axis, _side] = tuple(_words.split())
_SIDED = frozenset(_SIDES)
_DENIES = frozenset("not never cannot".split())
_LACKS = frozenset("no none neither nor nobody nothing".split())
_CUTS = frozenset(
    "and but so while whereas because since although though then if when which who where or".split()
)


_MARKS = frozenset(",;:.?!()")
DENIALS = _DENIES | _LACKS
_TURNS = frozenset("but so while whereas because since although though then".split())


@lru_cache(maxsize=1024)
def opposites(word: str) -> tuple[str, ...]:
    """The words that stand against `word`, in lower case; none where no pair of opposites holds it."""
    return tuple(other for axis, side in _SIDES.get(word, ()) for other in _WORDS[axis, 1 - side])


class Clause(NamedTuple):
    """A stretch of a sentence that affirms or denies one thing."""

    text: str
    numbers: frozenset[Value]
    """What it is about: the results of its sums where it shows some, else all its numbers."""
    words: tuple[str, ...]
    """Stems of its content words in order, those of `sides` left out."""
    sides: frozenset[tuple[int, int]]
    """(axis, side) of its words that have an opposite."""
    said: tuple[str, ...]
    """These words."""
    subject: frozenset[str]
    """Stems of its content words before the first of these."""
    denials: int
    """How often it says `not`."""
    lacks: bool
    """Whether it says `no` or `none`, or denies in a relative clause: nothing that a verb says is denied."""
    compares: bool
    """Whether it says `than`."""


def may_turn(text: str, *sources: str) -> bool:
    """Whether a clause of `text` can stand against one of `sources`; found from their words alone, never wrong when it
    says no."""
    if not (text.isascii() and "\\" not in text) or "n't" in text:
        return True  # what `read` makes of signs and formulas is not known here
    ours = vocabulary(text)
    if ours & DENIALS or any(not ours.isdisjoint(_against(source)) for source in sources):
        return True
    denied = frozenset[Value]().union(*map(_denied, sources))
    return bool(denied) and any(
        value in denied for sentence in read(text) for value in sentence.numbers.values()
    )


@lru_cache(maxsize=2048)
def _against(text: str) -> frozenset[str]:
    """The opposites of the words of a text."""
    return frozenset[str]().union(*map(opposites, _SIDED & vocabulary(text)))


@lru_cache(maxsize=2048)
def _denied(text: str) -> frozenset[Value]:
    """The numbers of the clauses of a text that deny."""
    if text.isascii() and vocabulary(text).isdisjoint(DENIALS) and "n't" not in text:
        return frozenset()
    return denied_numbers(clauses(text))


def denied_numbers(found: Iterable[Clause]) -> frozenset[Value]:
    """The numbers of those clauses that deny."""
    return frozenset(value for clause in found if clause.denials or clause.lacks for value in clause.numbers)


def turning(clause: Clause) -> set[str]:
    """The words on the other side of those of `clause`."""
    return {word for axis, side in clause.sides for word in _WORDS[axis, 1 - side]}


@lru_cache(maxsize=2048)
def clauses(text: str) -> tuple[Clause, ...]:
    """The clauses of `text` that hold a number, in order."""
    return tuple(clause for sentence in read(text) if sentence.numbers for clause in cut(sentence))


def cut(sentence: Sentence) -> tuple[Clause, ...]:
    """The clauses of a sentence that hold a number, in order."""
    tokens, values = sentence.tokens, sentence.numbers
    ends = [at for at, token in enumerate(tokens) if _ending(token)]
    found: list[Clause] = []
    held: list[int] = []
    begin = 0
    for end in (*ends, len(tokens)):
        held += range(begin, end)
        begin = end + 1
        if not values.keys().isdisjoint(held):
            found.append(_clause([(tokens[at], values.get(at)) for at in held]))
            held = []
        elif end < len(tokens) and _ending(tokens[end]) == _TURN:
            held = []
    return tuple(found)


_CUT, _TURN = "cut", "turn"


@lru_cache(maxsize=16384)
def _ending(token: str) -> str:
    """Whether a clause ends at a token: at a `cut` it may be told further by the next, at a `turn` it is not."""
    if not token[0].isalpha():
        return _TURN if token in _MARKS else ""
    lowered = token.lower()
    return "" if lowered not in _CUTS else _TURN if lowered in _TURNS else _CUT


class _Word(NamedTuple):
    """A word of a clause: in lower case, what it does there, and its stem, empty for a word of grammar."""

    low: str
    denies: bool
    sides: tuple[tuple[int, int], ...]
    lacks: bool
    stem: str


@lru_cache(maxsize=16384)
def _told(token: str) -> _Word:
    low = token.lower()
    stem = "" if low in GRAMMAR else singular(low.removesuffix("'s"))[:BEGINNING]
    denies = low in _DENIES or low.endswith(("n't", "n’t"))
    return _Word(low, denies, tuple(_SIDES.get(low, ())), low in _LACKS, stem)


def _clause(tokens: list[tuple[str, Value | None]]) -> Clause:
    """The clause of tokens with their values, None for what is no number."""
    numbers: set[Value] = set()
    results: set[Value] = set()
    sides: set[tuple[int, int]] = set()
    said: list[str] = []
    words: list[str] = []
    subject = denials = 0
    lacks = relative = compares = False
    before = ""
    for token, value in tokens:
        if value is not None:
            (results if before in EQUAL else numbers).add(value)
        elif token[0].isalpha():
            word = _told(token)
            if word.denies:
                denials += not relative  # `5 pens that are not red` denies nothing of the pens
                lacks = lacks or relative
            elif word.sides:
                subject = subject if said else len(words)
                sides.update(word.sides)
                said.append(word.low)
            elif word.lacks:
                lacks = True
            elif word.stem:
                words.append(word.stem)
            relative = relative or word.low == "that"
            compares = compares or word.low == "than"
        if token not in "$€£":
            before = token
    return Clause(
        " ".join([token for token, _ in tokens]), frozenset(results or numbers), tuple(words), frozenset(sides),
        tuple(said), frozenset(words[:subject]), denials, lacks, compares,
    )  # fmt: skip


def opposed(ours: Clause, theirs: Clause) -> str:
    """What stands on the other side, or is denied in one of the two only; empty where nothing is."""
    flipped = {
        axis for axis, side in ours.sides
        if (axis, 1 - side) in theirs.sides and (axis, side) not in theirs.sides and (axis, 1 - side) not in ours.sides
    }  # fmt: skip
    denied = ours.denials % 2 != theirs.denials % 2
    if bool(flipped) == denied:
        return "" if denied or ours.lacks == theirs.lacks or set(ours.words) != set(theirs.words) else "no"
    if ours.lacks != theirs.lacks:
        return ""  # `without red ones`, `with no red ones`
    if denied:
        less = theirs if ours.denials < theirs.denials else None
        return "not" if less is None or set(less.words) <= set(ours.words) else ""
    axis = min(flipped)
    same = bool(ours.subject & theirs.subject) or (
        len(ours.words) > 1 and set(ours.words) == set(theirs.words)
    )
    if _changed_places(ours, theirs) or (axis < _NUM_CONVERSE and not same):
        return ""
    mine = next(word for word in ours.said if any(a == axis for a, _ in _SIDES[word]))
    other = next(word for word in theirs.said if any(a == axis for a, _ in _SIDES[word]))
    return f"{other}/{mine}"


def supports(ours: Clause, theirs: Clause) -> bool:
    """Whether `theirs` denies as `ours` does, or, where `ours` denies nothing, stands on a side of it."""
    if ours.denials:
        return bool(theirs.denials or theirs.lacks)
    return bool(ours.sides & theirs.sides)


def _changed_places(ours: Clause, theirs: Clause) -> bool:
    """Whether the words that both share stand in another order, or one compares and the other does not."""
    shared = list(dict.fromkeys(word for word in ours.words if word in theirs.words))
    there = list(dict.fromkeys(word for word in theirs.words if word in ours.words))
    return (len(shared) > 1 and shared != there) or ours.compares != theirs.compares
