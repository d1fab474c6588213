"""Does every number count what it counts in the question and the demonstration, and belong to whom it belongs there?

Catches: a colour, month or the like changed for another; a unit or noun changed for another (`72 metres` for 72
clips, `$120` for 120 minutes, `36 cents` for 36 dollars), a quantity given to another person, and quantities that are
neither given, nor a sum's result, nor one operation away from such numbers (`37 witnesses`). Fails only where question
or demonstration give the same number another noun and never this one; a noun that could be a word for the same things
(`items`; a word that the source knows without counting it) is no other noun. Cannot catch: a noun changed for one that
the source uses for the same number, a number whose noun stands before it, owners in lower case or pronouns. English
nouns only; other languages pass.
"""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from itertools import groupby
from operator import attrgetter
from typing import ClassVar, Literal

from recast.curate.answers.statements.marks import marks
from recast.curate.arithmetic.equalities import equalities
from recast.curate.gate.checks.case import Case, CheckConfig
from recast.curate.gate.checks.sums.grounds import sums
from recast.curate.language.exclusive import changed_kind, excluding
from recast.curate.language.prose import stands
from recast.curate.language.quantities import Quantity, quantities, quantities_of
from recast.curate.language.stems import BEGINNING
from recast.curate.language.story.people import bare, people
from recast.curate.language.tokens import EQUAL, number, read
from recast.curate.language.word_classes import GENERIC, GRAMMAR, PEOPLE
from recast.curate.maths.numbers import Value, divide, numbers, spoken
from recast.curate.maths.units import dimensions, singular
from recast.curate.records import Check

_GOES_BEFORE = frozenset("0123456789.,-/$€£")
_GOES_AFTER = frozenset("%-'’_")
_WORD = re.compile(r"[A-Za-z]+")
CONVERSIONS = frozenset((4, 7, 12, 16, 24, 30, 31, 52, 60, 100, 360, 365, 1000, 3600))
"""What every reader knows: days of a week, months of a year, minutes of an hour, per cent."""
KNOWN_EVERYWHERE = frozenset((0, 1, 2, 3, 10, 50)) | CONVERSIONS
"""Those and small counts."""
NEAR = Fraction(1, 100)
"""Relative distance of a rounded number from what it rounds."""
NAME_REACH, SOURCE_REACH = 4, 8
"""Words before a number among which a text, and its source, name whose it is."""
_CURRENCIES = frozenset(("dollar", "euro", "pound"))
_NEW_CLAUSE = frozenset((*".;:!?", *"and but while than because since when".split()))
MAX_ORDER = 3
"""Up to here a number that counts nothing may say which: `step 2`."""
MAX_KNOWN = 60
"""Numbers of a source from which one operation is tried; a longer source could explain anything."""


@dataclass(frozen=True)
class _Source:
    """What question and demonstration count. Nothing is read before a completion asks for it: most have no more than
    their numbers looked up."""

    prompt: str
    demonstration: str

    def of(self, value: Value) -> tuple[Quantity, ...]:
        """Where the number stands."""
        return (*quantities_of(self.prompt, value), *quantities_of(self.demonstration, value))

    def says(self, quantity: Quantity) -> bool:
        """Whether the number counts the same here; no text is read that has it word for word."""
        written = quantity.written
        return any(_holds(text, written) for text in (self.demonstration, self.prompt)) or any(
            told.nouns == quantity.nouns
            for text in (self.demonstration, self.prompt)
            for told in quantities_of(text, quantity.value)
        )

    def nouns(self, value: Value) -> list[frozenset[str]]:
        """What the number counts, as often as it does."""
        return [q.nouns for q in self.of(value) if q.nouns]

    def results(self, value: Value) -> list[frozenset[str]]:
        """The same, where a sum makes the number."""
        return [q.nouns for q in self.of(value) if q.nouns and q.computed]

    def owners(self, value: Value) -> list[str]:
        """Whose the number is, empty for nobody's, wherever it is no operand, which may be anybody's."""
        found = (q for q in self.of(value) if q.computed or not q.computes)
        return [q.owner if self.names(q.owner) else "" for q in found]

    def one_kind(self, value: Value) -> bool:
        """Whether one step alone makes the number, and what it counts is not what is asked for, which may be the name
        of all of it (`50 flowers`, where they are petunias)."""
        steps = [step for step in sums(self.demonstration) if step.result == value]
        asked = (
            {stem for nouns in self.nouns(self.answer) for stem in _stems(nouns)}
            if self.answer
            else set[str]()
        )
        return len(steps) == 1 and not any(_stems(nouns) & asked for nouns in self.results(value))

    def bare(self, value: Value) -> bool:
        """Whether the question leaves the number without a noun (`he had 5 left`): it may count anything."""
        return any(not q.nouns and not q.computes for q in quantities_of(self.prompt, value))

    def given(self, value: Value) -> bool:
        """Whether the question counts with the number."""
        return any(q.nouns for q in quantities_of(self.prompt, value))

    @cached_property
    def answer(self) -> Value | None:
        """The last number of the demonstration."""
        found = (sentence.numbers for sentence in reversed(read(self.demonstration)))
        return next(([*told.values()][-1] for told in found if told), None)

    @cached_property
    def prices_read(self) -> bool:
        """Whether the signs of money of the demonstration are, which are left out where they may enclose formulas."""
        return "$" not in self.demonstration or any(
            token[0] == "$" for sentence in read(self.demonstration) for token in sentence.tokens
        )

    @cached_property
    def written(self) -> frozenset[str]:
        """Every word as it stands."""
        sentences = (*read(self.prompt), *read(self.demonstration))
        return frozenset(word for sentence in sentences for word in sentence.tokens if word[0].isalpha())

    @cached_property
    def words(self) -> frozenset[str]:
        """Stems of every word."""
        stems = {singular(word)[:BEGINNING] for word in self.written}
        return frozenset(stems | {"dolla"} if "$" in self.prompt or "$" in self.demonstration else stems)

    @cached_property
    def counted(self) -> frozenset[str]:
        """Stems of the words that a number of the question counts."""
        return frozenset(stem for quantity in quantities(self.prompt) for stem in _stems(quantity.nouns))

    @cached_property
    def generic(self) -> frozenset[str]:
        """Generic nouns that no number of the question counts."""
        return frozenset(
            noun for noun in GENERIC if noun[:BEGINNING] not in self.counted or noun in ("person", "people")
        )

    @cached_property
    def asked(self) -> frozenset[str]:
        """Stems of the units in which the demonstration gives its answer."""
        nouns = self.nouns(self.answer) if self.answer is not None else []
        return _stems(frozenset(noun for told in nouns for noun in told if _unit(noun)))

    @cached_property
    def portions(self) -> frozenset[str]:
        """Generic nouns, but no `6 quarters` that are coins."""
        return GENERIC - {"quarter"} if "quart" in self.counted and "quarter" in self.plurals else GENERIC

    @cached_property
    def plurals(self) -> frozenset[str]:
        """Words, in the singular, that the source has in the plural."""
        return frozenset(singular(word) for word in self.written if singular(word) != word.lower())

    @cached_property
    def groups(self) -> tuple[frozenset[str], ...]:
        """Stems of several words that one number counts."""
        told = (*quantities(self.prompt), *quantities(self.demonstration))
        return tuple({_stems(quantity.nouns) for quantity in told if len(quantity.nouns) > 1})

    def names(self, word: str) -> bool:
        """Whether the question has a word in capitals that is written in no other way."""
        likely = len(word) > 2 and word[1].islower() and not word.endswith(("ing", "ly"))
        low = word.lower()
        return (
            likely
            and low not in GRAMMAR
            and stands(word, self.prompt)
            and not (stands(low, self.prompt) or stands(low, self.demonstration))
        )

    @cached_property
    def values(self) -> frozenset[Value]:
        """Every number, in figures and in words."""
        texts = (self.prompt, self.demonstration)
        return frozenset[Value]().union(*map(numbers, texts), *map(spoken, texts))


class QuantitiesCheck(CheckConfig):
    """Numbers keep their nouns and their owners; no quantity is made up."""

    type: Literal["quantities"] = "quantities"
    invented: bool = True
    """Whether a quantity that nothing explains fails."""

    name: ClassVar[str] = "quantities"
    revision: ClassVar[int] = 6

    def run(self, case: Case) -> Check:
        if not case.demonstration and not case.prompt:
            return self.passed()
        ours = excluding(_written(case.completion))
        if ours and (changed := changed_kind(ours, _written(case.prompt) | _written(case.demonstration))):
            new, old = changed
            return self.failed("other_kind", f"It says {new!r} where question and demonstration say {old!r}.")
        source = _source(case.prompt, case.demonstration)
        found = quantities(case.completion)
        strange = [q for q in found if q.nouns and not source.says(q)]
        results = {q.value for q in found if q.computed} if strange else set[Value]()
        for quantity in strange:
            if said := _other_noun(quantity, source, results):
                return self.failed("other_unit", said)
        if said := _priced(found, source):
            return self.failed("other_unit", said)
        if said := _exchanged(strange, source) or _measured_otherwise(strange, source, case):
            return self.failed("other_unit", said)
        for _, told in groupby(found, attrgetter("sentence")):
            if said := _other_owner(list(told), source):
                return self.failed("other_owner", said)
        if said := _named_before(found, case):
            return self.failed("other_owner", said)
        if self.invented and (said := _invented(found, results, case, source)):
            return self.failed("invented_quantity", said)
        return self.passed()


def _holds(text: str, written: str) -> bool:
    """Whether `written`, a number and words, stands in `text` and is no part of a longer number or word."""
    at = text.find(written)
    if at < 0:
        return False
    after = text[at + len(written) : at + len(written) + 1]
    return text[at - 1 : at] not in _GOES_BEFORE and not after.isalnum() and after not in _GOES_AFTER


@lru_cache(maxsize=2048)
def _written(text: str) -> frozenset[str]:
    """The words of a text as they stand: capitals tell `May` from `may`."""
    return frozenset(_WORD.findall(text))


def _other_noun(quantity: Quantity, source: _Source, results: Container[Value]) -> str:
    nouns, value = quantity.nouns, quantity.value
    if value == 1 or source.bare(value) or nouns & source.generic:
        return ""
    if value in results and not any(q.computed for q in source.of(value)):
        return ""  # a result of its own that a given number happens to equal
    given = (source.results if quantity.computed else source.nouns)(value)
    if not given and value == source.answer and not source.nouns(value) and _foreign(quantity, source):
        return f"{value} {quantity.head}: neither question nor demonstration speak of {quantity.head}."
    if not given or any(theirs & source.portions or _same(nouns, theirs, source) for theirs in given):
        return ""
    if unit := next((noun for noun in nouns if _unit(noun)), ""):
        other = all(map(_units, given)) or unit[:BEGINNING] not in source.words
        if (value in CONVERSIONS or not other) and not _swapped(quantity, source, results):
            return ""
    elif not _strange(quantity, source) and not _swapped(quantity, source, results):
        return ""
    theirs = " ".join(sorted(given[0]))
    return f"{value} {quantity.head}: question and demonstration say {value} {theirs}."


def _priced(found: list[Quantity], source: _Source) -> str:
    """Things under a sign of money: `$20 meals` or `a total of $20` for 20 meals."""
    for quantity in found:
        tokens, at = quantity.sentence.tokens, quantity.at
        if tokens[at][0] not in "$€£":
            continue
        if tokens[at + 1 : at + 2] in ((), (".",), (",",)):
            if _of_things(quantity.value, source):
                return f"{tokens[at]}: question and demonstration count things by it."
            continue
        if at + 1 == len(tokens) or not tokens[at + 1].isalpha():
            continue
        noun = tokens[at + 1].lower()
        counted = [q for q in source.of(quantity.value) if singular(noun) in q.nouns]
        if counted and not any(q.sentence.tokens[q.at][0] in "$€£" for q in counted):
            return f"{tokens[at]} {noun}: question and demonstration say {quantity.value} {noun}."
    return ""


def _of_things(value: Value, source: _Source) -> bool:
    """Whether one sum of the source makes the number, which counts things wherever it stands and is no price."""
    told = source.of(value)
    return (
        bool(source.results(value)) and value != source.answer and source.prices_read
        and all((q.nouns and not q.nouns & _CURRENCIES) or (q.computes and not q.computed) for q in told)
        and not any(q.sentence.tokens[q.at][0] in "$€£" for q in told)
        and source.one_kind(value)
    )  # fmt: skip


def _exchanged(strange: list[Quantity], source: _Source) -> str:
    """Two numbers that have taken each other's nouns."""
    wrong = [
        q for q in strange
        if q.value != 1
        and (given := source.nouns(q.value))
        and not any(_same(q.nouns, theirs, source) for theirs in given)
    ]  # fmt: skip
    for i, one in enumerate(wrong):
        for two in wrong[:i]:
            if one.value != two.value and all(
                any(_stems(a.nouns) & _stems(theirs) for theirs in source.nouns(b.value))
                for a, b in ((one, two), (two, one))
            ):
                return (
                    f"{one.value} {one.head} and {two.value} {two.head}: question and demonstration say "
                    f"{one.value} {two.head} and {two.value} {one.head}."
                )
    return ""


def _measured_otherwise(strange: list[Quantity], source: _Source, case: Case) -> str:
    """A known number under a unit that the source has no word of: `36 cents` where all is told in dollars and nothing
    is converted, `12 feet of books` where books are counted."""
    for quantity in strange:
        unit = next(iter(quantity.sentence.tokens[quantity.at + 1 : quantity.at + 2]), "").lower()
        size = _size(singular(unit)) if len(unit) > 2 and quantity.value in source.values else {}
        if not size or singular(unit)[:BEGINNING] in source.words:
            continue
        words = {word.lower() for word in source.written if len(word) > 2}
        words |= {"dollar"} if "$" in case.prompt or "$" in case.demonstration else set()
        theirs = {word: found for word in words if (found := _size(word)).keys() & size.keys()}
        if not theirs:
            behind = quantity.sentence.tokens[quantity.at + 2 : quantity.at + 4]
            if len(behind) == 2 and behind[0] == "of" and singular(behind[1])[:BEGINNING] in source.counted:
                return (
                    f"{quantity.value} {unit} of {behind[1]}: question and demonstration count {behind[1]}."
                )
            continue
        ratios = {
            ratio
            for found in theirs.values() for kind in size.keys() & found.keys()
            for ratio in (size[kind] / found[kind], found[kind] / size[kind])
        }  # fmt: skip
        made = [
            step for text in (case.demonstration, case.completion) for step in sums(text)
            if step.result == quantity.value
        ]  # fmt: skip
        if not any(ratios.intersection(step.operands) for step in made):
            return f"{quantity.value} {unit}: question and demonstration tell it in {min(theirs)}."
    return ""


def _same(ours: frozenset[str], theirs: frozenset[str], source: _Source) -> bool:
    """Whether two groups of nouns share a word or may mean the same.

    A word may lie in another (`melon` and `watermelon`) or begin like it, be the same unit (`lb` and `pound`), or stand
    beside it in the source (`customer orders`).
    """
    our_stems, their_stems = _stems(ours), _stems(theirs)
    if any(our_stems & group and their_stems & group for group in (their_stems, *source.groups)):
        return True
    if ours & PEOPLE and theirs & PEOPLE:
        return True
    return any(
        (min(len(a), len(b)) > 2 and (a in b or b in a or (len(a) > 5 and a[:4] == b[:4])))
        or (_size(a) and _size(a) == _size(b))
        for a in ours
        for b in theirs
    )


def _size(noun: str) -> dict[str, Fraction]:
    """What a noun in the singular measures, `curate.maths.units.dimensions`."""
    return dimensions(noun) or dimensions(f"{noun}s")


def _unit(noun: str) -> bool:
    """Whether a noun of more than two letters is a unit of measure."""
    return len(noun) > 2 and bool(_size(noun))


def _units(nouns: frozenset[str]) -> bool:
    return any(map(_unit, nouns))


def _swapped(quantity: Quantity, source: _Source, results: Container[Value]) -> bool:
    """Whether a given number, or the answer, counts what other numbers of the question count, or what it asks for."""
    value = quantity.value
    if not all(
        len(noun) > 2 and noun[:BEGINNING] in source.counted | source.asked for noun in quantity.nouns
    ):
        return False
    if not all(theirs & (source.plurals | _CURRENCIES) for theirs in source.nouns(value)):
        return False  # `5 died` counts no died
    if quantity.computed:
        return len(source.results(value)) == 1 and (value == source.answer or source.one_kind(value))
    return source.given(value) and not source.results(value) and value not in results


def _strange(quantity: Quantity, source: _Source) -> bool:
    """Whether the head is a plural that the source has no word of."""
    head = quantity.head
    plural = len(head) > 3 and head.endswith("s") and not head.endswith("ss")
    return plural and all(noun[:BEGINNING] not in source.words for noun in quantity.nouns)


def _foreign(quantity: Quantity, source: _Source) -> bool:
    """Whether a number counts things of which the source has no word."""
    known = GENERIC | PEOPLE
    return _strange(quantity, source) and not quantity.nouns & known and not _units(quantity.nouns)


def _other_owner(told: list[Quantity], source: _Source) -> str:
    """A number of a sentence, whose quantities are `told`, that the source gives to another than its subject."""
    if not told[0].subject or not source.names(told[0].subject):
        return ""
    for quantity in told:
        owner = quantity.owner if quantity.computed or not quantity.computes else ""
        given = source.owners(quantity.value) if owner else []
        if given and not any(not theirs or theirs[:3] == owner[:3] for theirs in given):
            return f"{quantity.value} is {owner}'s; question and demonstration give it to {given[0]}."
    return ""


def _named_before(found: list[Quantity], case: Case) -> str:
    """A number right behind a name where question and demonstration have it behind other names only."""
    persons = people(case.prompt, case.demonstration)
    if len(persons) < 2:
        return ""
    for quantity in found:
        if (quantity.computes and not quantity.computed) or not (
            name := _named(quantity, persons, NAME_REACH)
        ):
            continue
        told = (
            *quantities_of(case.prompt, quantity.value),
            *quantities_of(case.demonstration, quantity.value),
        )
        names = [_named(q, persons, SOURCE_REACH) for q in told]
        if names and all(other and other[:3] != name[:3] for other in names):
            given = names[0].capitalize()
            return (
                f"{quantity.value} is {name.capitalize()}'s; question and demonstration give it to {given}."
            )
    return ""


def _named(quantity: Quantity, persons: frozenset[str], reach: int) -> str:
    """The person named last before a number in its clause; empty where another number stands between."""
    tokens = quantity.sentence.tokens
    for i in range(quantity.at - 1, max(-1, quantity.at - 1 - reach), -1):
        word = tokens[i].lower()
        if (name := bare(word)) in persons:
            return name
        if word in _NEW_CLAUSE or i in quantity.sentence.numbers:
            return ""
    return ""


def _invented(found: list[Quantity], results: set[Value], case: Case, source: _Source) -> str:
    unknown = [
        q for q in found
        if not q.computes and q.value not in source.values
        and (q.value not in KNOWN_EVERYWHERE if q.nouns else _bare(q))
    ]  # fmt: skip
    if not unknown:
        return ""
    known = set(source.values) | results
    for equality in equalities(case.completion):
        known |= {v for v in (equality.left, equality.right, *equality.operands) if v is not None}
    for sentence in read(case.completion):
        if not EQUAL.isdisjoint(sentence.tokens):
            known |= {v for token in sentence.tokens if (v := number(token)) is not None}
    if len(known) > MAX_KNOWN:
        return ""
    for quantity in unknown:
        if quantity.value not in known if not quantity.nouns else not _explained(quantity.value, known):
            return f"{quantity.value} {quantity.head}".rstrip() + " is neither given nor worked out."
    return ""


def _bare(quantity: Quantity) -> bool:
    """Whether a number counts nothing and ends its clause behind a word: no item of a list, a pair or a formula."""
    tokens, at = quantity.sentence.tokens, quantity.at
    alone = tokens[at + 1 : at + 2] in ((), (".",)) and at > 0 and len(tokens[at - 1]) > 1
    stands = quantity.value > MAX_ORDER and alone and tokens[at - 1].isalpha()
    return stands and not marks(quantity.sentence.text)  # `answer` judges answers


def _explained(value: Value, known: set[Value]) -> bool:
    """Whether `value` is known, rounded from a known one, its hundredfold or hundredth, or one operation away from two
    different ones."""
    if value in known or value * 100 in known or divide(value, 100) in known:
        return True
    if any(abs(k - value) < (1 if k != int(k) else 0) or abs(k - value) <= NEAR * abs(value) for k in known):
        return True
    return any(
        {value - a, a - value, a * value, *((divide(value, a),) if a else ())} & (known - {a}) for a in known
    )


@lru_cache(maxsize=4096)
def _stems(nouns: frozenset[str]) -> frozenset[str]:
    return frozenset(noun[:BEGINNING] for noun in nouns)


@lru_cache(maxsize=1024)
def _source(prompt: str, demonstration: str) -> _Source:
    return _Source(prompt, demonstration)
