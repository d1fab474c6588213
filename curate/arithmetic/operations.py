"""The operations that a sentence names in words, against the sums that it shows: `we add: 12 - 5 = 7` misnames one.

A sum is named by the words between the sum before it and itself, and by a `by dividing` after it. Operations that people
use for each other are one: multiplying by a part is dividing, adding up equal numbers is multiplying, a percentage is
taken by either. `stated` reads sums said wholly in words (`half of 48 is 24`, `add 12 and 5 to get 17`) and says which of
them are false. Both keep silent where they are not sure.

>>> [m.said for m in misnamed("First we multiply: 48 / 2 = 24. Then we add: 24 + 48 = 72.")]
['we multiply: 48 / 2']
>>> [f.said for f in false_in_words("Seven plus seven makes nineteen.")]
['Seven plus seven makes nineteen']
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from recast.curate.language.sentences import sentences
from recast.curate.maths.notation import plain
from recast.curate.maths.numbers import Value, agrees, divide, literal, worded

_ANNOTATION = re.compile(r"<<[^<>\n]{0,300}>>")
# the words of an operation where somebody calculates, not where it happens in the story (`he adds 2 spoons`): told to
# the reader, done by `we`, or as what a result comes by
_NAMED = re.compile(
    r"(?:(?:^|[,:;(]|\b(?:we|you|then|first|next|now|finally|lastly|let's|let us|we can|we must|we should|just|simply|"
    r"(?:we|you) (?:need|have|want) to))\s*(?:(?P<add>add)|(?P<subtract>subtract|deduct|take away)|(?P<multiply>multiply)"
    r"|(?P<divide>divide))(?! up\b)"
    r"|(?:^|[:;(]|\b(?:by|then|next|so|now))\s*(?:(?P<adding>adding)|(?P<subtracting>subtracting|deducting|taking away)"
    r"|(?P<multiplying>multiplying)|(?P<dividing>dividing))(?! up\b))\b",
    re.IGNORECASE,
)
_HINT = re.compile("add|subtract|deduct|tak|multipl|divid", re.IGNORECASE)
_BETWEEN = r"(?:\s(?!we\b|gives?\b|gets?\b|is\b|which\b|so\b)[a-z]+){0,3}"
_SIGNED = re.compile(
    rf"(?<![\w.])[$€£(]*(?:\d[\d,]*(?:\.\d+)?|\.\d+)%?{_BETWEEN}\)?"
    rf"(?:\s*[-+*/]\s*[$€£(]*(?:\d[\d,]*(?:\.\d+)?|\.\d+)%?{_BETWEEN}\)?)+(?=\s*=)"
)
_SIGNS = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/",
    "adding": "+", "subtracting": "-", "multiplying": "*", "dividing": "/",
}  # fmt: skip
_SIGN = re.compile(r"[-+*/]")
# a factor below one, with which multiplying is dividing
_PART = re.compile(
    r"%|\d/\d|(?<!\d)0?\.\d|\b(?:half|halves|thirds?|quarters?|fourths?|fifths?|tenths?|percent|fraction|rate)\b"
)


@dataclass(frozen=True, slots=True)
class Misnamed:
    """A sum that the words before it call another operation, or a sum in words that is false."""

    said: str


def misnamed(text: str) -> list[Misnamed]:
    """The sums of `text` whose sentence names operations, and none that the sum has."""
    if _HINT.search(text) is None:
        return []
    return [found for sentence in _sentences(text) for found in _misnamed(sentence)]


def _sentences(text: str) -> tuple[str, ...]:
    return sentences(plain(_ANNOTATION.sub("", text)))


def _misnamed(sentence: str) -> Iterator[Misnamed]:
    if "=" not in sentence or _HINT.search(sentence) is None:
        return
    begun = 0
    for shown in _SIGNED.finditer(sentence):
        before = sentence[begun : shown.start()]
        begun = shown.end()
        named = list(_NAMED.finditer(before))
        if not named:
            continue
        signs = set(_SIGN.findall(shown.group()))
        asked = {_SIGNS[str(match.lastgroup)] for match in named}
        if signs & asked or (
            signs | asked <= set("*/") and _PART.search(before + " ".join(shown.group().split("/")))
        ):
            continue
        yield Misnamed(f"{named[-1].group().strip(' ,:;(')}: {shown.group().strip()}")


# --- sums said in words ------------------------------------------------------------------------------------

_UNITS_WORDS = "one|two|three|four|five|six|seven|eight|nine"
_TEENS = "ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen"
_TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
_WORDS_OF_NUMBERS = rf"(?:{_UNITS_WORDS}|{_TEENS}|{_TENS})\b"
_N = (
    rf"(?:[$€£]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)(?![\d%/]|\.\d|\s?[-+*/=^]|,\d)"
    rf"|(?:(?:{_TENS})(?:[- ](?:{_UNITS_WORDS}))?|{_TEENS}|{_UNITS_WORDS})\b)"
)
_NOUN = rf"(?:\s(?!and\b|plus\b|minus\b|times\b|from\b|by\b|is\b|to\b|gives?\b|makes?\b|equals?\b|leaves?\b|{_WORDS_OF_NUMBERS})[a-z]+){{0,3}}"
_MAKES = r"(?:,? (?:is|are|makes?|gives?|equals?|gets?|leaves?|yields?|(?:to|we|you) (?:get|obtain|find|have)|which (?:is|makes|gives|equals)|resulting in|for a total of|is equal to))"
_FORMS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (sign, re.compile(rf"(?<![\w.,/*+=-])(?<![-+*/=] )(?:{form}){_MAKES} (?P<c>{_N})", re.IGNORECASE))
    for sign, form in (
        ("+", rf"(?:the )?(?:sum|total) of (?P<a>{_N}){_NOUN} and (?P<b>{_N}){_NOUN}"),
        ("+", rf"add(?:ing)? (?P<a>{_N}){_NOUN} (?:and|to|with) (?P<b>{_N}){_NOUN}"),
        ("+", rf"(?P<a>{_N}){_NOUN} plus (?P<b>{_N}){_NOUN}"),
        ("-", rf"(?P<a>{_N}){_NOUN} (?:minus|less) (?P<b>{_N}){_NOUN}"),
        ("-", rf"subtract(?:ing)? (?P<b>{_N}){_NOUN} from (?P<a>{_N}){_NOUN}"),
        ("-", rf"tak(?:e|ing) (?P<b>{_N}){_NOUN} (?:away )?from (?P<a>{_N}){_NOUN}"),
        ("-", rf"(?:the )?difference (?:between|of) (?P<a>{_N}){_NOUN} and (?P<b>{_N}){_NOUN}"),
        ("*", rf"(?P<a>{_N}){_NOUN} (?:times|multiplied by) (?P<b>{_N}){_NOUN}"),
        ("*", rf"multiply(?:ing)? (?P<a>{_N}){_NOUN} (?:by|with|and) (?P<b>{_N}){_NOUN}"),
        ("*", rf"(?:the )?product of (?P<a>{_N}){_NOUN} and (?P<b>{_N}){_NOUN}"),
        ("/", rf"divid(?:e|ing) (?P<a>{_N}){_NOUN} by (?P<b>{_N}){_NOUN}"),
        ("/", rf"(?P<a>{_N}){_NOUN} divided by (?P<b>{_N}){_NOUN}"),
        ("half", rf"half of (?P<a>{_N}){_NOUN}"),
        ("double", rf"(?:double|twice) (?P<a>{_N}){_NOUN}"),
    )
)
_GOES_ON = re.compile(r"\b(?:plus|minus|less|times|by|and|of|from)\s\Z", re.IGNORECASE)
_WORTH = re.compile(
    r"\b(?:sum|total|add|plus|minus|less|subtract|tak|differ|times|multipl|product|divid|half|double|twice)",
    re.I,
)


def false_in_words(text: str) -> list[Misnamed]:
    """The sums said in words that are false."""
    if _WORTH.search(text) is None:
        return []
    found: list[Misnamed] = []
    for sentence in _sentences(text):
        if _WORTH.search(sentence) is None:
            continue
        for sign, form in _FORMS:
            found += [
                Misnamed(m.group())
                for m in form.finditer(sentence)
                if _false(sign, m) and not _GOES_ON.search(sentence, 0, m.start())
            ]
    return found


def _false(sign: str, match: re.Match[str]) -> bool:
    groups = match.groupdict()
    a, b, c = (_value(groups.get(name)) for name in "abc")
    if a is None or c is None or (b is None and sign not in ("half", "double")):
        return False
    made = _made(sign, a, 0 if b is None else b)
    if made is None:
        return False
    decimals = literal(groups["c"].rstrip("."))[1] if groups["c"][-1].isdigit() else 0
    about = sign in ("/", "half")  # 10 divided by 3 is 3
    return not any(agrees(value, c, -1, decimals, about) for value in made)


def _made(sign: str, a: Value, b: Value) -> tuple[Value, ...] | None:
    """What the words may mean: a difference and a quotient are said in either order."""
    if sign == "+":
        return (a + b,)
    if sign == "-":
        return (a - b, b - a)
    if sign == "*":
        return (a * b,)
    if sign == "double":
        return (2 * a,)
    both = (divide(a, 2),) if sign == "half" else (divide(a, b), divide(b, a))
    return tuple(value for value in both if value is not None) or None


def _value(text: str | None) -> Value | None:
    if not text:
        return None
    return literal(text.rstrip(",."))[0] if text[-1].isdigit() else worded(text)
