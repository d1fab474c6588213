"""The arithmetic that a text states: every equality in it, whether it is true, and the results of its steps.

Notation does not matter: `12 + 5 = 17`, `$x_1 = x_0 + 5 = 19$` with references to earlier results, GSM8K's
`<<48/2=24>>24`, `\\frac{48}{2} = 24`, `29 species * 7 pairs = 203 pairs`, `20% of 50 is 10`, `b = a + 5  # 19`,
`12 + 5 -> 17`. Arithmetic is exact (integers and fractions, never floats); a stated result may be rounded
or cut at its own last digit, and a rounded result that is used again may stand for what it was rounded from.

Three-valued: an equality that holds an unknown name is undecided (`truth is None`). It does not read sentences:
`Tom has 5 more than 12, so 18` states nothing in this sense, and neither does an inequality.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache

from curate.notation import plain
from curate.units import conversions, dimensions

Value = int | Fraction

MAX_DIGITS = 60
MAX_EXPONENT = 64
MAX_BITS = 4096
MAX_DEPTH = 40
MAX_UNIT_WORDS = 6


@dataclass(frozen=True, slots=True)
class Equality:
    """One stated relation `left = right`; `truth` is None where it cannot be decided."""

    text: str
    left: Value | None
    right: Value | None
    truth: bool | None
    computed: bool
    """True where a side holds an operation, False for `x = 5` or `2 hours = 120 minutes`."""
    result: Value | None
    """The value stated as the outcome of the operation, None where nothing was computed."""


def equalities(text: str) -> list[Equality]:
    """Every arithmetic equality that `text` states, in order."""
    return list(_analyse(text).equalities)


def false_equalities(text: str) -> list[Equality]:
    return [e for e in _analyse(text).equalities if e.truth is False]


def step_results(text: str) -> tuple[Value, ...]:
    """The results of the steps of `text`, in order and without repeats: stated ones, and the value of every
    computed assignment (`total = a * b`), so that a program has results although it prints none."""
    return _analyse(text).results


def numbers(text: str) -> frozenset[Value]:
    """Every number written in `text`, a percentage counting both as 20 and as 1/5."""
    return _numbers(text)


# --- tokens ---------------------------------------------------------------------------------------------

_TOKEN = re.compile(
    r"(?P<t>\d{1,2}:\d{2}(?![\d.]))"
    r"|(?P<h>\d+(?:\.\d+)?-[A-Za-z]{2,}[A-Za-z-]*)"
    r"|(?P<n>(?:[$€£]\s?)?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:[eE][+-]?\d{1,2}(?![\w.]))?|[$€£]?\.\d+)"
    r"|(?P<w>[^\W\d]\w*(?:'[a-z]+)?)"
    r"|(?P<r>==|[!<>]=|[-+*/]=(?!=)|=>|->|[=≈⇒→])"
    r"|(?P<o>\*\*|//|[-+*/^])"
    r"|(?P<p>[()\[\]{}])"
    r"|(?P<c>%|¢)"
    r"|(?P<b>[^\s$])"
)
_NUMBER = re.compile(r"(-?)[$€£]?(\d[\d,]*(?:\.\d+)?|\.\d+)( ?%)?")
_WRITTEN_FRACTION = re.compile(r"(?:(?<![\d.,])(\d{1,9})[ -])?(?<![\d.,])\(?\(?(\d{1,9})\)? ?/ ?\(?(\d{1,9})(?![\d.,]\d)")
_SEGMENT = re.compile(r"[\n;?]|!(?!=)|[,.:](?=\s|$)")
_OPERATION = re.compile(r"\d[^\n]{0,30}?(?:[-+*/÷^]|plus|minus|times|divided|multiplied|of)", re.I)
_IS = re.compile(r"\b(?:is|are|makes?|gives?|leaves?|get)\b[^\d\n]{0,4}\d")
_ANNOTATION = re.compile(r"<<([^<>\n]{1,300})>>")
_ABOUT = re.compile(r"\b(?:about|approx\w*|around|round\w*|nearly|roughly|almost|estimat\w*)\b", re.I)
_TIMES_X = re.compile(r"(?<=[\d)%])\s*[xX]\s*(?=[$\d(.])|(?<=[\d)%])\s+[xX]\s+(?=\w)|(?<=\w\w) [xX] (?=[$\d])")
_EQUAL_WORDS = re.compile(r"\b(?:(?:is|are|be)\s+)?equal(?:s|ing)?(?:\s+to)?\b", re.I)
_BULLET = re.compile(r"^\s*(?:[-*•>+]\s+|\(?\d{1,2}[.)]\s+|\(?[a-h]\)\s+|#+\s+)+")
_PROGRAM = re.compile(r"^\s*(?:def |return\b|print\(|import |from \w+ import|while .*:$|for .*:$)", re.M)
_COMMENT_RESULT = re.compile(r"#\s*(?:=|->|=>)?\s*([$]?-?[\d.,]+)\s*$")
_DOCSTRING = re.compile(r'"""(?:.|\n)*?"""|\'\'\'(?:.|\n)*?\'\'\'')

# one operation on two plain numbers, and signs that make its sentence say more than that
_SIMPLE = re.compile(
    r"(?<![\w.,])\$?(\d{1,9}(?:\.\d{1,4})?) ?([-+*/]) ?\$?(\d{1,9}(?:\.\d{1,4})?) ?= ?"
    r"\$?(\d{1,9}(?:\.\d{1,4})?)(?![\w.,%/:¢]| ?[-+*/^=%(])"
)
_MORE = re.compile(r"[=+*/^%()\[\]{}<>→≈⇒¢_-]")

_WORD_OPERATORS = {"plus": "+", "minus": "-", "times": "*", "divided": "/", "multiplied": "*"}
_WEAK_RELATIONS = frozenset(("is", "are", "makes", "make", "gives", "give", "leaves", "leave", "get"))
_CONJUNCTIONS = frozenset(("then", "because", "since", "so", "while", "therefore", "thus", "hence", "where"))
_LEADING_VERBS = frozenset(
    "is are was were equals get gets got gives give has have had makes make so then that total thus hence "
    "left leaves need needs costs cost".split()
)
_NOT_NAMES = frozenset(("a", "A", "I"))


@dataclass(slots=True)
class _Tokens:
    kinds: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)

    def add(self, kind: str, text: str, start: int, end: int) -> None:
        self.kinds.append(kind)
        self.texts.append(text)
        self.starts.append(start)
        self.ends.append(end)


def _tokenise(segment: str) -> _Tokens:
    tokens = _Tokens()
    skip_by = False
    for match in _TOKEN.finditer(segment):
        kind = match.lastgroup or "b"
        text = match.group()
        if kind == "w":
            lower = text.lower()
            if skip_by and lower == "by":
                skip_by = False
                continue
            if lower in _WORD_OPERATORS:
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
        tokens.add(kind, text, match.start(), match.end())
    return tokens


# --- values ---------------------------------------------------------------------------------------------


def exact(value: Fraction) -> Value:
    """The integer that `value` is, or `value`."""
    return value.numerator if value.denominator == 1 else value


@lru_cache(maxsize=4096)
def literal(text: str) -> tuple[Value | None, int]:
    """Return `(value, digits after the point)` of a number as written: `$1,200.50` is `(2401/2, 2)`."""
    text = text.lstrip("$€£ ").replace(",", "")
    if len(text) > MAX_DIGITS or (text[0] == "0" and len(text) > 1 and text[1].isdigit()):
        return None, 0  # 000 is the rest of a number that was cut apart
    power = 0
    if "e" in text or "E" in text:
        text, _, exponent = text.replace("E", "e").partition("e")
        power = int(exponent)
    whole, _, decimals = text.partition(".")
    number = Fraction(int((whole + decimals) or "0"), 10 ** len(decimals)) * Fraction(10) ** power
    return exact(number), max(0, len(decimals) - power)


def _divide(a: Value, b: Value) -> Value | None:
    if b == 0:
        return None
    if isinstance(a, int) and isinstance(b, int) and a % b == 0:
        return a // b
    return exact(Fraction(a) / Fraction(b))


def power(a: Value, b: Value) -> Value | None:
    """`a ** b` where it is exact and small enough to write down, else None."""
    if not isinstance(b, int) or abs(b) > MAX_EXPONENT or (a == 0 and b <= 0):
        return None
    if isinstance(a, int):
        bits = a.bit_length()
    else:
        bits = max(a.numerator.bit_length(), a.denominator.bit_length())
    if bits * abs(b) > MAX_BITS:
        return None
    return exact(Fraction(a) ** b)


# --- expressions ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Side:
    """One parsed side of a relation."""

    value: Value | None
    end: int
    operated: bool
    words: bool  # unit words stood inside
    spaced: bool  # a product by juxtaposition with a space, which may be prose
    unit: str
    decimals: int  # of the single literal that the side is; -1 where it is none
    percent: int  # how many of its operands are percentages
    operands: int
    cut: int  # token where the first operand ends


class _Parser:
    """Recursive descent over the tokens of one segment. A position of -1 means: no operand here."""

    __slots__ = (
        "cut", "decimals", "depth", "end", "env", "first_end", "operands", "operated", "percent", "percent_unit",
        "rounded", "spaced", "t", "unit", "words",
    )  # fmt: skip

    def __init__(self, tokens: _Tokens, env: dict[str, Value], rounded: dict[Value, Value] | None) -> None:
        self.t, self.env, self.rounded = tokens, env, rounded

    def parse(self, start: int, end: int, percent_unit: int = 100) -> _Side | None:
        self.end, self.percent_unit = end, percent_unit
        self.operated = self.words = self.spaced = False
        self.unit, self.decimals, self.percent, self.operands, self.depth, self.cut = "", -1, 0, 0, 0, -1
        value, i = self.sum(start)
        if i < 0:
            return None
        if self.operands > 1 or self.operated:
            self.decimals = -1
        return _Side(
            value, i, self.operated, self.words, self.spaced, self.unit, self.decimals, self.percent,
            self.operands, self.cut if self.cut > 0 else i,
        )  # fmt: skip

    def sum(self, i: int) -> tuple[Value | None, int]:
        value, i = self.product(i)
        t = self.t
        while 0 <= i < self.end and t.kinds[i] == "o" and t.texts[i][0] in "+-":
            right, j = self.product(i + 1)
            if j < 0:
                break
            self.operated = True
            self.words = self.words or len(t.texts[i]) > 1
            if value is None or right is None:
                value = None
            else:
                value = value + right if t.texts[i][0] == "+" else value - right
                if isinstance(value, Fraction):
                    value = exact(value)
            i = j
        return value, i

    def product(self, i: int) -> tuple[Value | None, int]:
        value, i = self.factor(i)
        t = self.t
        fraction = False
        while 0 <= i < self.end:
            kind = t.kinds[i]
            operator = t.texts[i][0] if kind == "o" else ""
            if operator in ("*", "/") and operator:
                if operator == "/" and self.is_unit_after_slash(i):
                    i += 2
                    continue
                j = i + 1
                fraction = operator == "/"
                self.words = self.words or t.texts[i][-1] == "w"
                floor = t.texts[i] == "//"
            elif kind == "w" and t.texts[i] == "of" and (fraction or (i and t.kinds[i - 1] == "c")):
                j = i + 2 if i + 1 < self.end and t.texts[i + 1] == "the" else i + 1
                if j >= self.end or t.kinds[j] not in "n(":
                    break
                operator, floor = "*", False
            elif kind == "w" and self.is_coefficient(i):  # 2x, 2 x_1, and 3/4t = (3/4)t
                j, operator, floor = i, "*", False
            elif i and (kind == "(" and t.kinds[i - 1] in "n)") or (kind == "n" and t.kinds[i - 1] == ")"):
                if t.ends[i - 1] != t.starts[i]:
                    self.spaced = True
                j, operator, floor = i, "*", False
            else:
                break
            right, k = self.factor(j)
            if k < 0:
                break
            self.operated = True
            if value is None or right is None:
                value = None
            elif operator == "*":
                value = value * right
                if isinstance(value, Fraction):
                    value = exact(value)
            else:
                value = _divide(value, right)
                if floor and value is not None:
                    value = value.__floor__()
            i = k
        return value, i

    def is_coefficient(self, i: int) -> bool:
        t = self.t
        if not i or t.kinds[i - 1] not in "n)":
            return False
        if t.ends[i - 1] == t.starts[i]:
            return len(t.texts[i]) == 1 or is_symbol(t.texts[i])
        return t.kinds[i - 1] == "n" and t.texts[i] in self.env and is_symbol(t.texts[i])

    def is_unit_after_slash(self, i: int) -> bool:
        t = self.t
        return (
            i + 1 < self.end
            and t.kinds[i + 1] == "w"
            and t.ends[i] == t.starts[i + 1]
            and len(t.texts[i + 1]) > 1
            and t.texts[i + 1] not in self.env
            and not is_symbol(t.texts[i + 1])
        )

    def factor(self, i: int) -> tuple[Value | None, int]:
        t = self.t
        self.depth += 1
        try:
            if i >= self.end or self.depth > MAX_DEPTH:
                return None, -1
            kind = t.kinds[i]
            if kind == "o" and t.texts[i] in "+-":
                value, j = self.factor(i + 1)
                return (None if value is None else -value if t.texts[i] == "-" else value), j
            if kind == "n":
                value, j = self.number(i)
            elif kind == "(":
                value, j = self.sum(i + 1)
                if j < 0 or j >= self.end or t.kinds[j] != ")":
                    return None, -1
                j += 1
            elif kind == "w":
                value, j = self.name(i)
            elif kind == "t":
                value, j = None, i + 1
            else:
                return None, -1
            if j < 0:
                return None, -1
            if j < self.end and t.kinds[j] == "o" and t.texts[j] == "^":
                exponent, k = self.factor(j + 1)
                if k >= 0:
                    self.operated = True
                    value = None if value is None or exponent is None else power(value, exponent)
                    j = k
            if j < self.end and t.kinds[j] == "c":
                if value is not None:
                    if t.texts[j] == "¢":
                        self.unit = "cents"
                    else:
                        self.percent += 1
                        if self.percent_unit != 1:
                            value = _divide(value, self.percent_unit)
                            if self.decimals >= 0:
                                self.decimals += 2
                j += 1
            self.operands += 1
            if self.cut < 0:
                self.cut = j
            return value, self.after_units(j)
        finally:
            self.depth -= 1

    def number(self, i: int) -> tuple[Value | None, int]:
        t = self.t
        value, self.decimals = literal(t.texts[i])
        if t.texts[i][0] in "$€£" and not self.unit:
            self.unit = "dollars"
        j = i + 1
        if self.rounded and value in self.rounded:
            value = self.rounded[value]
        # 28 / 1/5: a fraction without spaces after a slash with one
        if (
            i and j + 1 < self.end and t.texts[j] == "/" and t.kinds[j + 1] == "n" and t.texts[i - 1] == "/"
            and t.ends[i - 1] < t.starts[i] and t.ends[i] == t.starts[j] and t.ends[j] == t.starts[j + 1]
        ):  # fmt: skip
            bottom = literal(t.texts[j + 1])[0]
            self.decimals = -1
            return (None if value is None or bottom is None else _divide(value, bottom)), j + 2
        # a mixed number: 2 1/2
        if (
            j + 2 < self.end and t.kinds[j] == "n" and t.texts[j + 1] == "/" and t.kinds[j + 2] == "n"
            and isinstance(value, int) and t.starts[j] == t.ends[i] + 1
        ):  # fmt: skip
            top, bottom = literal(t.texts[j])[0], literal(t.texts[j + 2])[0]
            if isinstance(top, int) and isinstance(bottom, int) and 0 < top < bottom:
                self.decimals = -1
                return exact(value + Fraction(top, bottom)), j + 3
        return value, j

    def is_unit(self, word: str) -> bool:
        return word not in self.env and bool(dimensions(word))

    def name(self, i: int) -> tuple[Value | None, int]:
        t = self.t
        word = t.texts[i]
        self.decimals = -1
        if i + 1 < self.end and t.kinds[i + 1] == "(" and t.starts[i + 1] == t.ends[i]:
            close = self.closing(i + 1)
            if close < 0:
                return None, -1
            self.operated = True
            if word in ("int", "float", "round", "abs", "Fraction"):
                value, j = self.sum(i + 2)
                if j == close:
                    return (abs(value) if word == "abs" and value is not None else value), close + 1
            if word == "sqrt":
                value, j = self.sum(i + 2)
                if j == close and value is not None:
                    return square_root(value), close + 1
            return None, close + 1
        return self.env.get(word), i + 1

    def closing(self, i: int) -> int:
        level = 0
        for j in range(i, self.end):
            if self.t.kinds[j] == "(":
                level += 1
            elif self.t.kinds[j] == ")":
                level -= 1
                if level == 0:
                    return j
        return -1

    def after_units(self, i: int) -> int:
        """Skip unit words where an operator, a closing bracket or the end follows them."""
        t, j = self.t, i
        while (
            j < self.end and j - i < MAX_UNIT_WORDS and t.kinds[j] in "wc"
            and (t.starts[j] > t.ends[j - 1] or len(t.texts[j]) > 1 or t.kinds[j] == "c")
            and (not is_symbol(t.texts[j]) or self.is_unit(t.texts[j]))
            and t.texts[j] != "of"
        ):  # fmt: skip
            j += 1
        if j == i:
            return i
        if not self.unit:
            self.unit = t.texts[i].lower()
        if j == self.end:
            return j
        if t.kinds[j] == ")" or (t.kinds[j] == "o" and len(t.texts[j]) == 1):
            self.words = True
            return j
        return i


def is_symbol(word: str) -> bool:
    """A variable rather than a word of prose: one letter, a subscript, an underscore."""
    return (len(word) == 1 and word not in _NOT_NAMES) or "_" in word or (word[-1].isdigit() and word[0].isalpha())


def square_root(value: Value) -> Value | None:
    """The exact square root, or None."""
    from math import isqrt

    number = Fraction(value)
    if number < 0 or number.numerator.bit_length() > MAX_BITS:
        return None
    top, bottom = isqrt(number.numerator), isqrt(number.denominator)
    if top * top == number.numerator and bottom * bottom == number.denominator:
        return exact(Fraction(top, bottom))
    return None


def evaluate(text: str) -> Value | None:
    """The exact value of an arithmetic expression without names, or None where `text` is not one.

    >>> evaluate("1,200 * 2")
    2400
    """
    tokens = _tokenise(_TIMES_X.sub(" * ", plain(text)))
    count = len(tokens.kinds)
    side = _Parser(tokens, {}, None).parse(0, count) if 0 < count <= 400 else None
    if side is None or side.end != count or "w" in tokens.kinds:
        return None
    return side.value


# --- equalities -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Analysis:
    equalities: tuple[Equality, ...]
    results: tuple[Value, ...]


@dataclass(slots=True)
class _Page:
    """State while a text is read from top to bottom."""

    program: bool
    env: dict[str, Value] = field(default_factory=dict)
    bindings: dict[str, set[Value]] = field(default_factory=dict)
    rounded: dict[Value, Value] = field(default_factory=dict)
    results: dict[Value, None] = field(default_factory=dict)

    def bind(self, name: str, value: Value) -> None:
        self.env[name] = value
        self.bindings.setdefault(name, set()).add(value)


@lru_cache(maxsize=1024)
def _analyse(text: str) -> _Analysis:
    if not _states(text) and "equal" not in text and "\\" not in text:
        return _Analysis((), ())
    found: list[Equality] = []
    later: list[tuple[int, str, _Tokens, tuple[int, int, int, int], str, bool]] = []
    program = _PROGRAM.search(text) is not None
    page = _Page(program)
    if program:
        text = _DOCSTRING.sub("", text)
    for segment in _segments(plain(text)):
        simple = _simple(segment)
        if simple is not None:
            found.append(simple)
            page.results[simple.result] = None  # type: ignore[index]
            continue
        tokens = _tokenise(segment)
        about = _ABOUT.search(segment) is not None
        for link in _links(tokens, page):
            equality = _judge(link, tokens, segment, page, about)
            if equality is None:
                continue
            if equality.truth is None:
                later.append((len(found), segment, tokens, link[:4], link[4], about))
            found.append(equality)
    _second_pass(found, later, page)
    return _Analysis(tuple(found), tuple(page.results))


def _simple(segment: str) -> Equality | None:
    """The common case without tokens: `she has 12 + 5 = 17 eggs`, exactly true. Anything else is None."""
    match = _SIMPLE.search(segment)
    if match is None or _MORE.search(segment, 0, match.start()) or _MORE.search(segment, match.end()):
        return None
    one, operator, two, stated = match.groups()
    a, b, c = literal(one)[0], literal(two)[0], literal(stated)[0]
    if a is None or b is None or c is None:
        return None
    if operator == "/":
        true = b != 0 and a == c * b
    else:
        true = c == (a + b if operator == "+" else a - b if operator == "-" else a * b)
    return Equality(match.group(), c, c, True, True, c) if true else None


def _states(text: str) -> bool:
    """A cheap necessary condition for stating an equality."""
    if "=" in text or "->" in text or "#" in text:
        return True
    if not text.isascii() and any(sign in text for sign in "≈→⇒＝"):
        return True
    return _IS.search(text) is not None and _OPERATION.search(text) is not None


def _segments(text: str) -> Iterator[str]:
    """Yield every stretch of the text that may state an equality, annotations first."""
    if "<<" in text:
        for match in _ANNOTATION.finditer(text):
            yield match.group(1)
        text = _ANNOTATION.sub("", text)
    if "equal" in text:
        text = _EQUAL_WORDS.sub(" = ", text)
    for line in text.split("\n"):
        if not _states(line):
            continue
        line = _BULLET.sub("", line)
        if "#" in line:
            line = _COMMENT_RESULT.sub(r" = \1", line)
            line = line.split("#", 1)[0] if "=" in line.split("#", 1)[0] else line.replace("#", " ")
        for segment in _SEGMENT.split(line):
            if _states(segment):
                if "x" in segment or "X" in segment:
                    segment = _TIMES_X.sub(" * ", segment)
                if len(segment) <= 4000:
                    yield segment


_Link = tuple[int, int, int, int, str, bool, bool]  # left start, left end, right start, right end, relation, first, last


def _links(tokens: _Tokens, page: _Page) -> Iterator[_Link]:
    """Yield the neighbouring sides of every chain of the segment."""
    kinds, texts = tokens.kinds, tokens.texts
    start, count = 0, len(kinds)
    stops = [i for i in range(count) if kinds[i] == "b" or (kinds[i] == "r" and texts[i] in ("+=", "-=", "*=", "/="))]
    for stop in [*stops, count]:
        if stop < count and kinds[stop] == "r":
            _augment(tokens, start, stop, page)
            return
        arrows = [i for i in range(start, stop) if kinds[i] == "r" and texts[i] in ("=>", "⇒", "->", "→")]
        equals = [i for i in range(start, stop) if kinds[i] == "r" and texts[i] in ("=", "==", "≈")]
        if equals and arrows:  # implication: 2x = 10 => x = 5
            bounds = [start, *arrows, stop]
        else:
            bounds = [start, stop]
            equals = equals or arrows or [i for i in range(start, stop) if kinds[i] == "k"]
        for a, b in zip(bounds, bounds[1:], strict=False):
            lo = a + 1 if a in arrows and equals is not arrows else a
            marks = [i for i in equals if lo <= i < b]
            edges = [lo - 1, *marks, b]
            for n, mark in enumerate(marks):
                relation = "is" if kinds[mark] == "k" else texts[mark]
                yield edges[n] + 1, mark, mark + 1, edges[n + 2], relation, n == 0, n == len(marks) - 1
        start = stop + 1


def _augment(tokens: _Tokens, start: int, stop: int, page: _Page) -> None:
    """`total += 5` in a program."""
    if stop - start != 1 or tokens.kinds[start] != "w":
        return
    name = tokens.texts[start]
    side = _Parser(tokens, page.env, None).parse(stop + 1, len(tokens.kinds))
    old = page.env.pop(name, None)
    if side is None or side.value is None or old is None:
        return
    operator = tokens.texts[stop][0]
    value = {"+": old + side.value, "-": old - side.value, "*": old * side.value}.get(operator)
    value = _divide(old, side.value) if value is None else value
    if value is not None:
        page.bind(name, value)
        page.results[value] = None


def _left(tokens: _Tokens, parser: _Parser, start: int, end: int, unit: int = 100) -> tuple[_Side | None, int]:
    """The longest expression that ends where the relation stands."""
    kinds = tokens.kinds
    for i in range(start, end):
        kind = kinds[i]
        if kind not in "nw(ot" or (i > start and kinds[i - 1] in "oc" and i - 1 >= start):
            continue
        if kind == "o" and tokens.texts[i] != "-":
            continue
        if kind == "(" and i > start and kinds[i - 1] == "w" and tokens.ends[i - 1] == tokens.starts[i]:
            continue
        side = parser.parse(i, end, unit)
        if side is not None and side.end == end:
            return side, i
    return None, end


def _judge(link: _Link, tokens: _Tokens, segment: str, page: _Page, about: bool) -> Equality | None:
    """Decide one relation, bind what it defines, and note its result. None where it states no arithmetic."""
    a, b, c, d, relation, first, last = link
    parser = _Parser(tokens, page.env, None)
    left, left_start = _left(tokens, parser, a, b)
    right = parser.parse(c, d)
    weak = relation in ("is", "->", "=>", "→", "⇒")
    if weak and (left is None or right is None or not left.operated or tokens.kinds[c] not in "n("):
        return None
    if relation == "is" and b >= 2 and tokens.kinds[b - 1] == "w" and tokens.kinds[b - 2] == "w":
        return None  # 1/2 priced toy is $6
    name = _defined_name(tokens, a, b, first)
    if right is None or (left is None and not right.operated):
        return None
    known = page.env.get(name) if name else None
    text = segment[tokens.starts[left_start if left else a] : tokens.ends[max(c, right.end - 1)]].strip()
    if name is not None:
        return _define(name, known, right, tokens, (a, b, c, d), page, about, text, relation, last)
    if left is None:
        return Equality(text, None, right.value, None, True, None)
    if not left.operated and not right.operated and (left.value is None or right.value is None):
        return None
    label = (
        left_start > a and not left.operated and tokens.texts[left_start - 1].lower() not in _LEADING_VERBS
        and tokens.kinds[left_start - 1] != "("
    )  # fmt: skip
    if label and first:
        if right.operated and right.value is not None and last:
            page.results[right.value] = None
        return None
    truth = _truth(left, right, tokens, (left_start, b, c, d), page, about or relation == "≈", weak)
    if truth is None and (left.value is None or right.value is None):
        truth = _like_terms(tokens, left_start, c, max(c, right.end))
    computed = left.operated or right.operated
    stated = right.value if not right.operated or left.operated else left.value
    if computed and stated is not None:
        page.results[stated] = None
        if truth and left.value is not None and right.value is not None and left.value != right.value:
            page.rounded[stated] = left.value if stated == right.value else right.value
    return Equality(text, left.value, right.value, truth, computed, stated if computed else None)


def _defined_name(tokens: _Tokens, a: int, b: int, first: bool) -> str | None:
    """The name that stands alone, or as the last symbol after prose, left of a relation."""
    if b <= a or tokens.kinds[b - 1] != "w":
        return None
    if b - a == 1:
        return tokens.texts[b - 1] if first else None
    prose = all(kind in "wk" for kind in tokens.kinds[a : b - 1]) if first else tokens.kinds[b - 2] in "wk"
    return tokens.texts[b - 1] if prose and is_symbol(tokens.texts[b - 1]) else None


def _define(
    name: str, known: Value | None, right: _Side, tokens: _Tokens, span: tuple[int, int, int, int],
    page: _Page, about: bool, text: str, relation: str, last: bool,
) -> Equality | None:  # fmt: skip
    """`x_1 = ...`: bind the name. Saying another number of a subscripted name than before is a false equality."""
    if right.value is None:
        if right.operated:
            page.env.pop(name, None)
            return Equality(text, None, None, None, True, None)
        return None
    restated = known is not None and not right.operated and last and not page.program and relation != "=="
    if restated and known is not None and is_symbol(name) and len(name) > 1:
        side = _Side(known, 0, False, False, False, "", -1, 0, 1, 0)
        truth = _truth(side, right, tokens, span, page, about, False)
        return Equality(text, known, right.value, truth, False, None)
    page.bind(name, right.value)
    if right.operated and last:
        page.results[right.value] = None
    return Equality(text, right.value, right.value, True, True, right.value) if right.operated and last else None


def _truth(
    left: _Side, right: _Side, tokens: _Tokens, span: tuple[int, int, int, int], page: _Page, about: bool, weak: bool
) -> bool | None:
    if left.value is None or right.value is None:
        return None
    if agrees(left.value, right.value, left.decimals, right.decimals, about):
        return True
    a, b, c, d = span
    for one, other in _readings(left, right, tokens, (a, b, c, d), page, weak):
        if one is not None and other is not None and one.value is not None and other.value is not None:
            if agrees(one.value, other.value, one.decimals, other.decimals, about):
                return True
    factors = conversions(left.unit, right.unit)
    if factors and any(agrees(left.value * f, right.value, left.decimals, right.decimals, about) for f in factors):
        return True
    return None if _is_rate(left, right, tokens, a, b) else False


def _like_terms(tokens: _Tokens, a: int, c: int, d: int) -> bool | None:
    """`5m + 3m = 8m`: decided where every number carries the same letter and nothing is multiplied."""
    letters: set[str] = set()
    for i in range(a, d):
        kind = tokens.kinds[i]
        if kind == "w" and i > a and tokens.kinds[i - 1] == "n" and len(tokens.texts[i]) == 1:
            letters.add(tokens.texts[i])
        elif kind not in "nor" or (kind == "o" and tokens.texts[i][0] not in "+-"):
            return None
        elif kind == "n" and (i + 1 >= d or tokens.starts[i + 1] > tokens.ends[i] or tokens.kinds[i + 1] != "w"):
            return None
    if len(letters) != 1:
        return None
    parser = _Parser(tokens, dict.fromkeys(letters, 1), None)
    left, right = _left(tokens, parser, a, c - 1)[0], parser.parse(c, d)
    if left is None or right is None or left.value is None or right.value is None:
        return None
    return left.value == right.value


def _is_rate(left: _Side, right: _Side, tokens: _Tokens, a: int, b: int) -> bool:
    """`3 boxes = 12 eggs`, `1% = $5`, `3/8 = 375`, `2 days = 7 + 2`: the left side names what the right one measures."""
    if not left.operated:
        if (left.percent > 0) != (right.percent > 0):
            return True
        if left.unit and left.unit != "dollars":
            return right.operated or left.unit != right.unit
        return False
    tight = left.operands == 2 and b - a >= 3 and tokens.texts[a + 1] == "/" and tokens.ends[a] + 1 == tokens.starts[a + 2]
    if not tight or left.value is None or right.value is None or right.percent:
        return False
    bottom = literal(tokens.texts[a + 2])[0]
    return 0 < left.value < 1 <= right.value and isinstance(bottom, int) and bottom <= 12


def _readings(
    left: _Side, right: _Side, tokens: _Tokens, span: tuple[int, int, int, int], page: _Page, weak: bool
) -> Iterator[tuple[_Side | None, _Side | None]]:
    """Other ways to read the two sides, from the likelier on. The equality is true if it is so in any of them."""
    a, b, c, d = span
    plain_parser = _Parser(tokens, page.env, None)
    if right.operated and (right.words or right.spaced or weak):  # = 8 apples - a dash, = 8 (5 + 3 ...)
        yield left, plain_parser.parse(c, right.cut)
    if page.rounded:
        parser = _Parser(tokens, page.env, page.rounded)
        yield _left(tokens, parser, a, b)[0], right
        yield left, parser.parse(c, d)
    if left.percent and not right.percent and all(
        tokens.texts[i - 1] == "100" for i in range(a + 1, b) if tokens.texts[i] == "%"
    ):  # 12 / 18 * 100% = 66.67
        yield _left(tokens, plain_parser, a, b, 1)[0], right
    if right.percent and not left.percent:  # 10 / 50 * 100 = 20%
        yield left, plain_parser.parse(c, d, 1)
    if left.percent and left.percent == left.operands and not right.percent:  # 100% - 30% = 70
        yield _left(tokens, plain_parser, a, b, 1)[0], right
    if left.percent and left.percent < left.operands and right.percent and right.operands == right.percent:
        yield _left(tokens, plain_parser, a, b, 1)[0], plain_parser.parse(c, d, 1)  # 100 - 30% = 70%


def agrees(a: Value, b: Value, a_decimals: int, b_decimals: int, about: bool = False) -> bool:
    """Equal, or equal after rounding or cutting one at the digits that the other, a literal, is written with.

    `a_decimals` and `b_decimals` are the digits after the point of a literal, -1 for a computed side. A literal
    without decimals is taken as exact unless the text says `about`, for else 7 / 2 = 3 would be true.
    """
    if a == b:
        return True
    for computed, stated, digits in ((a, b, b_decimals), (b, a, a_decimals)):
        if digits > 0 or (about and digits >= 0):
            scaled = Fraction(computed) * 10**digits
            target = Fraction(stated) * 10**digits
            if scaled.denominator == 1 and not about:
                continue  # nothing to round: 12.3 + 5.4 = 17.6 is false
            if abs(scaled - target) <= Fraction(1, 2) or (abs(scaled - target) < 1 and abs(target) <= abs(scaled)):
                return True
    return bool(about and a and b and abs(Fraction(a) / Fraction(b) - 1) <= Fraction(1, 50))


def _second_pass(found: list[Equality], later: list, page: _Page) -> None:
    """Decide equations such as `2x = 10` by the one value that the text goes on to give to x."""
    once = {name: next(iter(values)) for name, values in page.bindings.items() if len(values) == 1 and is_symbol(name)}
    if not once:
        return
    for index, segment, tokens, (a, b, c, d), relation, about in later:
        names = [t for k, t in zip(tokens.kinds[a:d], tokens.texts[a:d], strict=True) if k == "w" and is_symbol(t)]
        if not names or any(name not in once for name in names):
            continue
        parser = _Parser(tokens, once, None)
        left, _ = _left(tokens, parser, a, b)
        right = parser.parse(c, d)
        if left is not None and right is not None and left.value is not None and right.value is not None:
            truth = _truth(left, right, tokens, (a, b, c, d), page, about or relation == "≈", False)
            old = found[index]
            found[index] = Equality(old.text, left.value, right.value, truth, True, old.result)


@lru_cache(maxsize=1024)
def _numbers(text: str) -> frozenset[Value]:
    values: set[Value] = set()
    text = plain(text)
    for sign, digits, percent in set(_NUMBER.findall(text)):
        value, _ = literal(digits.rstrip(","))
        if value is None:
            continue
        values.add(value)
        if percent:
            values.add(exact(Fraction(value) / 100))
        if sign:
            values.add(-value)
    if "/" in text:
        for whole, top, bottom in _WRITTEN_FRACTION.findall(text):
            if int(bottom):
                values.add(exact(Fraction(int(top), int(bottom))))
                values.add(exact(int(whole or 0) + Fraction(int(top), int(bottom))))
    return frozenset(values)
