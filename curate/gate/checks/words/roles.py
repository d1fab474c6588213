"""Does every number play the part in the story that it plays in question and demonstration?

Catches, in plain sentences beside right sums: what was lost told as what is left, what came as what there is now, the
first number as the last; the total of several persons given to one of them; what a comparison makes given to whom it
compares with, a comparison turned around; a number said to be what it is left with, a deed less than the question says;
a number of things told as a rate (`10 crayons per box` for 10 boxes), what is done once as done every week, what things
cost as how many they are, and a quotient or product under the unit that it loses (`80 crayons / 8 crayons per box = 10
crayons`). It fails only where the source gives the number another part and this part to another number. Cannot catch:
parts that no word near the number tells. English only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from functools import lru_cache
from typing import ClassVar, Literal

from recast.curate.answers.statements.marks import marks
from recast.curate.gate.checks.case import Case, CheckConfig
from recast.curate.gate.checks.sums.grounds import sums
from recast.curate.language.polarity import Clause, clauses
from recast.curate.language.prose import vocabulary
from recast.curate.language.quantities import Quantity, quantities, quantities_of, rate_of, rates
from recast.curate.language.stems import stem
from recast.curate.language.story.comparisons import misgiven
from recast.curate.language.story.deeds import by_time, gifts, groups
from recast.curate.language.story.frames import misframed
from recast.curate.language.story.people import bare, people
from recast.curate.language.story.roles import EXCLUDES, WORDS_OF, Part, parts, sought
from recast.curate.language.story.suppositions import suppositions
from recast.curate.language.tokens import read, unannotated
from recast.curate.language.topic import stems
from recast.curate.maths.numbers import Value, numbers
from recast.curate.maths.units import dimensions, singular
from recast.curate.records import Check


class RolesCheck(CheckConfig):
    """Numbers keep their part in the story."""

    type: Literal["roles"] = "roles"

    name: ClassVar[str] = "roles"
    revision: ClassVar[int] = 7

    def run(self, case: Case) -> Check:
        if said := _other_part(case):
            return self.failed("other_part", said)
        if said := _sought_though_given(case):
            return self.failed("other_part", said)
        if said := _given_though_sought(case):
            return self.failed("other_part", said)
        if said := _one_for_all(case):
            return self.failed("one_for_all", said)
        if said := _difference_alone(case):
            return self.failed("other_part", said)
        if said := _whole_for_part(case):
            return self.failed("other_part", said)
        if said := _rest_compared(case) or _total_for_each(case) or _other_compared(case):
            return self.failed("other_part", said)
        if said := _is_another(case) or _misframed(case) or _given_back(case) or _part_for_total(case):
            return self.failed("other_part", said)
        if said := _rate_for_number(case) or _uncancelled(case) or _divisor_kept(case) or _labelled(case):
            return self.failed("other_unit", said)
        if said := _of_the_groups(case) or _rate_of_once(case) or _in_each(case):
            return self.failed("other_unit", said)
        if said := _supposed(case) or _holds_itself(case):
            return self.failed("other_part", said)
        return self.passed()


def _other_part(case: Case) -> str:
    told = parts(case.completion)
    if not told:
        return ""
    known = _parts(case.prompt, case.demonstration)
    for value, ours in told.items():
        theirs = known.get(value)
        if not theirs or ours <= theirs or _twice(value, case):
            continue  # a number that stands for two things may play two parts
        for part in ours - theirs:
            stated = theirs & EXCLUDES[part]
            other = next((v for v, found in known.items() if v != value and part in found), None)
            if stated and other is not None:
                return (
                    f"It tells {value} as {part.value}; that is {other}, "
                    f"and {value} is {min(p.value for p in stated)} "
                    "in question or demonstration."
                )
    return ""


def _sought_though_given(case: Case) -> str:
    """What the text sets out to find and the question says, where the question asks for something else."""
    ours = sought(case.completion)
    if not ours or not (ours := ours - sought(case.demonstration)):
        return ""
    given = parts(case.prompt)
    told = parts(case.demonstration)
    asked = frozenset(case.prompt.lower().rpartition("how ")[2].split())
    for part in ours:
        values = [value for value, played in given.items() if played == frozenset((part,))]
        made = any(part in played and value not in given for value, played in told.items())
        if len(values) == 1 and not made and asked.isdisjoint(WORDS_OF[part]):
            return f"It sets out to find {part.value}, which the question says: {values[0]}."
    return ""


def _given_though_sought(case: Case) -> str:
    """A number of the question told as what is left, where that is what the question asks for."""
    asked = frozenset(case.prompt.lower().rpartition("how ")[2].replace("?", " ").split())
    if asked.isdisjoint(_ASKS_REST):
        return ""
    known, answer = _parts(case.prompt, case.demonstration), numbers(case.reference or "")
    for value, played in parts(case.completion).items():
        if Part.LEFT not in played or value in answer or value not in numbers(case.prompt):
            continue
        if _STANDING.isdisjoint(known.get(value, ())):
            return f"It tells {value} as {Part.LEFT.value}, which is what the question asks for."
    return ""


_ASKS_REST = frozenset("left remain remaining remains still".split())
_STANDING = frozenset((Part.LEFT, Part.NOW))


def _twice(value: Value, case: Case) -> bool:
    """Whether different things of the demonstration are so many."""
    results = [step for step in sums(case.demonstration) if step.result == value]
    return len(results) > 1 or bool(results and value in numbers(case.prompt))


@lru_cache(maxsize=1024)
def _parts(prompt: str, demonstration: str) -> dict[Value, frozenset[Part]]:
    one, two = parts(prompt), parts(demonstration)
    return {value: one.get(value, frozenset()) | two.get(value, frozenset()) for value in {*one, *two}}


def _one_for_all(case: Case) -> str:
    """A sum of what several persons have that is said to be one person's."""
    shared = _shared_totals(case.prompt, case.demonstration)
    if not shared:
        return ""
    persons = people(case.prompt, case.demonstration)
    for clause in clauses(case.completion):
        named = _named(clause, persons)
        for value in clause.numbers & shared.keys():
            if (
                len(named) == 1
                and named <= shared[value]
                and _TOGETHER_ONLY.isdisjoint(clause.text.lower().split())
            ):
                (one,) = named
                return f"It gives {value} to {one.capitalize()}, who has only a part of it."
    return ""


_TOGETHER_ONLY = frozenset("they together both combined them their between and".split())


@lru_cache(maxsize=1024)
def _shared_totals(prompt: str, demonstration: str) -> dict[Value, frozenset[str]]:
    """The results that add what different persons have and nothing gives to one of them, with these persons."""
    totals = [s for s in sums(demonstration) if len(s.operands) > 1 and sum(s.operands) == s.result]
    persons = people(prompt, demonstration) if totals else frozenset[str]()
    if len(persons) < 2:
        return {}
    asked = next((s for s in reversed(read(prompt)) if "how" in {t.lower() for t in s.tokens}), None)
    if asked is None or {bare(token) for token in asked.tokens} & persons:
        return {}
    told = [(c.numbers, _named(c, persons)) for text in (prompt, demonstration) for c in clauses(text)]
    found: dict[Value, frozenset[str]] = {}
    for step in totals:
        owners = [
            frozenset(name for values, whose in told if v in values for name in whose) for v in step.operands
        ]
        apart = all(owners) and not any(all(one in whose for whose in owners) for one in owners[0])
        if apart and not any(len(whose) == 1 for values, whose in told if step.result in values):
            found[step.result] = frozenset[str]().union(*owners)
    return found


def _named(clause: Clause, persons: frozenset[str]) -> frozenset[str]:
    return frozenset(bare(word) for word in clause.text.split()) & persons


def _rate_for_number(case: Case) -> str:
    ours = rates(case.completion)
    if not ours:
        return ""
    theirs = {(rate.value, rate.per) for text in (case.prompt, case.demonstration) for rate in rates(text)}
    for rate in ours:
        if (rate.value, rate.per) in theirs or rate.value in numbers(case.prompt):
            continue  # 3 rows of 3 tulips per row
        counted = [
            q for text in (case.prompt, case.demonstration) for q in quantities(text)
            if q.value == rate.value and singular(q.head) == rate.per
        ]  # fmt: skip
        if counted:
            said = f"{rate.value} {counted[0].head}"
            return f"{rate.value} {rate.noun} per {rate.per}: question and demonstration say {said}."
    return ""


def _uncancelled(case: Case) -> str:
    """A product or quotient of a rate under the unit that it loses: `80 pens / 8 pens per box = 10 pens`."""
    if not rates(case.completion):
        return ""
    for one, two, made, signs in _reckonings(case.completion):
        result, head = singular(made.head), singular(one.head) if one.head else ""
        rate, other = (
            (rate_of(two), head) if rate_of(two) else (rate_of(one), singular(two.head) if two.head else "")
        )
        if rate is None or not rate.noun or rate_of(made) or {singular(rate.noun)} == {rate.per}:
            continue
        if rate.per in made.nouns and signs == _QUOTIENT:
            continue  # 200 bags of apples
        lost = other == singular(rate.noun) if signs == _QUOTIENT else signs == _PRODUCT and other == rate.per
        if lost and result == other and not _says(case, made.value, result):
            return f"{made.value} {made.head} of what is told per {rate.per}: {made.sentence.text[:80]!r}."
    return ""


def _divisor_kept(case: Case) -> str:
    """A quotient of two things that is told in the one divided by: `49 tickets / 7 rides = 7 rides`."""
    found = _kept(case.completion)
    return found if found and not _kept(case.demonstration) else ""


@lru_cache(maxsize=2048)
def _kept(text: str) -> str:
    """The first quotient of `text` under the name of what it is divided by."""
    for one, two, made, signs in _reckonings(text) if "/" in text or "÷" in text else ():
        if one.head and two.head and not rate_of(two) and signs and signs <= {"/", "÷"}:
            over = singular(two.head)
            alike = one.head == two.head == made.head
            if singular(made.head) == over and (alike or over not in one.nouns):
                return f"{one.written} / {two.written} are no {made.head}."
    return ""


def _reckonings(text: str) -> Iterator[tuple[Quantity, Quantity, Quantity, frozenset[str]]]:
    """Two quantities side by side, the named one that their sum comes to, and the signs between the two."""
    for sentence in read(text):
        if not sentence.computes or len(sentence.numbers) < 3:
            continue
        found = quantities(sentence.text)
        for one, two, made in zip(found, found[1:], found[2:], strict=False):
            if made.computed and made.head:
                yield one, two, made, _OPERATIONS & frozenset(sentence.tokens[one.at : two.at])


def _difference_alone(case: Case) -> str:
    """How much more one is than another, told as how much there is: `she used 0.375 cup of flour`."""
    answer = numbers(case.reference or "")
    if not answer or not _ASKS_DIFFERENCE.search(case.prompt):
        return ""
    told = [s for s in read(case.completion) if answer & set(s.numbers.values()) and not marks(s.text)]
    plain = [s for s in told if not s.computes]
    if not plain or any(_compares(s.tokens) for s in told):
        return ""
    for sentence in plain:
        for quantity in quantities(sentence.text):
            if quantity.value in answer and quantity.head:
                return f"It tells {quantity.written} as an amount; it is a difference."
    return ""


def _whole_for_part(case: Case) -> str:
    """What was there at first and what came, added up and told as what came: `39 + 41 = 80 trees were planted`."""
    told = parts(case.completion)
    if not any(played <= _DEEDS for played in told.values()) or "first" in vocabulary(case.prompt):
        return ""  # the first of several is not what there was at first
    given, known = parts(case.prompt), parts(case.demonstration)
    for step in sums(case.completion):
        told_as = told.get(step.result, frozenset())
        added = bool(told_as) and told_as <= _DEEDS and step.result == sum(step.operands)
        if not added or known.get(step.result) or _told_so(step.result, told_as, case.demonstration):
            continue
        for value in step.operands:
            if (part := given.get(value, frozenset())) and part <= _STANDS and not _twice(value, case):
                said, was = (min(p.value for p in played) for played in (told_as, part))
                return f"It tells {step.result} as {said}; {value} of it is {was}."
    return ""


def _told_so(value: Value, played: Set[Part], text: str) -> bool:
    """Whether a sentence with the number has a word of these parts."""
    words = frozenset[str]().union(*(WORDS_OF[part] for part in played))
    return any(value in s.numbers.values() and not words.isdisjoint(s.tokens) for s in read(text))


_DEEDS, _STANDS = frozenset((Part.CAME, Part.GONE)), frozenset((Part.FIRST, Part.LEFT, Part.NOW))


def _rest_compared(case: Case) -> str:
    """What a difference leaves, told as how many more: `8 - 4 = 4 more kittens`."""
    if vocabulary(case.completion).isdisjoint(_COMPARED):
        return ""
    known = vocabulary(case.prompt) | vocabulary(case.demonstration)
    if not _COMPARED.isdisjoint(known) or not _WANTS.isdisjoint(known | vocabulary(case.completion)):
        return ""
    for sentence in read(case.completion):
        if not sentence.computes or "-" not in sentence.tokens:
            continue
        for quantity in quantities(sentence.text):
            behind = quantity.sentence.tokens[quantity.at + 1 : quantity.at + 2]
            if quantity.computed and not _COMPARED.isdisjoint(behind):
                return f"{quantity.value} {behind[0]}: neither question nor demonstration compares anything."
    return ""


def _other_compared(case: Case) -> str:
    """What a comparison makes, told as the amount of whom it compares with: `Ann has 20 - 8 = 12` where Olga has 8
    fewer than she; the comparison turned around, or of a person with himself."""
    return misgiven(case.completion, case.prompt, case.demonstration, _steps(case.demonstration))


@lru_cache(maxsize=1024)
def _steps(demonstration: str) -> frozenset[tuple[frozenset[Value], Value]]:
    """The operands and the result of each step."""
    return frozenset((frozenset(step.operands), step.result) for step in sums(demonstration))


def _is_another(case: Case) -> str:
    """A number that is said to be what another one is left with: `Jack has 21 pens, which is 21 - 9 = 12 pens`."""
    found = _IS_ANOTHER.search(case.completion) if "which is" in case.completion else None
    if found is None or _IS_ANOTHER.search(f"{case.prompt}\n{case.demonstration}"):
        return ""
    return f"No number is another one: {found.group()!r}."


# one number, what it counts, and a sum that begins with it and comes to less or more of the same
_IS_ANOTHER = re.compile(
    r"(?<![\d.,+*/×÷-] )(?<!\bof )(?<!\bthan )(?<![\d.,])\$?(?P<one>\d+(?:\.\d+)?)"
    r"(?: (?P<noun>[a-z]+))?(?: [a-z]+){0,5}, which is "
    r"\$?(?P=one)(?: [a-z]+)? ?(?:[-+−]|[/÷](?=[^=\n]*= ?\$?\d[\d.]*(?: (?P=noun)\b|[.\n]|$))) ?"
    r"\$?\d+(?:\.\d+)?(?: [a-z]+)? ?="
)


def _misframed(case: Case) -> str:
    """A deed told of what it leaves, of two where one does it, a total in one of the places that it adds up."""
    steps = frozenset(
        (tuple(step.operands), step.result)
        for text in (case.demonstration, case.completion)
        for step in sums(text)
    )
    return misframed(case.completion, case.prompt, case.demonstration, steps)


def _given_back(case: Case) -> str:
    """A gift told the other way round: `she gave Bob 21` of what Bob gave."""
    for gift in gifts(case.completion):
        theirs = [
            g for text in (case.prompt, case.demonstration) for g in gifts(text) if g.number == gift.number
        ]
        if any(g.who == gift.whom for g in theirs) and not any(g.whom == gift.whom for g in theirs):
            return f"It says that {gift.whom.title()} got {gift.number}; {gift.whom.title()} gave them."
    return ""


def _part_for_total(case: Case) -> str:
    """A number that goes into a total, called the total: `the total number of pens is 21` for 21 + 49."""
    for match in _TOTAL_IS.finditer(case.completion) if "total" in case.completion else ():
        if match.group() in case.prompt or match.group() in case.demonstration:
            continue
        addends = {
            value
            for step in sums(case.demonstration) if step.result == sum(step.operands)
            for value in step.operands if value != step.result
        }  # fmt: skip
        made = {step.result for text in (case.demonstration, case.completion) for step in sums(text)}
        for value in numbers(match["number"]) & addends & numbers(case.prompt) - made:
            return f"It calls {value} the total, which goes into it."
    return ""


_TOTAL_IS = re.compile(
    r"\btotal (?:number |amount |cost |weight |length )?(?:of (?:[a-z]+ ){1,3})?(?:is|was|are|were) "
    r"\$?(?P<number>\d++(?:,\d{3})*+(?:\.\d+)?+)(?: [a-z]+){0,2}(?=[.,;\n]|\Z)"
)


def _of_the_groups(case: Case) -> str:
    """What things cost or hold together, told as how many they are: `4 nuts for 2 dollars each` as `4 * 2 = 8 nuts`."""
    for count, noun, each in groups(case.prompt):
        for quantity in quantities_of(case.completion, count * each):
            own = quantity.computed and singular(quantity.head or " ") == noun
            if own and not _says(case, quantity.value, noun):
                return f"{quantity.written}: there are {count}, of {each} each."
    return ""


def _rate_of_once(case: Case) -> str:
    """What is done once, or in all, told as done again and again: `she spends 6 dollars a week`, and `5 * 7 = 35 pages
    a day` for what 5 days come to."""
    theirs = by_time(case.prompt) | by_time(case.demonstration)
    for value, noun, unit in sorted(by_time(case.completion) - theirs, key=str):
        made = {step.result for step in sums(case.demonstration)}
        paces = {v for v, n, u in theirs if (n, u) == (noun, unit)}
        counts = {q.value for q in quantities(case.prompt) if q.head and singular(q.head) == unit}
        once = (
            paces
            and value not in made
            and any(q.head and singular(q.head) == noun for q in quantities_of(case.prompt, value))
        )
        if once or any(pace * count == value for pace in paces for count in counts - {1}):
            return f"{value} {noun} a {unit}: question and demonstration say it of no {unit}."
    return ""


def _supposed(case: Case) -> str:
    """What a text supposes and works out only then: `if 3 are left, 7 - 4 = 3 are left`."""
    ours = suppositions(case.completion)
    if not ours:
        return ""
    known = numbers(case.prompt) | {value for value, _ in suppositions(case.demonstration)}
    for value, said in ours:
        if value not in known:
            return f"It supposes {value}, which it works out only then: {said[:80]!r}."
    return ""


def _holds_itself(case: Case) -> str:
    """Things that hold things of their own kind: `63 pens, each containing 9 pens`."""
    for match in _HOLDS_ITSELF.finditer(case.completion):
        if not any(match.group() in text for text in (case.prompt, case.demonstration)):
            return f"No {match['noun']} are in {match['noun']}: {match.group()!r}."
    return ""


_HOLDS_ITSELF = re.compile(
    r"\d (?P<noun>[a-z]{3,}),? (?:each|which|that) (?:contain|hold|have|has)[a-z]* \d++(?:\.\d+)?+ (?P=noun)\b"
)


def _in_each(case: Case) -> str:
    """A number of the question told as how many each of some things has, which are another number in the source:
    `45 stars in each bottle` where a bottle holds 5 of the 45."""
    ours = _by_each(case.completion)
    if not ours:
        return ""
    sources = (case.prompt, case.demonstration)
    theirs = {
        pair for text in sources for pair in (*_by_each(text), *((r.value, r.per) for r in rates(text)))
    }
    each = {one for _, one in theirs}
    for value, one in sorted(ours - theirs, key=str):
        if one in each and value in numbers(case.prompt):
            known = next(other for other, whose in theirs if whose == one)
            return f"It says {value} of each {one}; question or demonstration say {known}."
    return ""


@lru_cache(maxsize=2048)
def _by_each(text: str) -> frozenset[tuple[Value, str]]:
    """The numbers that `text` tells right before `in each` and its like, with what each of is, in the singular."""
    if vocabulary(text).isdisjoint(_EACH):
        return frozenset()
    return frozenset(
        (value, singular(match["one"].lower()))
        for match in _BY_EACH.finditer(unannotated(text)) for value in numbers(match["number"])
    )  # fmt: skip


_BY_EACH = re.compile(
    r"(?<![\d.,])(?P<number>\d++(?:,\d{3})*+(?:\.\d+)?+) (?:[a-z]+ ){0,3}?(?:in|for|to|on|into|at|from) (?:each|every) "
    r"(?!of\b)(?P<one>[a-z]+)"
)

_COMPARED = frozenset("more fewer additional extra".split())
_WANTS = frozenset("need needs needed want wants still yet longer goal reach target save saves than".split())


def _total_for_each(case: Case) -> str:
    """A number of persons or things that every one of them is said to have: `each person pays for three people`."""
    sources = (case.prompt, case.demonstration)
    for value, one in set(_for_each(case.completion)).difference(*map(_for_each, sources)):
        told = [q for text in sources for q in quantities_of(text, value)]
        if any(q.head and singular(q.head) == one for q in told) and not any(map(rate_of, told)):
            return f"It says {value} of each {one}; there are {value} of them."
    return ""


_EACH = frozenset(("each", "every"))
_NEXT_CLAUSE = frozenset("so and but then because when if while there".split())


@lru_cache(maxsize=2048)
def _for_each(text: str) -> frozenset[tuple[Value, str]]:
    """The numbers that `text` tells of every one, with whose they are."""
    if vocabulary(text).isdisjoint(_EACH):
        return frozenset()
    return frozenset(pair for sentence in read(text) for pair in _each(sentence.tokens, sentence.numbers))


def _each(tokens: tuple[str, ...], numbered: Mapping[int, Value]) -> Iterator[tuple[Value, str]]:
    """The next number of the clause behind `each friend`, and whose it is said to be."""
    for at, token in enumerate(tokens[:-1]):
        one = singular(tokens[at + 1].lower())
        if token.lower() not in _EACH or not one[0].isalpha() or one == "of" or dimensions(one):
            continue
        for i in range(at + 2, len(tokens)):
            if i in numbered:
                if one in {singular(token.lower()) for token in tokens[i + 1 : i + 4]}:
                    yield numbered[i], one
                break
            if not tokens[i][0].isalnum() or tokens[i] in _NEXT_CLAUSE:
                break


def _labelled(case: Case) -> str:
    """A word in brackets behind a number that the row does not know: `$4.28 (border)`."""
    for word in _LABEL.findall(case.completion):
        if not any(stem(word.lower()) in stems(text) for text in (case.prompt, case.demonstration)):
            return f"It calls a number {word!r}, which neither question nor demonstration does."
    return ""


_LABEL = re.compile(r"\d \(([A-Za-z]{3,})\)")

_ASKS_DIFFERENCE = re.compile(
    r"\bhow (?:(?:many|much) )?(?:more|less|fewer|\w{2,}er)\b[^?.]* than\b", re.IGNORECASE
)
_DIFFERS = frozenset(
    "more less fewer longer shorter taller older younger heavier lighter farther further faster than difference differ "
    "extra additional exceeds exceeded over above gap".split()
)


def _compares(tokens: tuple[str, ...]) -> bool:
    return any(t.lower() in _DIFFERS or (len(t) > 4 and t.lower().endswith("er")) for t in tokens)


_OPERATIONS: frozenset[str] = frozenset("+-*/×÷")
_QUOTIENT, _PRODUCT = frozenset("/"), frozenset("*")


def _says(case: Case, value: Value, noun: str) -> bool:
    return any(
        singular(q.head) == noun
        for text in (case.prompt, case.demonstration) for q in quantities_of(text, value) if q.head
    )  # fmt: skip
