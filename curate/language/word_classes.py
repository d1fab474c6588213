"""Words of English that a reading of word problems treats alike: grammar, nouns that stand for any other, what is
no name."""

from __future__ import annotations

GRAMMAR = frozenset(
    (
        "a about above across adds after again against all already also altogether always am an and any are around "
        "as at away back be because been before being below beneath beside between both brings but by can cannot "
        "comes costs could did do does doing done double down during each either else equals ever every everyone "
        "few first for from further gets gives goes had half has have having he hence her here hers herself him "
        "himself his how i if in into is it its itself just last later least leaves left let made make makes making "
        "many may me means might more most much must my needs neither never next no none nor not now of off on once "
        "ones only onto or other our out over own per plus minus remaining remains results same says shall she "
        "should shows since so some something still such takes than that the their theirs them themselves then "
        "there therefore these they this those though through thrice thus till times to together too toward triple "
        "twice under until up upon us very was we well were what when where whether which while who whole whom "
        "whose why will with within without would yes yet yields you your"
    ).split()
)
"""They say how things hang together, not which: articles, pronouns, prepositions, auxiliaries, verbs of results."""

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
