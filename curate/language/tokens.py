"""The sentences of a text as words, numbers and signs. One reading for every check that looks at words and numbers.

A token is a string: a number is what `number` gives a value (`$1,200`, `5%`, `twenty-four`), a word begins with a
letter, all else are signs. Calculator annotations and the dollar signs of formulas are left out, LaTeX is made
plain.

>>> [s.tokens for s in read("Tom's 5 red pens cost $1,200. So 2 x 3 = 6.")]
[("Tom's", '5', 'red', 'pens', 'cost', '$1,200', '.'), ('So', '2', '*', '3', '=', '6', '.')]
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from recast.curate.language.sentences import sentences
from recast.curate.maths.notation import plain
from recast.curate.maths.numbers import Value, literal, worded

_ANNOTATION = re.compile(r"<<[^<>\n]{0,300}>>")
_FORMULA = re.compile(r"\$(?:(?<=\d\$)|[$a-zA-Z(])")  # dollar signs that enclose and do not price
_TIMES = re.compile(r"(?<=\d )[xX](?= ?[\d$])")
_FIGURES = r"[$€£]?(?:\d+(?:,\d{3})*(?:\.\d+)?|\.\d+)(?: ?%)?"
_TOKEN = re.compile(
    r"(?:[Tt]went|[Tt]hirt|[Ff]ort|[Ff]ift|[Ss]ixt|[Ss]event|[Ee]ight|[Nn]inet)y-[a-z]+"
    rf"|[^\W\d_]+(?:['’][^\W\d_]+)*|{_FIGURES}|[^\w\s]"
)
_PLAIN_TOKEN = re.compile(
    rf"[a-zA-Z]+(?:'[a-zA-Z]+)*|{_FIGURES}|[^\w\s]"
)  # without `twenty-four`, in half the time
_NUMBERS = frozenset(
    (
        "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
        "eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety"
    ).split()
)
_NUMBERS |= {word.capitalize() for word in _NUMBERS}
EQUAL = frozenset("=≈")
OPERATORS = frozenset("=≈+*/×÷")


class Sentence(NamedTuple):
    """One sentence and its tokens in order."""

    text: str
    tokens: tuple[str, ...]
    computes: bool
    """Whether a sum stands in it."""
    numbers: dict[int, Value]
    """The values of the tokens that are numbers, in figures or in words, by their places."""


@lru_cache(maxsize=2048)
def read(text: str) -> tuple[Sentence, ...]:
    """The sentences of `text`, in order."""
    text = unannotated(text)
    if "$" in text and ("\\" in text or _FORMULA.search(text)):
        text = text.replace("$", "")
    if "\\" in text or not text.isascii():
        text = plain(text)
    return tuple(_sentence(told) for told in sentences(text))


def unannotated(text: str) -> str:
    """`text` without a calculator's annotations (`<<3*2=6>>`)."""
    return _ANNOTATION.sub("", text) if "<<" in text else text


def _sentence(told: str) -> Sentence:
    plain_told = _TIMES.sub("*", told) if " x" in told or " X" in told else told
    simple = told.isascii() and "y-" not in told
    tokens = tuple((_PLAIN_TOKEN if simple else _TOKEN).findall(plain_told))
    numbers = {i: value for i, token in enumerate(tokens) if (value := number(token)) is not None}
    return Sentence(told, tokens, not OPERATORS.isdisjoint(tokens), numbers)


@lru_cache(maxsize=16384)
def number(token: str) -> Value | None:
    """The value of a token that is a number, None for words and signs. `one` is a pronoun more often than a number."""
    if token[-1].isdigit() or token[-1] == "%":
        return literal(token.rstrip("% "))[0] if token != "%" else None
    return worded(token.lower()) if token in _NUMBERS or "y-" in token else None
