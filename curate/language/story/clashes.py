"""Words that cannot stand for each other in one sentence: `per day` is not `per week`, `sold` is not `ate`.

Groups of words that exclude each other, one line a group, its sides apart by |; words of one side mean the \
same. A word
in no group excludes nothing, and one on two sides of a group stands for both.

>>> clash("day", "week"), clash("bought", "purchased"), clash("bought", "sold"), clash("bought", "liked")
(True, False, True, False)
"""

from __future__ import annotations

from functools import lru_cache

from recast.curate.language.exclusive import changed_kind
from recast.curate.language.polarity import opposites
from recast.curate.maths.units import dimensions

_GROUPS = """
minute minutes | hour hours hourly | day days daily | week weeks weekly | month months monthly | year years yearly
annual

half halved halves halving | twice double doubled doubles doubling | thrice triple tripled triples tripling |
quadruple | third | quarter fourth | fifth | sixth | tenth

each every apiece per individual | total altogether combined together all | average mean | none neither no

left remaining remain remains | initial initially originally original start started begin beginning began first
before

now currently | initially originally first

add adding added adds sum addition plus | subtract subtracting subtracted subtracts subtraction minus deduct
deducting | multiply multiplying multiplied multiplies multiplication times product | divide dividing divided
divides division quotient split splitting

buy buys bought buying purchase purchases purchased get gets got getting order ordered acquire acquired pay pays
paid spend spends spent spending take takes took has have had need needs needed | sell sells sold selling
| eat eats ate eaten eating consume consumes consumed finish finished use uses used have has had | give gives gave
given giving donate donates donated share shared hand handed lend lent pass passed offer offered send sent take took
leave left sell sold return returned spend spent | receive receives received receiving get gets got getting gain
gains gained earn earns earned earning make makes made making take takes took collect collected have has had add
added buy bought | lose loses lost losing misplaced drop dropped give gave leave left remove removed | find finds
found finding discover discovered get got collect collects collected see saw pick picked has have had | pick picks
picked picking collect collects collected collecting gather gathers gathered harvest harvested get gets got take
took has have had | plant plants planted planting grow grows grew grown put | read reads reading finish finished | write
writes wrote written writing | bake bakes baked baking cook cooks cooked cooking make makes made making prepare
prepared produce produced has have had | burn burned burnt burns | break breaks broke broken | throw throws threw thrown
discard discarded remove removed | steal stole stolen take took lose lost | owe owes owed | save saves saved saving
keep keeps kept put collect has have had earn earned | borrow borrows borrowed get got | cut cuts cutting chop chopped
slice sliced remove removed | paint paints painted | drink drinks drank drunk consume consumed use used

want wants wanted | has have had having own owns owned | owe owes owed | find finds found | sell sells sold

walk walks walked walking run runs ran running jog jogged travel travels traveled travelled go goes went cover
covered move moved hike hiked | drive drives drove driven driving travel travels traveled travelled go goes went
cover covered ride | swim swims swam swimming | fly flies flew flown flying travel traveled travels go goes went
cover | sail sails sailed

cats cat | dogs dog | horses horse | cows cow

rain rained rainy | snow snowed | sun sunny

inside indoors | outside outdoors
"""
_PLACES: dict[str, list[tuple[int, int]]] = {}
for _group, _line in enumerate(_GROUPS.strip().split("\n\n")):
    for _side, _words in enumerate(_line.split("|")):
        for _word in _words.split():
            _PLACES.setdefault(_word, []).append((_group, _side))


@lru_cache(maxsize=4096)
def clash(one: str, two: str) -> bool:
    """Whether two words in lower case exclude each other."""
    if one == two:
        return False
    if two in opposites(one) or changed_kind(frozenset((one,)), frozenset((two,))):
        return True
    ours, theirs = _PLACES.get(one, ()), _PLACES.get(two, ())
    groups = {group for group, _ in ours} & {group for group, _ in theirs}
    if groups and not set(ours) & set(theirs):
        return True
    a, b = dimensions(one) if len(one) > 1 else {}, dimensions(two) if len(two) > 1 else {}
    return bool(a and b) and not any(a.get(name) == size for name, size in b.items())
