"""Two amounts that a text calls one in words, and that are not: `600 watts, which is 18 kWh`, `2 hours is 90 minutes`.

Read are `A, which is B`, `A is the same as B`, `A and B combined into C`, `including A, there are B`, `A out of B`,
`half of that, which is B`, `A is twice B` and `A is 3 more than B`, where amounts in figures stand beside the words
that join them. Units of one dimension must convert. Otherwise two amounts may be one where they count other things and
a number that the row knows makes one of the other, or where the sentence tells several numbers of which the later one
is made (`3 bags of 4, which is 12`). Sums in words are read by `curate.arithmetic.told`. English only.

>>> unlike("He has 12 red pens, which is 8 pens.", frozenset((12, 8)))
'12 red pens, which is 8 pens'
>>> unlike("He walks 2 hours, which is 120 minutes.", frozenset((2,)))
''
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Set
from fractions import Fraction
from itertools import combinations
from math import prod

from recast.curate.arithmetic.equalities import false_equalities
from recast.curate.maths.numbers import Value, agrees, divide, literal, numbers, spoken
from recast.curate.maths.units import conversions, dimensions, singular

MAX_TOLD = 12
"""Numbers of a sentence up to which it is asked whether two of them make another."""
_REACH = 120
"""Characters around the words that join two amounts among which these stand."""

_FIGURE = r"[$€£]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?![\w.,/%]*\d)(?! ?%| percent\b|[-:/])"
_NOUN = (
    r" (?!(?:and|or|times|more|less|fewer|from|to|by|of|than|is|are|was|were|which|that|in|on|at|for|with|so|then|per"
    r"|each|every|a|an|the|we|he|she|they|it|left|because|since|but|as|out|would|will|had|has|have|you|i|into|combined"
    r"|together|altogether|total)\b)[A-Za-z][A-Za-z'-]*+"
)
_OPEN = r"(?<![\w.,/$€£-])"


def _amount(name: str) -> str:
    return rf"(?P<{name}>{_FIGURE})(?P<{name}u>(?:{_NOUN}){{0,3}}+)"


_SIGN = r" ?[-+*/×÷^=]| [xX] ?[$\d]| (?:times|plus|minus|divided|multiplied)\b"
# what makes of an amount a part of something else
_GOES_ON = re.compile(
    rf"{_SIGN}| ?\(| (?:more|less|fewer|of|out|per|each|every|an?|and|or|to|than|as|in each|for each|older|younger"
    r"|longer|shorter|taller|higher|lower|apart|over|under|above|below|short|away)\b",
)
_SIGNED = re.compile(_SIGN)
_WORK = re.compile(r"[+*/×÷]| - ?\d|\d ?-\d")
_A_LAST = re.compile(rf"{_OPEN}(?P<eq>= ?)?(?<![\d.]){_amount('a')}(?: \([^()\d]{{0,30}}\))?\Z")
_SUM_LAST = re.compile(
    rf"{_OPEN}(?P<sum>[(]?{_FIGURE}(?:{_NOUN}){{0,3}}+"
    rf"(?: ?[-+*/×÷] ?[(]?{_FIGURE}(?:{_NOUN}){{0,3}}+(?: per{_NOUN})?[)]?){{1,4}})\Z"
)
_B = re.compile(_amount("b"))
_WHICH = re.compile(
    r"(?:,? which|, that) (?:is|are|was|were|equals?|makes?|comes to|totals?)"
    r"(?: (?:exactly|only|just|also|the same as|equal to|equivalent to|a total of|the equivalent of))* (?=[$€£(]?\d)"
)
_RELATES = re.compile(
    r"\b(?:half|third|quarter|twice|thrice|double[ds]?|triple[ds]?|times|more|less|fewer|than|another|additional|extra|each"
    r"|every|per|all|both|rest|remaining|other|percent|discount|increase|decrease|back|round|average)\b|%"
)
_SAME = re.compile(
    r"\b(?P<what>\w+) (?:is|are|was) (?:also |exactly )?(?:the same as|equal to|equivalent to|identical to) "
    rf"(?:the )?(?:original |initial |first |given |total )?(?:number of )?{_amount('b')}"
)
_PRONOUNS = frozenset("it this that which answer result total".split())
_LAST_AMOUNT = re.compile(_OPEN + _amount("a"))
_PARTS = {
    "half": Fraction(1, 2), "third": Fraction(1, 3), "quarter": Fraction(1, 4), "twice": 2, "double": 2, "triple": 3,
}  # fmt: skip
_PART = r"(?:(?:a|one) )?(?P<part>half|third|quarter|twice|double|triple)"
_PART_OF_THAT = re.compile(
    rf"\b{_PART}(?: of)? (?:that|this|it)\b[^.;:,\n\d]{{0,40}},? (?:which|that) (?:is|was|are|equals) "
    rf"(?:only |just )?{_amount('b')}"
)
_IS_PART = re.compile(
    rf"{_OPEN}{_amount('a')},? (?:which )?(?:is|are|was|were) {_PART}(?: of| as many as| as much as)? "
    rf"(?:the )?{_amount('b')}"
)
_IS_MORE = re.compile(
    rf"{_OPEN}{_amount('a')},? (?:which )?(?:is|are) {_amount('k')} (?P<how>more|less|fewer) than {_amount('b')}"
)
_COMBINED = re.compile(
    rf"\bcombin(?:e|ed|ing) [^.;\n\d]{{0,40}}?{_amount('a')}[^.;\n\d]{{0,40}}? and [^.;\n\d]{{0,30}}?"
    rf"{_amount('b')}[^.;\n\d]{{0,50}}? (?:in)?to (?:make |get |form |give )?(?:a total of |a group of )?{_amount('c')}"
)
_INCLUDING = re.compile(
    rf"\b[Ii]ncluding (?:the |his |her |their |those |these |all )?{_amount('a')}[^.;\n\d,]{{0,40}}, "
    rf"[^.;\n\d]{{0,60}}?{_amount('b')}"
)
_OUT_OF = re.compile(rf"{_OPEN}{_amount('a')}(?: \w+ed)? out of (?:a total of )?{_amount('b')}")
_DOZENS = re.compile(r"\b(?:dozens?|hundred|thousand|million|billion|pairs?|couple|score)\b")
_SENTENCE_END = re.compile(r"[.!?]\s|\n")


_SAME_THING = re.compile(
    r"\b(?:[Tt]his|[Ii]t|[Tt]hat|[Tt]hey|which) (?:is|are|was|were) (?:exactly |just )?the same as the "
    r"(?:number|amount|cost|price|total|answer|result|sum) [^.\n]{0,120}"
)


def unfounded(text: str, *sources: str) -> str:
    """A sameness of amounts that `text` only describes (`this is the same as the number of pens before`) and no source
    says; empty where there is none."""
    match = _SAME_THING.search(text) if "same as the" in text else None
    return match.group() if match and not any("same" in source for source in sources) else ""


def unlike(text: str, known: frozenset[Value], constants: frozenset[Value] = frozenset()) -> str:
    """The first two amounts of `text` that it calls one and that cannot be, as written; empty where there are none.

    `known` are the numbers of the row, and those that its steps come to; `constants` may make one of the other too.
    """
    return next(_unlike(text, known, constants), "")


def _unlike(text: str, known: frozenset[Value], constants: frozenset[Value]) -> Iterator[str]:
    which = " which " in text or " that is " in text
    if which or " that equals " in text:
        yield from _whiches(text, known | constants)
    if "same as" in text or " equ" in text or "identical" in text:
        yield from _sames(text, known)
    if any(map(text.__contains__, _PARTS)):
        for m in _IS_PART.finditer(text):
            if _ends(m) and _value(m, "a") != _PARTS[m["part"]] * _value(m, "b"):
                yield m.group()
        for m in _PART_OF_THAT.finditer(text) if which else ():
            whole = divide(_value(m, "b"), _PARTS[m["part"]])
            if _ends(m) and whole not in known | numbers(text):
                yield m.group()
    if "re than" in text or "ss than" in text or "er than" in text:
        for m in _IS_MORE.finditer(text):
            difference = _value(m, "k") if m["how"] == "more" else -_value(m, "k")
            if _ends(m) and _value(m, "a") != _value(m, "b") + difference:
                yield m.group()
    for m in _COMBINED.finditer(text) if "combin" in text else ():
        a, b, c = (_value(m, name) for name in "abc")
        same = not m["cu"].strip() or _thing(m, "c") in (_thing(m, "a"), _thing(m, "b"))
        if same and _ends(m) and c not in (a + b, a * b, 1):
            yield m.group()
    for form in (_INCLUDING if "ncluding" in text else None, _OUT_OF if "out of" in text else None):
        for m in form.finditer(text) if form else ():
            same = not _thing(m, "a") or _thing(m, "a") == _thing(m, "b")
            if same and _ends(m) and _value(m, "a") > _value(m, "b"):
                yield m.group()


def _whiches(text: str, known: frozenset[Value]) -> Iterator[str]:
    """`A, which is B`, where A or a sum stands right before, and B or a sum right behind."""
    for which in _WHICH.finditer(text):
        begin = 0
        for mark in _SENTENCE_END.finditer(text, max(0, which.start() - 2 * _REACH), which.start()):
            begin = mark.end()
        before = text[max(begin, which.start() - 2 * _REACH) : which.start()]
        b = _B.match(text, which.end())
        summed = _SUM_LAST.search(before[-_REACH:])
        if summed is not None:
            if b is not None and _ends(b) and false_equalities(f"{summed['sum']} = {b.group()}"):
                yield f"{summed['sum']}{which.group()}{b.group()}"
            continue
        a = _A_LAST.search(before[-_REACH:])
        if a is None or _DOZENS.search(a.group()):
            continue
        told = numbers(before) | spoken(before)
        if b is None or _SIGNED.match(text, b.end()):
            work = re.split(r"[=;\n]|[.,](?=\s|\Z)", text[which.end() : which.end() + _REACH], maxsplit=1)[0]
            goes_in = numbers(work)
            listed = _value(a, "a") in (work.count("+") + 1, 1)  # the 3 tests, which is 65 + 94 + 81
            related = goes_in & _forms(told) or _RELATES.search(before) is not None
            if len(goes_in) > 1 and _WORK.search(work) and not (listed or related):
                yield f"{a.group()}{which.group()}{work}".strip("= ")
        elif _ends(b) and not _may_be(a, b, before, told, known):
            yield f"{a.group()}{which.group()}{b.group()}".lstrip("= ")


def _may_be(
    a: re.Match[str], b: re.Match[str], before: str, told: frozenset[Value], known: frozenset[Value]
) -> bool:
    """Whether `A, which is B` may be so."""
    one, other = _value(a, "a"), _value(b, "b")
    if one == other:
        return True
    converts = _converts(a, "a", b, "b")
    alone = told <= {one} or a["eq"] is not None
    if converts is not None:
        return converts or not alone  # 4 quarters and 8 dimes, which is 180 cents
    if _RELATES.search(before):
        return True
    if alone and _one_thing(a, "a", b, "b"):
        return False
    if a["eq"] is not None:
        return _leads((one,), other, known)
    return other in known or len(told) > MAX_TOLD or _makes(told, other) or _leads(told, other, known)


def _sames(text: str, known: frozenset[Value]) -> Iterator[str]:
    """`A is the same as B`, or `it is`, where the last amount before is A."""
    for m in _SAME.finditer(text):
        before = text[max(0, m.start() - _REACH) : m.start()]
        if m["what"].lower() in _PRONOUNS:
            a = next(reversed([*_LAST_AMOUNT.finditer(before)]), None)
        else:
            a = _A_LAST.search(text[max(0, m.start() - _REACH) : m.end("what")])
        if a is None or _DOZENS.search(a.group()) or not _ends(m):
            continue
        one, other = _value(a, "a"), _value(m, "b")
        converts = _converts(a, "a", m, "b")
        if one == other or converts:
            continue
        bare = "same as" in m.group() and not _thing(a, "a") and _thing(m, "b")
        if (
            converts is False
            or _one_thing(a, "a", m, "b")
            or (bare and known.isdisjoint((divide(other, one), divide(one, other))))
        ):
            yield m.group()


def _value(match: re.Match[str], name: str) -> Value:
    return literal(match[name])[0] or 0


def _thing(match: re.Match[str], name: str) -> str:
    """What an amount is one of: its last noun in the singular, or its currency."""
    currency = {"$": "dollar", "€": "euro", "£": "pound"}.get(match[name][0], "")
    return currency or singular((match[f"{name}u"].split() or [""])[-1])


def _one_thing(a: re.Match[str], first: str, b: re.Match[str], last: str) -> bool:
    """Whether two amounts are of one thing, which no word before it tells from the other (`small beans`)."""
    ours, theirs = a[f"{first}u"].lower().split()[:-1], b[f"{last}u"].lower().split()[:-1]
    named = _thing(a, first) and _thing(a, first) == _thing(b, last)
    return bool(named) and (not ours or not theirs or ours == theirs)


def _ends(match: re.Match[str]) -> bool:
    """Whether the last amount is no part of something else, and none is counted in dozens."""
    return _GOES_ON.match(match.string, match.end()) is None and _DOZENS.search(match.group()) is None


def _converts(a: re.Match[str], first: str, b: re.Match[str], last: str) -> bool | None:
    """Whether one amount is the other in another unit; None where they are in none that is known."""
    ours, theirs = _thing(a, first), _thing(b, last)
    if not ours or not theirs or ours == theirs or not set(dimensions(ours)) & set(dimensions(theirs)):
        return None
    (one, _), (other, shown) = literal(a[first]), literal(b[last])
    if one is None or other is None:
        return None
    return any(
        agrees(one * factor, other, -1, shown, about=True) for factor in conversions(ours, theirs) or (1,)
    )


def _leads(values: Iterable[Value], result: Value, known: Set[Value]) -> bool:
    """Whether one operation of one of `values` with a number that is known gives `result`."""
    return any(
        not known.isdisjoint(
            (result - v, v - result, result + v, divide(result, v), divide(v, result), result * v)
        )
        for v in values
    )


def _makes(values: Set[Value], result: Value) -> bool:
    """Whether one operation on two of a few numbers, or on all of them, gives `result`."""
    if result in (sum(values), prod(values)):
        return True
    return any(
        result in (x + y, x - y, y - x, x * y, divide(x, y), divide(y, x)) for x, y in combinations(values, 2)
    )


def _forms(values: frozenset[Value]) -> frozenset[Value | None]:
    """Numbers and what they are written as: 20 % and 0.2, a half and 2."""
    return (
        values | {divide(v, 100) for v in values} | {v * 100 for v in values} | {divide(1, v) for v in values}
    )
