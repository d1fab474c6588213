"""Does the completion work its answer out, as the demonstration does?

A step of the demonstration is a true sum that `curate.arithmetic` reads in it. A step counts as told where the
completion states its result in a sentence that holds what of the question goes into it, or as the result of a sum
whose operands are given or worked out before (`curate.gate.checks.sums.grounds`); a list of numbers and the
announcement of the answer tell nothing, and a sum made up to fit its result (`23 + 1 = 24`) takes its result back.
With `detours`, another way to the answer is as good: a chain of such sums, not all of them the demonstration's, that
ends in the answer and uses most of what the demonstration uses. With `sums`, each step must stand there as a sum with
its own operands; sums beside them are free.

What is asked for depends on the demonstration:

- It states steps: the above, and where its answer is not a number of the question, a sum or a sentence with operands
  must stand in the completion (`no_reasoning`). Sums alone are no retelling of sentences.
- None of its steps can be read, and its answer is no number of the question: the completion is undecided
  (`no_step_read`), unless the gate has a judge or an entailment model, whose checks decide.
- It gives its answer directly (no other number stands in it): some words of reasoning are asked for, and where the
  question gives several numbers, a sum or a sentence with one of them and the answer (else undecided, as above).
- Its answer stands in the question: words of reasoning are asked for where the demonstration has some.
- Its answer is no number at all: nothing is asked for.

A sum of the completion's own must lead somewhere: its result goes into another sum, or is a number of the question,
the demonstration or the answer (`stray_sum`); one that stands on given numbers may be an aside. None may use a step's
result to come to a given number that the step then starts from (`circular`).

Catches: a dropped step, sums for nothing, a number altered mid-way, an answer without its reasoning, vacuous sums. A
result that the completion uses before it says it (`40 - 4 = 36` where nothing says how 40 came about) counts as
missing, and so does one of two steps that come to the same number. Cannot catch: a number that is stated for another
reason, true sums about the wrong quantities.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence, Set
from fractions import Fraction
from functools import lru_cache
from typing import ClassVar, Literal

from pydantic import Field

from recast.curate.arithmetic.equalities import equalities, step_results
from recast.curate.arithmetic.segments import ANNOTATION
from recast.curate.gate.checks.case import Case, CheckConfig
from recast.curate.gate.checks.sums.grounds import (
    CONSTANTS,
    MENTION,
    OPERAND,
    Sum,
    asked,
    by_sentence,
    converted,
    core,
    grounded,
    has_words,
    places,
    sums,
)
from recast.curate.maths.numbers import FLOAT_ERROR, Value, exact, numbers, spoken
from recast.curate.records import Check

DECIDING_MODELS = frozenset(("judge", "entails"))
"""Models whose checks decide what no step can."""
MIN_SHARE_OF_GIVEN = 0.6
"""Share of the given numbers that the demonstration reckons with which another way to the answer must use too."""
_OF_EVERYTHING = frozenset((2, 100))  # halves and percentages
MAX_ASIDES = 1
"""Founded sums that may lead to nothing."""

_NOTED = re.compile(r"=\s*([^<>=\n]{1,40})>>")


class StepsCheck(CheckConfig):
    """The steps of the demonstration occur in the completion, or other ones that lead to the answer."""

    type: Literal["steps"] = "steps"
    min_share: float = Field(default=1.0, ge=0.0, le=1.0)
    """Smallest share of the demonstration's step results that the completion must contain."""

    stated: bool = True
    """Whether a result must be stated, as a result or in words, and not only be used in a later step."""

    min_words_per_step: int = Field(default=3, ge=0)
    """Words a step from which on the demonstration counts as prose, which sums alone do not retell."""

    detours: bool = True
    """Whether another way to the answer counts, told in sums that are all founded."""

    sums: bool = False
    """Whether each step must be stated as a sum with the demonstration's operands. Stricter than `stated`."""

    name: ClassVar[str] = "steps"
    revision: ClassVar[int] = 12

    def run(self, case: Case) -> Check:
        results = step_results(case.demonstration)
        if not results:
            return self._nothing_read(case)
        stated = list(grounded(case.completion, case.prompt, case.demonstration))
        theirs = set(sums(case.demonstration))
        sound = [step for step, founded in stated if founded and (step in theirs or not step.vacuous)]
        missing = self._missing(results, sound, stated, case)
        if missing and self.detours and _derived(sound, case):
            missing = []
        share = 1.0 - len(missing) / len(results)
        listed = not sound and len(missing) == len(results) and _all_mentioned(missing, case.completion)
        if share < self.min_share and not listed:
            more = f", nor do {len(missing) - 1} more of its {len(results)} steps" if missing[1:] else ""
            return self.failed(
                "missing_step",
                f"The demonstration's step to {_said(missing[0])} does not occur{more}.",
                share,
            )
        if listed or not self._reasoned(results, sound, case):
            return self.failed(
                "no_reasoning",
                "The results stand there without a sum of given numbers, and without a sentence that tells them, "
                f"such as {_said((missing or results)[0])}.",
                share,
            )
        if circular := _circular(results, stated, case):
            return self.failed(
                "circular",
                f"It reckons with {_said(circular)} before anything comes to it, and then from the result to it.",
                share,
            )
        if astray := _astray(stated, case):
            return self.failed(
                "stray_sum",
                f"A sum comes to {_said(astray.result)}, which leads to nothing and which neither question nor "
                "demonstration knows.",
                share,
            )
        return self.passed(share)

    def _missing(
        self, results: tuple[Value, ...], sound: list[Sum], stated: list[tuple[Sum, bool]], case: Case
    ) -> list[Value]:
        if self.sums:
            return _without_sum(results, sound, case)
        reached = {step.result for step in sound if not _of_constants(step, case)}
        unsure = [r for r in results if not _nearly(r, reached)]
        if unsure:
            unfounded = {step.result for step, founded in stated if not founded} - reached
            unsure = [r for r in unsure if r in unfounded or not _told(r, case)]
        if unsure or not self.stated:
            return unsure
        late = _unfounded(results, case) or _once_for_twice(case)
        return [r for r in late if r not in spoken(case.completion)]

    def _reasoned(self, results: tuple[Value, ...], sound: list[Sum], case: Case) -> bool:
        """Whether the completion says how its answer comes about, where the question does not hold it."""
        answer = _answer(case)
        told = sound or any(_told(r, case) for r in results)
        if not answer or answer <= asked(case.prompt):
            return bool(told)
        return bool(told) and (not sound or self._in_words(case, len(results)))

    def _in_words(self, case: Case, num_steps: int) -> bool:
        """Whether there is a word beside the sums, where the demonstration has sentences."""
        return has_words(case.completion, 1) or not has_words(
            case.demonstration, self.min_words_per_step * num_steps
        )

    def _nothing_read(self, case: Case) -> Check:
        answer = _answer(case)
        if not answer:
            return self.passed()
        copied = answer <= asked(case.prompt)
        reasons = not copied or has_words(case.demonstration, self.min_words_per_step)
        if reasons and not has_words(case.completion, self.min_words_per_step) and not sums(case.completion):
            return self.failed("no_reasoning", "The answer stands there without any reasoning.", 0.0)
        if copied:
            return self.passed()
        if _direct(case.demonstration, answer) and _stands_on_given(case, answer):
            return self.passed()
        if DECIDING_MODELS & case.models.keys():
            return self.passed()
        return self.undecided(
            "no_step_read",
            "No step of the demonstration can be read, so nothing says whether the completion has them. "
            "Give the gate a judge or an entailment check, which decide such rows.",
        )


def _of_constants(step: Sum, case: Case) -> bool:
    """Whether a sum has nothing of the row in it and is none of the demonstration's: `2 * 2 = 4` for `20 / 5 = 4`."""
    if not step.operands or not all(v in CONSTANTS for v in step.operands):
        return False
    row = asked(case.prompt) | set(step_results(case.completion))
    return all(v == 1 or not (v in row or v * 100 in row) for v in step.operands) and not any(
        step.result == theirs.result and step.work == theirs.work for theirs in sums(case.demonstration)
    )


def _circular(results: tuple[Value, ...], stated: list[tuple[Sum, bool]], case: Case) -> Value | None:
    """A step's result that a sum uses to come to a given number, before a sum comes to it from that number."""
    known = asked(case.prompt)
    reached: set[Value] = set()
    used: dict[Value, Value] = {}
    for step, _ in stated:
        origin = used.get(step.result)
        if origin is not None and origin in step.operands:
            return step.result
        reached.add(step.result)
        if step.result not in known or 1 in step.operands:
            continue  # 1/4 * 12 = 3
        for value in step.operands:
            if value in results and value not in known | reached and value not in _OF_EVERYTHING:
                used.setdefault(value, step.result)
    return None


def _astray(stated: list[tuple[Sum, bool]], case: Case) -> Sum | None:
    """A sum whose result nothing goes on with: no sum, no number of question, demonstration or answer.

    People add sums of their own to get somewhere, or to check, and seldom one aside; a text that drifts adds them for
    nothing, or on numbers that nobody gave.
    """
    results = set(step_results(case.demonstration))
    if all(step.result in results and not step.vacuous for step, _ in stated):
        return None
    known = (
        asked(case.prompt)
        | numbers(case.demonstration)
        | spoken(case.demonstration)
        | results
        | _answer(case)
    )
    theirs = {step.work for step in sums(case.demonstration)}
    asides, made = 0, set[Value]()
    for step, founded in stated:
        if step.vacuous and 1 in step.operands and 1 not in known and step.result in made & _answer(case):
            return step  # 19 / 1 = 19, where 19 is worked out already
        if (
            step.result in known
            or step.vacuous
            or _nearly(step.result, known)
            or converted(step.result, known)
        ):
            made.add(step.result)
            continue
        used = {v for other, _ in stated if other != step for v in other.operands}
        if step.result not in used and not _nearly(step.result, used):
            asides += 1
            instead = step.work in theirs and (_multiplied(step) or set(step.operands) <= asked(case.prompt))
            if asides > MAX_ASIDES or not founded or instead or _answer(case) & made:
                return step  # 10 * 5 where the step is 10 / 5
    return None


def _multiplied(step: Sum) -> bool:
    """Whether a sum of two numbers is their product or quotient."""
    if len(step.operands) != 2:
        return False
    a, b = step.operands
    return step.result == a * b or a == step.result * b


def _answer(case: Case) -> frozenset[Value]:
    """The numbers of the row's answer."""
    return numbers(case.reference or "")


@lru_cache(maxsize=1024)
def _direct(demonstration: str, answer: frozenset[Value]) -> bool:
    """Whether the demonstration holds no number but its answer's: then it works nothing out."""
    return numbers(demonstration) <= answer


def _stands_on_given(case: Case, answer: frozenset[Value]) -> bool:
    """Whether the answer is told with a number of the question, where it gives several to reckon with."""
    known = asked(case.prompt)
    return (
        len(known) < 2
        or bool(sums(case.completion))
        or any(answer & said and known & (said - answer) for said in by_sentence(case.completion))
    )


def _told(result: Value, case: Case) -> bool:
    """Whether a sentence tells the step to `result`: the result, and what of the question goes into it."""
    question = asked(case.prompt)
    return any(
        _nearly(result, here) and all(v in here or v not in question for v in step.operands)
        for step in sums(case.demonstration)
        if step.result == result
        for here in by_sentence(case.completion)
    )


def _all_mentioned(results: Sequence[Value], text: str) -> bool:
    """Whether all of `results` occur beside no sign, although none of them is told."""
    written = {value for value, kinds in places(text).items() if MENTION in kinds}
    return all(_nearly(r, written) for r in results)


def _derived(sound: list[Sum], case: Case) -> bool:
    """Whether founded sums, one of them at least the completion's own, lead to the answer by their own way."""
    answer = _answer(case)
    steps = sums(case.demonstration)
    theirs = {(step.result, step.work) for step in steps}
    by_result: dict[Value, Sum] = {}
    for step in sound:
        by_result.setdefault(step.result, step)
    last = next(
        (s for s in reversed(sound) if _nearly(s.result, answer) or converted(s.result, answer)), None
    )
    if last is None:
        return False
    way, open_ = [last], list(last.operands)
    while open_:
        before = by_result.get(open_.pop())
        if before is not None and before not in way:
            way.append(before)
            open_ += before.operands
    if all((step.result, step.work) in theirs for step in way):
        return False  # the demonstration's own steps, and fewer of them
    mentioned = set(map(core, asked(case.prompt)))
    wanted = {v for step in steps for v in step.work if v in mentioned}
    used = {v for step in way for v in step.work}
    used |= {
        core(v - 1) for step in way for v in step.operands if 0 < v < 2
    }  # 1.8 and 0.2 for 80 % more and off
    return len(wanted & used) >= MIN_SHARE_OF_GIVEN * len(wanted)


def _without_sum(results: tuple[Value, ...], sound: list[Sum], case: Case) -> list[Value]:
    """Step results that no founded sum of the completion reaches from the operands of the demonstration.

    A sum of the completion's own stands for what went into it: `48 + 24 = 72`, `72 + 10 = 82` is `48 + 24 + 10 = 82`.
    """
    wanted: dict[Value, set[tuple[Value, ...]]] = {}
    for step in sums(case.demonstration):
        wanted.setdefault(step.result, set()).add(step.work)
    own: dict[Value, Sum] = {}
    found: dict[Value, set[tuple[Value, ...]]] = {}
    for step in sound:
        work: list[Value] = list(step.operands)
        for _ in range(len(own)):
            at = next((i for i, v in enumerate(work) if v in own), None)
            if at is None:
                break
            work[at : at + 1] = own[work[at]].operands
        found.setdefault(step.result, set()).update((step.work, Sum(tuple(work), step.result).work))
        if step.result not in wanted:
            own[step.result] = step
    return [r for r in results if not wanted.get(r, set()) & _near(found, r)] or _once_for_twice(case)


def _near(found: dict[Value, set[tuple[Value, ...]]], result: Value) -> set[tuple[Value, ...]]:
    if result in found:
        return found[result]
    return {way for r, ways in found.items() if _nearly(result, {r}) for way in ways}


def _unfounded(results: tuple[Value, ...], case: Case) -> list[Value]:
    """Step results that the completion uses as operands without having said them.

    A number that means something else before, in the question or in the demonstration's own sums, may be used at
    once: it is missing only where it is nothing but used.
    """
    operands = _operands(case.completion)
    # 18 and 24 are said where `2 * 9 + 6 * 4 = 18 + 24` says them term by term
    stated = {*step_results(case.completion), *(step.result for step in sums(case.completion))}
    suspects = [r for r in results if r in operands and not {r, in_percent(r)} & stated]
    if not suspects:
        return []
    placed, meant = places(case.completion), _given(case)
    return [
        r
        for r in suspects
        if (kinds := placed.get(r, "")) and (MENTION not in kinds if r in meant else kinds[0] == OPERAND)
    ]


def _given(case: Case) -> frozenset[Value]:
    """Numbers that have a meaning before any step comes to them."""
    used = {r for r, kinds in places(case.demonstration).items() if kinds[0] == OPERAND}
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
    placed, meant, answer = places(case.completion), _given(case), _answer(case)
    missing: list[Value] = []
    for r in suspects:
        kinds = placed.get(r, "")
        whole = r in meant or OPERAND not in kinds
        said = kinds.count(MENTION) - (r in answer) if whole else kinds.index(OPERAND)
        if said <= 2 * found[r]:
            missing.append(r)
    return missing


@lru_cache(maxsize=2048)
def _steps_by_result(demonstration: str) -> Counter[Value]:
    """How many steps come to each result: one a line, which calculator annotations state best where it has any.

    Empty where no result occurs twice.
    """
    steps: Counter[Value] = Counter()
    noted = (
        [said.rstrip(" 0").rstrip(".") for said in _NOTED.findall(demonstration)]
        if ">>" in demonstration
        else []
    )
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


def _nearly(result: Value, written: Set[Value]) -> bool:
    """Equal, or a sign, a percentage or a rounding apart: -5 for a loss of 5, 20% for 0.2, 3.33 for 10/3."""
    if result in written or -result in written or in_percent(result) in written:
        return True
    if isinstance(result, int):
        return result % 100 != 0 and Fraction(result, 100) in written
    if any(abs(w - result) < FLOAT_ERROR for w in written):
        return True
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
