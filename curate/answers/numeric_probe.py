"""Trees of `curate.answers.expressions` compared by numbers put in for their names.

The points are random but depend on nothing but a fixed seed. Values are exact fractions where both sides allow it
(two unequal polynomials then agree with negligible probability, Schwartz-Zippel), else floating point with a
tolerance that knows how large the intermediate values were, and that abstains where they were too large.

>>> from recast.curate.answers.expressions import parse
>>> same(parse("(x+1)^2"), parse("x^2 + 2x + 1"))
True
>>> same(parse("1 - 1/e"), parse("1 + 1/e"))
False
"""

from __future__ import annotations

import cmath
import math
from fractions import Fraction
from random import Random

from recast.curate.answers.expressions import Node
from recast.curate.maths.numbers import exact, power, square_root

MAX_EXPONENT = 4_000
NUM_POINTS = 6
RELATIVE_TOLERANCE = 1e-9
CANCELLATION_TOLERANCE = 1e-13  # times the largest intermediate value
LARGE = 1e7
"""Beyond it floating point cannot tell a number from the next one, so agreement proves nothing."""

FUNCTIONS = {
    "sin": cmath.sin, "cos": cmath.cos, "tan": cmath.tan, "exp": cmath.exp, "ln": cmath.log, "sinh": cmath.sinh,
    "cosh": cmath.cosh, "tanh": cmath.tanh, "arcsin": cmath.asin, "arccos": cmath.acos, "arctan": cmath.atan,
    "asin": cmath.asin, "acos": cmath.acos, "atan": cmath.atan,
    "sec": lambda z: 1 / cmath.cos(z), "csc": lambda z: 1 / cmath.sin(z), "cot": lambda z: 1 / cmath.tan(z),
}  # fmt: skip


class Inexact(Exception):
    """A value that is no fraction, or too large to write down."""


def names(tree: Node) -> frozenset[str]:
    """The free names of a tree."""
    if tree[0] == "var":
        return frozenset((tree[1],))
    return frozenset().union(*(names(child) for child in tree[1:] if isinstance(child, tuple)))


def exact_value(tree: Node, env: dict[str, Fraction]) -> Fraction:
    """The value as a fraction. Raises `Inexact` where there is none, ZeroDivisionError where it is undefined."""
    kind = tree[0]
    if kind == "num":
        return Fraction(tree[1])
    if kind == "var":
        return env[tree[1]]
    if kind == "const" or kind in ("fn", "log"):
        raise Inexact
    values = [exact_value(child, env) for child in tree[1:]]
    if kind == "add":
        return values[0] + values[1]
    if kind == "neg":
        return -values[0]
    if kind == "mul":
        return values[0] * values[1]
    if kind == "div":
        return values[0] / values[1]
    if kind == "abs":
        return abs(values[0])
    if kind in ("floor", "ceil"):
        return Fraction(math.floor(values[0]) if kind == "floor" else math.ceil(values[0]))
    if kind == "mod":
        if 0 <= values[0] < values[1]:
            raise Inexact  # nothing is reduced: 3 mod 7 is more likely a class than the number 3
        return values[0] % values[1]
    result = None
    if kind == "pow":
        one, two = exact(values[0]), exact(values[1])
        if one == 0 and two <= 0:
            raise ZeroDivisionError
        result = power(one, two, max_exponent=MAX_EXPONENT)
        if result is None and isinstance(two, Fraction) and two.denominator == 2:
            root = square_root(one)
            result = power(root, two.numerator) if root is not None else None
    elif kind == "root":
        result = square_root(values[0]) if values[1] == 2 else None
    elif kind in ("fact", "binom") and all(v.denominator == 1 and 0 <= v <= 200 for v in values):
        result = (
            math.factorial(int(values[0])) if kind == "fact" else math.comb(int(values[0]), int(values[1]))
        )
    if result is None:
        raise Inexact
    return Fraction(result)


def float_value(tree: Node, env: dict[str, Fraction], scale: list[float]) -> complex:
    """The value as a complex number; `scale[0]` grows to the largest intermediate size.

    Raises ArithmeticError, ValueError or OverflowError where it is undefined.
    """
    kind = tree[0]
    if kind == "num":
        value = complex(float(tree[1]))
    elif kind == "var":
        value = complex(float(env[tree[1]]))
    elif kind == "const":
        value = {"pi": complex(math.pi), "e": complex(math.e), "i": 1j}[tree[1]]
    elif kind == "fn":
        value = FUNCTIONS[tree[1]](float_value(tree[2], env, scale))
    else:
        v = [float_value(child, env, scale) for child in tree[1:]]
        if kind == "add":
            value = v[0] + v[1]
        elif kind == "neg":
            value = 0j - v[0]  # -v would give the imaginary part the sign of the other side of the branch cut
        elif kind == "mul":
            value = v[0] * v[1]
        elif kind == "div":
            value = v[0] / v[1]
        elif kind == "abs":
            value = complex(abs(v[0]))
        elif kind == "pow":
            value = v[0] ** v[1]
        elif kind == "root":
            real = v[0].imag == 0 and v[0].real < 0 and v[1].imag == 0 and v[1].real % 2 == 1
            value = -((-v[0]) ** (1 / v[1])) if real else v[0] ** (1 / v[1])
        elif kind == "log":
            value = cmath.log(v[0]) / cmath.log(v[1])
        elif kind in ("floor", "ceil"):
            value = _whole(kind, v[0])
        elif kind == "mod":
            raise ValueError  # only exact numbers are reduced
        elif kind == "fact":
            value = complex(math.gamma(v[0].real + 1))
        else:
            n, k = v[0].real, v[1].real
            value = complex(math.gamma(n + 1) / (math.gamma(k + 1) * math.gamma(n - k + 1)))
    if not (math.isfinite(value.real) and math.isfinite(value.imag)):
        raise OverflowError
    scale[0] = max(scale[0], abs(value))
    return value


def _whole(kind: str, value: complex) -> complex:
    """The next whole number below or above; ValueError where rounding errors may have moved it."""
    if value.imag or abs(value.real - round(value.real)) < RELATIVE_TOLERANCE * max(1.0, abs(value.real)):
        raise ValueError
    return complex(math.floor(value.real) if kind == "floor" else math.ceil(value.real))


def _agree_at(one: Node, two: Node, env: dict[str, Fraction]) -> bool | None:
    """Whether both trees have one value at a point; None where either has none."""
    try:
        return exact_value(one, env) == exact_value(two, env)
    except Inexact:
        pass
    except ArithmeticError:
        return None
    try:
        scale = [0.0]
        a, b = float_value(one, env, scale), float_value(two, env, scale)
    except (ArithmeticError, ValueError):
        return None
    tolerance = RELATIVE_TOLERANCE * max(abs(a), abs(b)) + CANCELLATION_TOLERANCE * scale[0]
    if abs(a - b) > tolerance:
        return False
    return True if scale[0] < LARGE else None


def _points(free: frozenset[str], integers: bool, sign: int) -> list[dict[str, Fraction]]:
    random = Random(20_260_211)
    points: list[dict[str, Fraction]] = []
    for _ in range(NUM_POINTS if free else 1):
        if integers:
            points.append({name: Fraction(random.randint(1, 9)) for name in sorted(free)})
        else:
            draw = {
                name: Fraction(random.randint(20, 290), random.choice((89, 97, 101))) for name in sorted(free)
            }
            points.append({name: sign * value for name, value in draw.items()})
    return points


def same(one: Node | None, two: Node | None) -> bool | None:
    """Whether two trees have the same value wherever both have one; None where that cannot be told."""
    if one is None or two is None:
        return None
    free = names(one) | names(two)
    verdicts = [_agree_at(one, two, env) for env in _points(free, False, 1)]
    decided = [v for v in verdicts if v is not None]
    if len(decided) < (3 if free else 1):
        return None
    if not all(decided):
        if free and free <= {"n", "k", "m", "j"}:  # names of integers: cos(n pi) = (-1)^n
            whole = [v for v in (_agree_at(one, two, env) for env in _points(free, True, 1)) if v is not None]
            return None if whole and all(whole) else False
        return False
    if free and any(_agree_real(one, two, env) is False for env in _points(free, False, -1)):
        return None  # sqrt(x^2) and x: the same for positive x only
    return True


def _agree_real(one: Node, two: Node, env: dict[str, Fraction]) -> bool | None:
    try:
        scale = [0.0]
        a, b = float_value(one, env, scale), float_value(two, env, scale)
    except (ArithmeticError, ValueError):
        return None
    if abs(a.imag) > 1e-9 * (1 + abs(a)) or abs(b.imag) > 1e-9 * (1 + abs(b)):
        return None
    return _agree_at(one, two, env)


def proportional(one: Node, two: Node) -> bool | None:
    """Whether one tree is a constant other than 0 times the other: then `one = 0` and `two = 0` say the same."""
    free = names(one) | names(two)
    ratios: list[complex] = []
    for env in _points(free, False, 1):
        try:
            scale = [0.0]
            a, b = float_value(one, env, scale), float_value(two, env, scale)
        except (ArithmeticError, ValueError):
            continue
        if abs(b) <= 1e-9 * scale[0] or abs(a) <= 1e-9 * scale[0]:
            continue
        ratios.append(a / b)
    if len(ratios) < 3:
        return None
    return all(abs(ratio - ratios[0]) <= 1e-7 * abs(ratios[0]) for ratio in ratios)
