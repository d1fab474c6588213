"""Tokens of running text that holds arithmetic: numbers, words, operators, relations, brackets.

A token has a kind of one letter: `n` number, `w` word or name, `o` operator, `r` relation, `k` a verb that may be one
(`is`, `makes`), `c` percent or cent sign, `t` time of day, `(` and `)` any bracket, `b` what ends an expression.
`curate.arithmetic.parser` parses them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r"(?P<w>[^\W\d]\w*(?:['&][A-Za-z]+)?(?:(?<=[a-z])-[A-Za-z]{2,}|(?<=\b[A-Za-z])-[a-z]{3,})*)"  # grown-ups, t-shirts
    r"|(?P<t>\d{1,2}:\d{2}(?![\d.]| ?[-+*/] ?\d+ ?[-+*/=]))"  # 50:40-4-24=12 is a label and a sum
    r"|(?P<h>\d+(?:\.\d+)?-[A-Za-z]{2,}[A-Za-z-]*)"
    r"|(?P<n>[$€£]\s?\d{1,3}(?: \d{3})+(?![\d.])"
    r"|(?:[$€£]\s?)?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:[eE][+-]?\d{1,2}(?![\w.]))?|[$€£]?\.\d+)"
    r"|(?P<r>==|[!<>]=|[-+*/]=(?!=)|=>|->|[=≈⇒→])"
    r"|(?P<o>\*\*|//|[-+*/^])"
    r"|(?P<p>[()\[\]{}])"
    r"|(?P<c>%|¢)"
    r"|(?P<b>[^\s$])"
)
TIMES_X = re.compile(r"(?<=[\d)%])\s*[xX]\s*(?=[$\d(.])|(?<=[\d)%])\s+[xX]\s+(?=\w)|(?<=\w\w) [xX] (?=[$\d])")
_WORD_OPERATORS = {"plus": "+", "minus": "-", "times": "*", "divided": "/", "multiplied": "*"}
_WEAK_RELATIONS = frozenset(("is", "are", "makes", "make", "gives", "give", "leaves", "leave", "get"))
_CONJUNCTIONS = frozenset(("then", "because", "since", "so", "while", "therefore", "thus", "hence", "where"))
# 8 times a week, 5 times * 2: a noun; 5 times 3: an operation
_NOUN_TIMES = re.compile(r"\s*(?:[-+*/=)]|(?:an?|per|each|every|in|that|for|the|as|more|less|this|last)\b)")
_NOT_NAMES = frozenset(("a", "A", "I"))


@dataclass(slots=True)
class Tokens:
    kinds: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)


def tokenise(segment: str) -> Tokens:
    found: list[tuple[str, str, int, int]] = []
    skip_by = False
    for match in _TOKEN.finditer(segment):
        kind = match.lastgroup or "b"
        text = match.group()
        if kind == "w":
            lower = text.lower()
            if skip_by and lower == "by":
                skip_by = False
                continue
            if lower in _WORD_OPERATORS and not (
                lower == "times" and _NOUN_TIMES.match(segment, match.end())
            ):
                skip_by = lower in ("divided", "multiplied")
                kind, text = "o", _WORD_OPERATORS[lower] + "w"
            elif lower in _WEAK_RELATIONS:
                kind = "k"
            elif lower in _CONJUNCTIONS:
                kind = "b"
        elif kind == "h":
            kind = "w"
        elif kind == "p":
            kind, text = ("(", "(") if text in "([{" else (")", ")")
        elif kind == "o" and text == "**":
            text = "^"
        elif kind == "r" and text in ("!=", "<=", ">="):
            kind = "b"
        elif kind == "b" and text in "€£":
            continue  # 0.50 € * 4
        found.append((kind, text, match.start(), match.end()))
    return Tokens(*map(list, zip(*found, strict=True)))


def is_symbol(word: str) -> bool:
    """A variable rather than a word of prose: one letter, a subscript, an underscore."""
    return (
        (len(word) == 1 and word not in _NOT_NAMES)
        or "_" in word
        or (word[-1].isdigit() and word[0].isalpha())
    )
