"""Do the results of the demonstration's steps occur in the completion?

Catches: a dropped step, a number altered mid-way, an answer without its reasoning. A result that the completion
uses before it says it (`40 - 4 = 36` where nothing says how 40 came about) counts as missing, and so does one of two
steps that come to the same number. Cannot catch: a number that is stated for another reason, a result that prose
states in passing ahead of its use, and steps whose results the demonstration does not compute. Vacuous where the
demonstration states no computed result; so it says nothing about text tasks.
"""

from __future__ import annotations

import re
from collections import Counter
from fractions import Fraction
from functools import lru_cache
from typing import ClassVar, Literal

from pydantic import Field

from recast.curate.arithmetic.equalities import equalities, step_results
from recast.curate.arithmetic.segments import ANNOTATION
from recast.curate.gate.checks.case import Case, CheckConfig
from recast.curate.maths.notation import plain
from recast.curate.maths.numbers import Value, exact, literal, numbers, spoken
from recast.curate.records import Check
from recast.curate.texts import words

ANSWER_WORDS = 3  # the answer is
OPERAND, MENTION = "o", "m"

_FIGURE = re.compile(r"\d[\d,]*(?:\.\d+)?|(?<!\d)\.\d+")
_NOTED = re.compile(r"=\s*([^<>=\n]{1,40})>>")
_SIGN = r"(?:[-+*/^]|plus\b|minus\b|times\b|divided by\b|multiplied by\b)"
_USED_AFTER = re.compile(rf"[%)]*(?: ?[A-Za-z]+){{0,3}} ?{_SIGN} ?[$€£(]*[\d.]")
_USED_BEFORE = re.compile(rf"[\d%)](?: ?[A-Za-z]+){{0,3}} ?{_SIGN} ?[$€£(]*\Z")


class StepsCheck(CheckConfig):
    """The results of the demonstration's steps occur in the completion."""

    type: Literal["steps"] = "steps"
    min_share: float = Field(default=1.0, ge=0.0, le=1.0)
    """Smallest share of the demonstration's step results that the completion must contain."""

    stated: bool = True
    """Whether a result must be stated, as a result or in words, and not only be used in a later step."""

    min_words_per_step: int = Field(default=3, ge=0)
    """Words that a completion without any stated equality must have for each step, the answer's apart."""

    name: ClassVar[str] = "steps"
    revision: ClassVar[int] = 4

    def run(self, case: Case) -> Check:
        results = step_results(case.demonstration)
        if not results:
            return self.passed()
        written = numbers(case.completion)
        missing = [r for r in results if r not in written and not _nearly(r, written)]
        if not missing and self.stated:
            missing = _unfounded(results, case) or _once_for_twice(case)
        if missing:
            said = spoken(case.completion)
            missing = [r for r in missing if r not in said]
        if not missing and not self._explained(case, len(results)):
            return self.failed(
                "no_reasoning", "The step results stand there without a sum or a sentence.", 0.0
            )
        share = 1.0 - len(missing) / len(results)
        if share < self.min_share:
            return self.failed(
                "missing_step",
                f"{len(missing)} of the demonstration's {len(results)} step results do not occur, "
                f"such as {_said(missing[0])}.",
                share,
            )
        return self.passed(share)

    def _explained(self, case: Case, num_steps: int) -> bool:
        """Whether the completion states an equality, or says something about its numbers."""
        if equalities(case.completion):
            return True
        told = sum(word.isalpha() for word in words(case.completion)) - ANSWER_WORDS
        return told >= self.min_words_per_step * num_steps


def _unfounded(results: tuple[Value, ...], case: Case) -> list[Value]:
    """Step results that the completion uses as operands without having said them.

    A number that means something else before, in the question or in the demonstration's own sums, may be used at
    once: it is missing only where it is nothing but used.
    """
    operands, stated = _operands(case.completion), set(step_results(case.completion))
    suspects = [r for r in results if r in operands and not {r, in_percent(r)} & stated]
    if not suspects:
        return []
    places, given = _places(case.completion), _given(case)
    return [
        r
        for r in suspects
        if (kinds := places.get(r, "")) and (MENTION not in kinds if r in given else kinds[0] == OPERAND)
    ]


def _given(case: Case) -> frozenset[Value]:
    """Numbers that have a meaning before any step comes to them."""
    used = {r for r, kinds in _places(case.demonstration).items() if kinds[0] == OPERAND}
    return numbers(case.prompt) | spoken(case.prompt) | used


def _once_for_twice(case: Case) -> list[Value]:
    """Results that several steps of the demonstration come to, and fewer of the completion.

    A step says its result at most twice, in the sum and in its sentence. A number that is said more often than that
    before it is used gets the benefit of the doubt, and so does text that states no sum with it.
    """
    wanted = {r: times for r, times in _steps_by_result(case.demonstration).items() if times > 1}
    if not wanted:
        return []
    found = Counter(e.result for e in equalities(case.completion))
    suspects = [r for r, times in wanted.items() if 0 < found[r] < times]
    if not suspects:
        return []
    places, given, answer = _places(case.completion), _given(case), numbers(case.reference or "")
    missing: list[Value] = []
    for r in suspects:
        kinds = places.get(r, "")
        whole = r in given or OPERAND not in kinds
        said = kinds.count(MENTION) - (r in answer) if whole else kinds.index(OPERAND)
        if said <= 2 * found[r]:
            missing.append(r)
    return missing


@lru_cache(maxsize=1024)
def _places(text: str) -> dict[Value, str]:
    """For each number of the text, in the order of its occurrences, whether it stands beside an operator."""
    text = plain(text)
    places: dict[Value, str] = {}
    for match in _FIGURE.finditer(text):
        value, _ = literal(match.group().rstrip(","))
        if value is None:
            continue
        used = _USED_AFTER.match(text, match.end()) or _USED_BEFORE.search(text[: match.start()][-24:])
        places[value] = places.get(value, "") + (OPERAND if used else MENTION)
    return places


@lru_cache(maxsize=2048)
def _steps_by_result(demonstration: str) -> Counter[Value]:
    """How many steps come to each result: one a line, which calculator annotations state best where it has any.

    Empty where no result occurs twice.
    """
    steps: Counter[Value] = Counter()
    noted = [said.rstrip(" 0").rstrip(".") for said in _NOTED.findall(demonstration)]
    if noted and len(set(noted)) == len(noted):
        return steps  # the usual case, for a fifth of the gate's time: no two annotations end alike
    seen: set[tuple[Value, ...]] = set()
    for line in demonstration.splitlines():
        annotated = ANNOTATION.findall(line)
        results: set[Value] = set()
        for equality in equalities("\n".join(annotated) or line):
            if equality.result is None or not equality.truth:
                continue
            same = (equality.result, *sorted(equality.operands))
            if annotated or same not in seen:  # without annotations, a sum that is repeated is no second step
                results.add(equality.result)
            seen.add(same)
        steps.update(results)
    return steps


def _operands(text: str) -> Counter[Value]:
    """How often each number goes into a decided equality."""
    return Counter(v for e in equalities(text) if e.truth is not None for v in e.operands)


def _nearly(result: Value, written: frozenset[Value]) -> bool:
    """A sign, a percentage or a rounding apart: -5 for a loss of 5, 20% for 0.2, 3.33 for 10/3."""
    if -result in written or in_percent(result) in written:
        return True
    if isinstance(result, int):
        return False
    return any(abs(w - result) * 2 * 10**digits <= 1 for w in written for digits in _decimals(w))


def _decimals(written: Value) -> tuple[int, ...]:
    """Digits after the point of a number written with one to four of them; none for integers and thirds."""
    if isinstance(written, int):
        return ()
    return next(((d,) for d in range(1, 5) if 10**d % written.denominator == 0), ())


def in_percent(value: Value) -> Value:
    """20 for 1/5; a whole number above 1 is no percentage, and stays."""
    return value if isinstance(value, int) and value > 1 else exact(Fraction(value) * 100)


def _said(value: Value) -> str:
    return str(value) if isinstance(value, int) else f"{float(value):g}"
