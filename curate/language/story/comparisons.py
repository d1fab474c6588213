"""Who is compared with whom, and by how much: `Olga collects 8 fewer than Will`.

A comparison says how the amount of one person comes about from another's, so what it makes (`20 - 8 = 12`) is the
amount of who is compared, never of whom. Where the text leaves out with whom (`Noah has 3 times as many`) it is the
only other person of the row; nothing is guessed where there are more. English only.

>>> comparisons("Olga collects 8 fewer than Will.", frozenset(("olga", "will")))
(Comparison(who='olga', whom='will', number=8, word='fewer'),)
>>> comparisons("Noah has 3 times as many.", frozenset(("noah", "rosa")))
(Comparison(who='noah', whom='rosa', number=3, word='times'),)
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from recast.curate.language.prose import vocabulary
from recast.curate.language.story.people import bare, people
from recast.curate.language.tokens import EQUAL, Sentence, read
from recast.curate.maths.numbers import Value, divide, numbers

_WORDS: dict[str, Value] = {"twice": 2, "double": 2, "half": 2, "thrice": 3, "triple": 3}
_MORE = frozenset("more older taller longer heavier".split())
_LESS = frozenset("fewer less younger shorter lighter".split())
_CUES = _MORE | _LESS | _WORDS.keys() | {"times"}
_CUTS = frozenset(",;:.?!") | {"and", "so", "but", "then", "while", "because", "since", "if", "which"}
THEY = "they"
_RELATES = frozenset("than as times and together total altogether both combined all".split())
Steps = frozenset[tuple[frozenset[Value], Value]]
REACH = 3
"""Tokens between a number and the word that compares by it: `3 more`, `5 years younger`."""


class Comparison(NamedTuple):
    """`who` has `number` `word` than, or as many as, `whom`; names in lower case."""

    who: str
    whom: str
    number: Value
    word: str


def _result(comparison: Comparison, base: Value) -> Value | None:
    """What a comparison makes of the number of whom it compares with."""
    number, word = comparison.number, comparison.word
    if word == "half":
        return divide(base, 2)
    if word in ("times", "twice", "double", "thrice", "triple"):
        return base * number
    return base - number if word in _LESS else base + number


def misgiven(text: str, prompt: str, demonstration: str, steps: Steps) -> str:
    """What `text` says of persons against the comparisons of its sources, as a sentence; empty where it says nothing.

    A person compared with himself, a comparison turned around, and what a comparison makes told as the amount of whom
    it compares with, or of both. `steps` are the demonstration's: the operands and the result of each.
    """
    persons = people(prompt, demonstration)
    theirs = [c for source in (prompt, demonstration) for c in comparisons(source, persons)]
    for ours in comparisons(text, persons):
        if ours.who == ours.whom:
            return f"It compares {ours.who.title()} with {ours.whom.title()}."
        turned = Comparison(ours.whom, ours.who, ours.number, ours.word)
        if turned in theirs and ours not in theirs:
            return f"{turned.who.title()}, not {ours.who.title()}, has {ours.number} {ours.word}."
    made = _made(prompt, demonstration, steps) if theirs else ()
    for sentence in read(text) if made else ():
        for clause in _clauses(sentence, persons):
            if not clause.who or _relates(sentence, clause):
                continue
            said = _stated(sentence, clause)
            inside = {bare(token) for token in sentence.tokens[clause.begin : clause.end]}
            for comparison, result in made:
                who, whom = comparison.who, comparison.whom
                if clause.who in (whom, THEY) and who not in inside and result in said:
                    own, number = who.title(), comparison.number
                    return f"It tells {result} as {clause.who.title()}'s; it is {own}'s, by {number}."
    return ""


@lru_cache(maxsize=1024)
def _made(prompt: str, demonstration: str, steps: Steps) -> tuple[tuple[Comparison, Value], ...]:
    """Every comparison with a number that the question gives for whom, and what it makes as a step does.

    Left out is what the demonstration states of whom, or the question of anybody.
    """
    persons, asked = people(prompt, demonstration), numbers(prompt)
    found: dict[tuple[Comparison, Value], None] = {}
    for c in (c for source in (prompt, demonstration) for c in comparisons(source, persons)):
        for base in _amounts(prompt, c.whom, persons):
            result = _result(c, base)
            told = result in asked or result in _amounts(demonstration, c.whom, persons)
            if result is not None and (frozenset((c.number, base)), result) in steps and not told:
                found[c, result] = None
    return tuple(found)


def _amounts(text: str, who: str, persons: frozenset[str]) -> set[Value]:
    """The numbers that clauses of `text` state of a person without comparing."""
    return {
        value
        for sentence in read(text) for clause in _clauses(sentence, persons)
        if clause.who == who and not _relates(sentence, clause)
        for value in _stated(sentence, clause)
    }  # fmt: skip


def _stated(sentence: Sentence, clause: _Clause) -> set[Value]:
    """The numbers that a clause states: what its sums come to, or all where it shows none."""
    inside = {at: value for at, value in sentence.numbers.items() if clause.begin <= at < clause.end}
    results = {value for at, value in inside.items() if sentence.tokens[at - 1] in EQUAL}
    return results or set(inside.values())


def _relates(sentence: Sentence, clause: _Clause) -> bool:
    """Whether a clause compares, or tells of several persons."""
    return not _RELATES.isdisjoint(map(str.lower, sentence.tokens[clause.begin : clause.end]))


class _Clause(NamedTuple):
    """A stretch of a sentence between two cuts."""

    who: str
    """The person that it begins with, in lower case, or `they`; empty for anybody else."""
    begin: int
    end: int
    """Its places in the sentence."""


@lru_cache(maxsize=2048)
def comparisons(text: str, persons: frozenset[str]) -> tuple[Comparison, ...]:
    """The comparisons of two persons in `text`, in order; `persons` are the row's (`people`)."""
    if not persons or vocabulary(text).isdisjoint(_CUES):
        return ()
    return tuple(
        found
        for sentence in read(text) if not _CUES.isdisjoint(map(str.lower, sentence.tokens))
        for clause in _clauses(sentence, persons) if clause.who in persons
        for found in _compared(sentence, clause, persons)
    )  # fmt: skip


def _clauses(sentence: Sentence, persons: frozenset[str]) -> Iterator[_Clause]:
    """The clauses of a sentence, each with the person that begins it."""
    tokens = sentence.tokens
    begin = 0
    for end in (*(i for i, token in enumerate(tokens) if token.lower() in _CUTS), len(tokens)):
        if end > begin:
            first = bare(tokens[begin])
            # `Box B is`: of a name of several words one tells nothing
            more = any(token[0].isupper() for token in tokens[begin + 1 : begin + 2])
            whole = tokens[begin].lower() == first and not more
            names = whole and (first in persons or first == THEY)
            yield _Clause(first if names else "", begin, end)
        begin = end + 1


def _compared(sentence: Sentence, clause: _Clause, persons: frozenset[str]) -> Iterator[Comparison]:
    low = [bare(token) for token in sentence.tokens[: clause.end]]
    for at in range(clause.begin + 1, clause.end):
        number = sentence.numbers.get(at, _WORDS.get(low[at]))
        if number is None:
            continue
        near = low[at : at + 1] if low[at] in _WORDS else low[at + 1 : at + 1 + REACH]
        word = next((word for word in near if word in _CUES), "")
        if not word:
            continue
        link = next((i for i in range(clause.end - 1, at, -1) if low[i] in ("than", "as")), None)
        behind = sentence.tokens[link + 1 : clause.end] if link is not None else ()
        if any(len(token) == 1 and token.isupper() for token in behind):
            continue
        named = [name for name in map(bare, behind) if name in persons]
        others = persons - {clause.who}
        whom = named[0] if named else next(iter(others)) if len(others) == 1 else ""
        if whom:
            yield Comparison(clause.who, whom, number, word)
