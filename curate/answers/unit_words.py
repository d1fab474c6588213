"""The words after a number: which mean the same, which exclude each other.

Words that exclude each other stand in families of poles (`profit` and `loss`, `boys` and `girls`, the colours). A pole
that turns a number's sign (`loss`, `fewer`, `below`) is not left off without a change of meaning; every other word is.

>>> same_unit_words({"bottle", "cap"}, {"cap"}), same_unit_words({"apple"}, {"pear"})
(True, None)
>>> same_unit_words({"boy"}, {"girl"})
False
"""

from __future__ import annotations

from collections.abc import Collection

from recast.curate.maths.units import singular

# poles apart by |; the second pole of the first table turns the sign
_SIGNED = """
profit gain surplus earning | loss deficit
more extra additional | fewer less
above over | below under beneath
up | down
ahead | behind
increase rise | decrease drop fall decline reduction
raise | cut
warmer hotter | colder cooler
credit | debit
win won | loss lost defeat
forward | backward
"""
_OPPOSED = """
taller longer | shorter
older | younger
higher | lower
heavier | lighter
faster quicker | slower
bigger larger greater | smaller
wider | narrower
deeper | shallower
early earlier | late later
before | after
ago | later hence
discount | markup surcharge tip
north northern northward | south southern southward | east eastern eastward | west western westward
left | right
clockwise | counterclockwise anticlockwise counter-clockwise
inside | outside
boy | girl
man | woman
male | female
son | daughter
brother | sister
husband | wife
king | queen
mother | father
aunt | uncle
adult | child
teacher | student
odd | even
maximum | minimum
first | last
correct | incorrect
vertical | horizontal
arrival | departure
morning | afternoon | evening | night
empty | full
acute | obtuse
head | tail
red | blue | green | yellow | orange | purple | pink | brown | black | white | grey | gray | violet | golden | silver
monday | tuesday | wednesday | thursday | friday | saturday | sunday
"""


def _families(table: str) -> list[tuple[frozenset[str], ...]]:
    return [tuple(frozenset(pole.split()) for pole in line.split("|")) for line in table.strip().split("\n")]


_SIGNED_FAMILIES = _families(_SIGNED)
_FAMILIES = _SIGNED_FAMILIES + _families(_OPPOSED)
_SEVERAL = frozenset("pair couple triple th st nd rd".split())  # 2 pairs is no 2, 5th no 5
_LINKS = frozenset(
    "has have had gets get got is are was were equals of for the a an in with to there and his her each at".split()
)


def content(words: Collection[str]) -> frozenset[str]:
    """The words that name something, in the singular."""
    return frozenset(singular(word) for word in words) - _LINKS - {""}


def opposed(one: Collection[str], two: Collection[str]) -> bool:
    """Whether the two sets of words stand at different poles of one family."""
    for poles in _FAMILIES:
        ours = [pole for pole in poles if not pole.isdisjoint(one)]
        theirs = [pole for pole in poles if not pole.isdisjoint(two)]
        if len(ours) == len(theirs) == 1 and ours != theirs:
            return True
    return False


def same_unit_words(one: Collection[str], two: Collection[str]) -> bool | None:
    """Whether two numbers with these words can be one answer; a side without words, or with fewer, left them off."""
    ours, theirs = frozenset(one), frozenset(two)
    if ours == theirs:
        return True
    if opposed(ours, theirs):
        return False
    if not (ours <= theirs or theirs <= ours):
        return None  # 5 apples, 5 pears
    rest = ours ^ theirs
    turned = any(not poles[1].isdisjoint(rest) for poles in _SIGNED_FAMILIES)
    return None if turned or not _SEVERAL.isdisjoint(rest) else True
