"""Who has what: every number of a text with the nouns that it counts and the person whom its sentence names.

A number counts the words that follow it, up to a word of grammar or a sign: `48 red clips in May` are clips, `$18`
and `18 dollars` dollars, `12 pieces of cake` pieces and cake. Nothing is guessed: a number that no noun follows
counts nothing, and only a name that begins its sentence owns it, the only name of it, as long as nothing between
the two relates one thing to another (`half of`, `than`, `to`).

>>> [(int(q.value), sorted(q.nouns), q.owner) for q in quantities("Tom has 5 red apples. $3 is left.")]
[(5, ['apple', 'red'], 'Tom'), (3, ['dollar'], '')]
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from recast.curate.language.tokens import EQUAL, Sentence, number, read
from recast.curate.language.word_classes import BEFORE_NOUNS, GRAMMAR, LEADING, NO_PERSON, RELATING
from recast.curate.maths.numbers import Value
from recast.curate.maths.units import singular

MAX_NOUN_WORDS = 4
REACH = 8
"""Tokens after a number among which its nouns are looked for."""
LOOK_AHEAD = 4
"""Tokens after a number in which the sign stands with which a sum goes on."""
_SIGNS = frozenset("+-*/")
_CURRENCY = {"$": "dollar", "€": "euro", "£": "pound"}
_ENDING = frozenset(("left", "one"))
_ALONE = {sign: (frozenset([name]), name) for sign, name in (*_CURRENCY.items(), ("%", "percent"))}
_NOTHING: tuple[frozenset[str], str] = (frozenset(), "")


class Quantity(NamedTuple):
    """One number of a text. Whose it is and whether a sum makes it is read when somebody asks: few do."""

    value: Value
    nouns: frozenset[str]
    """What it counts: words without plural endings, head and adjectives alike; empty where nothing follows."""
    head: str
    """The last of the nouns, as written; empty where there is none."""
    sentence: Sentence
    at: int
    """Its place among the tokens of its sentence."""

    @property
    def owner(self) -> str:
        """Whose the number is, empty where no name begins its sentence or nothing says so."""
        tokens, owner = self.sentence.tokens, self.subject
        return owner if owner and RELATING.isdisjoint(tokens[: self.at]) and _alone(owner, tokens) else ""

    @property
    def subject(self) -> str:
        """The name that begins its sentence, whatever else stands in it."""
        return _subject(self.sentence.tokens, next(iter(self.sentence.numbers)))

    @property
    def written(self) -> str:
        """The number and what it counts, with one space between its words."""
        tokens, at = self.sentence.tokens, self.at
        end = next((i for i in range(at + 1, len(tokens)) if tokens[i].lower() == self.head), at)
        return " ".join(tokens[at : end + 1])

    @property
    def computes(self) -> bool:
        """Whether a sum stands in its sentence."""
        return self.sentence.computes

    @property
    def computed(self) -> bool:
        """Whether it is what a sum makes."""
        return self.sentence.computes and _is_made(self.sentence.tokens, self.at)


def quantities(text: str) -> list[Quantity]:
    """Every number of `text` in order, with what it counts and whose it is."""
    return [quantity for sentence in read(text) for quantity in _quantities(sentence)]


def _quantities(sentence: Sentence) -> list[Quantity]:
    tokens = sentence.tokens
    return [Quantity(value, *_counted(tokens, at), sentence, at) for at, value in sentence.numbers.items()]


@lru_cache(maxsize=4096)
def quantities_of(text: str, value: Value) -> tuple[Quantity, ...]:
    """Those of `quantities` that are `value`, read without the others."""
    return tuple(
        [
            Quantity(value, *_counted(sentence.tokens, at), sentence, at)
            for sentence in read(text)
            for at, other in sentence.numbers.items()
            if other == value
        ]
    )


def _alone(owner: str, tokens: tuple[str, ...]) -> bool:
    """Whether no second name stands beside `owner`: with two, who has what is a matter of grammar."""
    return not any(
        token[0].isupper() and owner not in token and token.lower() not in LEADING for token in tokens
    )


def _is_made(tokens: tuple[str, ...], at: int) -> bool:
    """Whether the number stands behind an operation and its equals sign, and no sum goes on with it."""
    before = at - 1
    while before >= 0 and tokens[before] in _CURRENCY:
        before -= 1
    made = before >= 0 and tokens[before] in EQUAL and not _SIGNS.isdisjoint(tokens[:before])
    return made and not _goes_on(tokens, at + 1)


def _goes_on(tokens: tuple[str, ...], at: int) -> bool:
    """Whether a sum goes on behind a number and its unit: `= 30 years - 3`, but not `= 20 minutes/day`."""
    for i in range(at, min(at + LOOK_AHEAD, len(tokens) - 1)):
        if tokens[i] in _SIGNS:
            return number(tokens[i + 1]) is not None
    return False


def _subject(tokens: tuple[str, ...], first: int) -> str:
    """The name that begins the sentence, after `so`, `then` and their like; empty where another word or the `first`
    number does."""
    for token in tokens[:first]:
        if token[0].isalpha() and token.lower() not in LEADING:
            named = token[0].isupper() and len(token) > 2 and token not in NO_PERSON
            named = named and token.lower() not in GRAMMAR
            return token.removesuffix("'s").removesuffix("’s") if named else ""
    return ""


def _counted(tokens: tuple[str, ...], at: int) -> tuple[frozenset[str], str]:
    """The nouns after a number, and the last of them."""
    text = tokens[at]
    if text[0] in _CURRENCY:
        return _ALONE[text[0]]
    if text[-1] == "%":
        return _ALONE["%"]
    if at + 1 == len(tokens) or not (tokens[at + 1][0].isalpha() or tokens[at + 1] == "-"):
        return _NOTHING
    nouns: list[str] = []
    head = ""
    for i in range(at + 1, min(at + 1 + REACH, len(tokens))):
        word = tokens[i]
        if not word[0].isalpha():
            if (word == "-" and not nouns) or word in "'’":
                continue  # 120-page, 2 of jason 's pens
            break
        lowered = word.lower()
        if len(nouns) == MAX_NOUN_WORDS or number(word) is not None or (nouns and lowered in _ENDING):
            break
        possessive = tokens[i + 1 : i + 2] in (("'",), ("’",)) or "'" in word or "’" in word
        if possessive or lowered in BEFORE_NOUNS or word == "s" or (word[0].isupper() and not nouns):
            continue
        if lowered in GRAMMAR or (nouns and word[0].isupper()):
            break
        nouns.append(singular(lowered))
        head = lowered
    return (frozenset(nouns), head) if nouns else _NOTHING


class Rate(NamedTuple):
    """So many of one thing for each of another: `8 crayons per box`."""

    value: Value
    noun: str
    per: str
    """What it is for each of, in the singular."""


@lru_cache(maxsize=2048)
def rates(text: str) -> tuple[Rate, ...]:
    """The numbers of `text` that are told as rates with `per` or a stroke."""
    if " per " not in text and "/" not in text:
        return ()
    return tuple(
        rate for sentence in read(text) if sentence.numbers and _may_rate(sentence)
        for q in _quantities(sentence) if (rate := rate_of(q))
    )  # fmt: skip


def _may_rate(sentence: Sentence) -> bool:
    """Whether `per` stands in a sentence, or a word behind a stroke."""
    if "per" in sentence.text.lower():
        return True
    tokens = sentence.tokens
    return "/" in tokens and any(sign == "/" and after[0].isalpha() for sign, after in pairwise(tokens))


def rate_of(quantity: Quantity) -> Rate | None:
    """The rate that a number is told as; None where it is no rate."""
    tokens, at = quantity.sentence.tokens, quantity.at
    for i in range(at + 1, min(at + REACH, len(tokens) - 1)):
        word = tokens[i].lower()
        if word == "per" or (word == "/" and i > at + 1 and tokens[i + 1][0].isalpha()):
            return Rate(quantity.value, quantity.head, singular(tokens[i + 1].lower()))
        if not word[0].isalpha():
            return None
    return None
