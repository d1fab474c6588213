"""Words of English that a reading of word problems treats alike: grammar, nouns that stand for any other, what is
no name."""

from __future__ import annotations

from recast.curate.language.english import FUNCTION_WORDS

GRAMMAR = FUNCTION_WORDS | frozenset(
    (
        "adds altogether away back beneath beside brings comes costs double equals first further gets gives goes half "
        "last later leaves left made make makes making means minus needs next own plus remaining remains results says "
        "shows takes thrice till times together triple twice whole yes yields"
    ).split()
)
"""They say how things hang together, not which: function words, verbs of results, words of order and operation."""

GENERIC = frozenset(
    (
        "item thing object unit piece total amount number time sum one part group set person people way more each "
        "other rest kind type value result answer share difference remainder product kid child student pupil member "
        "guest individual human adult animal pet creature fruit vegetable vehicle plant food drink toy tool slice "
        "portion serving pack package copy batch case round trip visit session instance place step activity half "
        "third quarter fourth fifth tenth dozen hundred thousand million pair couple fold digit"
    ).split()
)
"""Nouns that can stand for any other: kinds, portions, and what one counts in. In the singular."""

PEOPLE = frozenset(
    (
        "person people kid child student pupil member guest individual human adult boy girl man woman friend player "
        "worker employee passenger customer visitor classmate colleague relative sibling"
    ).split()
)
"""Whom the same head count may mean."""

BEFORE_NOUNS = frozenset(
    (
        "one more fewer less extra additional other remaining different new total full whole single of the his her "
        "their its my our these those such same equal another out left"
    ).split()
)
"""What may stand between a number and the noun that it counts."""

LEADING = frozenset(
    (
        "so then thus therefore hence next first second third finally lastly now also and but since if that means "
        "this as we know because in total step"
    ).split()
)
"""What may stand before the subject of a sentence."""

RELATING = frozenset(
    "half twice double triple times than from to with for of by and if when while who which after before but".split()
)
"""What relates one owner to another, or begins another clause."""

NO_PERSON = frozenset(
    (
        "Monday Tuesday Wednesday Thursday Friday Saturday Sunday January February March April May June July August "
        "September October November December Christmas Easter Halloween Thanksgiving Mr Mrs Ms Dr English American"
    ).split()
)
"""Words in capitals that name no person."""
