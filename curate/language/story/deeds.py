"""Numbers of what is done again and again, of what things cost, and of what somebody gives, as sentences give them.

>>> sorted(by_time("She saves 6 dollars a week."))
[(6, 'dollar', 'week')]
>>> groups("He buys 4 nuts for 2 dollars each. There are 9 halls each having 30 seats.")
((4, 'nut', 2), (9, 'hall', 30))
>>> gifts("Ann gave Bob 3 pens.")
(Gift(who='ann', whom='bob', number=3),)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from recast.curate.language.tokens import unannotated
from recast.curate.maths.numbers import Value, literal
from recast.curate.maths.units import singular

_NUMBER = r"\$?(?<![\d.,])\d++(?:,\d{3})*+(?:\.\d+)?+"
_BY_TIME = re.compile(
    rf"(?P<number>{_NUMBER})(?: (?P<noun>[a-z]+))? (?:an?|per|each|every) (?P<unit>minute|hour|day|week|month|year)\b"
)
_PRICE = re.compile(
    r"\b(?P<count>\d+) (?P<noun>[a-z]+)(?: [a-z]+){0,2} (?:for|at|cost|costs|costing) "
    rf"(?P<price>\$\d+(?:\.\d+)?|{_NUMBER} (?:dollars?|cents?|euros?|pounds?)) (?:each|apiece|per piece)\b"
)
_HOLDS = re.compile(
    r"\b(?P<count>\d+) (?P<noun>[a-z]+)(?: [a-z]+)?,? each (?:having|containing|holding|with|of) "
    rf"(?P<price>{_NUMBER} [a-z]+)\b"
)
_COMPARED = re.compile(rf"(?P<number>{_NUMBER}) (?:[a-z]+ )?(?:more|fewer|less|\w+er)\b")
_GIFT = re.compile(
    r"\b(?:he|she|(?P<who>[A-Z][a-z]+)) (?:also |then )?(?:gave|gives|lent|lends|sold|sells|paid|pays|sent|sends) "
    rf"(?P<whom>[A-Z][a-z]+) (?:[^.,;=\n]{{0,20}}= ?)?(?P<number>{_NUMBER})(?! ?[-+*/×])"
)


class Gift(NamedTuple):
    """Names in lower case; `who` is empty for a pronoun."""

    who: str
    whom: str
    number: Value


@lru_cache(maxsize=2048)
def compared(text: str) -> frozenset[Value]:
    """The numbers by which `text` says that something is more or less."""
    return frozenset(value for match in _COMPARED.finditer(text) for value in _values(match["number"]))


@lru_cache(maxsize=2048)
def by_time(text: str) -> frozenset[tuple[Value, str, str]]:
    """Every number that is told by the minute, hour, day, week, month or year, what it counts, and the unit."""
    return frozenset(
        (value, singular(match["noun"] or ("dollar" if "$" in match["number"] else "")), match["unit"])
        for match in _BY_TIME.finditer(text)
        for value in _values(match["number"])
    )


@lru_cache(maxsize=2048)
def groups(text: str) -> tuple[tuple[Value, str, Value], ...]:
    """How many of what, and what each of them costs, or holds."""
    return tuple(
        (values[0], singular(match["noun"]), values[1])
        for form in (_PRICE, _HOLDS)
        for match in form.finditer(text)
        if len(values := [*_values(match["count"], match["price"].split()[0])]) == 2
        and not re.search(rf"{match['price']} {match['noun']}", match.group())
    )


@lru_cache(maxsize=2048)
def gifts(text: str) -> tuple[Gift, ...]:
    """Who gave whom how many, as `text` tells it with a name for whom."""
    return tuple(
        Gift(_who(match), match["whom"].lower(), value)
        for match in _GIFT.finditer(unannotated(text))
        for value in _values(match["number"])
    )


def _who(match: re.Match[str]) -> str:
    who = (match["who"] or "").lower()
    return "" if who in ("he", "she", "they") else who


def _values(*figures: str) -> Iterator[Value]:
    for figure in figures:
        value, _ = literal(figure.strip("$").rstrip(","))
        if value is not None:
            yield value
