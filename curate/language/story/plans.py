"""Plans: what a text says is to be added, subtracted, multiplied or divided, against the steps of its row.

`To find how many she has left, we subtract the number of pens she sold from the number she had` names a verb, its
terms, and what it sets out to find. A plan does not fit where a number that it names goes into no sum, where it names
more terms than any sum has, where it turns a difference or a quotient around, and where it reckons with the very thing
that it sets out to find. Only who calculates makes a plan (`we add`, `by adding`), no story does (`he adds`). Whatever
could mean two things is left alone: a term counts where it is headed as the first one is (`the number of .. and the
number of ..`), and a preposition divides terms where there is one of it. English only.

>>> steps = (Step((41, 29), 70), Step((70, 15), 55))
>>> unfit("To solve it, we add 55 to the total.", "", "", steps)
'add 55 to the total'
>>> unfit("To find the cost of all, we add the tax to the total cost.", "", "", (Step((5, 1), 6),))
'add the tax to the total cost'
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain, islice, permutations, product
from math import prod
from typing import NamedTuple

from recast.curate.language.quantities import quantities
from recast.curate.language.stems import stem
from recast.curate.language.word_classes import GENERIC, GRAMMAR
from recast.curate.maths.numbers import Value, divide, literal
from recast.curate.maths.units import singular

MAX_SIGNED = 6
"""Operands of a sum up to which it is found out which of them are subtracted."""
MAX_PLANS, MAX_NAMED = 24, 8
"""Plans of a text that are read, and numbers of a plan that are compared; more are no plan of anybody's."""
MAX_CLAUSE = 400
"""Characters of the terms of a plan."""
_REACH = 48
"""Characters before a verb among which stands who calculates."""

_ROOTS = ("add", "subtract", "deduct", "multipl", "divid", "combin")
_VERB = re.compile(r"\b(?:add|subtract|deduct|multipl|divid|combin)[a-z]*+(?: up| together)? ", re.IGNORECASE)
_FORMS = {
    word: words.split()[0]
    for words in (
        "add adding added combine combining combined", "subtract subtracting subtracted deduct deducting deducted",
        "multiply multiplying multiplied", "divide dividing divided",
    )
    for word in words.split()
}  # fmt: skip
_ORDER = r"(?:(?:first|then|next|now|finally|lastly|so|and|simply|just),? ?){0,2}"
_BEFORE = {  # who calculates, before the plain form, that in -ing and that of the past
    "": re.compile(
        r"(?:\b(?:we|you|i|let us|let's)(?: (?:can|could|must|should|will|would|need|have|want|to|simply|just|then|also"
        rf"|first|now)){{0,4}}|(?:\A|[.:;,!?\n] *){_ORDER}|\b(?:then|and|simply|just)) ?\Z",
        re.IGNORECASE,
    ),
    "ing": re.compile(rf"(?:\b(?:by|then|involves|and)|(?:\A|[.:;!?\n] *){_ORDER}) ?\Z", re.IGNORECASE),
    "ed": re.compile(r"\b(?:we|you|i)(?: (?:then|simply|just|have))? ?\Z", re.IGNORECASE),
}
_END = re.compile(
    r"[:;=?!\n(]|\.(?=\s|\Z)|, (?!(?:and )?(?:(?:the|his|her|their)\b|[$€£]?\d))"
    r"| to (?:find|get|determine|calculate|obtain|see|figure|know|reach|work|give|compute|make|solve|arrive|learn)\b"
    r"| (?:which|gives?|giving|equals?|is|are|results?|using|because|since|so|then|but|while|if|when|as|in order|should"
    r"|would|will|makes?|brings?|becomes?)\b"
    r"| and (?:then |we |you )*(?:add|subtract|deduct|multiply|divide|combine|get|find|see|have|calculate)\b"
    r"| (?:we|you) (?:get|have|find|can|obtain|see)\b"
)
_OUTCOME = re.compile(
    r",? (?:(?:which|that|this|it|and|to|we|you) )*"
    r"(?:gives?|giving|get|is|are|equals?|have|results?|find|obtain)\b[^.;:?!\n]{0,40}?\d"
)
_SOUGHT = re.compile(
    r"\b(?:find|determine|calculate|compute|figure out|work out|get|know|obtain|see)(?: out)? (?=the|h|what|its)"
)
_TITLE = re.compile(r"\b(Mrs?|Ms|Dr|St)\.")  # its mark ends no sentence
_GOAL = re.compile(r"[^,.:;=?!\n]{3,160}")
# not before the object of a verb (`given to her by Ann`)
_TO = re.compile(
    r" to (?=(?:the|this|that|these|those|what|each|both|how) |(?:her|his|their|its|our) (?!by |and |from |in |at "
    r"|for )|[$€£]?\d|[A-Z][a-z]+'s )"
)
_BETWEEN = {
    "add": _TO,
    "subtract": re.compile(" from "),
    "multiply": re.compile(" by "),
    "divide": re.compile(" by "),
}
_LISTED = re.compile(r"\band [^,]*\Z")
_AND = re.compile(r",? and |, ")
_NUMBER = re.compile(
    r"(?:(?:the|his|her|their|its|these|those) (?=\S+ (?!(?:together|to|and|up|we|from|by|with|into|in)\b)[a-z])"
    r"|(?:(?:the|these|those) )?(?:[a-z2-9]+ )?(?:numbers|amounts|values) (?=[$€£]?\d)"
    r"|(?:another|this|that|an? (?:additional|extra)|an?) )?"
    r"(?P<number>[$€£]?(?:\d+(?:,\d{3})*(?:\.\d+)?|\.\d+))(?![\d%/,.]*\d)"
    r"(?! ?(?:[-+*/×÷^=%]|x \d|percent\b|of\b|times\b|more than\b|dozen\b|hundred\b|thousand\b|million\b|billion\b"
    r"|and a half\b|thirds?\b|numbers?\b|amounts?\b|values?\b|quantities\b|results?\b))"
)
_HEAD = re.compile(
    r"(?:the|his|her|their|its|our|this|that|what|how) (?:total |initial |original |remaining |first |second )?([a-z]+)"
)
_NUMBER_OF = re.compile(
    r"(?:the|their|his|her) (?:total |initial |original )?number of (?P<things>[a-z]+(?: [a-z]+){0,4})"
)
_PHRASE = r"[^.,:;=?!\n\d(]{3,100}?"
_IS_WORK = re.compile(
    rf"(?:\A|[.:,\n] ?)(?:so |therefore |thus |then )?(?P<said>(?P<goal>the {_PHRASE}) (?:is|equals|was|will be) "
    rf"(?:equal to )?(?P<first>(?:the|his|her|their) {_PHRASE}) (?P<work>plus|minus|times|multiplied by|divided by) "
    r"(?P<last>(?:the|his|her|their) [^.,:;=?!\n\d(]{3,100}))",
    re.IGNORECASE,
)
_WORK_WORDS = {
    "plus": "add", "minus": "subtract", "times": "multiply", "multiplied by": "multiply", "divided by": "divide",
}  # fmt: skip
_IS_CALLED = re.compile(
    r"\b(?:is|equals|are) the (product|quotient|difference) (?:of|between) (?:the|his|her|their) "
)
_START = re.compile(r"the (?:initial|original|starting) number of ")
_GONE = re.compile(
    r"the number of (?!.*\b(?:total|initial|original|left))"
    r".*\b(?:sold|lost|used|eaten|ate|away|deleted|removed|spent|broken)\b"
)
_RATE = re.compile(r"\b(?:per|each|every|an?)\b")
_NOT_PLANNED = re.compile(r"\b(?:both|each) sides?\b|\bnot\b|n['’]t\b")
_COUNTED = re.compile(
    r"(?:all )?(?:these|those|the) (two|three|four|five|2|3|4|5) (?:different |separate )?"
    r"(?:numbers|amounts|values|quantities|figures|costs|totals|sums|results)\b"
)
_COUNTS = {"two": 2, "three": 3, "four": 4, "five": 5}

_TOTAL = frozenset("total all altogether together combined combine entire whole overall sum".split())
_EMPTY = frozenset(
    (
        "the a an of number amount quantity value how many much out that which there is are was were be been being "
        "will would can could do does did to by and or his her their its my our your he she they it we you i this "
        "these those some so actually simply up s"
    ).split()
)
_IN_ALL = re.compile(r"\bin (?=all\b|total\b)", re.IGNORECASE)
_STATES = frozenset(
    map(stem, "now new final end ended left after more remaining remain still current later before".split())
)


class Step(NamedTuple):
    """A true sum of the row: the numbers that go into it, and its result."""

    operands: tuple[Value, ...]
    result: Value


class Plan(NamedTuple):
    """One verb of a text with what it is to be done with."""

    kind: str
    """`add`, `subtract`, `multiply` or `divide`."""
    said: str
    """The verb and its terms, as written."""
    terms: tuple[str, ...]
    base: str
    """What is added to, subtracted from, multiplied or divided by; empty where nothing says so for certain."""
    goal: str
    """What the plan sets out to find; empty where it does not say so."""
    solved: bool
    """Whether words say at once what comes out (`we divide 8 by 2, which gives 4`)."""


class _Sizes(NamedTuple):
    """The most terms that a chain of additions and subtractions has."""

    added: int
    subtracted: int
    mixed: bool
    """Whether a chain has both."""
    other: bool
    """Whether a step is no such chain."""
    chained: bool
    """Whether a step reckons with the result of one before it."""


def may_plan(text: str) -> bool:
    """Whether anything that `unfit` finds can stand in `text`."""
    return (
        "product of " in text or "quotient of " in text or "difference between " in text or bool(plans(text))
    )


def unfit(
    text: str, prompt: str, source: str, steps: Sequence[Step], operands: frozenset[Value] = frozenset()
) -> str:
    """The first plan of `text` that does not fit the `steps` of text and source, as written; empty where all do.

    `operands` are further numbers that stand beside a sign. What the source says itself is left alone.
    """
    if not steps:
        return ""
    if said := _misnamed(text, _sizes(tuple(steps))):
        return said if said not in source else ""
    known = operands.union(*(step.operands for step in steps))
    sizes = _sizes(tuple(steps))
    for plan in plans(text):
        fits = (
            _numbers_fit(plan, known, steps)
            and _count_fits(plan, sizes, text)
            and not _circular(plan, sizes.chained)
            and _things_fit(plan, known, steps, (prompt, source, text))
        )
        if not fits and plan.said not in _TITLE.sub(r"\1", source):
            return plan.said
    return ""


@lru_cache(maxsize=1024)
def plans(text: str) -> tuple[Plan, ...]:
    """The plans of `text`, in order."""
    text = _TITLE.sub(r"\1", text)
    planned = _plans(text) if any(map(text.lower().__contains__, _ROOTS)) else ()
    stated = _stated(text) if any(map(text.__contains__, _WORK_WORDS)) else ()
    return tuple(islice(chain(planned, stated), MAX_PLANS))


def _plans(text: str) -> Iterator[Plan]:
    for verb in _VERB.finditer(text):
        form = verb.group().split()[0].lower()
        kind = _FORMS.get(form)
        ending = "ing" if form.endswith("ing") else "ed" if form.endswith("ed") else ""
        before = text[max(0, verb.start() - _REACH) : verb.start()]
        if verb.start() > _REACH:
            before = f"_{before}"  # what is cut off is no beginning
        if kind is None or not _BEFORE[ending].search(before):
            continue
        end = _END.search(text, verb.end(), verb.end() + MAX_CLAUSE)
        stop = end.start() if end else len(text)
        if stop - verb.end() > MAX_CLAUSE:
            continue
        clause = text[verb.end() : stop].strip()
        if not clause or _NOT_PLANNED.search(clause):
            continue
        goal = _goal(text, verb.start(), stop)
        solved = _OUTCOME.match(text, stop) is not None or text.startswith("(", stop)
        yield Plan(kind, text[verb.start() : stop].strip(), *_terms(kind, clause), goal, solved)


def _stated(text: str) -> Iterator[Plan]:
    """Plans that are told as what something is: `the cost of all is the cost of the pens plus the tax`."""
    for match in _IS_WORK.finditer(text):
        kind = _WORK_WORDS[match["work"].lower()]
        first, last = match["first"], match["last"]
        terms, base = ((last,), first) if kind == "subtract" else ((first,), last)
        yield Plan(kind, match["said"].strip(), terms, base, match["goal"], solved=False)


def _terms(kind: str, clause: str) -> tuple[tuple[str, ...], str]:
    """The terms that a verb has, and what stands behind its preposition."""
    if "," in clause and not _LISTED.search(clause):
        clause = clause.partition(",")[0]
    found = list(_BETWEEN[kind].finditer(clause))
    if len(found) > 1 and not _NUMBER.match(clause):
        return (), ""
    first, base = (clause[: found[0].start()], clause[found[0].end() :]) if found else (clause, "")
    return tuple(term for term in _AND.split(first) if term), base


def _goal(text: str, verb: int, stop: int) -> str:
    """What stands behind `to find` in the sentence of a verb, before the verb or right behind its terms."""
    begin = max(text.rfind(mark, 0, verb) for mark in (". ", "\n", "? ", "! ")) + 1
    sought = next(reversed([*_SOUGHT.finditer(text, begin, verb)]), None)
    if sought is None and text.startswith(" to ", stop):
        sought = _SOUGHT.match(text, stop + 4)
    goal = _GOAL.match(text, sought.end(), verb if sought.end() <= verb else len(text)) if sought else None
    return goal.group().partition(" by ")[0] if goal else ""


def _numbers_fit(plan: Plan, known: frozenset[Value], steps: Sequence[Step]) -> bool:
    """Whether the numbers that a plan names go into a sum, together and the right way around."""
    first = [_named(term) for term in plan.terms]
    named = [value for value in first if value is not None] if first[:1] != [None] else []
    base = _named(plan.base)
    said = named if base is None else [*named, base]
    if (
        plan.solved
        or not 0 < len(said) <= MAX_NAMED
        or (len(said) > 1 and _makes(plan.kind, said) & {step.result for step in steps})
    ):
        return True
    if not all(_goes_in(value, known) for value in said):
        return False
    if len(said) < 2 or not all(any(value in step.operands for step in steps) for value in said):
        return True
    if plan.kind in ("add", "subtract") and not _meet(said, steps):
        return False
    if len(said) == 2 and base is not None and not _worked_so(plan.kind, said, steps):
        return False
    return base is None or len(named) != 1 or _in_order(plan.kind, named[0], base, steps)


def _worked_so(kind: str, pair: Sequence[Value], steps: Sequence[Step]) -> bool:
    """Whether a sum of just these two is of the kind, or there is none of them: not `divide 5 by 9` for 5 * 9 = 45."""
    one, two = pair
    results = {step.result for step in steps if sorted(step.operands) == sorted(pair)}
    made = {
        "add": (one + two,), "subtract": (one - two, two - one), "multiply": (one * two,),
        "divide": (divide(one, two), divide(two, one)),
    }[kind]  # fmt: skip
    return not results or not results.isdisjoint(made)


def _in_order(kind: str, first: Value, last: Value, steps: Sequence[Step]) -> bool:
    """Whether some sum has it as in `subtract the first from the last`, `divide the first by the last`, or none has
    both the other way around."""
    both = [step for step in steps if first in step.operands and last in step.operands]
    if kind == "subtract":
        signs = [dict(zip(step.operands, _signs(step) or (), strict=False)) for step in both]
        turned = any(s.get(first) == 1 and s.get(last) == -1 for s in signs)
        return first == last or not turned or any(s.get(first) == -1 or not s for s in signs)
    results = {step.result for step in both if len(step.operands) == 2}
    return kind != "divide" or divide(last, first) not in results or divide(first, last) in results


def _meet(values: Sequence[Value], steps: Sequence[Step]) -> bool:
    """Whether numbers go into one sum or into what leads to it, none of them by way of another."""
    into = _into(tuple(steps))
    return any(set(values) <= below for below in into.values()) and not any(
        one in into.get(other, ())
        and all(step.result in (other, *into[other]) for step in steps if one in step.operands)
        for one, other in permutations(values, 2)
    )


@lru_cache(maxsize=1024)
def _into(steps: tuple[Step, ...]) -> dict[Value, set[Value]]:
    """What goes into each result, at once or by way of results before it."""
    into: dict[Value, set[Value]] = {}
    for step in steps:
        into.setdefault(step.result, set()).update(step.operands, *(into.get(v, ()) for v in step.operands))
    return into


def _named(term: str) -> Value | None:
    match = _NUMBER.match(term)
    return literal(match["number"])[0] if match else None


def _goes_in(value: Value, known: frozenset[Value]) -> bool:
    """Whether a number is one of those reckoned with, or stands for one: 2 for a half, 20 for 20 %."""
    return any(other in known for other in (value, -value, divide(1, value), divide(value, 100), value * 100))


def _makes(kind: str, values: Sequence[Value]) -> set[Value | None]:
    if kind in ("add", "multiply"):
        return {sum(values) if kind == "add" else prod(values)}
    first, last = values[0], values[-1]
    return {last - first if kind == "subtract" else divide(first, last)}


def _count_fits(plan: Plan, sizes: _Sizes, text: str) -> bool:
    """Whether a sum has as many terms as a plan names."""
    if sizes.other or not (sizes.added or sizes.subtracted):
        return True
    if plan.kind == "add":
        counted = _COUNTED.match(plan.terms[0]) if len(plan.terms) == 1 and not plan.base else None
        if counted:
            return int(_COUNTS.get(counted[1], counted[1])) <= sizes.added + sizes.subtracted
        return _alike(plan.terms) + bool(plan.base) <= max(2, sizes.added)
    if plan.kind != "subtract" or not plan.base:
        return True
    if _alike(plan.terms) > max(1, sizes.subtracted):
        return False
    # `the number sold and bought from ..` where what was bought is added, and nothing says so
    both = len(plan.terms) == 2 and sizes.mixed and sizes.subtracted == 1 and sizes.added == 2
    return not both or "add" in text.lower()


def _alike(terms: Sequence[str]) -> int:
    """How many terms are headed as the first one is; 1 where none can be told apart."""
    heads = [_HEAD.match(term) for term in terms]
    if not heads or heads[0] is None:
        return sum(_named(term) is not None for term in terms) or 1
    return sum(head is not None and head[1] == heads[0][1] for head in heads)


@lru_cache(maxsize=1024)
def _sizes(steps: tuple[Step, ...]) -> _Sizes:
    sizes: dict[Value, tuple[int, int]] = {}
    added = subtracted = 0
    mixed = other = chained = False
    for step in steps:
        signs = _signs(step)
        chained = chained or any(value in sizes for value in step.operands if value != step.result)
        if signs is None:
            other = True
            sizes[step.result] = 1, 0
            continue
        plus = minus = 0
        for sign, value in zip(signs, step.operands, strict=True):
            ours = sizes.get(value, (1, 0))[::sign]
            plus, minus = plus + ours[0], minus + ours[1]
        sizes[step.result] = plus, minus
        added, subtracted = max(added, plus), max(subtracted, minus)
        mixed = mixed or (plus > 1 and minus > 0)
    return _Sizes(added, subtracted, mixed, other, chained)


@lru_cache(maxsize=4096)
def _signs(step: Step) -> tuple[int, ...] | None:
    """1 for every operand that is added and -1 for every one subtracted, None where the sum is no such chain."""
    if not 2 <= len(step.operands) <= MAX_SIGNED:
        return None
    for signs in sorted(product((1, -1), repeat=len(step.operands)), key=lambda s: s.count(-1)):
        if sum(s * v for s, v in zip(signs, step.operands, strict=True)) == step.result:
            return signs
    return None


def _things_fit(plan: Plan, known: frozenset[Value], steps: Sequence[Step], texts: tuple[str, ...]) -> bool:
    """Whether the things that a plan counts are counted in its row by a number that goes into a sum.

    `The number of boxes` are no boxes that no sum reckons with.
    """
    if plan.solved:
        return True  # `by the number of subjects, which is 2`
    meant: list[frozenset[Value]] = []
    for term in (*plan.terms, plan.base):
        counted = _counted(term, texts)
        meant.append(frozenset(value for value in counted if _goes_in(value, known)))
        if counted and not meant[-1]:
            return False
    if plan.kind == "subtract" and plan.terms and _START.match(plan.terms[0]) and _GONE.match(plan.base):
        return False
    if (
        plan.kind not in ("subtract", "divide")
        or len(meant) != 2
        or any(len(values) != 1 for values in meant)
    ):
        return True
    ((first,), (last,)) = meant
    return _in_order(plan.kind, first, last, steps)


@lru_cache(maxsize=2048)
def _counted(term: str, texts: tuple[str, ...]) -> frozenset[Value]:
    """The numbers that count in `texts` what a term is the number of; empty where it is a rate or no such number."""
    match = _NUMBER_OF.match(term)
    if match is None or _RATE.search(term):
        return frozenset()
    nouns: list[str] = []
    for word in match["things"].split():
        if word in GRAMMAR or len(nouns) == 3:
            break
        nouns.append(singular(word))
    if not nouns or nouns[-1] in GENERIC:
        return frozenset()
    return frozenset(q.value for text in texts for q in quantities(text) if not q.nouns.isdisjoint(nouns))


def _misnamed(text: str, sizes: _Sizes) -> str:
    """Where the text calls something a product and no step multiplies, or a difference and none subtracts."""
    for match in _IS_CALLED.finditer(text):
        added = sizes.added or sizes.subtracted
        if (match[1] == "difference" and not added) or (
            match[1] != "difference" and added and not sizes.other
        ):
            return match.group()
    return ""


def _circular(plan: Plan, chained: bool) -> bool:
    """Whether a plan reckons with what it sets out to find."""
    goal = _content(plan.goal)
    if not goal:
        return False
    whole = plan.terms if len(plan.terms) == 1 or _alike(plan.terms) == len(plan.terms) else ()
    several = (
        plan.kind != "add" or len(whole) > 1 or plan.base
    )  # `add the pens together to find the total of pens`
    for term in (*whole, plan.base) if several else ():
        said = _content(term)
        if said == goal and said != {"total"} and not any(c.isdigit() for c in term):
            return True
    base = _content(plan.base)
    if plan.kind != "add" or chained or "total" not in base or any(c.isdigit() for c in plan.base):
        return False
    return len(base) > 1 and base - {"total"} <= goal and not (goal & _STATES) - base


@lru_cache(maxsize=4096)
def _content(phrase: str) -> frozenset[str]:
    """What a phrase is about: its words without grammar and endings, and one word for all of a whole."""
    words = re.findall(r"[a-z]+", _IN_ALL.sub("", phrase.lower()))
    return frozenset("total" if word in _TOTAL else stem(word) for word in words if word not in _EMPTY)
