"""The operations that a sentence names in words, against the sums that it shows: `we add: 12 - 5 = 7` misnames one.

A sum is named by the words between the sum before it and itself, where somebody calculates (`we add`, `then
divide`, `multiplying by 3 gives`), not where a story adds and takes away. Multiplying by a part is dividing, and
the other way round. It keeps silent where it is not sure. What a sum in words says is read by `curate.arithmetic.told`.
`sentence` is one of `curate.language.tokens.read`.

>>> misnamed("First we multiply: 48 / 2 = 24.")
['we multiply: 48 / 2']
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from recast.curate.maths.notation import plain
from recast.curate.maths.numbers import Value, literal

_BY = r"(?=\s[^.;:!?\n]{1,80}\sby\s)"  # in the past, stories divide too, among and into
_VERB = re.compile(
    r"\b(?:(?P<add>add(?:ing)?)|(?P<subtract>subtract(?:ing)?|deduct(?:ing)?|tak(?:e|ing) away)"
    rf"|(?P<multiply>multiply(?:ing)?|multiplied{_BY})|(?P<divide>divid(?:e|ing|ed{_BY})))\b(?! up\b)",
    re.IGNORECASE,
)
_VERBS = ("add", "subtract", "deduct", "tak", "multipl", "divid")
_SIGNS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}
# before the plain form: nobody, who calculates, or a word of order; before the form in -ing only some of these
_TELLS = re.compile(
    r"(?:^|[,:;(]|\b(?:we|you|then|first|next|now|finally|lastly|let's|let us|just|simply"
    r"|(?:we|you) (?:can|must|should)|(?:we|you) (?:need|have|want) to))\s*\Z",
    re.IGNORECASE,
)
_TELLS_ED = re.compile(r"\b(?:we|you|they|he|she|i)\s*\Z", re.IGNORECASE)
_TELLS_ING = re.compile(r"(?:^|[:;(]|\b(?:by|then|next|so|now))\s*\Z", re.IGNORECASE)
_TELLING_REACH = 16
_AMOUNT = (
    r"[$€£(]*(?:\d[\d,]*(?:\.\d+)?|\.\d+)%?(?:\s(?!we\b|gives?\b|gets?\b|is\b|which\b|so\b)[a-z]+){0,5}\)?"
)
_SHOWN = re.compile(rf"(?<![\w.*/^]){_AMOUNT}(?:\s*[-+*/]\s*{_AMOUNT})+(?=\s*=)")
_SIGN = re.compile(r"[-+*/]")
_PER = re.compile(r"(?<=[a-z]{2})\s?/\s?[a-z]{2,}", re.IGNORECASE)  # miles/hour divides nothing
_TIMES = re.compile(r"(?<=[a-z\d)]) x (?=[$€£(]?\d)", re.IGNORECASE)
_SIGN_OF_SUM = re.compile(r"[-+*/](?=\s*(?:[$€£(]*[.\d]|[a-z]\b))", re.IGNORECASE)
_NAMED_TWICE = re.compile(
    r"(?P<what>\b\w[\w'’]*(?: \w[\w'’]*){2,}),? "
    r"(?:and (?:then )?(?:add|subtract|deduct|multiply|divide) (?:it|this|that|them) |(?:divided|multiplied) )?"
    r"(?:by|from|to|and|with) "
    r"(?:the |a |an |its )?(?P=what)(?=\s*(?:[.,;:!?\n]|\Z|(?:to|we|you) [a-z]))",
    re.IGNORECASE,
)
_ED_BY = re.compile(r" (?:divided|multiplied) by ", re.IGNORECASE)
# a factor below one, with which multiplying is dividing
_PART = re.compile(
    r"%|\d/\d|(?<!\d)0?\.\d|\b(?:half|halves|thirds?|quarters?|fourths?|fifths?|tenths?|percent|fraction|rate)\b"
)


_PLAIN_SIGN = {"–": "-", "−": "-", "×": "*", "÷": "/"}
_NUMBER = r"\$?\d++(?:,\d{3})*+(?:\.\d+)?+"
_OPEN = re.compile(
    rf"(?<![\w.,+*/×÷=^–−-])(?<![+*/×÷=–−-] )(?<![+*/×÷=–−-] [$])(?P<one>{_NUMBER})(?: [a-z]+)?"
    rf"(?P<sign> [-+*/×÷–−] | ?[*×÷] ?)(?P<two>{_NUMBER})(?![\d.,]*\d)(?! \d{{3}}\b)(?!%)"
    r"(?!(?: [a-z/]+\b){0,3} ?\)? ?[-+*/×÷=≈x^(–−])"
)
_FRACTION = re.compile(r"(?<![\d./$-])(?P<one>\d{2,4})/(?P<two>\d{1,4})(?![\d/.]| ?[-+*/=)])")
_DIVIDED = re.compile(r"(?<![\d./])(?P<one>\d{2,4}) ?/ ?(?P<two>\d{1,4})(?![\d/])")
_KIND = re.compile(
    r"\b(?:(?P<add>addition)|(?P<subtract>subtraction)|(?P<multiply>multiplication)|(?P<divide>division)) "
    r"(?:problem|question|calculation|task|equation|exercise|operation)s?\b",
    re.IGNORECASE,
)


def may_misname(text: str) -> bool:
    """Whether a sentence of `text` can misname a sum; a fast test that is never wrong when it says no."""
    return "=" in text and any(map(text.lower().__contains__, _VERBS))


def misnamed(sentence: str) -> list[str]:
    """The sums of a sentence whose words name operations, and none that the sum has."""
    found: list[str] = []
    if not may_misname(sentence):
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


def unshown(text: str, source: str) -> str:
    """The first operation that `text` names and no sum of it has, nor the source in sign or word; empty where none is.

    Silent on a text that shows no sum, and where a part of a whole may stand for a division.
    """
    if not may_misname(text) or _PART.search(text):
        return ""
    shown = {sign for sum_ in _SHOWN.finditer(_in_signs(text)) for sign in _SIGN.findall(sum_.group())}
    known = {_SIGNS[str(match.lastgroup)] for match in _VERB.finditer(source)}
    known |= set(_SIGN_OF_SUM.findall(_in_signs(source)))
    for verb in _VERB.finditer(text) if shown else ():
        if _SIGNS[str(verb.lastgroup)] not in shown | known and _calculates(verb):
            return text[max(0, verb.start() - _TELLING_REACH) : verb.end() + _TELLING_REACH]
    return ""


def miscalled(text: str, source: str) -> str:
    """What `text` calls its work (`a multiplication problem`) where neither it nor the source shows or names such a
    sum; empty where it does."""
    for match in _KIND.finditer(text) if "ion " in text else ():
        sign = _SIGNS[str(match.lastgroup)]
        shown = {*_SIGN_OF_SUM.findall(_in_signs(text)), *_SIGN_OF_SUM.findall(_in_signs(source))}
        named = {_SIGNS[str(verb.lastgroup)] for verb in _VERB.finditer(source)}
        parts = sign in "*/" and not shown.isdisjoint("*/")  # a part is taken by either
        if shown and not parts and sign not in shown | named and match.group() not in source:
            return match.group()
    return ""


def left_open(text: str, sources: Sequence[str], operands: Collection[Sequence[Value]]) -> str:
    """The first two numbers of `text` with a sign between them that come to nothing there, where no source has them so
    and no sum has both: `the pay is $40 - $36` for 40 - 4 = 36; empty where there is none.

    `operands` are those of each sum of text and sources, in order.
    """
    if said := _other_fraction(text, sources):
        return said
    ours = {_pair(match): match.group().strip() for match in _OPEN.finditer(text)}
    if not ours:
        return ""
    known = {_pair(match) for source in sources for match in _OPEN.finditer(source)}
    sums: dict[Value, set[tuple[Value, ...]]] = {}
    for sum_ in map(tuple, operands):
        for value in sum_:
            sums.setdefault(value, set()).add(sum_)
    for pair, said in ours.items():
        one, sign, two = pair
        if one is None or two is None or pair in known:
            continue
        if not any(_holds(sum_, one, two, sign) for sum_ in sums.get(one, ())):
            return said
    return ""


def _other_fraction(text: str, sources: Sequence[str]) -> str:
    """A division without a result by another number than the source divides by: `58/29 pens` for 58/2 = 29."""
    ours = [*_FRACTION.finditer(text)] if "/" in text else []
    theirs: dict[str, set[str]] = {}
    for match in (m for source in sources for m in _DIVIDED.finditer(source)) if ours else ():
        theirs.setdefault(match["one"], set()).add(match["two"])
    return next((m.group() for m in ours if m["two"] not in theirs.get(m["one"], {m["two"]})), "")


def _pair(match: re.Match[str]) -> tuple[Value | None, str, Value | None]:
    sign = match["sign"].strip()
    return (
        literal(match["one"].strip("$"))[0],
        _PLAIN_SIGN.get(sign, sign),
        literal(match["two"].strip("$"))[0],
    )


def _holds(operands: Sequence[Value], one: Value, two: Value, sign: str) -> bool:
    """Whether a sum that has the first number has the second, and the first one first where the order counts."""
    if two not in operands:
        return False
    return sign in "+*" or len(operands) > 2 or one == two or operands[0] == one


def _in_signs(text: str) -> str:
    """`text` with its sums in plain signs, and no sign that is none of a sum."""
    return _TIMES.sub(" * ", _PER.sub("", plain(text)))


def with_itself(text: str) -> str:
    """The first place where an operation is named between twice the same: `subtract the pens he has from the pens he
    has`; empty where there is none."""
    if not any(map(text.lower().__contains__, _VERBS)):
        return ""
    for match in _NAMED_TWICE.finditer(text):
        begin = max(text.rfind(end, 0, match.start()) for end in ".!?\n") + 1
        if _ED_BY.search(match.group()) or _VERB.search(text, begin, match.end()):
            return match.group()
    return ""


def _calculates(verb: re.Match[str]) -> bool:
    before = verb.string[max(0, verb.start() - _TELLING_REACH) : verb.start()]
    if verb.start() > _TELLING_REACH:
        before = f"_{before}"  # what is cut off is no beginning
    form = verb.group().lower()
    tells = _TELLS_ING if form.endswith("ing") else _TELLS_ED if form.endswith("ed") else _TELLS
    return tells.search(before) is not None
