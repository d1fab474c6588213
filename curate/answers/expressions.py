"""Algebra read from LaTeX or plain notation into small trees. `curate.answers.numeric_probe` compares them.

`parse` makes a tree or says None; nothing is ever handed to `eval`. Sizes, depths and exponents are bounded.

>>> parse("2x + 1")
('add', ('mul', ('num', 2), ('var', 'x')), ('num', 1))
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from recast.curate.answers.lexer import MAX_CHARS, UnreadableError, tokens_of
from recast.curate.maths.numbers import exact

MAX_NODES = 400
MAX_DEPTH = 40

Node = tuple
"""`(kind, *children)`: num, var, const, add, mul, div, pow, neg, abs, fn, fact, binom, root, log, floor, ceil,
mod."""


@dataclass(slots=True)
class _Reader:
    """Tokens `(kind, text)` and the place reached."""

    tokens: list[tuple[str, str]]
    i: int = 0
    nodes: int = 0
    depth: int = 0

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.i] if self.i < len(self.tokens) else ("end", "")

    def take(self, text: str) -> bool:
        if self.peek() == ("op", text):
            self.i += 1
            return True
        return False

    def need(self, text: str) -> None:
        if not self.take(text):
            raise UnreadableError

    def node(self, *parts: object) -> Node:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise UnreadableError
        return parts


@lru_cache(maxsize=2048)
def parse(text: str) -> Node | None:
    """The tree of `text`, or None where it is no expression (a sentence, an equation, a list)."""
    if len(text) > MAX_CHARS:
        return None
    try:
        reader = _Reader(tokens_of(text))
        if not reader.tokens:
            return None
        tree = _sum(reader)
        return tree if reader.i == len(reader.tokens) else None
    except (UnreadableError, RecursionError):
        return None


def _sum(r: _Reader) -> Node:
    r.depth += 1
    if r.depth > MAX_DEPTH:
        raise UnreadableError
    value = _product(r)
    while r.peek() in (("op", "+"), ("op", "-")):
        minus = r.peek()[1] == "-"
        r.i += 1
        right = _product(r)
        value = r.node("add", value, r.node("neg", right) if minus else right)
    r.depth -= 1
    return value


def _starts_factor(r: _Reader) -> bool:
    kind, text = r.peek()
    return kind in ("num", "rep", "var", "fn", "cmd") or (
        kind == "op" and text in ("(", "[", "{", "lfloor", "lceil")
    )


def _product(r: _Reader) -> Node:
    value = _signed(r)
    while True:
        if r.take("*"):
            value = r.node("mul", value, _signed(r))
        elif r.take("/"):
            value = r.node("div", value, _signed(r))
        elif r.take("bmod"):
            value = r.node("mod", value, _signed(r))
        elif _starts_factor(r):
            if r.peek()[0] in ("num", "rep") and value[0] in ("num",):
                raise UnreadableError  # 3 4 is no product
            value = r.node("mul", value, _powered(r))
        else:
            return value


def _signed(r: _Reader) -> Node:
    sign = 1
    while r.peek() in (("op", "-"), ("op", "+")):
        sign = -sign if r.peek()[1] == "-" else sign
        r.i += 1
    value = _powered(r)
    return r.node("neg", value) if sign < 0 else value


def _powered(r: _Reader) -> Node:
    value = _primary(r)
    while True:
        if r.take("!"):
            value = r.node("fact", value)
        elif r.take("°"):
            value = r.node("mul", value, r.node("div", r.node("const", "pi"), r.node("num", 180)))
        elif r.take("%"):
            value = r.node("div", value, r.node("num", 100))
        elif r.take("^"):
            return r.node("pow", value, _exponent(r))
        else:
            return value


def _exponent(r: _Reader) -> Node:
    """What is raised: `{...}`, `-1`, `(...)`, or a single factor; powers associate to the right."""
    r.depth += 1
    if r.depth > MAX_DEPTH:
        raise UnreadableError
    value = _group(r) if r.peek() == ("op", "{") else _signed(r)
    if r.take("^"):
        value = r.node("pow", value, _exponent(r))
    r.depth -= 1
    return value


def _group(r: _Reader) -> Node:
    """`{...}`, or the single token that LaTeX takes without braces: `\\frac12` is `\\frac{1}{2}`."""
    if r.take("{"):
        value = _sum(r)
        r.need("}")
        return value
    kind, text = r.peek()
    if kind == "num" and len(text) > 1 and text.isdigit():
        r.tokens[r.i] = ("num", text[1:])
        return r.node("num", int(text[0]))
    return _primary(r)


def _primary(r: _Reader) -> Node:
    kind, text = r.peek()
    r.i += 1
    if kind == "num":
        return _number(r, text)
    if kind == "rep":
        return r.node("num", repeating(text))
    if kind == "var":
        return r.node("const", text) if text in ("e", "i") else r.node("var", text)
    if kind == "cmd":
        one, two = _group(r), _group(r)
        return r.node("div" if text == "frac" else "binom", one, two)
    if kind == "fn":
        return _function(r, text)
    if kind == "op" and text in ("lfloor", "lceil"):
        value = _sum(r)
        r.need("r" + text[1:])
        return r.node(text[1:], value)
    if kind == "op" and text in ("(", "[", "{"):
        value = _sum(r)
        r.need({"(": ")", "[": "]", "{": "}"}[text])
        return value
    if kind == "op" and text == "|":
        value = _sum(r)
        r.need("|")
        return r.node("abs", value)
    raise UnreadableError


def _number(r: _Reader, text: str) -> Node:
    whole = r.node("num", exact(Fraction(text.replace(",", ""))))
    if not text.isdigit():
        return whole
    # a mixed number: 3\frac{1}{2} or 3 1/2
    ahead = r.tokens[r.i : r.i + 7]
    shape = [t if k == "op" else k for k, t in ahead]
    if shape == ["cmd", "{", "num", "}", "{", "num", "}"] and ahead[0][1] == "frac":
        top, bottom, used = ahead[2][1], ahead[5][1], 7
    elif shape[:3] == ["num", "/", "num"]:
        top, bottom, used = ahead[0][1], ahead[2][1], 3
    else:
        return whole
    if top.isdigit() and bottom.isdigit() and 0 < int(top) < int(bottom):
        r.i += used
        return r.node("num", int(text) + Fraction(int(top), int(bottom)))
    return whole


def repeating(text: str) -> Fraction:
    """`0.1\\overline{6}` as the fraction 1/6."""
    head, _, period = text.replace(" ", "").partition("\\overline{")
    period = period.rstrip("}")
    whole, _, fixed = head.partition(".")
    shift = 10 ** len(fixed)
    tail = Fraction(int(period), (10 ** len(period) - 1) * shift)
    return Fraction(int((whole or "0") + fixed), shift) + tail


def _function(r: _Reader, name: str) -> Node:
    if name == "pi":
        return r.node("const", "pi")
    index: Node = ("num", 2)
    if name == "sqrt":
        if r.take("["):
            index = _sum(r)
            r.need("]")
        return r.node("root", _group(r), index)
    base: Node | None = None
    if name == "log":
        base = _subscript(r)
    exponent = _exponent(r) if r.take("^") else None
    bare = not (r.peek() in (("op", "("), ("op", "{"), ("op", "[")) or r.peek() == ("op", "|"))
    argument = _powered(r)
    while bare and r.peek()[0] in ("num", "var", "cmd") and name != "exp":  # sin 2x, ln 3x
        argument = r.node("mul", argument, _powered(r))
    if name == "abs":
        value = r.node("abs", argument)
    elif name == "log":
        value = r.node("log", argument, base if base is not None else ("num", 10))
    else:
        value = r.node("fn", name, argument)
    if exponent is None:
        return value
    if exponent == ("neg", ("num", 1)):
        raise UnreadableError  # \sin^{-1}: inverse or reciprocal
    return r.node("pow", value, exponent)


def _subscript(r: _Reader) -> Node | None:
    if r.peek()[0] == "sub":
        text = r.peek()[1]
        r.i += 1
        return parse(text)
    return None
