"""Who has what: every number of a text with the nouns that it counts and the person whom its sentence names.

A number counts the words that follow it, up to a word of grammar or a sign: `48 red clips in May` are clips, `$18` and
`18 dollars` dollars, `12 pieces of cake` pieces and cake. Numbers in words count as those in figures. Nothing is guessed:
a number that no noun follows counts nothing, and only a name that begins its sentence owns it, as long as nothing
between the two relates one owner to another (`half of`, `than`, `to`).

>>> [(int(q.value), sorted(q.nouns), q.owner) for q in quantities("Tom has 5 red apples. $3 is left.")]
[(5, ['apple', 'red'], 'Tom'), (3, ['dollar'], '')]
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from recast.curate.language.sentences import sentences
from recast.curate.maths.notation import plain
from recast.curate.maths.numbers import Value, literal, worded
from recast.curate.maths.units import singular

MAX_NOUN_WORDS = 4
_ANNOTATION = re.compile(r"<<[^<>\n]{0,300}>>")
_NUMBER_WORDS = (
    "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|"
    "nineteen|(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)(?:-(?:one|two|three|four|five|six|seven|eight|nine))?"
)
_TOKEN = re.compile(
    rf"(?P<number>[$€£]?(?:\d+(?:,\d{{3}})*(?:\.\d+)?|\.\d+)(?:\s?%)?)"
    rf"|(?P<spoken>(?i:\b(?:{_NUMBER_WORDS})\b))"
    r"|(?P<word>(?!(?<=\d )[xX] [\d$])[^\W\d_]+(?:['’][^\W\d_]+)*)|(?P<sign>(?<=\d )x|[=+*/×÷<>≈^−-]|\\[a-z]+|[^\w\s])"
)
_FORMULA = re.compile(r"\\|\d\$|\$\$|\$[a-zA-Z(]")  # dollar signs that enclose and do not price
_LEADING = frozenset(
    "so then thus therefore hence next first second third finally lastly now also and but since if that means this as "
    "we know because in total step".split()
)
_RELATING = frozenset(
    "half twice double triple times than from to with for of by and if when while who which after before but".split()
)
_EQUAL = frozenset("=≈")
_CURRENCY = {"$": "dollar", "€": "euro", "£": "pound"}

GRAMMAR = frozenset(
    (
        "twice half double triple thrice a about above across after again against all already also altogether always am an and any are around as at "
        "away back be because been before being below beneath beside between both but by can cannot could did do does "
        "doing done down during each either else ever every everyone few first for from further had has have having he "
        "hence her here hers herself him himself his how i if in into is it its itself just last later least left let "
        "made make makes making many may me might more most much must my needs neither never next no none nor not now "
        "of off on once one only onto or other our out over own per plus minus times same shall she should since so "
        "some something still such than that the their theirs them themselves then there therefore these they this "
        "those though through thus till to together too toward under until up upon us very was we well were what when "
        "yields gives makes equals leaves means results costs becomes comes shows "
        "brings goes takes adds remains remaining gets says where whether which while who whole whom whose why will with within without would yes yet you your"
    ).split()
)
"""Words of grammar: they say how things hang together, not which things."""
_PASSED_OVER = frozenset(
    "more fewer less extra additional other remaining different new total full whole single of the his her their its "
    "my our these those such same equal another out left".split()
)
"""What may stand between a number and its noun."""
GENERIC = frozenset(
    (
        "item thing object unit piece total amount number time sum one part group set person people way more each "
        "other rest kind type value result answer share difference remainder product kid child student pupil member "
        "guest individual human adult animal pet creature fruit vegetable vehicle plant food drink toy tool slice "
        "portion serving pack package copy batch case round trip visit session instance place step activity point "
        "half third quarter fourth fifth tenth dozen hundred thousand million pair couple fold digit"
    ).split()
)
"""Nouns that can stand for any other: kinds, portions, and what one counts in."""
_NO_NAME = frozenset(
    (
        "Monday Tuesday Wednesday Thursday Friday Saturday Sunday January February March April May June July August "
        "September October November December Christmas Easter Halloween Thanksgiving Mr Mrs Ms Dr English American"
    ).split()
)


@dataclass(frozen=True, slots=True)
class Quantity:
    """One number of a text."""

    value: Value
    nouns: frozenset[str]
    """What it counts: words without plural endings, head and adjectives alike; empty where nothing follows."""
    owner: str
    """The name that begins its sentence, empty where none does."""
    sentence: int
    operand: bool
    """Whether it is part of a sum, and not what the sum makes."""
    computed: bool
    """Whether it stands right of an equals sign."""
    head: str
    """The last of the nouns, as written; empty where there is none."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence, cut into what it counts and what it says."""

    text: str
    tokens: tuple[tuple[str, str], ...]
    """(kind, text) in order; kind is number, spoken, word or sign."""

    @property
    def computes(self) -> bool:
        """Whether a sum stands in it."""
        return any(kind == "sign" and text in "=+*/×÷≈" for kind, text in self.tokens)


@lru_cache(maxsize=2048)
def read(text: str) -> tuple[Sentence, ...]:
    """The sentences of `text` in tokens, calculator annotations left out."""
    if "<<" in text:
        text = _ANNOTATION.sub("", text)
    if "$" in text and _FORMULA.search(text):
        text = text.replace("$", "")
    if "\\" in text or not text.isascii():
        text = plain(text)
    return tuple(
        Sentence(told, tuple((str(m.lastgroup), m.group()) for m in _TOKEN.finditer(told)))
        for told in sentences(text)
    )


@lru_cache(maxsize=2048)
def quantities(text: str) -> tuple[Quantity, ...]:
    """Every number of `text` in order, with what it counts and whose it is."""
    return tuple(q for i, sentence in enumerate(read(text)) for q in _of_sentence(sentence, i))


def _of_sentence(sentence: Sentence, index: int) -> Iterator[Quantity]:
    tokens = sentence.tokens
    owner = _subject(tokens)
    computes = sentence.computes
    before = ""
    for i, (kind, text) in enumerate(tokens):
        if kind in ("number", "spoken"):
            value = value_of(kind, text)
            if value is not None:
                nouns, head = _counted(tokens, i)
                computed = before in _EQUAL
                yield Quantity(value, nouns, owner, index, computes and not computed, computed, head)
        elif (
            owner
            and kind == "word"
            and (
                text in _RELATING
                or (text[0].isupper() and owner not in text and text.lower() not in _LEADING)
            )
        ):
            owner = ""
        if text not in _CURRENCY:
            before = text


def _subject(tokens: tuple[tuple[str, str], ...]) -> str:
    """The name that begins the sentence, after `so`, `then` and their like; empty where another word does."""
    for kind, text in tokens:
        if kind == "word" and text.lower() not in _LEADING:
            named = text[0].isupper() and len(text) > 2 and text not in _NO_NAME
            return text.removesuffix("'s").removesuffix("’s") if named else ""
        if kind in ("number", "spoken"):
            return ""
    return ""


@lru_cache(maxsize=4096)
def value_of(kind: str, text: str) -> Value | None:
    """The value of a token that is a number in figures or in words."""
    return worded(text) if kind == "spoken" else literal(text.rstrip("%, ").rstrip())[0]


def _counted(tokens: tuple[tuple[str, str], ...], at: int) -> tuple[frozenset[str], str]:
    """The nouns after a number, and the last of them."""
    text = tokens[at][1]
    if text[0] in _CURRENCY:
        return frozenset([_CURRENCY[text[0]]]), _CURRENCY[text[0]]
    if text[-1] == "%":
        return frozenset(["percent"]), "percent"
    nouns: list[str] = []
    head = ""
    for kind, word in tokens[at + 1 : at + 9]:
        if kind == "sign" and word == "-" and not nouns:
            continue  # 120-page
        lowered = word.lower()
        if kind != "word" or len(nouns) == MAX_NOUN_WORDS:
            break
        if lowered in _PASSED_OVER:
            if lowered == "left" and nouns:
                break
            continue
        if lowered in GRAMMAR or (word[0].isupper() and nouns):
            break
        nouns.append(singular(lowered))
        head = lowered
    return frozenset(nouns), head
