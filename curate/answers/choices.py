"""Answers that are a letter or plain language: choices, yes and no, names.

>>> choice("Option (b)"), same_words("the cat", "cat"), same_words("blue", "the colour blue")
('B', True, None)
"""

from __future__ import annotations

import re
from functools import lru_cache

from recast.curate.answers.expressions import parse
from recast.curate.answers.structured import EMPTY_SETS
from recast.curate.answers.unit_words import content, opposed

_MATH = re.compile(r"[\\^_=+*/<>|{}0-9√π∞∪∩∫Σ]")
_CHOICE = re.compile(
    r"(?i:(?:option|choice|answer)\s+)?\(?([A-Ja-j])(?:\)|[.):](?=\s|$)|$)(?!,?\s*(?:and|or)\b|,)"
)
_OPTION_TEXT = re.compile(r"\\text(?:bf)?\{\s*(\([A-J]\))\s*\}")


@lru_cache(maxsize=4096)
def choice(text: str) -> str | None:
    """The letter of `B`, `(b)`, `B.`, `(B) blue`, `option B`; None else."""
    text = _OPTION_TEXT.sub(r"\1", text)
    match = _CHOICE.match(text)
    return match.group(1).upper() if match else None


@lru_cache(maxsize=4096)
def is_words(text: str) -> bool:
    """Plain language: no digit, no mathematical sign, and a word of at least two letters."""
    return not _MATH.search(text) and any(len(w) > 1 and w.isalpha() for w in re.split(r"[\s'’,.-]+", text))


_ARTICLE = re.compile(r"\A(?:the|a|an)\s+(?=\w)")
_TRUTH = {"yes": True, "true": True, "no": False, "false": False}
_NEGATIONS = frozenset(("not", "no", "never", "neither", "none", "isn't", "cannot", "can't", "without"))


def same_words(a: str, b: str) -> bool | None:
    one = re.sub(r"[^\w\s']", " ", _ARTICLE.sub("", a.lower())).split()
    two = re.sub(r"[^\w\s']", " ", _ARTICLE.sub("", b.lower())).split()
    if one == two or "".join(one) == "".join(two):
        return True
    if one and two and one[0] in _TRUTH and two[0] in _TRUTH:
        return None if _TRUTH[one[0]] == _TRUTH[two[0]] else False
    if max(len(a), len(b)) <= 3 and sorted(a) == sorted(b):
        return None  # ab and ba: a product of letters, or two words
    ours, theirs = set(one), set(two)
    if (ours & _NEGATIONS) != (theirs & _NEGATIONS):
        return False
    if ours <= theirs or theirs <= ours:
        return None  # blue, and the colour blue
    return False


_FORMULA = re.compile(r"[\\^_=<>{}|+*]")
_TOKEN = re.compile(r"[^\W_]+(?:[.,:/'’-][^\W_]+)*")
_FIGURE = re.compile(r"\d")
_DOTTED_HALF = re.compile(r"\b([ap])\.\s?m\b\.?", re.IGNORECASE)


def same_phrases(a: str, b: str) -> bool | None:
    """Two answers in words that hold figures (`10:30 a.m. on Monday`), compared word by word; None for a formula."""
    if any(_FORMULA.search(text) or parse(text) is not None for text in (a, b)):
        return None
    one, two = ([w.lower() for w in _TOKEN.findall(_DOTTED_HALF.sub(r"\1m", text))] for text in (a, b))
    words, others = ([w for w in tokens if not _FIGURE.search(w)] for tokens in (one, two))
    if not any(len(word) > 2 for word in (*words, *others)):
        return None
    if one == two:
        return True
    figures, other_figures = ([w for w in tokens if _FIGURE.search(w)] for tokens in (one, two))
    if words == others or set(figures).isdisjoint(other_figures):
        return False if figures and other_figures else None
    return False if opposed(content(words), content(others)) else None


_DENIED = re.compile(r"(?:not|isn't|never)\s+(?=\S)", re.IGNORECASE)


def denied(text: str) -> str | None:
    """What `not 5` denies; None where nothing is denied."""
    match = _DENIED.match(text)
    return text[match.end() :] if match else None


def words_and_math(a: str, b: str) -> bool | None:
    """Words against a number or formula: different, unless the words may be a letter's text or hold the number."""
    if {a.lower(), b.lower()} & EMPTY_SETS:
        return False
    if len(a.split()) + len(b.split()) > 6 or choice(a) or choice(b):
        return None
    return False
