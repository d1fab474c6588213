"""The world's own solver: the answer to a question's text, whoever wrote it.

It reads a question as its family words it and shares nothing with the gate, so it can judge questions that a model
has made up. A question that it cannot read, or that has no answer, has none: None.

>>> solve("Anna has 12 pens. She buys 5 pens. How many pens does Anna have now?")
'17'
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

from recast.pipelines.demo.world import (
    COLORS,
    FACT_FORMS,
    FACTS,
    GAINS,
    KINDS,
    LOSSES,
    UNITS,
    VERBS,
    calculate,
    pronoun,
)

_CHANGES = {**dict.fromkeys(GAINS, "+"), **dict.fromkeys(LOSSES, "-")}
_MOST = 10_000  # no family comes near it: a run of multiplications that does is not of this world


def solve(question: str) -> str | None:
    """The answer, or None for a question that is none of the world's or has no single answer."""
    text = question.strip()
    for pattern, answer in _FAMILIES:
        if match := re.fullmatch(pattern, text):
            return answer(*match.groups())
    return None


def _chain(name: str, start: str, noun: str, changes: str, asked: str, of: str) -> str | None:
    if asked != noun or of != name:
        return None
    value, who = int(start), pronoun(name)
    for change in re.findall(r"[^.]+\.", changes):
        given = re.fullmatch(rf" {who} ([a-z ]+) (\d+) {noun}\.", change)
        by = re.fullmatch(rf" {who} ([a-z]+) the {noun} by (\d+)\.", change)
        op = _CHANGES.get(given[1]) if given else VERBS.get(by[1]) if by else None
        found = given or by
        if op is None or found is None:
            return None
        value = calculate(value, op, int(found[2]))
        if not 0 <= value <= _MOST:
            return None
    return str(value)


def _groups(a: str, _: str, b: str, noun: str, asked: str) -> str | None:
    return str(int(a) * int(b)) if noun == asked else None


def _share(_: str, total: str, noun: str, friends: str, asked: str) -> str | None:
    if noun != asked or int(friends) == 0 or int(total) % int(friends):
        return None
    return str(int(total) // int(friends))


def _expression(text: str) -> str | None:
    numbers = [int(n) for n in re.findall(r"\d+", text)]
    signs = re.findall(r"[-+*]", text)
    if "*" in signs and len(signs) > 1:
        return None
    value = numbers[0]
    for op, number in zip(signs, numbers[1:], strict=True):
        value = calculate(value, op, number)
    return str(value)


def _compare(word: str, a: str, b: str) -> str | None:
    if int(a) == int(b):
        return None
    return str(max(int(a), int(b)) if word == "larger" else min(int(a), int(b)))


def _sorted(listed: str) -> str:
    return ", ".join(map(str, sorted(int(n) for n in listed.split(", "))))


def _reversed(listed: str) -> str:
    return ", ".join(listed.split(", ")[::-1])


def _count(letter: str, row: str) -> str:
    return str(row.split(" ").count(letter))


def _unit(small: str, a: str, large: str, b: str, small_again: str) -> str | None:
    factor = next((f for one, many, _, f in UNITS if (one, many) == (large, small)), None)
    return str(int(a) * factor + int(b)) if factor and small == small_again else None


def _fact(*asked: str) -> str | None:
    return FACTS.get((asked[0], asked[1])) or FACTS.get((asked[1], asked[0]))


def _logic(premises: str, name: str, asked: str) -> str | None:
    """`All A are B` and `X is one of the A`, in any order; no other colour is known to be the subject's."""
    implied: dict[str, set[str]] = {}
    kinds: set[str] = set()
    for premise in premises.split(". "):
        if rule := re.fullmatch(r"All (\w+) are (\w+)", premise):
            implied.setdefault(rule[1], set()).add(rule[2])
        elif (member := re.fullmatch(r"(\w+) is one of the (\w+)", premise)) and member[1] == name:
            kinds.add(member[2])
        else:
            return None
    if not kinds <= set(KINDS):
        return None
    for _ in KINDS:
        kinds |= {what for kind in kinds for what in implied.get(kind, ())}
    colors = kinds & set(COLORS)
    if len(colors) != 1 or asked not in COLORS:
        return None  # nothing follows, or a contradiction
    return "yes" if asked in colors else "no"


def _reading(told: str, thing: str) -> str | None:
    places = {place for what, place in re.findall(r"put the (\w+) in the (\w+)", told) if what == thing}
    return places.pop() if len(places) == 1 else None


def _sequence(listed: str) -> str | None:
    numbers = [int(n) for n in listed.split(", ")]
    gaps = {b - a for a, b in pairwise(numbers)}
    return str(numbers[-1] + gaps.pop()) if len(gaps) == 1 else None


def _parity(number: str) -> str:
    return "odd" if int(number) % 2 else "even"


def _fact_patterns() -> list[tuple[str, Callable[..., str | None]]]:
    """The forms name land and attribute in either order; `_fact` takes both."""
    escaped = [re.escape(form) for form in FACT_FORMS]
    return [(e.replace(r"\{attribute\}", r"(\w+)").replace(r"\{land\}", r"(\w+)"), _fact) for e in escaped]


_NUMBERS = r"\d+(?:, \d+)+"
_FAMILIES: list[tuple[str, Callable[..., str | None]]] = [
    (r"(\w+) has (\d+) (\w+)\.((?: [^.?]+\.)+) How many (\w+) does (\w+) have now\?", _chain),
    (r"There are (\d+) (\w+)\. Each one holds (\d+) (\w+)\. How many (\w+) are there in all\?", _groups),
    (r"(\w+) shares (\d+) (\w+) equally among (\d+) friends\. How many (\w+) does each friend get\?", _share),
    (r"What is (\d+ [-+*] \d+)\?", _expression),
    (r"Compute (\d+(?: [-+] \d+)+)\.", _expression),
    (r"Which number is (larger|smaller), (\d+) or (\d+)\?", _compare),
    (rf"Sort these numbers from small to large: ({_NUMBERS})\.", _sorted),
    (r"Reverse this list: (\w+(?:, \w+)+)\.", _reversed),
    (r"How many times is ([a-d]) in this row: ([a-d](?: [a-d])*)\?", _count),
    (r"How many (\w+) are (\d+) (\w+) and (\d+) (\w+)\?", _unit),
    *_fact_patterns(),
    (r"((?:[^.?]+\. )*[^.?]+)\. Is (\w+) (\w+)\?", _logic),
    (r"((?:\w+ put the \w+ in the \w+\. )+)Where is the (\w+)\?", _reading),
    (rf"Which number comes next: ({_NUMBERS})\?", _sequence),
    (r"Is (\d+) odd or even\?", _parity),
]
