"""What is left of an English word without its ending, so that `sells`, `selling` and `sold` are one word.

Rough on purpose: stems are compared with each other and never shown. In languages other than English the endings that
happen to look alike fall away on both sides of a comparison.

>>> [stem(word) for word in ("paying", "payments", "paid", "cookies", "boxes", "classes", "children")]
['pay', 'pay', 'pay', 'cook', 'box', 'class', 'child']
"""

from __future__ import annotations

import re
from functools import lru_cache

SHORTEST = 3
"""Letters that an ending leaves at least."""

_PLURAL = re.compile(r"(?:(?<=[sxz])es|(?<=[sc]h)es|(?<![sui])s)\Z")
_ENDING = re.compile(r"(?:ments?|ations?|ings?|ness|(?<=[stl])ions?|edly|ly|ed|ers?|est|ery|al)\Z")
_VOWEL = re.compile(r"[aeiouy]")
_POSSESSIVE = re.compile(r"['’](?:s|d|ll|re|ve|m)?\Z")
_DOUBLED = re.compile(r"(?<=..)([bdgmnprt])\1\Z")
_IRREGULAR: dict[str, str] = {
    form: forms.split()[0]
    for forms in """
    pay paid|sell sold|buy bought|give gave given|make made|take took taken|eat ate eaten|spend spent|
    find found|get got gotten|have had has|go goes went gone|come came|see saw seen|keep kept|leave left|
    lose lost|win won|bring brought|begin began begun|drive drove driven|ride rode ridden|run ran|
    write wrote written|grow grew grown|throw threw thrown|know knew known|think thought|tell told|
    say said|hold held|build built|send sent|lend lent|catch caught|teach taught|drink drank drunk|
    swim swam swum|fly flew flown|draw drew drawn|break broke broken|choose chose chosen|wear wore worn|
    speak spoke spoken|steal stole stolen|sing sang sung|sit sat|stand stood|sleep slept|meet met|feed fed|
    lead led|fall fell fallen|rise rose risen|become became|do does did done|hide hid hidden|
    wake woke woken|sweep swept|dig dug|hang hung|child children|man men|woman women|person people persons|
    foot feet|tooth teeth|mouse mice|goose geese|half halves|leaf leaves|loaf loaves|shelf shelves|
    knife knives|life lives|wife wives|wolf wolves|calf calves|penny pennies|die dice|ox oxen|
    good better best|bad worse worst|far farther further""".split("|")
    for form in forms.split()
}


BEGINNING = 5
"""Letters by which a word is known where forms matter less than speed."""


def beginning(word: str) -> str:
    """The first five letters without a plural s, in any language: coarser than `stem`, for shares over whole texts.

    >>> beginning("clips"), beginning("selling"), beginning("sells")
    ('clip', 'selli', 'sell')
    """
    return word[:BEGINNING].removesuffix("s")


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """The stem of a word in lower case."""
    word = _POSSESSIVE.sub("", word)
    word = _IRREGULAR.get(word) or _singular(word)
    bare = _cut(_ENDING, _IRREGULAR.get(word, word))
    if bare != word:
        bare = _DOUBLED.sub(r"\1", bare)
    return bare[:SHORTEST] + bare[SHORTEST:].rstrip("eiy")


def _singular(word: str) -> str:
    return f"{word[:-3]}y" if word.endswith("ies") and len(word) > SHORTEST + 2 else _cut(_PLURAL, word)


def _cut(ending: re.Pattern[str], word: str) -> str:
    """Without the ending, if a vowel and enough letters are left."""
    shorter = ending.sub("", word)
    return shorter if len(shorter) >= SHORTEST and _VOWEL.search(shorter) else word
