"""Arithmetic inside running text: a parser for what stands between two relations.

Made for prose: unit words stand inside (`29 species * 7 pairs per species`), names refer to earlier results, and
an expression ends where the sentence goes on. `curate.arithmetic.equalities` decides which stretches to read and what
they state; algebra proper is `curate.answers.expressions`.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from recast.curate.arithmetic.lexer import TIMES_X, Tokens, is_symbol, tokenise
from recast.curate.maths.notation import plain
from recast.curate.maths.numbers import Value, divide, exact, literal, power, square_root
from recast.curate.maths.units import dimensions

MAX_DEPTH = 40
MAX_UNIT_WORDS = 6


@dataclass(slots=True)
class Side:
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


class Parser:
    """Recursive descent over the tokens of one segment. A position of -1 means: no operand here."""

    __slots__ = (
        "cut", "decimals", "depth", "end", "env", "first_end", "operands", "operated", "percent", "percent_unit",
        "rounded", "spaced", "t", "unit", "words",
    )  # fmt: skip

    def __init__(self, tokens: Tokens, env: dict[str, Value], rounded: dict[Value, Value] | None) -> None:
        self.t, self.env, self.rounded = tokens, env, rounded

    def parse(self, start: int, end: int, percent_unit: int = 100) -> Side | None:
        self.end, self.percent_unit = end, percent_unit
        self.operated = self.words = self.spaced = False
        self.unit, self.decimals, self.percent, self.operands, self.depth, self.cut = "", -1, 0, 0, 0, -1
        value, i = self.sum(start)
        if i < 0:
            return None
        if self.operands > 1 or self.operated:
            self.decimals = -1
        return Side(
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
                if (
                    t.texts[i][-1] == "w"
                    and j < self.end
                    and t.kinds[j] == "w"
                    and not self.refers(t.texts[j])
                ):
                    break  # 16 times as fast
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
            elif (i and (kind == "(" and t.kinds[i - 1] in "n)")) or (kind == "n" and t.kinds[i - 1] == ")"):
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
                value = divide(value, right)
                if floor and value is not None:
                    value = value.__floor__()
            i = k
        return value, i

    def refers(self, word: str) -> bool:
        """Whether a word stands for a number."""
        return word in self.env or is_symbol(word)

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
                            value = divide(value, self.percent_unit)
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
        if self.rounded and value is not None and value in self.rounded:
            value = self.rounded[value]
        # 28 / 1/5: a fraction without spaces after a slash with one
        if (
            i and j + 1 < self.end and t.texts[j] == "/" and t.kinds[j + 1] == "n" and t.texts[i - 1] == "/"
            and t.ends[i - 1] < t.starts[i] and t.ends[i] == t.starts[j] and t.ends[j] == t.starts[j + 1]
        ):  # fmt: skip
            bottom = literal(t.texts[j + 1])[0]
            self.decimals = -1
            return (None if value is None or bottom is None else divide(value, bottom)), j + 2
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


def evaluate(text: str) -> Value | None:
    """The exact value of an arithmetic expression without names, or None where `text` is not one.

    >>> evaluate("1,200 * 2")
    2400
    """
    tokens = tokenise(TIMES_X.sub(" * ", plain(text)))
    count = len(tokens.kinds)
    side = Parser(tokens, {}, None).parse(0, count) if 0 < count <= 400 else None
    if side is None or side.end != count or "w" in tokens.kinds:
        return None
    return side.value
