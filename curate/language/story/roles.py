"""What part a number plays in a story: what there was at first, what came, what went, what is left, what there is now.

A part is told by words near the number: before it or behind it in its clause with no other number between, behind it
where a sum makes it.

>>> told = parts("Tom had 9 pens to begin with. He lost 4, so 5 are left.")
>>> [(value, sorted(part.name for part in played)) for value, played in told.items()]
[(9, ['FIRST']), (4, ['GONE']), (5, ['LEFT'])]
"""

from __future__ import annotations

from collections.abc import Set
from enum import Enum
from functools import lru_cache

from recast.curate.language.prose import vocabulary
from recast.curate.language.tokens import EQUAL, OPERATORS, read
from recast.curate.maths.numbers import Value


class Part(Enum):
    """What a number is to the story."""

    FIRST = "at first"
    CAME = "what came"
    GONE = "what went"
    LEFT = "what is left"
    NOW = "what there is now"


_WORDS = {
    Part.FIRST: "initial initially original originally first beginning begin begins began start starts started before",
    Part.CAME: "additional extra bought purchased received found built planted added new won adopted bred "
    "got borrowed gathers",
    Part.GONE: "lost used gave sold ate spent removed donated broke broken died stolen threw eaten gone burned "
    "giving losing using eating selling spending spend drank melted popped give gives lose loses donate donates",
    Part.LEFT: "left remaining remain remains remained",
    Part.NOW: "now current currently",
}
WORDS_OF: dict[Part, frozenset[str]] = {part: frozenset(words.split()) for part, words in _WORDS.items()}
_PART_OF = {word: part for part, words in WORDS_OF.items() for word in words}
_TOLD = frozenset(_PART_OF) | {word.capitalize() for word in _PART_OF}
EXCLUDES: dict[Part, frozenset[Part]] = {
    Part.FIRST: frozenset((Part.CAME, Part.GONE, Part.LEFT, Part.NOW)),
    Part.CAME: frozenset((Part.FIRST, Part.NOW)),
    Part.GONE: frozenset((Part.FIRST, Part.LEFT, Part.NOW)),
    Part.LEFT: frozenset((Part.FIRST, Part.GONE)),
    Part.NOW: frozenset((Part.FIRST, Part.CAME, Part.GONE)),
}
"""Parts that a number does not play in one story."""
_STATES = frozenset((Part.FIRST, Part.LEFT, Part.NOW))
"""Parts that a word before a sum gives to what it makes; a deed there may be one of several that it counts."""
_ENDS = frozenset(".,;:!?()") | OPERATORS | {"-"}
_SIGNS = OPERATORS | {"-"}
_CUTS = frozenset("and but so while because since then if when after before than who which from".split())
_MONTHS = frozenset(
    "January February March April May June July August September October November December".split()
)
_BEGINS = (("start",), ("begin",))
_TELLS = (("is",), ("was",), ("are",), ("were",))
"""After `which`: what follows tells of the number before it."""
REACH = 6
SOUGHT_WORDS = 14
"""Words after `find` among which it is said what."""
_SEEKS = frozenset("find determine calculate compute".split())
_WORKS = frozenset("we you i by".split())


@lru_cache(maxsize=2048)
def parts(text: str) -> dict[Value, frozenset[Part]]:
    """The parts that each number of `text` plays, of those that play any."""
    found: dict[Value, set[Part]] = {}
    if vocabulary(text).isdisjoint(_PART_OF):
        return {}
    for sentence in read(text):
        tokens = sentence.tokens
        if not sentence.numbers or _TOLD.isdisjoint(tokens):
            continue
        numbered = sentence.numbers.keys()
        for at, value in sentence.numbers.items():
            if _dates(tokens, numbered, at):
                continue
            if not sentence.computes or not _reckoned(tokens, at):
                told = _near(tokens, numbered, at, 1) | _near(tokens, numbered, at, -1)
            elif _made(tokens, at):
                told = _near(tokens, numbered, at, 1)
                told = told or (_near(tokens, numbered, _begun(tokens, numbered, at), -1) & _STATES)
            else:
                told = set[Part]()
            found.setdefault(value, set()).update(told)
    return {value: frozenset(told) for value, told in found.items() if told}


@lru_cache(maxsize=2048)
def sought(text: str) -> frozenset[Part]:
    """The parts of what `text` sets out to find, as in `to find the number of pens left, we subtract`."""
    if vocabulary(text).isdisjoint(_SEEKS) or vocabulary(text).isdisjoint(_PART_OF):
        return frozenset()
    found: set[Part] = set()
    for sentence in read(text):
        tokens = [token.lower() for token in sentence.tokens]
        for at, token in enumerate(tokens):
            if token not in _SEEKS:
                continue
            told: set[Part] = set()
            for i in range(at + 1, min(len(tokens), at + 1 + SOUGHT_WORDS)):
                if tokens[i] in _ENDS or tokens[i] in _CUTS or tokens[i] in _WORKS or i in sentence.numbers:
                    break
                if part := _PART_OF.get(tokens[i]):
                    told.add(part)
            if len(told) == 1:
                found |= told
    return frozenset(found)


def _dates(tokens: tuple[str, ...], numbered: Set[int], at: int) -> bool:
    """Whether the number at `at` is part of a date: `2021-02-23`, `in March 2021`."""
    joined = any(
        tokens[i : i + 1] == ("-",) and i + side in numbered for i, side in ((at + 1, 1), (at - 1, -1))
    )
    return (joined and len(tokens[at]) in (2, 4)) or (at > 0 and tokens[at - 1] in _MONTHS)


def _made(tokens: tuple[str, ...], at: int) -> bool:
    return at > 0 and (tokens[at - 1] in EQUAL or (tokens[at - 1] in "$€£" and tokens[at - 2] in EQUAL))


def _reckoned(tokens: tuple[str, ...], at: int) -> bool:
    """Whether a sign of a sum stands beside the number and its unit."""
    return not _SIGNS.isdisjoint((*tokens[max(0, at - 2) : at], *tokens[at + 1 : at + 5]))


def _begun(tokens: tuple[str, ...], numbered: Set[int], at: int) -> int:
    """Where the first operand of the sum that makes a number stands."""
    first = at
    for i in range(at - 1, -1, -1):
        if i in numbered:
            first = i
        elif tokens[i] in ".,;:!?" or tokens[i].lower() in _CUTS:
            break
    return first - (first > 0 and tokens[first - 1] in "$€£")


def _near(tokens: tuple[str, ...], numbered: Set[int], at: int, step: int) -> set[Part]:
    told: set[Part] = set()
    if step < 0 and at > 0 and tokens[at - 1 : at + 2 : 2] == ("(", ")"):
        at -= 1  # the number of pens that he lost (4)
    i = at + step
    while 0 <= i < len(tokens) and abs(i - at) <= REACH:
        word = tokens[i].lower()
        if (
            i in numbered
            or (word in _ENDS and not (step > 0 and word == "," and tokens[i + 1 : i + 2] == ("which",)))
            or (word in _CUTS and not (step > 0 and word == "which" and tokens[i + 1 : i + 2] in _TELLS))
            or (word == "to" and tokens[i + 1 : i + 2] not in _BEGINS)
        ):
            break
        if part := _PART_OF.get(word):
            told.add(part)
        i += step
    return told if len(told) < 2 else set()
