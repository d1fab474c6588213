"""The operations that a sentence names in words, against the sums that it shows: `we add: 12 - 5 = 7` misnames one.

A sum is named by the words between the sum before it and itself, where somebody calculates (`we add`, `then
divide`, `multiplying by 3 gives`), not where a story adds and takes away. Multiplying by a part is dividing, and
the other way round. `false_in_words` reads sums said wholly in words (`half of 48 is 24`, `add 12 and 5 to get 17`)
and returns those that are false. Both keep silent where they are not sure. `sentences` are those of
`curate.language.tokens.read`.

>>> misnamed("First we multiply: 48 / 2 = 24.")
['we multiply: 48 / 2']
>>> false_in_words("Seven plus seven makes nineteen, and half of 48 is 24.")
['Seven plus seven makes nineteen']
"""

from __future__ import annotations

import re

from recast.curate.maths.numbers import Value, agrees, divide, literal, worded

_VERB = re.compile(
    r"\b(?:(?P<add>add(?:ing)?)|(?P<subtract>subtract(?:ing)?|deduct(?:ing)?|tak(?:e|ing) away)"
    r"|(?P<multiply>multiply(?:ing)?)|(?P<divide>divid(?:e|ing)))\b(?! up\b)",
    re.IGNORECASE,
)
_VERBS = ("add", "subtract", "deduct", "tak", "multiply", "divid")
_SIGNS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}
# before the plain form: nobody, who calculates, or a word of order; before the form in -ing only some of these
_TELLS = re.compile(
    r"(?:^|[,:;(]|\b(?:we|you|then|first|next|now|finally|lastly|let's|let us|just|simply"
    r"|(?:we|you) (?:can|must|should)|(?:we|you) (?:need|have|want) to))\s*\Z",
    re.IGNORECASE,
)
_TELLS_ING = re.compile(r"(?:^|[:;(]|\b(?:by|then|next|so|now))\s*\Z", re.IGNORECASE)
_TELLING_REACH = 16
_AMOUNT = (
    r"[$€£(]*(?:\d[\d,]*(?:\.\d+)?|\.\d+)%?(?:\s(?!we\b|gives?\b|gets?\b|is\b|which\b|so\b)[a-z]+){0,3}\)?"
)
_SHOWN = re.compile(rf"(?<![\w.*/^]){_AMOUNT}(?:\s*[-+*/]\s*{_AMOUNT})+(?=\s*=)")
_SIGN = re.compile(r"[-+*/]")
# a factor below one, with which multiplying is dividing
_PART = re.compile(
    r"%|\d/\d|(?<!\d)0?\.\d|\b(?:half|halves|thirds?|quarters?|fourths?|fifths?|tenths?|percent|fraction|rate)\b"
)


def misnamed(sentence: str) -> list[str]:
    """The sums of a sentence whose words name operations, and none that the sum has."""
    found: list[str] = []
    lowered = sentence.lower()
    if "=" not in sentence or not any(hint in lowered for hint in _VERBS):
        return found
    named = [match for match in _VERB.finditer(sentence) if _calculates(match)]
    if not named:
        return found
    begun = 0
    for shown in _SHOWN.finditer(sentence):
        here = [match for match in named if begun <= match.start() < shown.start()]
        before = sentence[begun : shown.start()]
        begun = shown.end()
        asked = {_SIGNS[str(match.lastgroup)] for match in here}
        signs = set(_SIGN.findall(shown.group()))
        if not asked or signs & asked:
            continue
        if signs | asked <= set("*/") and _PART.search(before + " ".join(shown.group().split("/"))):
            continue
        verb = here[-1]
        said = sentence[max(0, verb.start() - _TELLING_REACH) : verb.end()].split()[-2:]
        found.append(f"{' '.join(said).lstrip(',:;( ')}: {shown.group().strip()}")
    return found


def _calculates(verb: re.Match[str]) -> bool:
    before = verb.string[max(0, verb.start() - _TELLING_REACH) : verb.start()]
    if verb.start() > _TELLING_REACH:
        before = f"_{before}"  # what is cut off is no beginning
    tells = _TELLS_ING if "ing" in verb.group().lower() else _TELLS
    return tells.search(before) is not None


# --- sums said in words ------------------------------------------------------------------------------------

_UNITS = "one|two|three|four|five|six|seven|eight|nine"
_TEENS = "ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen"
_TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
_N = (
    rf"(?:[$€£]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)(?![\d%/]|\.\d|\s?[-+*/=^]|,\d)"
    rf"|(?:(?:{_TENS})(?:[- ](?:{_UNITS}))?|{_TEENS}|{_UNITS})\b)"
)
_NOUN = (
    rf"(?:\s(?!and\b|plus\b|minus\b|times\b|from\b|by\b|is\b|to\b|gives?\b|makes?\b|equals?\b|leaves?\b"
    rf"|(?:{_UNITS}|{_TEENS}|{_TENS})\b)[a-z]+){{0,3}}"
)
_MAKES = (
    r"(?:,? (?:is|are|makes?|gives?|equals?|gets?|leaves?|yields?|(?:to|we|you) (?:get|obtain|find|have)"
    r"|which (?:is|makes|gives|equals)|resulting in|for a total of|is equal to))"
)
# the operation, a word without which the form cannot stand, the form
_FORMS: tuple[tuple[str, str, re.Pattern[str]], ...] = tuple(
    (
        sign,
        hint,
        re.compile(rf"(?<![\w.,/*+=-])(?<![-+*/=] )(?:{form}){_MAKES} (?P<c>{_N})", re.IGNORECASE),
    )
    for sign, hint, form in (
        ("+", "sum of", rf"(?:the )?sum of (?P<a>{_N}){_NOUN} and (?P<b>{_N}){_NOUN}"),
        ("+", "total of", rf"(?:the )?total of (?P<a>{_N}){_NOUN} and (?P<b>{_N}){_NOUN}"),
        ("+", "add", rf"add(?:ing)? (?P<a>{_N}){_NOUN} (?:and|to|with) (?P<b>{_N}){_NOUN}"),
        ("+", "plus", rf"(?P<a>{_N}){_NOUN} plus (?P<b>{_N}){_NOUN}"),
        ("+", " make", rf"(?P<a>{_N}){_NOUN} and (?P<b>{_N}){_NOUN}(?=,? makes? )"),
        ("-", "minus", rf"(?P<a>{_N}){_NOUN} minus (?P<b>{_N}){_NOUN}"),
        ("-", "subtract", rf"subtract(?:ing)? (?P<b>{_N}){_NOUN} from (?P<a>{_N}){_NOUN}"),
        ("-", "tak", rf"tak(?:e|ing) (?P<b>{_N}){_NOUN} (?:away )?from (?P<a>{_N}){_NOUN}"),
        ("-", "difference", rf"(?:the )?difference (?:between|of) (?P<a>{_N}){_NOUN} and (?P<b>{_N}){_NOUN}"),
        ("*", "times", rf"(?P<a>{_N}){_NOUN} times (?P<b>{_N}){_NOUN}"),
        ("*", "multipl", rf"(?P<a>{_N}){_NOUN} multiplied by (?P<b>{_N}){_NOUN}"),
        ("*", "multipl", rf"multiply(?:ing)? (?P<a>{_N}){_NOUN} (?:by|with|and) (?P<b>{_N}){_NOUN}"),
        ("*", "product", rf"(?:the )?product of (?P<a>{_N}){_NOUN} and (?P<b>{_N}){_NOUN}"),
        ("/", "dividing", rf"dividing (?P<a>{_N}){_NOUN} by (?P<b>{_N}){_NOUN}"),
        ("/", "divide", rf"(?:divide (?P<a>{_N}){_NOUN} by (?P<b>{_N}){_NOUN})"),
        ("/", "divided", rf"(?P<a>{_N}){_NOUN} divided by (?P<b>{_N}){_NOUN}"),
        ("half", "half of", rf"half of (?P<a>{_N}){_NOUN}"),
        ("double", "double", rf"double (?P<a>{_N}){_NOUN}"),
        ("double", "twice", rf"twice (?P<a>{_N}){_NOUN}"),
    )
)
_GOES_ON = re.compile(r"\b(?:plus|minus|less|times|by|and|of|from)\s\Z", re.IGNORECASE)
_HINTS = tuple(dict.fromkeys(hint for _, hint, _ in _FORMS))


def false_in_words(sentence: str) -> list[str]:
    """The sums of a sentence that are said in words and are false."""
    lowered = sentence.lower()
    if not any(hint in lowered for hint in _HINTS):
        return []
    return [
        match.group()
        for sign, hint, form in _FORMS
        if hint in lowered
        for match in form.finditer(sentence)
        if _false(sign, match) and not _GOES_ON.search(sentence, max(0, match.start() - 8), match.start())
    ]


def _false(sign: str, match: re.Match[str]) -> bool:
    groups = match.groupdict()
    a, b, c = (_value(groups.get(name)) for name in "abc")
    if a is None or c is None or (b is None and sign not in ("half", "double")):
        return False
    made = _made(sign, a, 0 if b is None else b)
    decimals = literal(groups["c"])[1] if groups["c"][-1].isdigit() else 0
    about = sign in ("/", "half")  # 10 divided by 3 is 3
    return bool(made) and not any(agrees(value, c, -1, decimals, about) for value in made)


def _made(sign: str, a: Value, b: Value) -> tuple[Value, ...]:
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
    return tuple(value for value in both if value is not None)


def _value(text: str | None) -> Value | None:
    if not text:
        return None
    return literal(text.rstrip(","))[0] if text[-1].isdigit() else worded(text)
