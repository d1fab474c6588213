"""Formulas and equations: the same value, the same solution set up to a factor, or a name and what it is given.

>>> same_formulas("y = 2x + 1", "2x - y + 1 = 0", lambda x, y: None), same_formulas("x + 1", "1 + x", lambda x, y: None)
(True, True)
"""

from __future__ import annotations

import re
from collections.abc import Callable

from recast.curate.answers.expressions import parse
from recast.curate.answers.numeric_probe import proportional, same

Compare = Callable[[str, str], bool | None]

_APPLIED = re.compile(r"\A[A-Za-z]\w?\s*(?:\(\s*[A-Za-z](?:\s*,\s*[A-Za-z])*\s*\)|'*)\s*=\s*(?=[^=])")
_NAME = re.compile(r"\A(?:[A-Za-z](?:_\{?\w{1,8}\}?)?|\\[a-z]+)\Z")


def same_formulas(a: str, b: str, compare: Compare) -> bool | None:
    """Two formulas or equations; `compare` judges what an equation gives a name or a function."""
    one, two = a.count("="), b.count("=")
    if one == two == 0:
        return same(parse(a), parse(b))
    if one == two == 1:
        return _same_equation(a, b, compare)
    if {one, two} == {0, 1}:
        return _solved(a, b, compare) if one else _solved(b, a, compare)
    return None


def _solved(equation: str, other: str, compare: Compare) -> bool | None:
    """`x = 5` against `5`, `f(x) = x^2` against `x^2`."""
    left, _, right = (part.strip() for part in equation.partition("="))
    if _APPLIED.match(equation):
        return compare(right, other)
    if _NAME.match(right) or _NAME.match(left):
        return compare(left if _NAME.match(right) else right, other)
    return None


def _same_equation(a: str, b: str, compare: Compare) -> bool | None:
    sides = [tuple(part.strip() for part in text.split("=")) for text in (a, b)]
    (left, right), (left_too, right_too) = sides
    if left == left_too and (_NAME.match(left) or _APPLIED.match(a)):
        return compare(right, right_too)
    if (left, right) == (right_too, left_too):
        return True
    trees = [parse(text) for text in (left, right, left_too, right_too)]
    if any(tree is None for tree in trees):
        return None
    w, x, y, z = trees
    assert w is not None and x is not None and y is not None and z is not None
    return proportional(("add", w, ("neg", x)), ("add", y, ("neg", z)))
