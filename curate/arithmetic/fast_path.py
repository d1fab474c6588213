"""A stated equality, and the common case of one, read without a parser: `she has 12 + 5 * 2 = 22 eggs`, exactly true.

Whatever is not that plain or not that true is left to `curate.arithmetic.equalities`. Of the stretches that state
something in the first 500 solutions of GSM8K train, 84 % end here.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from recast.curate.maths.numbers import Value, divide, literal

# operations on plain numbers, and signs that make its sentence say more than that
_PLAIN = r"\$?(?:\d{1,3}(?:,\d{3}){1,3}(?!\d)|\d{1,9})(?:\.\d{1,4})?|\.\d{1,4}"
_SIMPLE = re.compile(
    rf"(?<![\w.,])((?:{_PLAIN})(?: ?[-+*/] ?(?:{_PLAIN})){{1,9}}) ?= ?({_PLAIN})(?![\w.,%/:¢]| ?[-+*/^=%(])"
)
_SIMPLE_TOKEN = re.compile(rf"({_PLAIN})|[-+*/]")
_MORE = re.compile(r"[=+*/^%()\[\]{}<>→≈⇒¢_-]")


class Equality(NamedTuple):
    """One stated relation `left = right`; `truth` is None where it cannot be decided."""

    text: str
    left: Value | None
    right: Value | None
    truth: bool | None
    computed: bool
    """True where a side holds an operation, False for `x = 5` or `2 hours = 120 minutes`."""
    result: Value | None
    """The value stated as the outcome of the operation, None where nothing was computed."""
    operands: tuple[Value, ...] = ()
    """The numbers that go into the operation, a percentage as a fraction."""
    inner: tuple[tuple[tuple[Value, ...], Value], ...] = ()
    """Operands and results of the sums inside the left side that the right side writes as one number: those of
    `60/2 - 5 = 30 - 5` are (60, 2) and 30."""


def plain_sum(segment: str) -> Equality | None:
    """The common case without a parser: `she has 12 + 5 * 2 = 22 eggs`, exactly true. Anything else is None."""
    match = _SIMPLE.search(segment) if segment.count("=") == 1 else None
    if match is None or _MORE.search(segment, 0, match.start()) or _MORE.search(segment, match.end()):
        return None
    work, stated = match.groups()
    operands = _operands(work.replace(" ", ""), stated)
    if operands is None:
        return None
    result = literal(stated)[0]
    return Equality(match.group(), result, result, True, True, result, operands)


@lru_cache(maxsize=4096)
def _operands(work: str, stated: str) -> tuple[Value, ...] | None:
    """The numbers of a sum without spaces that comes to `stated` exactly, None where it does not.

    A demonstration writes most sums twice, in its words and in its annotations, and its rewrites write them again.
    """
    if work.count("/") > 1:
        return None  # 28 / 1/5 is a matter of spaces
    operands: list[Value] = []
    terms: list[Value] = []
    operator = "+"
    for token in _SIMPLE_TOKEN.finditer(work):
        if token.group(1) is None:
            operator = token.group()
            continue
        value = literal(token.group())[0]
        if value is None:
            return None
        operands.append(value)
        if operator in "+-":
            terms.append(value if operator == "+" else -value)
        else:
            value = terms[-1] * value if operator == "*" else divide(terms[-1], value)
            if value is None:
                return None
            terms[-1] = value
    result = literal(stated)[0]
    return None if result is None or sum(terms) != result else tuple(operands)
