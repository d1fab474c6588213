"""Are two answers the same? An ensemble that abstains: yes, no, or None where no member can tell.

Members, in order: equal normal forms; single quantities, exact, with units, currency and percent; times and
ratios; choice letters; matrices, regions, lists and sets, part by part; plain words; algebra by putting in
numbers (`curate.answers.expressions`), and, for what that cannot read, math-verify in a killable worker
(`curate.answers.cas_worker`), whose yes counts only if it says no to slightly changed answers: it holds 1-1/e and 1+1/e
for equal. Nothing here knows the question.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction

from recast.curate.answers import cas_worker
from recast.curate.answers.choices import choice, is_words, same_words, words_and_math
from recast.curate.answers.expressions import parse
from recast.curate.answers.normalise import MAX_ANSWER_CHARS, normal
from recast.curate.answers.numeric_probe import proportional, same
from recast.curate.answers.quantities import Quantity, quantity, same_quantity
from recast.curate.answers.structured import (
    Interval,
    Items,
    is_inequality,
    items,
    matrix,
    ratio,
    region,
    same_time,
    tidy,
    time_of_day,
)

MAX_NESTING = 4


def equivalent(a: str, b: str, *, symbolic: bool = True) -> bool | None:
    """Whether two answers are the same; None where it cannot be told. `symbolic=False` leaves out math-verify."""
    if len(a) > MAX_ANSWER_CHARS or len(b) > MAX_ANSWER_CHARS:
        return True if a == b else None
    one, two = normal(a), normal(b)
    if not one or not two:
        return None
    return _compare(one, two, symbolic, 0)


def _compare(a: str, b: str, symbolic: bool, depth: int) -> bool | None:
    if a == b:
        return True
    verdict = _simple(a, b)
    if verdict is not _OPEN:
        return verdict  # type: ignore[return-value]
    if depth < MAX_NESTING:
        verdict = _structured(a, b, symbolic, depth)
        if verdict is not _OPEN:
            return verdict  # type: ignore[return-value]
    if is_words(a) and is_words(b):
        return same_words(a, b)
    if is_words(a) or is_words(b):
        return words_and_math(a, b)
    return _algebra(a, b, symbolic)


_OPEN = object()
"""No member that looked so far is competent; unlike None, which is an abstention of one that is."""


def _simple(a: str, b: str) -> object:
    clock = time_of_day(a), time_of_day(b)
    if clock[0] and clock[1]:
        return same_time(clock[0], clock[1])
    shares = ratio(a), ratio(b)
    if shares[0] and shares[1]:
        return shares[0] == shares[1]
    x, y = quantity(a), quantity(b)
    if x is not None and y is not None:
        return same_quantity(x, y)
    for share, other, timed in ((shares[0], y, clock[0]), (shares[1], x, clock[1])):
        if share is not None and other is not None:
            return True if _quotient(share) == other.value and not other.unit and not timed else None
    numerals = based(a), based(b)
    if any(numerals):
        return _same_base(a, b, numerals, x or y)
    letters = choice(a), choice(b)
    if letters[0] and letters[1]:
        return letters[0] == letters[1]
    return _OPEN


def _quotient(share: tuple[int, ...]) -> Fraction | None:
    return Fraction(share[0], share[1]) if len(share) == 2 and share[1] else None


_BASED = re.compile(r"(\d{1,40})_\{?(\d{1,2})\}?\Z")


def based(text: str) -> int | None:
    """The value of `1010_2`, a numeral with its base (2 to 9); None for anything else."""
    match = _BASED.match(text)
    if not match or not 2 <= int(match.group(2)) <= 9 or max(map(int, match.group(1))) >= int(match.group(2)):
        return None
    return int(match.group(1), int(match.group(2)))


def _same_base(a: str, b: str, values: tuple[int | None, int | None], plain: Quantity | None) -> bool | None:
    """Numerals by value; where only the base was left off, the question may have named it."""
    if None not in values:
        return values[0] == values[1]
    if plain is None or a.partition("_")[0] == b.partition("_")[0]:
        return None
    return plain.value in values


def _structured(a: str, b: str, symbolic: bool, depth: int) -> object:
    grids = matrix(a), matrix(b)
    if grids[0] and grids[1]:
        return _same_matrix(grids[0], grids[1], symbolic, depth)
    if grids[0] or grids[1]:
        return None
    regions = region(a), region(b)
    told = is_inequality(a), is_inequality(b)
    if regions[0] and regions[1] and (any(told) or "\\cup" in a + b or "∪" in a + b or "infty" in a + b):
        return _same_region(regions[0], regions[1], symbolic, depth)
    if any(told):
        return _OPEN if all(told) else None
    lists = items(a), items(b)
    if lists[0] is not None and lists[1] is not None:
        return _same_items(lists[0], lists[1], symbolic, depth)
    if lists[0] is not None or lists[1] is not None:
        return _part_and_whole(*((lists[0], b) if lists[0] is not None else (lists[1], a)))  # type: ignore[arg-type]
    return _OPEN


def _part_and_whole(several: Items, single: str) -> object:
    """A list against one thing: different where both are plainly mathematical, else open or undecided."""
    scalar = quantity(single.partition("=")[2].strip() or single) is not None
    if not several.parts:
        return False if scalar or items(single) else None
    if len(several.parts) == 1 and several.unordered:
        return False if scalar and quantity(several.parts[0]) is None else None
    return (
        False
        if scalar and all(quantity(p.split("=")[-1].strip()) is not None for p in several.parts)
        else None
    )


_OPTION = re.compile(r"\(?[A-J]\)?\Z")


def _same_items(one: Items, two: Items, symbolic: bool, depth: int) -> bool | None:
    if "named" in (one.kind, two.kind) and (one.unordered or two.unordered):
        return None  # x = 3 and y = 4 against the set of 3 and 4
    brackets = {one.kind, two.kind} - {"", "set", "{}", "named"}
    if len(brackets) == 2:
        if brackets == {"()", "[]"}:
            return None  # a tuple and a list, or two different intervals
        return False
    letters = one.kind == two.kind == "" and all(map(_OPTION.match, (*one.parts, *two.parts)))
    unordered = one.unordered or two.unordered or letters
    ours, theirs = list(one.parts), list(two.parts)
    if unordered:
        ours, theirs = _distinct(ours, depth), _distinct(theirs, depth)
    if len(ours) != len(theirs):
        return False
    verdicts = [_part(x, y, symbolic, depth) for x, y in zip(ours, theirs, strict=True)]
    if all(v is True for v in verdicts):
        return True
    if unordered:
        rest = list(theirs)
        for x in ours:
            found = next((y for y in rest if _part(x, y, symbolic, depth)), None)
            if found is None:
                return None if any(_part(x, y, symbolic, depth) is None for y in rest) else False
            rest.remove(found)
        return True
    return False if any(v is False for v in verdicts) else None


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
    verdicts = [_part(x, y, symbolic, depth) for x, y in cells]
    return True if all(verdicts) else False if any(v is False for v in verdicts) else None


def _same_region(
    one: tuple[Interval, ...], two: tuple[Interval, ...], symbolic: bool, depth: int
) -> bool | None:
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


# --- algebra --------------------------------------------------------------------------------------------

_APPLIED = re.compile(r"\A[A-Za-z]\w?\s*(?:\(\s*[A-Za-z](?:\s*,\s*[A-Za-z])*\s*\)|'*)\s*=\s*(?=[^=])")
_NAME = re.compile(r"\A(?:[A-Za-z](?:_\{?\w{1,8}\}?)?|\\[a-z]+)\Z")


def _algebra(a: str, b: str, symbolic: bool) -> bool | None:
    one, two = a.count("="), b.count("=")
    if one == two == 0:
        verdict = same(parse(a), parse(b))
    elif one == two == 1:
        verdict = _same_equation(a, b)
    elif {one, two} == {0, 1}:
        equation, other = (a, b) if one else (b, a)
        verdict = _solved(equation, other)
    else:
        verdict = None
    if verdict is not None or not symbolic:
        return verdict
    return _second_opinion(a, b)


def _solved(equation: str, other: str) -> bool | None:
    """`x = 5` against `5`, `f(x) = x^2` against `x^2`."""
    left, _, right = (part.strip() for part in equation.partition("="))
    if _APPLIED.match(equation):
        return _compare(normal(right), other, False, MAX_NESTING)
    if _NAME.match(right) or _NAME.match(left):
        return _compare(normal(left if _NAME.match(right) else right), other, False, MAX_NESTING)
    return None


def _same_equation(a: str, b: str) -> bool | None:
    sides = [tuple(part.strip() for part in text.split("=")) for text in (a, b)]
    (left, right), (left_too, right_too) = sides
    if left == left_too and (_NAME.match(left) or _APPLIED.match(a)):
        return _compare(normal(right), normal(right_too), False, MAX_NESTING)
    if (left, right) == (right_too, left_too):
        return True
    trees = [parse(text) for text in (left, right, left_too, right_too)]
    if any(tree is None for tree in trees):
        return None
    w, x, y, z = trees
    assert w is not None and x is not None and y is not None and z is not None
    return proportional(("add", w, ("neg", x)), ("add", y, ("neg", z)))


def _second_opinion(
    a: str, b: str, verify: Callable[[str, str], bool | None] = cas_worker.verify
) -> bool | None:
    """math-verify's vote on LaTeX that nothing else reads. Its yes needs controls; its no is only an abstention.

    It falls back to a number inside a formula that it cannot read, and then says yes to anything that holds that
    number. So it must also tell `a` apart from changed copies of itself: a sign turned, a digit raised.
    """
    if "\\" not in a + b or verify(a, b) is not True:
        return None
    controls = [c for c in _changed(a) if tidy(c) != tidy(b)]
    if not controls or any(verify(c, b) is not False for c in controls):
        return None
    return True


def _changed(text: str) -> list[str]:
    """Up to four copies of `text` with one sign or digit changed, each another answer."""
    places = [m.start() for m in re.finditer(r"(?<=[\w)}\s])[-+](?=[\s\w\\({])|\d", text)]
    chosen = places[:: max(1, len(places) // 4)][:4]
    swapped = {"+": "-", "-": "+"}
    return [text[:i] + swapped.get(text[i], str((int(text[i]) + 1) % 10) if text[i].isdigit() else "") + text[i + 1 :]
            for i in chosen]  # fmt: skip
