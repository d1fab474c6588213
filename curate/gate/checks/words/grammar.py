"""English words that make no English sentences: doubled, impossible side by side, dropped, shuffled.

A part of `vocabulary`, which knows that every single word is all right. The row is the measure: what stands together in
question and demonstration may stand together, and pairs of content words that they hold apart by function words tell
whether such words were dropped. What no sentence has whatever the row says is `curate.language.ungrammatical`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from recast.curate.gate.checks.case import shown
from recast.curate.gate.checks.sums.grounds import sums
from recast.curate.gate.checks.words.source import SHORT, Source
from recast.curate.language.english import (
    FUNCTION_WORDS,
    IMPOSSIBLE,
    NEVER_LAST,
    NUMBER,
    SELDOM,
    TWICE,
    content_pairs,
)
from recast.curate.language.prose import bare_letters
from recast.curate.language.sentences import sentences
from recast.curate.language.story.people import people
from recast.curate.language.tokens import OPERATORS, read
from recast.curate.language.ungrammatical import ungrammatical
from recast.curate.language.word_classes import GRAMMAR
from recast.curate.maths.numbers import Value, divide
from recast.curate.maths.units import dimensions

TERSE = 0.34
"""Share of function words below which they may have been dropped."""
TELEGRAPH = 0.28
"""The same, where two pairs of words without them are enough."""
FLUENT = 0.42
"""The share above which a text has the function words of prose."""
MIN_BARE = 6
"""Words from which a sentence without a function word is a telegram."""
MIN_SELDOM = 2
"""Different pairs of words that hardly ever follow each other, from which a text is shuffled."""
MIN_TURNED = 4
"""Different pairs of words in the opposite order of the row's, from which a text is turned around."""
MIN_WORDS = 6
MAX_BETWEEN = 7
"""Words between two numbers of a sum below which they are its units."""
SALAD_PAIRS = 6
"""Pairs of content words in a terse text from which it is shuffled, if hardly one of them is known; else two more."""


class Broken(NamedTuple):
    """What is no English in a text."""

    message: str
    share: float | None = None
    """The text's share of function words, where they tell."""
    dropped: bool = False
    """Whether words are missing, and not too many or out of place."""


def broken(text: str, told: list[str], row: Source) -> Broken | None:
    """What of `text`, prose whose words are `told`, is no English; None where nothing is."""
    return (
        _side_by_side(text, told, row)
        or _out_of_place(text, row)
        or _run_together(text, told, row)
        or _turned(told, row)
        or _disagrees(told, text, row)
        or _dropped_or_shuffled(text, told, row)
    )


def _side_by_side(text: str, told: list[str], row: Source) -> Broken | None:
    before = row.text
    pairs = set(pairwise(told))
    twice = {(one, two) for one, two in pairs if one == two and one not in TWICE and len(one) > SHORT}
    for one, two in sorted(twice | (pairs & IMPOSSIBLE)):
        if f"{one} {two}" not in " ".join(text.lower().split()):
            continue  # a sign or a number stands between them
        again = f"{two}|{two.capitalize()}" if one == two else two  # "an A" is a mark
        found = re.search(rf"(?<![\w-])(?:{one}|{one.capitalize()})[^\S\n]+(?:{again})(?![\w-])", text)
        if (
            found
            and found.group()[:4] not in ("Will", "May ")
            and found.group().lower() not in before.lower()
        ):
            return Broken(f"No sentence goes {found.group()!r}.")
    seldom = pairs & SELDOM
    if len(seldom) > 1:
        spaced = " ".join(text.lower().split())
        seldom = [" ".join(pair) for pair in sorted(seldom) if f" {pair[0]} {pair[1]} " in f" {spaced} "]
        seldom = [pair for pair in seldom if pair not in " ".join(before.lower().split())]
        if len(seldom) >= MIN_SELDOM:
            return Broken(f"Hardly a sentence goes {seldom[0]!r}, and none goes {seldom[1]!r} too.")
    for last in sorted(NEVER_LAST.intersection(text.split())):
        if last not in before:
            return Broken(f"No clause ends in {last!r}.")
    return None


def _out_of_place(text: str, row: Source) -> Broken | None:
    """Signs where none stands: sentences that begin small, two operations in a row."""
    first = text.split(maxsplit=1)[0] if text[:1].islower() else ""
    if first and first in people(row.prompt, row.demonstration):
        return Broken(f"A name begins small: {shown(text[:40])!r}.")
    small = _SMALL_BEGIN.findall(text) if _MAY_BEGIN.search(text) else []
    if len(small) >= MIN_SELDOM and not _SMALL_BEGIN.search(row.demonstration):
        return Broken(f"Sentences begin small: {small[0]!r}, {small[1]!r}.")
    for heading in _CAPITALS.findall(text):
        if heading.lower() not in row.text.lower():
            return Broken(f"A line in capitals: {shown(heading)!r}.")
    lines = _SMALL_LINE.findall(text)
    if len(lines) >= MIN_SELDOM and not _SMALL_LINE.search(row.demonstration):
        return Broken(f"Lines begin small: {shown(lines[0])!r}, {shown(lines[1])!r}.")
    if (
        (capital := _CAPITAL_WITHIN.search(text))
        and capital.group() not in row.prompt
        and capital.group() not in row.demonstration
    ):
        return Broken(f"A sentence begins within another: {capital.group()!r}.")
    if (
        _MAY_STAND.search(text)
        and (signs := _TWO_SIGNS.search(text))
        and not _TWO_SIGNS.search(row.demonstration)
    ):
        return Broken(f"Two signs stand in a row: {signs.group()!r}.")
    return None


LONGEST_SYMBOL = 4
"""Letters of a name with a figure behind it that a formula may bring: `x2`, `year1`."""


def _run_together(text: str, told: list[str], row: Source) -> Broken | None:
    """What lacks what stands between: a sum and a number behind it, a word and a figure; and a phrase said twice."""
    reckons = any(map(text.__contains__, "+-*/×÷"))
    if reckons and (found := _without_equals(text)) and not _without_equals(row.demonstration):
        return Broken(f"Nothing stands between a sum and a number: {shown(found)!r}.")
    if (found := _result_beside(text)) and not _result_beside(row.demonstration):
        return Broken(f"Nothing stands between a number and what it makes: {shown(found)!r}.")
    for word, figure in _GLUED.findall(text):
        priced = figure[0] == "$" and word.islower() and "\\" not in text
        known = word.lower() in FUNCTION_WORDS or (len(word) > SHORT and word.lower() in row.words)
        known = known or (len(word) > LONGEST_SYMBOL and word.islower())
        if (known or priced) and f"{word}{figure}" not in row.text:
            return Broken(f"No sentence goes {word + figure!r}.")
    for one, two in _JOINED.findall(text):
        words = row.words | FUNCTION_WORDS
        if one.lower() in words and two.lower() in words and one + two not in row.text:
            return Broken(f"No word goes {one + two!r}.")
    for form in (
        _BECAUSE,
        _TWO_FIGURES,
        _ITSELF,
        _SAID_TWICE,
        _MODAL_ED,
        _PLACEHOLDER,
        _BESIDE,
        _STOPS,
        _ONE_TIMES,
        _LABELLED,
        _SMALL,
        _AGAIN,
        _RATES_BESIDE,
        _CUT_TITLE,
        _ZERO_FIRST,
        _IS_DONE,
    ):
        said = form.search(text)
        if said and not form.search(row.demonstration) and not form.search(row.prompt):
            return Broken(f"No sentence goes {shown(said.group())!r}.")
    said = next(ungrammatical(text, told, row.text), "")
    return Broken(f"No sentence goes {shown(said)!r}.") if said else None


@lru_cache(maxsize=2048)
def _without_equals(text: str) -> str:
    """The first sum that a number follows with nothing but its unit between: `12cm + 9cm 21cm`, `2 * 459 18 feet`."""
    for sentence in read(text):
        tokens = sentence.tokens
        if _OPERATIONS.isdisjoint(tokens):
            continue
        places = [*sentence.numbers]
        for one, two, three in zip(places, places[1:], places[2:], strict=False):
            sum_, after = tokens[one + 1 : two], tokens[two + 1 : three]
            if (
                len([t for t in sum_ if t in _OPERATIONS]) == 1
                and all(t in _OPERATIONS or t.isalpha() or t in "$" for t in sum_)
                and len(sum_) < 4
                and len(after) < 3
                and all((t.isalpha() and t.lower() not in FUNCTION_WORDS) or t == "$" for t in after)
                and sentence.numbers[three] != sentence.numbers[two]
            ):
                return " ".join(tokens[one : three + 1])
            if (
                len(signs := [t for t in sum_ if t in _OPERATIONS]) == 1
                and len(sum_) < MAX_BETWEEN
                and 0 < len(after) < MAX_BETWEEN
                and all(t.isalpha() or t in "/$" for t in after)
                and after[-1:] != ("/",)
                and _LINKED.issuperset(t.lower() for t in after if t.lower() in _TELLS)
                and _come_to(sentence.numbers[one], signs[0], sentence.numbers[two])
                == sentence.numbers[three]
            ):
                return " ".join(tokens[one : three + 1])
    return ""


def _come_to(one: Value, sign: str, two: Value) -> Value | None:
    """What two numbers make; None for a quotient by 0."""
    if sign in "/÷":
        return divide(one, two) if two else None
    return one + two if sign == "+" else one - two if sign == "-" else one * two


_LEAD_IN = frozenset((word,) for word in "in In after After within Within during During over Over".split())


@lru_cache(maxsize=2048)
def _result_beside(text: str) -> str:
    """The first number behind another that goes into it, with nothing but things between: `100 shirts 200 buttons`."""
    made: dict[Value, set[Value]] = {}
    for step in sums(text):
        made.setdefault(step.result, set()).update(step.operands)
    for sentence in read(text) if made else ():
        tokens, numbers = sentence.tokens, sentence.numbers
        for one, two in pairwise(numbers):
            if numbers[one] not in made.get(numbers[two], ()):
                continue
            between = [t for t in tokens[one + 1 : two] if t != "$"]
            signs = [t for t in between if t in _OPERATIONS]
            if (
                signs in (["*"], ["+"])
                and len(between) < 4
                and all(t.isalpha() or t in signs for t in between)
                and not {"=", *_OPERATIONS} & {*tokens[two + 1 : two + 4], *tokens[max(0, one - 1) : one]}
            ):
                return " ".join(tokens[one : two + 2])  # `5 * 20 years` where 5 * 4 makes 20
            if (
                1 <= len(between) < 5
                and tokens[one - 1 : one] not in _LEAD_IN  # in 20 hours 60 liters go
                and between[0].isalpha()
                and (between[-1].endswith("s") or dimensions(between[-1]))
                and all(t == "/" or (t.isalpha() and t.lower() not in _TELLS) for t in between)
                and not any(t.endswith(("ing", "ed")) for t in between)
                and _OPERATIONS.isdisjoint(tokens[two + 1 : two + 2])
                and tokens[one][-1].isdigit()
                and tokens[two][-1].isdigit()
            ):
                return " ".join(tokens[one : two + 2])
    return ""


_OF_RESULTS = frozenset(
    "weighs takes needs earns has holds eats drinks lasts covers contains becomes equals".split()
)
_TELLS = FUNCTION_WORDS | GRAMMAR | _OF_RESULTS
_OPERATIONS = frozenset("+-*/×÷")
_LINKED = frozenset("per a an each every in of the".split())
"""Words of grammar within a unit: `pages a day`, `days in a week`."""
# `48 pieces because 48.`
_BECAUSE = re.compile(r"\b(?:because|since) \$?(?:\d[\d,]*+(?:\.\d+)?+|\.\d++)(?=[.;\n]|\Z)")
_NUMERAL = r"\$?(?:\d(?:[\d,.]{0,20}\d)?|\.\d+)%?"
# behind a sign, at the end of a clause, or three of them; `5 8 point bucks` and `1 1/2 cups` go
_TWO_FIGURES = re.compile(
    rf"= ?{_NUMERAL} {{1,2}}{_NUMERAL}(?![\d/]| ?/)"
    rf"|(?<![\w.,/]){_NUMERAL} (?:{_NUMERAL} {_NUMERAL}(?![\d/]| ?/)|(?!\$?\d{{3}}\b){_NUMERAL}(?=[.;](?:\s|\Z)|\n|\Z))"
)
_ITSELF = re.compile(r"(?:\A|(?<=[.\n] )|(?<=\n))\$?(\d[\d,.]{0,20}) = \$?\1(?=[.\n]|\Z)")
_GLUED = re.compile(r"(?<![\w\\{$#/.(-])([A-Za-z][a-z]+)(\$?\d+)(?![\w.]*[\w(])")
_JOINED = re.compile(r"(?<![\w-])([A-Za-z][a-z]+)([A-Z][a-z]+)(?![\w-])")
_SAID_TWICE = re.compile(r"(?<![\w.,])(\d[\d,.]*+ [a-z]+(?: [a-z]+){0,12}) (?:is|are) \1\b")
_MODAL_ED = re.compile(
    r"\b(?:will|would|can|could|should|must) "
    r"(?!embed|exceed|proceed|succeed|speed)[a-z]{2,}[^e\W]ed\b(?<!shed)(?<!shred)"
)
# `42 med schools 14 med schools`, what is left of a sum; a comma at the end of a sentence; one time told as several
_BESIDE = re.compile(
    r"(?<![\d.])\d++(?:\.\d+)?+ (?!(?:plus|minus|times|and|or|to)\b)"
    r"(?P<things>[a-z]{2,}(?: [a-z]{2,}){0,2}) \$?\d++(?:\.\d+)?+ (?P=things)\b"
)
_STOPS = re.compile(r"\w,\s?\.(?![\d.])")
_ONE_TIMES = re.compile(r"(?<![\d.,/*+-])(?<![*+/-] )\b1 times(?=[.,;\n]|\Z)")
_LABELLED = re.compile(  # a sentence of a word and a number: `Adults $80.`
    r"(?:\A|(?<=[.!?]\s)|(?<=\n))"
    r"(?!(?:Answer|Total|Result|Step|Part|Case|Day|Week|Year|Question|So|Thus|Hence|Therefore|Then|And|Yes) )"
    r"[A-Z][a-z]+ \$?\d[\d,]*+(?:\.\d+)?+(?=\.(?:\s|\Z)|\n|\Z)"
)
# a sentence that begins small, `of this size on this size`, and rates that have lost the sign between them
_SMALL = re.compile(r"(?:(?<=[a-z]{4}[.!?] )|(?<=\d\d[.!?] ))[a-z]{2,}(?! ?[.=])")
_AGAIN = re.compile(
    r"\b(?P<what>(?:[a-z]+ ){1,3}(?!(?:and|on|of|in|for|at|to|with|by|from)\b)[a-z]{3,}) "
    r"(?:and|on|of|in|for|at|to|with|by|from) (?P=what)(?=[.,;:\n]|\Z)"
)
_RATES_BESIDE = re.compile(r"\d [a-z]+/[a-z]+ [-+*/×÷] \$?\d[\d.]*+ [a-z]+/[a-z]+ \$?\d[\d.]*+ [a-z]+")
# a title without its name, `100/10 00 years`, `he was earned $5`
_CUT_TITLE = re.compile(
    r"\b(?:Mrs?|Ms|Dr)\. (?=\d|(?:The|Therefore|So|Thus|Then|He|She|They|It|In|This|That|Each)\b)"
)
_ZERO_FIRST = re.compile(r"(?<=\d) 0\d(?![.:\d])")
_IS_DONE = re.compile(
    r"\b(?:he|she|they|we|I) (?:is|are|was|were) "
    r"(?:earned|bought|spent|ate|got|had|made|took|found|won|ran|saved|picked|collected|baked|walked|drove) (?=\$?\d)",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(r"(?<![\w\\$`{])[a-z]{2,}_\d+\b")  # and no `x_1`


def _turned(told: list[str], row: Source) -> Broken | None:
    """Words of the row in its opposite order."""
    pairs = {(one, two) for one, two in pairwise(told) if one != two}
    turned = sorted(pair for pair in pairs - row.pairs if pair[::-1] in row.pairs)
    if len(turned) >= MIN_TURNED and len(turned) > len(pairs & row.pairs) and 3 * len(turned) >= len(pairs):
        one, two = (" ".join(pair) for pair in turned[:2])
        return Broken(f"The row's words stand in the opposite order: {one!r}, {two!r}.")
    return None


def _disagrees(told: list[str], text: str, row: Source) -> Broken | None:
    """One that is spoken of as several, several as one, and the wrong one of `a` and `an`."""
    verbs = [i for i, word in enumerate(told) if i and word in _EITHER]
    persons = people(row.prompt, row.demonstration) if "have" in told else frozenset[str]()
    for i in verbs:
        before, verb = told[i - 1], told[i]
        one = before in ("he", "she", "it") or (
            verb == "have" and i > 1 and before in persons and told[i - 2] != "the"
        )
        plain = verb in _OF_SEVERAL and one and _BEFORE_ONE.isdisjoint(told[max(0, i - 7) : i - 1])
        if (plain or (verb in _OF_ONE and before in ("they", "we", "you", "i"))) and (
            before,
            verb,
        ) not in row.pairs:
            return Broken(f"No sentence goes {f'{before} {verb}'!r}.")
    for one, two in pairwise(told):
        if one == "to" and two[-1] == "s" and (one, two) not in row.pairs and (one, two[:-1]) in row.pairs:
            return Broken(f"No sentence goes {f'{one} {two}'!r}.")
    found = _ONE_OF_MANY.search(text) or _ARTICLE.search(text)
    if found and found.group().lower() not in row.text.lower():
        return Broken(f"No sentence goes {found.group()!r}.")
    return None


_OF_SEVERAL = frozenset(
    "have need want go get make take buy sell eat give spend earn do keep leave work use pay receive".split()
)
_OF_ONE = frozenset(
    "needs wants goes gets makes takes buys sells eats gives spends earns does keeps leaves works uses pays "
    "receives".split()
)
_EITHER = _OF_SEVERAL | _OF_ONE
_ONE_OF_MANY = re.compile(r"\b[Tt]here (?:is|was) (?!1 )\d+ [a-z]+s\b")
# before a vowel that sounds as one, and before a consonant that does
_ARTICLE = re.compile(
    r"\ba (?!one\b|eu|on|of|at|is|in|are\b|and\b|or\b|as\b|if\b|it\b|each\b|equals)[aeio][a-z]{2,}"
    r"|\ban (?!ho|he|hi)[b-df-hj-np-tv-z][a-z]{2,}"
)
_BEFORE_ONE = frozenset(
    "does did do will would can could should must may might and or nor let if both what which who whom that than to "
    "of make makes see help like as but with plus".split()
)
_CAPITAL_WITHIN = re.compile(
    r"\b[a-z]+ (?:He|She|They|It|We|You|How|What|When|If|Then|There|So|For|And|But|Of|In|On|At|By|To|With|From|His|Her"
    r"|Their|This|That|These|Those|Is|Are|Was|Were|Has|Had|Have|Does|Do|Did)\b(?! [A-Z])"
)
_CAPITALS = re.compile(r"^[ \t]*([A-Z]{2,}(?: [A-Z]{2,})+)[ \t:.!]*$", re.MULTILINE)
_SMALL_LINE = re.compile(r"^[ \t]*[a-z]+ [a-z]+ [a-z][^\n]*", re.MULTILINE)
_SMALL_BEGIN = re.compile(r"\b[a-z]{4,}[.!?] [a-z]{2,}\b")
# both begin with what is rare, and are soon found
_MAY_BEGIN, _MAY_STAND = re.compile(r"[.!?] [a-z]{2}"), re.compile(r"[-+*/×÷=.,] [+*/×÷=,]")
_TWO_SIGNS = re.compile(
    r"\d\. =(?!=)|[.,] ,|[-+*/×÷] =(?!=)|(?<![-=<>])= [+*/×÷=](?!=)|(?<!\*)[+*×÷] [+*/×÷](?!\*)"
)


def _dropped_or_shuffled(text: str, told: list[str], row: Source) -> Broken | None:
    long = [word for word in told if len(word) > 1]
    share = sum(map(FUNCTION_WORDS.__contains__, long)) / max(1, len(long))
    if len(long) < MIN_WORDS or share > FLUENT:
        return None
    if share < TERSE and len(bare := _telegrams(text)) > 1 + len(_telegrams(row.demonstration)):
        return Broken(f"Words are missing in {shown(bare[0])!r}.", share, dropped=True)
    shuffled = SALAD_PAIRS if share < TERSE else SALAD_PAIRS + 2
    least = 2 if share < TERSE else shuffled
    if _most_pairs(told) < least:
        return None
    known = row.words | {NUMBER}
    pairs = [pair for pair, between in content_pairs(text.split()) if not between and known.issuperset(pair)]
    if len(pairs) < least:
        return None  # before the row's are read
    beside, apart = row.neighbours
    dropped = sorted({pair for pair in pairs if pair in apart and pair not in beside})
    if share < TERSE and len(dropped) >= (2 if share < TELEGRAPH else 3):
        one, two = (" ".join(pair) for pair in dropped[:2])
        return Broken(f"Words are missing in {one!r} and {two!r}.", share, dropped=True)
    pairs = [pair for pair in pairs if NUMBER not in pair]
    seen = sum(pair in beside or pair in apart for pair in pairs)
    if len(pairs) >= shuffled and seen <= len(pairs) // 7:
        return Broken(f"{shown(' '.join(pairs[0]))!r} and the rest are no sentences.", share)
    return None


@lru_cache(maxsize=1024)
def _telegrams(text: str) -> tuple[str, ...]:
    """Sentences of several words without a sum and without a function word."""
    return tuple(
        sentence for sentence in sentences(text)
        if OPERATORS.isdisjoint(sentence) and "/" not in sentence
        and len(told := [word for word in bare_letters(sentence) if len(word) > 1]) >= MIN_BARE
        and FUNCTION_WORDS.isdisjoint(told)
    )  # fmt: skip


def _most_pairs(told: list[str]) -> int:
    """An upper bound, soon found, of the pairs of content words that no function word parts."""
    content = [word not in FUNCTION_WORDS or word in ("may", "will") for word in told]
    return sum(one and two for one, two in pairwise(content))
