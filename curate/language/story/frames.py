"""What a sentence says of a number: which deed, whose, and where.

`Tom sold 8 pens on Friday` frames 8: sold, by Tom, on Friday. A rewrite may tell other numbers than its source, but
not the same deed of what a deed has left over, not one person's deed of two, not a total in one of the places that it
adds up. A frame is sure where its verb stands before the number in one clause with nothing but fillers between; what
is not sure excuses a text and never accuses it. English only.

>>> frame, = frames("Tom sold 8 pens on Friday.", frozenset(("tom",)))
>>> frame.value, frame.deed, sorted(frame.who), frame.place
(8, 'sell', ['tom'], ('on', 'friday'))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

from recast.curate.language.prose import vocabulary
from recast.curate.language.quantities import Quantity, quantities
from recast.curate.language.story.deeds import compared
from recast.curate.language.story.people import bare, people
from recast.curate.language.tokens import EQUAL
from recast.curate.maths.numbers import Value
from recast.curate.maths.units import singular

Steps = frozenset[tuple[tuple[Value, ...], Value]]
"""The operands of sums, in order, and what each comes to."""
Made = Mapping[Value, list[tuple[Value, ...]]]
"""The same by what they come to."""

_REGULAR = (
    "use earn receive collect pick plant bake paint walk score donate borrow owe save burn drop carry deliver wash "
    "clean fold load unload delete pour chop shovel rake solve finish complete invite share mail pack fill play watch "
    "study practice jog hike climb jump type color print copy visit attend hire adopt gather discover purchase order "
    "deposit download upload cook serve produce remove discard add"
)
_IRREGULAR = """
buy buys bought buying|sell sells sold selling|give gives gave given giving|eat eats ate eaten eating|lose loses lost
losing|spend spends spent spending|find finds found finding|read reads reading|cut cuts cutting|run runs ran running|
drive drives drove driven driving|fly flies flew flown flying|swim swims swam swum swimming|grow grows grew grown
growing|catch catches caught catching|throw throws threw thrown throwing|break breaks broke broken breaking|win wins won
winning|lend lends lent lending|steal steals stole stolen stealing|knit knits knitted knitting|sew sews sewed sewing|
build builds built building|drink drinks drank drunk drinking|mow mows mowed mowing|send sends sent sending|sleep sleeps
slept sleeping|write writes wrote written writing|draw draws drew drawn drawing|feed feeds fed feeding|pay pays paid
paying|withdraw withdraws withdrew withdrawn withdrawing|make makes made making
"""


def _forms(verb: str) -> tuple[str, ...]:
    if verb[-1] == "e":
        return verb, f"{verb}s", f"{verb}d", f"{verb[:-1]}ing"
    if verb[-1] == "y" and verb[-2] not in "aeo":
        return verb, f"{verb[:-1]}ies", f"{verb[:-1]}ied", f"{verb}ing"
    stem = f"{verb}{verb[-1]}" if verb in ("drop", "jog", "chop") else verb
    return verb, f"{verb}es" if verb.endswith(("ch", "sh")) else f"{verb}s", f"{stem}ed", f"{stem}ing"


_DEED_OF = {form: verb for verb in _REGULAR.split() for form in _forms(verb)} | {
    form: forms.split()[0] for forms in _IRREGULAR.split("|") for form in forms.split()
}
_STATES = frozenset(
    "has have had is are was were be been being need needs needed want wants wanted get gets got getting cost costs "
    "leave leaves left remain remains take takes took".split()
)
"""Verbs that tell how things are: of these a number may be told whatever else is told of it."""
_AUXILIARIES = _STATES | frozenset(
    "will would can could should may might must does do did to also then only just both together each all now still "
    "already".split()
)
_FILLERS = frozenset(
    "a total of about only up down another an additional just the in all altogether exactly already with".split()
) | frozenset("$€£(")
_UNREAL = frozenset("to can could would should might may able number amount have must".split())
"""Before a verb: what could or should be done, or the name of a number."""
_NO_VERB = frozenset("the a an of each per for".split())
_CUTS = frozenset(
    "but while because since if when who which whose that where so then until before after".split()
)
_MARKS = frozenset(".;:!?()")
_SIGNS = frozenset("+-*/×÷−")
_MINUS, _PLUS = frozenset("-−"), frozenset("+")
_THEY = frozenset(("they",))
_PRONOUNS = frozenset("he she they it we you i who".split())
_PLACES = frozenset("on in at for from of to".split())
_DETERMINERS = frozenset("the a an his her their each every first second third last next".split())
REACH = 7
"""Tokens behind a number among which a verb or a place is looked for."""
MIN_GERUND = 5
UNIT_WORDS = 3
"""Words of an operand beside its figure."""


class Frame(NamedTuple):
    """What is said of one number."""

    value: Value
    nouns: frozenset[str]
    """What it counts, `Quantity.nouns`."""
    unit: str
    """The word right behind it, in the singular; empty where none is."""
    deed: str
    """The verb in its first form; empty where none is near, or one that tells how things are."""
    who: frozenset[str]
    """The persons who do it, in lower case, or one pronoun."""
    sure: bool
    place: tuple[str, str] | None
    """A preposition and the noun behind it."""
    listed: bool
    """Whether the place goes on with others: `on Friday and Sunday`."""
    terms: tuple[Value, ...]
    """The operands, where a sum of one sign makes the number."""
    sign: str
    operand: bool
    """Whether it goes into a sum."""


def misframed(text: str, prompt: str, demonstration: str, steps: Steps) -> str:
    """What `text` says of a number that its source says of another, as a sentence; empty where it says nothing.

    `steps` are those of demonstration and text.
    """
    persons = people(prompt, demonstration)
    made: dict[Value, list[tuple[Value, ...]]] = {}
    for terms, result in steps:
        if len(terms) > 1:
            made.setdefault(result, []).append(terms)
    joint = len(persons) > 1 and " and " in text
    ours = [
        frame
        for quantity in quantities(text)
        if quantity.value in made or joint  # of others nothing is left over, added up or shared
        for frame in (_frame(quantity, persons),)
        if not frame.operand and ((frame.deed and frame.sure) or frame.place)
        and (quantity.value in made or len(frame.who) > 1)
    ]  # fmt: skip
    if not ours:
        return ""
    given = frames(prompt, persons)
    theirs = (*given, *frames(demonstration, persons))
    apart = compared(prompt) | compared(demonstration)
    for frame in ours:
        said = ""
        if frame.deed and frame.sure:
            said = _left_over(frame, theirs, apart, made) or _done_by(frame, theirs, persons, apart)
        said = said or (_one_place(frame, theirs, given, made) if frame.place and not frame.listed else "")
        if said:
            return said
    return ""


def _left_over(frame: Frame, theirs: tuple[Frame, ...], apart: frozenset[Value], made: Made) -> str:
    """The deed of a number told of what a difference with that number leaves: `sold 9 - 4 = 5` where 4 are sold."""
    done = [other for other in theirs if other.deed == frame.deed]
    if frame.value in apart or any(other.value == frame.value for other in done):
        return ""
    for pair in _worked_out(frame, made, _MINUS, lambda terms: terms[0] - sum(terms[1:])):
        if len(pair) != 2 or not apart.isdisjoint(pair):
            continue
        for other in done:
            if not other.sure:
                continue
            same = not other.nouns or frame.nouns <= other.nouns
            elsewhere = frame.place and frame.place[0] != "of" and other.place not in (None, frame.place)
            if other.value in pair and same and not elsewhere and _may_be_one(frame.who, other.who):
                return (
                    f"It says {frame.deed!r} of {frame.value}, which is what {pair[0]} - {pair[1]} leaves; "
                    f"question or demonstration say it of {other.value}."
                )
    return ""


def _worked_out(
    frame: Frame, made: Made, signs: frozenset[str], make: Callable[[tuple[Value, ...]], Value]
) -> list[tuple[Value, ...]]:
    """The operands that make the number by one of `signs`: those of its own sum, where it has one."""
    if frame.terms:
        return [frame.terms] if frame.sign in signs else []
    return [terms for terms in made.get(frame.value, ()) if make(terms) == frame.value]


def _may_be_one(one: frozenset[str], other: frozenset[str]) -> bool:
    return not one or not other or bool(one & other) or not _PRONOUNS.isdisjoint(one | other)


def _done_by(
    frame: Frame, theirs: tuple[Frame, ...], persons: frozenset[str], apart: frozenset[Value]
) -> str:
    """What one person does told of two, and what two do together of one."""
    doers = {
        other.who for other in theirs
        if other.value == frame.value and other.deed == frame.deed and other.who and not other.operand
    }  # fmt: skip
    together = _THEY in doers
    doers -= {_THEY}
    if not frame.who or not frame.who <= persons or not doers or not all(who <= persons for who in doers):
        return ""
    alone = (
        len(frame.who) > 1
        and not together
        and frame.value not in apart
        and all(len(who) == 1 and who < frame.who for who in doers)
    )
    joint = len(frame.who) == 1 and frame.sign in _PLUS and all(frame.who < who for who in doers)
    if not alone and not joint:
        return ""
    told, whose = (" and ".join(map(str.title, sorted(who))) for who in (frame.who, min(doers, key=sorted)))
    return f"It says {frame.deed!r} {frame.value} of {told}; question or demonstration say it of {whose}."


def _one_place(frame: Frame, theirs: tuple[Frame, ...], given: tuple[Frame, ...], made: Made) -> str:
    """A sum over several places told of one of them: `8 + 9 = 17 pens on Friday` for 8 on Friday and 9 on Sunday."""
    assert frame.place is not None
    if any(
        other.place and other.place[1] == frame.place[1] and other.value == frame.value for other in theirs
    ):
        return ""
    for added in _worked_out(frame, made, _PLUS, sum):
        places = {
            other.place for other in given
            if other.value in added and other.place and other.place[0] == frame.place[0]
            and (other.unit == frame.unit or not other.unit)
        }  # fmt: skip
        if frame.place in places and len(places) > 1:
            where = " ".join(frame.place)
            return f"It says {frame.value} {where}; that is only part of it in question or demonstration."
    return ""


@lru_cache(maxsize=4096)
def frames(text: str, persons: frozenset[str]) -> tuple[Frame, ...]:
    """The frames of the numbers of `text`, in order; `persons` in lower case."""
    if vocabulary(text).isdisjoint(_DEED_OF) and vocabulary(text).isdisjoint(_PLACES):
        return ()
    return tuple(_frame(quantity, persons) for quantity in quantities(text))


def _frame(quantity: Quantity, persons: frozenset[str]) -> Frame:
    tokens, numbered, at = quantity.sentence.tokens, quantity.sentence.numbers, quantity.at
    low = _low(tokens)
    first, terms, sign = _reckoned(tokens, numbered, at)
    deed, who, sure = _deed(low, tokens, numbered, first, at, persons)
    place, listed = _place(low, tokens, numbered, at)
    behind = low[at + 1 : at + 2]
    unit = singular(behind[0]) if behind and behind[0][0].isalpha() and behind[0] not in _PLACES else ""
    return Frame(
        quantity.value,
        quantity.nouns,
        unit,
        deed,
        who,
        sure,
        place,
        listed,
        terms,
        sign,
        _is_operand(tokens, at),
    )


@lru_cache(maxsize=8192)
def _low(tokens: tuple[str, ...]) -> tuple[str, ...]:
    return tuple([token.lower() for token in tokens])


def _reckoned(
    tokens: tuple[str, ...], numbered: dict[int, Value], at: int
) -> tuple[int, tuple[Value, ...], str]:
    """Where the sum begins that makes the number at `at`, its operands and its sign; no operands where none of one
    sign does."""
    i = _before(tokens, at)
    if i < 0 or tokens[i] not in EQUAL:
        return at, (), ""
    terms: list[Value] = []
    signs: set[str] = set()
    while True:
        i -= 1
        words = 0
        while (
            i >= 0
            and i not in numbered
            and (tokens[i][0].isalpha() or tokens[i] in "()")
            and words < UNIT_WORDS
        ):
            i, words = i - 1, words + 1
        if i < 0 or i not in numbered:
            return at, (), ""
        terms.append(numbered[i])
        first, i = i, _before(tokens, i)
        if i < 0 or tokens[i] not in _SIGNS:
            break
        signs.add(tokens[i])
    return (first, tuple(reversed(terms)), signs.pop()) if len(signs) == 1 else (first, (), "")


def _before(tokens: tuple[str, ...], at: int) -> int:
    """The place before a number and its currency sign or bracket."""
    return at - 2 if at > 0 and tokens[at - 1] in "$€£(" else at - 1


def _is_operand(tokens: tuple[str, ...], at: int) -> bool:
    """Whether a sign of a sum stands beside the number and its unit."""
    for token in tokens[at + 1 : at + 2 + UNIT_WORDS]:
        if token in _SIGNS or token in EQUAL:
            return True
        if not token[0].isalpha():
            break
    return not _SIGNS.isdisjoint(tokens[max(0, at - 2) : at])


def _deed(
    low: tuple[str, ...], tokens: tuple[str, ...], numbered: dict[int, Value], first: int, at: int,
    persons: frozenset[str],
) -> tuple[str, frozenset[str], bool]:  # fmt: skip
    """The verb of the number, who does it, and whether it stands plainly before the number or its sum."""
    sure = True
    for i in range(first - 1, -1, -1):
        word = low[i]
        if word in _CUTS or (word in _MARKS and word not in ":("):
            break
        if i in numbered and ":" in low[i:first]:
            break  # pays with 15 dollars: 15 - 8 = 7
        if i in numbered or word in ",:":
            sure = False
        if word in _STATES:
            return "", frozenset(), False
        if word in _DEED_OF and (i == 0 or low[i - 1] not in _NO_VERB):
            plain = _FILLERS.issuperset(low[i + 1 : first]) and i - 1 not in numbered
            real = _UNREAL.isdisjoint(low[max(0, i - 3) : i])
            return _DEED_OF[word], _subject(low, tokens, i, persons), sure and plain and real
    for i in range(at + 1, min(len(low), at + 1 + REACH)):
        if i in numbered or low[i] in _MARKS or low[i] in (",", "and"):
            break
        if low[i] in _DEED_OF:
            return _DEED_OF[low[i]], frozenset(), False
    return "", frozenset(), False


def _subject(
    low: tuple[str, ...], tokens: tuple[str, ...], verb: int, persons: frozenset[str]
) -> frozenset[str]:
    """Who stands before the verb at `verb`: one pronoun, or the names joined there."""
    i = verb - 1
    while i >= 0 and low[i] in _AUXILIARIES:
        i -= 1
    if i >= 0 and low[i] in _PRONOUNS:
        return frozenset((low[i],))
    who: set[str] = set()
    while i >= 0 and bare(tokens[i]) in persons and "'" not in tokens[i]:
        who.add(bare(tokens[i]))
        i -= 1
        joined = i
        while joined >= 0 and low[joined] in (",", "and"):
            joined -= 1
        if joined == i:
            break
        i = joined
    return frozenset(who)


def _place(
    low: tuple[str, ...], tokens: tuple[str, ...], numbered: dict[int, Value], at: int
) -> tuple[tuple[str, str] | None, bool]:
    """Where the number is, and whether other places follow: `8 pens on Friday`."""
    for i in range(at + 1, min(len(low) - 1, at + REACH)):
        if i in numbered or low[i] in _MARKS or low[i] in _SIGNS or low[i] in (",", "and"):
            break
        if low[i] in _PLACES and low[i + 1] not in _PLACES:
            noun = next((k for k in range(i + 1, len(low)) if low[k] not in _DETERMINERS), len(low))
            if noun == i + 2 and low[i] == "of":
                continue  # 4 of the pens on Friday
            if noun < len(low) and low[noun][0].isalpha() and noun not in numbered:
                end = noun + 1
                while end < len(low) and tokens[end][0].isupper():
                    end += 1
                return (low[i], " ".join(map(singular, low[noun:end]))), _goes_on(low, tokens, end)
            break
        if low[i].endswith("ing") and len(low[i]) >= MIN_GERUND:
            return ("", low[i]), False  # 3 hours reading
    return None, False


def _goes_on(low: tuple[str, ...], tokens: tuple[str, ...], begin: int) -> bool:
    for i in range(begin, min(len(low) - 1, begin + 3)):
        if low[i] in ("and", "or", "&"):
            return low[i + 1][0].isalpha()
        if low[i] == ",":
            return tokens[i + 1][0].isupper()
        if not low[i][0].isalpha():
            break
    return False
