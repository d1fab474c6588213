"""Sums told in words, written in signs: `half of 48 is 24` becomes `1/2 * 48 = 24`, which the one parser then reads.

Read are an operation by its name or its word, its operands and a verb that states the result: `6 and 7 make 13`,
`12 less 5 leaves 7`, `subtract 5 from 12 to get 7`, `the sum of 4 and 5 is 9`, `twice 8, which is 16`. Numbers may be
figures or words, with nouns between them. A false sum is one in words too, but words say other things as well (`6 men
and 7 women make 20 chairs`): where what follows the result is another thing than the operands are, or where what
stands before is part of it (`more than half of 48`), the words count only as far as they are true.

>>> in_signs("Since half of 48 clips is 25 clips, 6 and seven make 13.")
'Since ; 1/2 * 48 clips = 25 clips, ; 6 + 7 = 13.'
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache, partial

from recast.curate.maths.numbers import Value, divide, exact, literal, worded
from recast.curate.maths.units import singular

_ONES = "one|two|three|four|five|six|seven|eight|nine"
_TEENS = "ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen"
_TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
_SPELLED = rf"(?:(?:{_TENS})(?:[- ](?:{_ONES}))?|{_TEENS}|{_ONES})(?:[- ]hundred)?\b(?![- ](?:thirds?|quarters?|half))"
_FIGURE = r"(?:[$€£] ?)?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?![\w.]*\d)"
_NUMBER = rf"(?:{_FIGURE}|\b{_SPELLED})"
# nouns after a number: no word that makes another sentence of it
_NOUN = (
    r"(?:[ -](?!(?:and|or|times|more|less|fewer|from|to|by|of|than|is|are|makes?|gives?|leaves?|equals?)\b)"
    r"[a-z][a-z'-]*)"
)
_UNIT = rf"(?:{_NOUN}{{0,3}}?(?:{_NOUN} of{_NOUN})?)"


def _quantity(name: str) -> str:
    return rf"(?:the |another )?(?P<{name}>{_NUMBER})(?P<{name}u>{_UNIT})"


_A, _B, _C = map(_quantity, "abc")
_SHARE = (
    r"(?P<a>(?:(?:one|a|two|three|four|five|seven)[- ])?"
    rf"(?:half|thirds?|quarters?|fourths?|fifths?|sixths?|eighths?|tenths?)|{_FIGURE} percent)"
)
_FILLER = r"(?: (?:a total of|us|you|exactly|only|just|a sum of|the total|the number|back))?"
_IS = rf"(?:,? which)? (?:is|are|equals|(?:is|are) (?:equal|equivalent) to|makes?|gives?|leaves?|comes to){_FILLER} "
_MAKE = (
    r" (?:together )?(?:make|makes|made|making|gives?|totals?|add up to|adds up to|sums? to|comes? to|equals?)"
    rf"{_FILLER} "
)
_GET = (
    r",?(?: (?:and|to|which|that|this|it|you|we|one|he|she|they|i|then|will|can))*"
    r" (?:get|gets|gives?|giving|leaves?|leaving|makes?|making|is|equals?|yields?|obtain|obtains|find|results? in"
    rf"|comes? to){_FILLER} "
)
_LIST = rf"(?P<more>(?:{_NUMBER}{_UNIT}, )*)"

Say = Callable[["re.Match[str]"], str]


def _binary(sign: str, first: str = "a", second: str = "b") -> Say:
    return lambda m: f"{_shown(m, first)} {sign} {_shown(m, second)}"


def _total(match: re.Match[str]) -> str:
    listed = [_value_text(n) for n in re.findall(_NUMBER, match["more"] or "", re.I)]
    return " + ".join([*listed, _shown(match, "a"), _shown(match, "b")])


def _many(match: re.Match[str]) -> str:
    return f"{_TIMES[match['a'].lower()]} * {_shown(match, 'b')}"


def _apart(match: re.Match[str]) -> str:
    """A difference is told without regard to which is more."""
    a, b = (_number(re.sub(r"[^\d.,/]", "", _value_text(match[name]))) for name in "ab")
    order = ("b", "a") if a is not None and b is not None and a < b else ("a", "b")
    return _binary("-", *order)(match)


_TIMES = {
    "twice": "2", "double": "2", "doubling": "2", "triple": "3", "tripling": "3", "thrice": "3", "half": "1/2",
    "halving": "1/2",
}  # fmt: skip
# what the frequent ones among the forms below need, and a line can be searched for at once
_SUM_OF, _MORE_THAN = re.compile("(?:sum|total) of "), re.compile("more than ")
_AND_NUMBER = re.compile(rf"and (?:the |another )?(?:[$€£\d]|(?:{_ONES}|{_TEENS}|{_TENS})\b)")
_ANY = re.compile("")
_NEEDS = {"sum total": _SUM_OF, "more": _MORE_THAN}
# words one of which such a sum has, what it needs besides, its form with the result, and the sum in signs
_FORMS: tuple[tuple[frozenset[str], re.Pattern[str], re.Pattern[str], Say], ...] = tuple(
    (
        frozenset(cues.split()),
        _AND_NUMBER if say is _total and cues.startswith("make") else _NEEDS.get(cues, _ANY),
        re.compile(rf"(?<![\w.,/$-])(?<!= ){form}(?![\w]|[.,]\d| ?[-+*/%=^])", re.IGNORECASE),
        say,
    )
    for cues, form, say in (
        (
            "half third thirds quarter quarters fourth fourths fifth fifths sixth sixths eighth eighths tenth tenths "
            "percent",
            rf"{_SHARE} of {_B}{_IS}{_C}",
            lambda m: f"{_fraction(m['a'])} * {_shown(m, 'b')}",
        ),
        ("twice double triple thrice half", rf"(?P<a>twice|double|triple|thrice|half) {_B}{_IS}{_C}", _many),
        ("doubling tripling halving", rf"(?P<a>doubling|tripling|halving) {_B}{_GET}{_C}", _many),
        ("squared", rf"{_A} squared{_IS}{_C}", _binary("*", "a", "a")),
        ("sum total", rf"(?:the )?(?:sum|total) of {_LIST}{_A},? and {_B}{_IS}{_C}", _total),
        ("product", rf"(?:the )?product of {_A} and {_B}{_IS}{_C}", _binary("*")),
        ("difference", rf"(?:the )?difference (?:of|between) {_A} and {_B}{_IS}{_C}", _apart),
        (
            "subtract deduct take subtracting deducting taking",
            r"(?:subtract|deduct|take(?: away)?|subtracting|deducting|taking(?: away)?)"
            rf" {_A}(?: away)? from {_B}{_GET}{_C}",
            _binary("-", "b", "a"),
        ),
        ("add adding", rf"(?:add|adding) {_A} (?:to|and) {_B}{_GET}{_C}", _binary("+")),
        (
            "multiply multiplying",
            rf"(?:multiply|multiplying) {_A} (?:by|and|with) {_B}{_GET}{_C}",
            _binary("*"),
        ),
        (
            "divide dividing split splitting",
            rf"(?:divide|dividing|split|splitting) {_A} (?:by|into|among) {_B}{_GET}{_C}",
            _binary("/"),
        ),
        ("less minus without", rf"{_A} (?:less|minus|without) {_B}{_IS}{_C}", _binary("-")),
        ("less fewer", rf"{_A} (?:less|fewer) than {_B}{_IS}{_C}", _binary("-", "b", "a")),
        ("more", rf"{_A} more than {_B}{_IS}{_C}", _binary("+")),
        ("leaves leave", rf"{_A} from {_B} leaves?{_FILLER} {_C}", _binary("-", "b", "a")),
        ("plus another", rf"{_A} (?:plus|and another) {_B}{_IS}{_C}", _binary("+")),
        (
            "times multiplied",
            rf"{_A} (?:times|(?:is |are )?multiplied by) {_B}(?:{_IS}|{_GET}){_C}",
            _binary("*"),
        ),
        ("divided", rf"{_A} (?:is |are )?divided by {_B}(?:{_IS}|{_GET}){_C}", _binary("/")),
        (
            "make makes made making give gives total totals add adds sum sums come comes equal equals",
            rf"{_LIST}{_A},? and {_B}{_MAKE}{_C}",
            _total,
        ),
    )
)
_CUES = frozenset().union(*(cues for cues, _, _, _ in _FORMS))
_VERBS = frozenset(
    "is are equal equals make makes made making give gives giving leave leaves leaving come comes total totals add "
    "adds sum sums get gets yield yields obtain obtains find result results".split()
)
_OPENS = re.compile(
    r"(?:\A|[,;:(.!?\"'-]|\b(?:so|since|because|then|as|that|and|but|thus|hence|therefore|here|know|now|first|next|finally"
    r"|means?|if|when|by|the|we|you|to|can|i|which|indeed|clearly|of course|would|could|should|must|will|simply"
    r"|just)) *\Z",
    re.IGNORECASE,
)


def tells(text: str) -> frozenset[str]:
    """The words of `text` one of which a line needs that tells a sum; empty where none can."""
    said = _said(text.lower())
    return frozenset() if said.isdisjoint(_VERBS) else _CUES.intersection(said)


def _said(lower: str) -> set[str]:
    return set((lower.replace("(", " ").replace("-", " ") if "(" in lower or "-" in lower else lower).split())


def in_signs(line: str) -> str:
    """`line` with every sum that it tells in words as one in signs, apart from its sentence."""
    lower = line.lower()
    said = _said(lower)
    if said.isdisjoint(_CUES) or said.isdisjoint(_VERBS):
        return line
    for cues, need, form, say in _FORMS:
        if not said.isdisjoint(cues) and need.search(lower):
            line = form.sub(partial(_written, say=say), line)
    return line


def _written(match: re.Match[str], *, say: Say) -> str:
    work, result = say(match), _value_text(match["c"])
    if not _certain(match) and not _true(work, result):
        return match.group()
    return f"; {work} = {result}{match['cu']}"


def _certain(match: re.Match[str]) -> bool:
    """Whether the words can mean nothing but the sum: a sentence or its part that ends with what was counted."""
    if _OPENS.search(match.string[: match.start()][-16:]) is None:
        return False
    rest = re.match(_NOUN + "*", match.string[match.end() :], re.IGNORECASE)
    things = f"{match['cu']}{rest.group() if rest else ''}".split()
    groups = match.groupdict()
    counted = " ".join(groups.get(f"{name}u") or "" for name in "ab").split()
    if not things:
        return True
    said = singular(things[0].strip("-"))
    return said in _PLAIN_ENDS or any(
        singular(word) in {singular(t) for t in things} for word in counted
    ) or (not counted and said not in ("year", "time", "o'clock", "percent"))  # fmt: skip


_PLAIN_ENDS = frozenset("in left altogether total so which for then because dollar each per".split())


def _true(work: str, result: str) -> bool:
    pieces = re.findall(r"\d+/\d+|[\d.,]+|[-+*/](?= )", re.sub(r"[a-z$€£%'-]{2,}|[$€£]", " ", work))
    total: Value | None = None
    sign = "+"
    for piece in pieces:
        if piece in "+-*/":
            sign = piece
            continue
        value = _number(piece)
        if value is None:
            return False
        if total is None:
            total = value
        elif sign == "/":
            total = divide(total, value)
        else:
            total = {"+": total + value, "-": total - value, "*": total * value}[sign]
        if total is None:
            return False
    stated = _number(re.sub(r"[^\d.,/]", "", result))
    return total is not None and stated is not None and exact(Fraction(total)) == stated


def _number(text: str) -> Value | None:
    top, _, bottom = text.partition("/")
    value = literal(top.rstrip(",."))[0] if top.strip(",.") else None
    under = literal(bottom)[0] if bottom else 1
    return None if value is None or under is None else divide(value, under)


def _shown(match: re.Match[str], name: str) -> str:
    return f"{_value_text(match[name])}{match[f'{name}u']}"


@lru_cache(maxsize=1024)
def _value_text(text: str) -> str:
    """A number as figures."""
    text = text.strip()
    if text[-1].isdigit():
        return text
    value = worded(text)
    return text if value is None else str(value)


@lru_cache(maxsize=256)
def _fraction(text: str) -> str:
    text = text.lower().strip()
    if text.endswith("percent"):
        return text.removesuffix("percent").strip() + "%"
    value = Fraction(worded(text) or worded(f"one {text}") or 0)
    return f"{value.numerator}/{value.denominator}"
