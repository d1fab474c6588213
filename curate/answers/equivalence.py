"""Are two answers the same? An ensemble that abstains: yes, no, or None where no member can tell.

Members, in order: equal normal forms; times of day; what only looks like a sum, and other forms of their own
(`curate.answers.forms`); ratios; single quantities, exact, with units, currency and percent; choice letters; matrices,
regions, named quantities, lists and sets, part by part; plain words; algebra by putting in numbers
(`curate.answers.expressions`), and, for what that cannot read, math-verify in a killable worker
(`curate.answers.cas_worker`), whose yes counts only if it says no to slightly changed answers: it holds 1-1/e and 1+1/e
for equal. Nothing here knows the question, but for what a `Convention` tells of it.
"""

from __future__ import annotations

import re
from fractions import Fraction

from recast.curate.answers import equations
from recast.curate.answers.choices import choice, denied, is_words, same_phrases, same_words, words_and_math
from recast.curate.answers.convention import PLAIN, Convention, with_decimal_point
from recast.curate.answers.expressions import parse
from recast.curate.answers.forms import (
    angles,
    bases,
    chemistry,
    codes,
    dates,
    divisions,
    intervals,
    named_quantities,
    named_values,
)
from recast.curate.answers.normalise import MAX_ANSWER_CHARS, normal
from recast.curate.answers.quantities import quantity, same_quantity
from recast.curate.answers.second_opinion import second_opinion
from recast.curate.answers.structured import (
    Items,
    duration,
    items,
    matrix,
    ratio,
    same_time,
    time_of_day,
)
from recast.curate.answers.verdict import OPEN, Verdict, all_of

MAX_NESTING = 4


def equivalent(a: str, b: str, *, symbolic: bool = True, row: Convention = PLAIN) -> bool | None:
    """Whether two answers are the same; None where it cannot be told. `symbolic=False` leaves out math-verify.

    `row` is what the question says of the notation (`curate.answers.convention`): whether a bare figure counts
    percent, and what a comma is. Symmetric. A unit may be left off, so that a bare 5 is the same as 5 apples and as
    5 km; among answers that write out their units it is transitive.
    """
    if len(a) > MAX_ANSWER_CHARS or len(b) > MAX_ANSWER_CHARS:
        return True if a == b else None
    if row.decimal_comma:
        a, b = with_decimal_point(a), with_decimal_point(b)
    one, two = normal(a), normal(b)
    if not one or not two:
        return None
    if row.percent and _same_figure(one, two):
        return True
    if (len(one), one) < (len(two), two):
        one, two = two, one  # a pair has no order: one reading of it decides for both
    return _compare(one, two, symbolic, 0)


def _same_figure(a: str, b: str) -> bool:
    """Whether one answer is a percentage, and the other the same figure without a sign or a unit."""
    x, y = quantity(a), quantity(b)
    if x is None or y is None or x.percent == y.percent:
        return False
    return x.value == y.value and not x.unit and not y.unit


def _compare(a: str, b: str, symbolic: bool, depth: int) -> bool | None:
    if a == b:
        return True
    if not a or not b:
        return None
    for member in (_single, _structured):
        verdict = member(a, b, symbolic, depth)
        if verdict is not OPEN:
            return verdict
    denials = denied(a), denied(b)
    if any(denials) and not all(denials):
        same = _compare(denials[0] or a, denials[1] or b, False, depth + 1) if depth < MAX_NESTING else None
        return False if same else None
    if is_words(a) and is_words(b):
        return same_words(a, b)
    if is_words(a) or is_words(b):
        return words_and_math(a, b)
    verdict = same_phrases(a, b)
    return _algebra(a, b, symbolic) if verdict is None else verdict


_FORMS = (named_values, dates, codes, divisions, bases, angles, chemistry)


def _single(a: str, b: str, symbolic: bool, depth: int) -> Verdict:
    """Answers that are one thing: a number, a time, a date, a letter."""
    if a.isdigit() and b.isdigit():
        return int(a) == int(b)
    clock = time_of_day(a), time_of_day(b)
    if clock[0] and clock[1]:
        return same_time(clock[0], clock[1])
    lasting = duration(a), duration(b)
    if None not in lasting and (lasting[0] == lasting[1] or ":0" in a + b):
        return lasting[0] == lasting[1]
    for form in _FORMS:
        verdict = form.compare(a, b)
        if verdict is not OPEN:
            return verdict
    shares = ratio(a), ratio(b)
    if shares[0] and shares[1]:
        return shares[0] == shares[1]
    x, y = quantity(a), quantity(b)
    if x is not None and y is not None:
        return same_quantity(x, y)
    for share, other, timed in ((shares[0], y, clock[0]), (shares[1], x, clock[1])):
        if share is not None and other is not None:
            same = _quotient(share) == other.value and not other.unit
            return None if timed or (same and share[1:] == (1,)) else same  # 6 to 1, and 6
    letters = choice(a), choice(b)
    if letters[0] and letters[1]:
        return letters[0] == letters[1]
    return OPEN


def _quotient(share: tuple[int, ...]) -> Fraction | None:
    return Fraction(share[0], share[1]) if len(share) == 2 and share[1] else None


def _structured(a: str, b: str, symbolic: bool, depth: int) -> Verdict:
    """Answers with parts, compared part by part."""
    if depth >= MAX_NESTING:
        return OPEN
    grids = matrix(a), matrix(b)
    if grids[0] and grids[1]:
        return _same_matrix(grids[0], grids[1], symbolic, depth)
    if grids[0] or grids[1]:
        return None
    told = intervals.is_inequality(a), intervals.is_inequality(b)
    regions = intervals.read(a), intervals.read(b)
    if regions[0] and regions[1] and (any(told) or _INTERVAL.search(a) or _INTERVAL.search(b)):
        return _same_region(regions[0], regions[1], symbolic, depth)
    if any(told):
        return OPEN if all(told) else _bound_and_number(*((regions[0], b) if told[0] else (regions[1], a)))
    verdict = named_quantities.compare(a, b)
    if verdict is not OPEN:
        return verdict
    lists = items(a), items(b)
    if lists[0] is not None and lists[1] is not None:
        return _same_items(lists[0], lists[1], symbolic, depth)
    if lists[0] is not None:
        return _part_and_whole(lists[0], b, depth)
    return _part_and_whole(lists[1], a, depth) if lists[1] is not None else OPEN


_INTERVAL = re.compile(r"\\(?:cup|in)(?![a-z])|[∪∈]|infty|∞|\A\]|\[\Z")
"""Only intervals are written so; `(1, 2)` may be a pair."""


def _bound_and_number(region: intervals.Region | None, other: str) -> bool | None:
    """`less than 5` is no 5. `at least 5` may answer how many are needed at least."""
    if region is None or quantity(other.partition("=")[2].strip() or other) is None:
        return None
    half_open = len(region) == 1 and region[0].bounds == 1 and (region[0].low_closed or region[0].high_closed)
    return None if half_open else False


def _part_and_whole(several: Items, single: str, depth: int) -> Verdict:
    """A list against one thing: different where both are plainly mathematical, or it is one of several."""
    scalar = quantity(single.partition("=")[2].strip() or single) is not None
    if not several.parts:
        return False if scalar or items(single) else None
    if len(several.parts) == 1 and several.unordered:
        return False if scalar and quantity(several.parts[0]) is None else None
    if scalar and _as_decimal_comma(several, single):
        return None
    if scalar and all(quantity(p.split("=")[-1].strip()) is not None for p in several.parts):
        return False
    distinct = _distinct(list(several.parts), depth)
    if len(distinct) < 2:
        return None
    one_of_them = any(_part(part, single, False, depth) for part in distinct)
    formulas = parse(single) is not None and all(parse(normal(part)) is not None for part in distinct)
    return False if one_of_them or formulas else None


def _as_decimal_comma(several: Items, single: str) -> bool:
    """Whether `2,5` may be the 2.5 that the other answer is."""
    if several.kind or len(several.parts) != 2 or not all(part.isdigit() for part in several.parts[1:]):
        return False
    x, y = quantity(".".join(several.parts)), quantity(single)
    return x is not None and y is not None and x.value == y.value


_OPTION = re.compile(r"\(?[A-J]\)?\Z")


def _same_items(one: Items, two: Items, symbolic: bool, depth: int) -> bool | None:
    if "named" in (one.kind, two.kind) and (one.unordered or two.unordered):
        return None  # x = 3 and y = 4 against the set of 3 and 4
    brackets = {one.kind, two.kind} - {"", "set", "{}", "named"}
    if len(brackets) == 2:
        if brackets == {"()", "[]"}:
            return None  # a tuple and a list, or two different intervals
        return False
    unordered = one.unordered or two.unordered or _order_free(one, two)
    ours, theirs = list(one.parts), list(two.parts)
    if unordered:
        ours, theirs = _distinct(ours, depth), _distinct(theirs, depth)
    if len(ours) != len(theirs):
        return False
    verdict = all_of([_part(x, y, symbolic, depth) for x, y in zip(ours, theirs, strict=True)])
    if verdict is True:
        return True
    points = all(part[0] == "(" and part[-1] == ")" for part in (*ours, *theirs))
    if not unordered and not points and "and" not in (one.joined, two.joined):
        return verdict
    rest, undecided = list(theirs), False
    for x in ours:
        verdicts = [_part(x, y, symbolic, depth) for y in rest]
        if True not in verdicts:
            if None not in verdicts:
                return False
            undecided = True
            continue
        del rest[verdicts.index(True)]
    # 3 and 5, 5 and 3, or two points: the same unless an order was asked for
    return True if unordered and not undecided else None


def _order_free(one: Items, two: Items) -> bool:
    """Bare lists whose order says nothing: choice letters, points, words joined by `and` alone."""
    if one.kind or two.kind:
        return False
    parts = (*one.parts, *two.parts)
    if all(map(_OPTION.match, parts)):
        return True
    told = one.joined == two.joined == "and"
    return told and (all(map(is_words, parts)) or all(part[0] == "(" and part[-1] == ")" for part in parts))


def _part(x: str, y: str, symbolic: bool, depth: int) -> bool | None:
    return _compare(normal(x), normal(y), symbolic, depth + 1)


def _distinct(parts: list[str], depth: int) -> list[str]:
    kept: list[str] = []
    for part in parts:
        if not any(_part(part, other, False, depth) for other in kept):
            kept.append(part)
    return kept


def _same_matrix(
    one: tuple[tuple[str, ...], ...], two: tuple[tuple[str, ...], ...], symbolic: bool, depth: int
) -> bool | None:
    if [len(row) for row in one] != [len(row) for row in two]:
        return False
    cells = zip((c for row in one for c in row), (c for row in two for c in row), strict=True)
    return all_of([_part(x, y, symbolic, depth) for x, y in cells])


def _same_region(one: intervals.Region, two: intervals.Region, symbolic: bool, depth: int) -> bool | None:
    if len(one) != len(two):
        return False
    undecided = False
    for x, y in zip(one, two, strict=True):
        for low, other, closed, closed_too in (
            (x.low, y.low, x.low_closed, y.low_closed),
            (x.high, y.high, x.high_closed, y.high_closed),
        ):
            endless = {low, other} & {"oo", "-oo"}
            verdict = low == other if endless else _part(low, other, symbolic, depth)
            if verdict is False or (verdict and not endless and closed != closed_too):
                return False
            undecided = undecided or verdict is None
    return None if undecided else True


def _algebra(a: str, b: str, symbolic: bool) -> bool | None:
    verdict = equations.same_formulas(a, b, lambda x, y: _compare(normal(x), normal(y), False, MAX_NESTING))
    return second_opinion(a, b) if verdict is None and symbolic else verdict
