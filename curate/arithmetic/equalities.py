"""The arithmetic that a text states: every equality in it, whether it is true, and the results of its steps.

Notation does not matter: `12 + 5 = 17`, `$x_1 = x_0 + 5 = 19$` with references to earlier results, GSM8K's
`<<48/2=24>>24`, `\\frac{48}{2} = 24`, `29 species * 7 pairs = 203 pairs`, `20% of 50 is 10`, `b = a + 5  # 19`,
`12 + 5 -> 17`, and sums in words (`curate.arithmetic.told`). Arithmetic is exact (integers and fractions, never floats;
a root that is no fraction is cut after forty digits); a stated result may be rounded or cut at its own last digit, and
a rounded result that is used again may stand for what it was rounded from.

Three-valued: an equality that holds an unknown name is undecided (`truth is None`), unless the text goes on to give the
name a value: `x + 34 = 60`, `x = 26` is a sum of 60 and 34 whose result is 26. It reads no story: `Tom has 5 more than
12, so 18` states nothing in this sense, and neither does an inequality.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from types import MappingProxyType

from recast.curate.arithmetic.fast_path import Equality, plain_sum
from recast.curate.arithmetic.lexer import Tokens, is_symbol, tokenise
from recast.curate.arithmetic.parser import Parser, Side
from recast.curate.arithmetic.segments import segments, states, straight_line
from recast.curate.arithmetic.told import tells
from recast.curate.arithmetic.truth import left_side, like_terms, truth_of
from recast.curate.maths.notation import plain
from recast.curate.maths.numbers import Value, divide, exact, literal


def equalities(text: str) -> list[Equality]:
    """Every arithmetic equality that `text` states, in order."""
    return list(_analyse(text).equalities)


def false_equalities(text: str) -> list[Equality]:
    return [e for e in _analyse(text).equalities if e.truth is False]


def step_results(text: str) -> tuple[Value, ...]:
    """The results of the true steps of `text`, in order and without repeats: stated ones, and the value of every
    computed assignment (`total = a * b`), so that a program has results although it prints none."""
    return _analyse(text).results


_ABOUT = re.compile(r"\b(?:about|approx\w*|around|round\w*|nearly|roughly|almost|estimat\w*)\b", re.I)
_QUOTED_SUM = re.compile(r"(?<=\d)\??[\"”»'’]{1,2}\s+(?=(?:is|equals|gives)\b|=)")  # "what is 16 + 4" is 20
_QUOTE = re.compile(r"[\"”»'’]\s")
_PROGRAM = re.compile(r"^\s*(?:def |return\b|print\(|import |from \w+ import|while .*:$|for .*:$)", re.M)
_DOCSTRING = re.compile(r'"""(?:.|\n)*?"""|\'\'\'(?:.|\n)*?\'\'\'')

_LEADING_VERBS = frozenset(
    (
        "is are was were equals get gets got gives give has have had makes make so then that total thus "
        "hence left leaves need needs costs cost"
    ).split()
)


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
    found: list[Equality] = field(default_factory=list[Equality])
    unbound: dict[str, Value] = field(default_factory=dict)
    """Names that the chain being read defines: in `n = n * 3 = 81` the middle still speaks of the old n."""

    def bind(self, name: str, value: Value) -> None:
        self.env[name] = value
        self.bindings.setdefault(name, set()).add(value)

    def end_chain(self) -> None:
        for name, value in self.unbound.items():
            self.bind(name, value)
        self.unbound.clear()


@lru_cache(maxsize=1024)
def _analyse(text: str) -> _Analysis:
    if not _may_state(text):
        return _Analysis((), ())
    later: list[_Later] = []
    program = _may_be_program(text) and _PROGRAM.search(text) is not None
    page = _Page(program)
    if program:
        text = straight_line(_DOCSTRING.sub("", text))
    elif _QUOTE.search(text):
        text = _QUOTED_SUM.sub(" ", text)
    for segment in segments(plain(text), prose=not program):
        simple = plain_sum(segment)
        if simple is not None:
            page.found.append(simple)
            continue
        tokens = tokenise(segment)
        about = _ABOUT.search(segment) is not None
        for link in _links(tokens, page):
            equality = _judge(link, tokens, segment, page, about)
            if link[6]:
                page.end_chain()
            if equality is None:
                continue
            if equality.truth is None:
                later.append((len(page.found), tokens, link[:4], link[4], about, frozenset(page.bindings)))
            page.found.append(equality)
    _second_pass(later, page)
    results = dict.fromkeys(e.result for e in page.found if e.truth and e.result is not None)
    return _Analysis(tuple(page.found), tuple(results))


def _may_be_program(text: str) -> bool:
    """Whether any of what `_PROGRAM` looks for can be in `text`."""
    return text.endswith(":") or any(map(text.__contains__, ("def ", "return", "print(", "import", ":\n")))


def _may_state(text: str) -> bool:
    return "=" in text or "equal" in text or "\\" in text or states(text) or bool(tells(text))


_Link = tuple[int, int, int, int, str, bool, bool]
"""Left start and end, right start and end, the relation, whether it is the first and the last of its chain."""
_Later = tuple[int, Tokens, tuple[int, int, int, int], str, bool, frozenset[str]]
"""Place among the equalities found, tokens, span, relation, whether the sentence says `about`, and the names that had
a value by then."""


def _links(tokens: Tokens, page: _Page) -> Iterator[_Link]:
    """Yield the neighbouring sides of every chain of the segment."""
    kinds, texts = tokens.kinds, tokens.texts
    start, count = 0, len(kinds)
    stops = [
        i
        for i in range(count)
        if kinds[i] == "b" or (kinds[i] == "r" and texts[i] in ("+=", "-=", "*=", "/="))
    ]
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
        for a, b in pairwise(bounds):
            lo = a + 1 if a in arrows and equals is not arrows else a
            marks = [i for i in equals if lo <= i < b]
            edges = [lo - 1, *marks, b]
            for n, mark in enumerate(marks):
                relation = "is" if kinds[mark] == "k" else texts[mark]
                yield edges[n] + 1, mark, mark + 1, edges[n + 2], relation, n == 0, n == len(marks) - 1
        start = stop + 1


def _augment(tokens: Tokens, start: int, stop: int, page: _Page) -> None:
    """`total += 5` in a program."""
    if stop - start != 1 or tokens.kinds[start] != "w":
        return
    name = tokens.texts[start]
    side = Parser(tokens, page.env, None).parse(stop + 1, len(tokens.kinds))
    old = page.env.pop(name, None)
    if side is None or side.value is None or old is None:
        return
    operator = tokens.texts[stop][0]
    value = {"+": old + side.value, "-": old - side.value, "*": old * side.value}.get(operator)
    value = divide(old, side.value) if value is None else value
    if value is not None:
        page.bind(name, value)
        operands = (old, *_literals(tokens, stop + 1, len(tokens.kinds), page.env))
        page.found.append(Equality(" ".join(tokens.texts), value, value, True, True, value, operands))


def _judge(link: _Link, tokens: Tokens, segment: str, page: _Page, about: bool) -> Equality | None:
    """Decide one relation, bind what it defines, and note its result. None where it states no arithmetic."""
    a, b, c, d, relation, first, last = link
    parser = Parser(tokens, page.env, None)
    left, left_start = left_side(tokens, parser, a, b)
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
    shown = right.end if right.operated else right.cut  # the words after a plain result are not part of it
    text = segment[tokens.starts[left_start if left else a] : tokens.ends[max(c, shown - 1)]].strip()
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
    if label and first:  # Left = 96 - 15
        if not (right.operated and right.value is not None and last):
            return None
        operands = _literals(tokens, c, right.end, page.env)
        return Equality(text, right.value, right.value, True, True, _writable(right), operands)
    truth = truth_of(
        left, right, tokens, (left_start, b, c, d), page.env, page.rounded, about or relation == "≈", weak
    )
    if truth is None and (left.value is None or right.value is None):
        alike = like_terms(tokens, left_start, c, max(c, right.end))
        if alike is not None:
            left, right = replace(left, value=alike[0]), replace(right, value=alike[1], operated=False)
            truth = alike[0] == alike[1]
    computed = left.operated or right.operated
    stated = _writable(right if not right.operated or left.operated else left)
    if computed and truth and None not in (stated, left.value, right.value) and left.value != right.value:
        page.rounded[stated] = left.value if stated == right.value else right.value  # type: ignore[index,assignment]
    operands = _literals(tokens, left_start, b, page.env) if left.operated else ()
    if right.operated and last:
        operands += _literals(tokens, c, right.end, page.env)
    inner = _inner(left, right, tokens, c) if truth and left.operated and right.operated else ()
    return Equality(
        text, left.value, right.value, truth, computed, stated if computed else None, operands, inner
    )


def _writable(side: Side) -> Value | None:
    """The value of a side where a number can be written for it."""
    return None if side.root else side.value


def _inner(
    left: Side, right: Side, tokens: Tokens, start: int
) -> tuple[tuple[tuple[Value, ...], Value], ...]:
    """The operations of the left side that the right one, equal to it, writes as one number."""
    written, before = set(_literals(tokens, start, right.end)), left.parts[:-1]
    return tuple((_literals(tokens, i, j), value) for value, i, j in before if value in written)


def _literals(
    tokens: Tokens, start: int, end: int, env: Mapping[str, Value] = MappingProxyType({})
) -> tuple[Value, ...]:
    """The numbers written between two tokens, and those that names of `env` stand for."""
    values: list[Value] = []
    for i in range(start, end):
        kind, text = tokens.kinds[i], tokens.texts[i]
        value = literal(text)[0] if kind == "n" else env.get(text) if kind == "w" else None
        if value is not None:
            percent = kind == "n" and i + 1 < len(tokens.kinds) and tokens.texts[i + 1] == "%"
            values.append(exact(Fraction(value) / 100) if percent else value)
    return tuple(values)


def _defined_name(tokens: Tokens, a: int, b: int, first: bool) -> str | None:
    """The name that stands alone, or as the last symbol after prose, left of a relation."""
    if b <= a or tokens.kinds[b - 1] != "w":
        return None
    if b - a == 1:
        return tokens.texts[b - 1] if first else None
    prose = all(kind in "wk" for kind in tokens.kinds[a : b - 1]) if first else tokens.kinds[b - 2] in "wk"
    return tokens.texts[b - 1] if prose and is_symbol(tokens.texts[b - 1]) else None


def _define(
    name: str, known: Value | None, right: Side, tokens: Tokens, span: tuple[int, int, int, int],
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
        side = Side(known, 0, False, False, False, "", -1, 0, 1, 0)
        truth = truth_of(side, right, tokens, span, page.env, page.rounded, about, False)
        return Equality(text, known, right.value, truth, False, None)
    page.unbound[name] = right.value
    if not (right.operated and last):
        return None
    operands = _literals(tokens, span[2], right.end, page.env)
    return Equality(text, right.value, right.value, True, True, right.value, operands)


def _second_pass(later: list[_Later], page: _Page) -> None:
    """Decide equations such as `2x = 10` by the one value that the text goes on to give to x, which is their result."""
    once = {
        name: next(iter(values))
        for name, values in page.bindings.items()
        if len(values) == 1 and is_symbol(name)
    }
    if not once:
        return
    for index, tokens, (a, b, c, d), relation, about, known in later:
        names = [
            t for k, t in zip(tokens.kinds[a:d], tokens.texts[a:d], strict=True) if k == "w" and is_symbol(t)
        ]
        if not names or any(name not in once for name in names):
            continue
        parser = Parser(tokens, once, None)
        left, _ = left_side(tokens, parser, a, b)
        right = parser.parse(c, d)
        if left is not None and right is not None and left.value is not None and right.value is not None:
            truth = truth_of(
                left, right, tokens, (a, b, c, d), page.env, page.rounded, about or relation == "≈", False
            )
            old = page.found[index]
            solved = {once[name] for name in names if name not in known}
            result = solved.pop() if len(solved) == 1 else None if solved else old.result
            given = (
                (*_literals(tokens, a, b), *_literals(tokens, c, d)) if result != old.result else old.operands
            )
            page.found[index] = Equality(old.text, left.value, right.value, truth, True, result, given)
