"""The formula of a multi grader: numbers, names of graders, + - * / ^ and a few functions. Never Python's `eval`.

`^` is stronger than the minus before it and groups from the right (-2^2 is -4, 2^3^2 is 512), as in mathematics. A
result that is no finite real number is an error: division by zero, the logarithm of 0, an overflow, a root of what is
negative.

>>> formula("min(a, 0.5) * 2 - -b").value({"a": 0.8, "b": 1.0})
2.0
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

MAX_CHARS = 4096
MAX_DEPTH = 64
"""Nesting of parentheses, signs and powers."""

FUNCTIONS: dict[str, Callable[..., float]] = {
    "min": min, "max": max, "abs": math.fabs, "floor": math.floor, "ceil": math.ceil,
    "exp": math.exp, "sqrt": math.sqrt, "log": math.log,
}  # fmt: skip
_NEGATIVE = operator.neg
_SEVERAL = ("min", "max")
_BINARY: dict[str, Callable[[float, float], float]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "^": operator.pow,
}  # fmt: skip
_TOKEN = re.compile(
    r"\s*(?:(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)|([A-Za-z_]\w*)|(\S))", re.ASCII
)


class FormulaError(ValueError):
    """A text that is no formula, or a formula without a finite value."""


@dataclass(frozen=True, slots=True)
class Formula:
    """Steps of a stack machine: a number or name is put on it, an operator takes its arguments off it.

    Flat, so that no length of formula meets Python's limit of recursion.
    """

    steps: tuple[tuple[str, float | str, int], ...]  # ("number" | "name" | "do", which, number of arguments)

    @property
    def names(self) -> frozenset[str]:
        """Variables that it uses."""
        return frozenset(str(what) for kind, what, _ in self.steps if kind == "name")

    def value(self, variables: Mapping[str, float]) -> float:
        """The value. Raises FormulaError where it is not finite, and for a variable that is missing."""
        stack: list[float] = []
        for kind, what, arguments in self.steps:
            if kind == "number":
                stack.append(float(what))
            elif kind == "name":
                if what not in variables:
                    raise FormulaError(f"there is no grader {what!r}")
                stack.append(variables[str(what)])
            else:
                operands = stack[len(stack) - arguments :]
                del stack[len(stack) - arguments :]
                stack.append(_applied(str(what), operands))
        return stack[0]


def _applied(name: str, operands: list[float]) -> float:
    try:
        does = _NEGATIVE if name == "negative" else _BINARY.get(name) or FUNCTIONS[name]
        value = does(*operands)
    except (ArithmeticError, ValueError) as error:
        raise FormulaError(f"{name} of {', '.join(f'{x:g}' for x in operands)}: {error}") from error
    if isinstance(value, complex) or not math.isfinite(value):
        raise FormulaError(f"{name} of {', '.join(f'{x:g}' for x in operands)} is no finite number")
    return float(value)


@lru_cache(maxsize=256)
def formula(text: str) -> Formula:
    """Read a formula. Raises FormulaError."""
    if len(text) > MAX_CHARS:
        raise FormulaError(f"{len(text)} characters; a formula has at most {MAX_CHARS}")
    return Formula(tuple(_Parser(text).whole()))


class _Parser:
    """Recursive descent of bounded depth; emits steps in postfix order."""

    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str, int]] = []  # kind, text, position
        for found in _TOKEN.finditer(text.rstrip()):
            kind = "number" if found[1] else "name" if found[2] else "sign"
            self.tokens.append((kind, found[found.lastindex or 0], found.start(found.lastindex or 0)))
        self.at = 0
        self.depth = 0
        self.steps: list[tuple[str, float | str, int]] = []

    def whole(self) -> list[tuple[str, float | str, int]]:
        if not self.tokens:
            raise FormulaError("it is empty; expected an expression of grader names")
        self.sum()
        if self.at < len(self.tokens):
            raise FormulaError(f"{self.here()} was not expected; expected an operator or the end")
        return self.steps

    def sum(self) -> None:
        self.chain(("+", "-"), self.product)

    def product(self) -> None:
        self.chain(("*", "/"), self.signed)

    def chain(self, signs: tuple[str, ...], operand: Callable[[], None]) -> None:
        operand()
        while (sign := self.sign(*signs)) is not None:
            operand()
            self.steps.append(("do", sign, 2))

    def signed(self) -> None:
        with_sign = self.sign("-", "+")
        if with_sign is None:
            self.power()
            return
        self.deeper(self.signed)
        if with_sign == "-":
            self.steps.append(("do", "negative", 1))

    def power(self) -> None:
        self.atom()
        if self.sign("^") is not None:
            self.deeper(self.signed)
            self.steps.append(("do", "^", 2))

    def atom(self) -> None:
        if self.at == len(self.tokens):
            raise FormulaError("it ends where a number, a name or a parenthesis was expected")
        kind, text, _ = self.tokens[self.at]
        if kind == "number":
            self.at += 1
            if not math.isfinite(float(text)):
                raise FormulaError(f"the number {text} is too large")
            self.steps.append(("number", float(text), 0))
        elif kind == "name":
            self.at += 1
            if self.sign("(") is not None:
                self.call(text)
            elif text in FUNCTIONS:
                raise FormulaError(f"{text} is a function; expected ( after it")
            else:
                self.steps.append(("name", text, 0))
        elif self.sign("(") is not None:
            self.deeper(self.sum)
            self.close()
        else:
            raise FormulaError(f"{self.here()} was not expected; expected a number, a name or a parenthesis")

    def call(self, name: str) -> None:
        if name not in FUNCTIONS:
            raise FormulaError(f"there is no function {name!r}; there are {', '.join(FUNCTIONS)}")
        self.deeper(self.sum)
        arguments = 1
        while self.sign(",") is not None:
            self.deeper(self.sum)
            arguments += 1
        self.close()
        if arguments > 1 and name not in _SEVERAL:
            raise FormulaError(f"{name} takes one argument, found {arguments}")
        if arguments == 1 and name in _SEVERAL:
            return  # the smallest of one number is that number
        self.steps.append(("do", name, arguments))

    def close(self) -> None:
        if self.sign(")") is None:
            raise FormulaError(f"{self.here()} was found; expected ) or an operator")

    def deeper(self, rule: Callable[[], None]) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise FormulaError(f"nested more than {MAX_DEPTH} deep")
        rule()
        self.depth -= 1

    def sign(self, *signs: str) -> str | None:
        """Take the next token if it is one of `signs`."""
        if (
            self.at < len(self.tokens)
            and self.tokens[self.at][0] == "sign"
            and self.tokens[self.at][1] in signs
        ):
            self.at += 1
            return self.tokens[self.at - 1][1]
        return None

    def here(self) -> str:
        if self.at == len(self.tokens):
            return "the end"
        _, text, position = self.tokens[self.at]
        return f"{text!r} at character {position}"
