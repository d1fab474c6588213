"""Is one stated relation true? The readings that prose allows, tried in order, each of them exact.

`curate.arithmetic.equalities` finds the relations; here are their two sides as token spans, the names known so far
(`env`), and the rounded results with what they were rounded from (`rounded`).
"""

from __future__ import annotations

from collections.abc import Iterator

from recast.curate.arithmetic.lexer import Tokens
from recast.curate.arithmetic.parser import Parser, Side
from recast.curate.maths.numbers import Value, agrees, literal
from recast.curate.maths.units import MULTIPLIERS, conversions

ROOT_PRECISION = 10**30
"""How near two sides with roots are that are equal: roots are cut after forty digits."""


def left_side(
    tokens: Tokens, parser: Parser, start: int, end: int, unit: int = 100
) -> tuple[Side | None, int]:
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


def truth_of(
    left: Side,
    right: Side,
    tokens: Tokens,
    span: tuple[int, int, int, int],
    env: dict[str, Value],
    rounded: dict[Value, Value],
    about: bool,
    weak: bool,
) -> bool | None:
    if left.value is None or right.value is None:
        return None
    if agrees(left.value, right.value, left.decimals, right.decimals, about):
        return True
    if (left.root or right.root) and abs(left.value - right.value) * ROOT_PRECISION < abs(left.value):
        return True
    a, b, c, d = span
    for one, other in _readings(left, right, tokens, (a, b, c, d), env, rounded, weak):
        known = one is not None and other is not None and one.value is not None and other.value is not None
        if known and agrees(one.value, other.value, one.decimals, other.decimals, about):  # type: ignore[union-attr,arg-type]
            return True
    factors = conversions(left.unit, right.unit)
    if factors and any(
        agrees(left.value * f, right.value, left.decimals, right.decimals, about) for f in factors
    ):
        return True
    return None if _is_rate(left, right, tokens, a, b) else False


def like_terms(tokens: Tokens, a: int, c: int, d: int) -> tuple[Value, Value] | None:
    """Both sides of `5m + 3m = 8m` in m, where every number carries the same letter and nothing is multiplied."""
    letters: set[str] = set()
    for i in range(a, d):
        kind = tokens.kinds[i]
        if kind == "w" and i > a and tokens.kinds[i - 1] == "n" and len(tokens.texts[i]) == 1:
            letters.add(tokens.texts[i])
        elif (
            kind not in "nor"
            or (kind == "o" and tokens.texts[i][0] not in "+-")
            or (
                kind == "n"
                and (i + 1 >= d or tokens.starts[i + 1] > tokens.ends[i] or tokens.kinds[i + 1] != "w")
            )
        ):
            return None
    if len(letters) != 1:
        return None
    parser = Parser(tokens, dict.fromkeys(letters, 1), None)
    left, right = left_side(tokens, parser, a, c - 1)[0], parser.parse(c, d)
    if left is None or right is None or left.value is None or right.value is None:
        return None
    return left.value, right.value


def _may_end(tokens: Tokens, side: Side) -> bool:
    """Whether a side may be over after its first number: not in `17 cm = 17 cm / 100`, where it would say nothing."""
    signs = (tokens.texts[i] for i in range(side.cut, side.end) if tokens.kinds[i] == "o")
    return next(signs, "-") not in "+*/^"


def _is_rate(left: Side, right: Side, tokens: Tokens, a: int, b: int) -> bool:
    """`3 boxes = 12 eggs`, `1% = $5`, `3/8 = 375`, `2 days = 7 + 2`: the left names what the right measures."""
    if not left.operated:
        if (left.percent > 0) != (right.percent > 0):
            return True
        if left.unit and left.unit != "dollars":
            return right.operated or left.unit != right.unit
        return False
    divided = left.operands == 2 and b - a >= 3 and tokens.texts[a + 1] == "/" and tokens.kinds[a + 2] == "n"
    if (
        not divided or tokens.ends[a] + 1 != tokens.starts[a + 2]
    ):  # 3 / 8 with spaces is a division to be done
        return False
    if left.value is None or right.value is None or right.percent:
        return False
    bottom = literal(tokens.texts[a + 2])[0]
    return 0 < left.value < 1 <= right.value and isinstance(bottom, int) and bottom <= 12


def _readings(
    left: Side,
    right: Side,
    tokens: Tokens,
    span: tuple[int, int, int, int],
    env: dict[str, Value],
    rounded: dict[Value, Value],
    weak: bool,
) -> Iterator[tuple[Side | None, Side | None]]:
    """Other ways to read the two sides, from the likelier on. The equality is true if it is so in any of them."""
    a, b, c, d = span
    plain_parser = Parser(tokens, env, None)
    if (
        right.operated
        and (right.words or right.spaced or weak)
        and (left.operated or _may_end(tokens, right))
    ):
        yield left, plain_parser.parse(c, right.cut)  # = 8 apples - a dash, = 8 (5 + 3 ...)
    if rounded:
        parser = Parser(tokens, env, rounded)
        yield left_side(tokens, parser, a, b)[0], right
        yield left, parser.parse(c, d)
    if any(tokens.texts[i] in MULTIPLIERS for i in (*range(a, b), *range(c, d))):  # 3 dozen = 36
        scaled = Parser(tokens, env, None, scaled=True)
        yield left_side(tokens, scaled, a, b)[0], scaled.parse(c, d)
    if (
        left.percent
        and not right.percent
        and all(tokens.texts[i - 1] == "100" for i in range(a + 1, b) if tokens.texts[i] == "%")
    ):  # 12 / 18 * 100% = 66.67
        yield left_side(tokens, plain_parser, a, b, 1)[0], right
    if right.percent and not left.percent:  # 10 / 50 * 100 = 20%
        yield left, plain_parser.parse(c, d, 1)
    if left.percent and left.percent == left.operands and not right.percent:  # 100% - 30% = 70
        yield left_side(tokens, plain_parser, a, b, 1)[0], right
    if left.percent and left.percent < left.operands and right.percent and right.operands == right.percent:
        yield left_side(tokens, plain_parser, a, b, 1)[0], plain_parser.parse(c, d, 1)  # 100 - 30% = 70%
