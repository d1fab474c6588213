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
from recast.curate.maths.numbers import Value, divide, exact, literal, near_root, power, square_root
from recast.curate.maths.units import MULTIPLIERS, dimensions

MAX_DEPTH = 40
MAX_UNIT_WORDS = 10
_SHARES = frozenset(
    "half third thirds quarter quarters fourth fourths fifth fifths sixth sixths eighth eighths tenth tenths "
    "percent".split()
)


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
    parts: tuple[
        tuple[Value, int, int], ...
    ] = ()  # values of the operations inside, each with its token span
    root: bool = False  # a root that is no fraction stands in it, cut after forty digits


class Parser:
    """Recursive descent over the tokens of one segment. A position of -1 means: no operand here."""

    __slots__ = (
        "cut", "decimals", "depth", "end", "env", "operands", "operated", "parts", "percent", "percent_unit", "root",
        "rounded", "scaled", "spaced", "t", "unit", "words",
    )  # fmt: skip

    def __init__(
        self,
        tokens: Tokens,
        env: dict[str, Value],
        rounded: dict[Value, Value] | None,
        scaled: bool = False,
    ) -> None:
        """`rounded` results stand for what they were rounded from; with `scaled` a dozen is 12."""
        self.t, self.env, self.rounded, self.scaled = tokens, env, rounded, scaled

    def parse(self, start: int, end: int, percent_unit: int = 100) -> Side | None:
        self.end, self.percent_unit = end, percent_unit
        self.operated = self.words = self.spaced = self.root = False
        self.parts: list[tuple[Value, int, int]] = []
        self.unit, self.decimals, self.percent, self.operands, self.depth, self.cut = "", -1, 0, 0, 0, -1
        value, i = self.sum(start)
        if i < 0:
            return None
        if self.operands > 1 or self.operated:
            self.decimals = -1
        return Side(
            value, i, self.operated, self.words, self.spaced, self.unit, self.decimals, self.percent,
            self.operands, self.cut if self.cut > 0 else i, tuple(self.parts), self.root,
        )  # fmt: skip

    def sum(self, i: int) -> tuple[Value | None, int]:
        start = i
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
                self.parts.append((value, start, j))
            i = j
        return value, i

    def product(self, i: int) -> tuple[Value | None, int]:
        start = i
        value, i = self.factor(i)
        t = self.t
        fraction = False
        while 0 <= i < self.end:
            kind = t.kinds[i]
            operator = t.texts[i][0] if kind == "o" else ""
            if operator in ("*", "/") and operator:
                if operator == "/" and self.is_unit_after_slash(i):
                    unit, i = self.unit, self.after_units(i + 2)  # $5/ice cream * 3: no cream
                    self.unit = unit
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
            if value is not None:
                self.parts.append((value, start, k))
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
            return len(t.texts[i]) == 1 or is_symbol(t.texts[i]) or t.texts[i] == "sqrt"
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
        if self.scaled and value is not None and j < self.end and t.texts[j] in MULTIPLIERS:
            value, self.decimals = exact(value * Fraction(MULTIPLIERS[t.texts[j]])), -1
            j += 1
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
                    root = square_root(value)
                    if root is None:
                        root, self.root = near_root(value), True
                    return root, close + 1
            return None, close + 1
        return self.env.get(word), i + 1

    def words_in_brackets(self, i: int) -> int:
        """Where the bracket at `i` closes, -1 where anything but words of more than a letter stands in it."""
        close = self.closing(i)
        inside = range(i + 1, close)
        named = all(
            self.t.kinds[j] in "wk" and len(self.t.texts[j]) > 1 and self.t.texts[j] not in self.env
            for j in inside
        )
        return close if close > i + 1 and named else -1

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
        while j < self.end and j - i < MAX_UNIT_WORDS:
            kind, word = t.kinds[j], t.texts[j]
            beside = t.starts[j] == t.ends[j - 1]
            if kind == "o" and word == "/" and j > i and beside and self.is_unit_after_slash(j):
                j += 2  # 33 lost/given cards
                continue
            if kind == "(" and not beside and (close := self.words_in_brackets(j)) > 0:
                j = close + 1  # 5 (initial oranges) - 2 (thrown away)
                continue
            if kind not in "wck" or (beside and len(word) == 1 and kind != "c"):
                break
            if is_symbol(word) and not self.is_unit(word):
                break
            if word == "of" and (
                j + 1 >= self.end
                or t.kinds[j + 1] != "w"
                or t.texts[j - 1] in _SHARES
                or (j == i and (t.kinds[j - 1] != "n" or (j > 1 and t.texts[j - 2] == "/")))
            ):
                break  # a third of 12, a quarter of them, but 6 bags of dog food and 0.5 of a pie
            if kind == "k" and (j == i or j + 1 >= self.end or t.kinds[j + 1] != "w"):
                break  # 45 flowers that are not pink
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


def evaluate(text: str, units: bool = False) -> Value | None:
    """The exact value of an arithmetic expression without names, or None where `text` is not one.

    With `units`, words may stand after its numbers.

    >>> evaluate("1,200 * 2"), evaluate("3 boxes * 2"), evaluate("3 boxes * 2", units=True)
    (2400, None, 6)
    """
    tokens = tokenise(TIMES_X.sub(" * ", plain(text)))
    count = len(tokens.kinds)
    side = Parser(tokens, {}, None).parse(0, count) if 0 < count <= 400 else None
    if side is None or side.end != count or side.root or ("w" in tokens.kinds and not units):
        return None
    return side.value
