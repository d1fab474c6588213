"""Does a sentence that question or demonstration say almost word for word say the same?

Catches, where the words around it are theirs: another number, person, thing, unit, period, share, operation or deed
in the place of theirs (`per week` for `per day`, `pens left` for `pens at first`, `ate` for `sold`, `Ann` for
`they`); words that change places. A word that takes another's place is wrong where both exclude each other
(`curate.language.story.clashes`), or both are persons or counted things of the row, and no sentence of the source
says it so. In a text that is largely a copy, clauses are held against clauses (`curate.language.story.copies`), too:
the number of another clause, another's amount, `the next one` for `another 18`, one number twice; and its sentences
must go on as the source's do (`curate.language.story.seams`). Cannot catch: words in no list that mean something else,
sentences that were put differently, two exchanges in one clause. English words only.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import ClassVar, Literal

from recast.curate.arithmetic.equalities import step_results
from recast.curate.gate.checks.case import Case, CheckConfig, shown
from recast.curate.gate.checks.sums.grounds import sums
from recast.curate.language.quantities import quantities
from recast.curate.language.story.clashes import clash
from recast.curate.language.story.copies import Slip, slips
from recast.curate.language.story.people import bare, people
from recast.curate.language.story.relations import turned as turned_around
from recast.curate.language.story.seams import seam
from recast.curate.language.story.wording import BEGIN, END, Put, reckoned, stands_in, substituted, told
from recast.curate.language.topic import is_english, words_of
from recast.curate.language.word_classes import GENERIC, GRAMMAR
from recast.curate.maths.numbers import numbers
from recast.curate.maths.units import dimensions, singular
from recast.curate.records import Check

MIN_WORDS = 5
_LETTERS = frozenset("ai+-*/=%0123456789$")
_ALL_OF_THEM = frozenset("they both together them their all everyone we".split())


class WordingCheck(CheckConfig):
    """No word in another's place that says something else."""

    type: Literal["wording"] = "wording"

    name: ClassVar[str] = "wording"
    revision: ClassVar[int] = 9

    def run(self, case: Case) -> Check:
        for put in substituted(case.completion, case.prompt, case.demonstration):
            if (wrong := _wrong(put, case)) and not _said(put, wrong, case):
                old, new = (" ".join(words) for words in wrong)
                return self.failed(
                    "other_wording",
                    f"It says {new!r} where question or demonstration say {old!r}: "
                    f"{shown(' '.join(put.sentence))!r}.",
                )
        if cut := _cut_short(case):
            return self.failed(
                "other_wording", f"It leaves {cut[1]!r} out of what is said: {shown(cut[0])!r}."
            )
        for slip in slips(case.completion, case.prompt, case.demonstration):
            if not slip.number or not _own(slip, case):
                return self.failed(
                    "other_wording",
                    f"It says {slip.new!r} where question or demonstration say {slip.old!r}: "
                    f"{shown(slip.clause)!r}.",
                )
        if (cut := seam(case.completion, case.prompt, case.demonstration)) and _english(case):
            return self.failed(
                "spliced", f"No sentence goes on so: {shown(cut.before)!r}, then {shown(cut.after)!r}."
            )
        if turned := turned_around(case.completion, case.prompt, case.demonstration):
            return self.failed(
                "turned_around", f"Question or demonstration say it the other way round: {turned}."
            )
        return self.passed()


def _english(case: Case) -> bool:
    return is_english(case.demonstration) or is_english(case.prompt)


_HAS = frozenset("has have had".split())


def _own(slip: Slip, case: Case) -> bool:
    """Whether the text has a number by its own sums that the source knows nothing of, or says what somebody has after a
    sum with what he had: `Jack has 12 + 5 = 17 apples`."""
    known = (*numbers(case.prompt), *numbers(case.demonstration))
    if _computed(slip.number, case.completion) and slip.number not in map(str, known):
        return True
    old = slip.old.lstrip("$")
    return not _HAS.isdisjoint(slip.clause.split()) and any(
        str(step.result) == slip.number and old in map(str, step.operands) for step in sums(case.completion)
    )


def _cut_short(case: Case) -> tuple[str, str] | None:
    """A sentence of the source that lacks words before a number, with what it lacks: `the scores in the first 190` for
    `the scores in the first 2 quizzes are 190`."""
    known = {*told(case.prompt), *told(case.demonstration)}
    for sentence in told(case.completion):
        if len(sentence) < MIN_LEFT or sentence in known:
            continue
        for whole in known:
            lacks = len(whole) - len(sentence)
            if lacks < MIN_LACKING or whole[:MIN_SIDE] != sentence[:MIN_SIDE]:
                continue
            at = next(i for i in range(len(sentence) + 1) if i == len(sentence) or sentence[i] != whole[i])
            left_out, rest = whole[at : at + lacks], sentence[at:]
            if not rest or not _figure(rest[0]) or whole[at + lacks :] != rest:
                continue
            linked = not _LINKS.isdisjoint(left_out)
            if not linked and not any(_figure(word) and word != "=" for word in left_out):
                continue
            # `he has 2 and 3, so he has 5`, `is half of it, or 3`, `needs 4 + 5 = 9`: what is left is whole
            summed = left_out[-1] == "=" and (
                sum(map(_figure, left_out)) > 1 or not _SIGNS.isdisjoint(left_out[:-1])
            )
            if left_out[-1] not in ("or", "because", whole[at - 1]) and (linked or not summed):
                return " ".join(sentence), " ".join(left_out)
    return None


_LINKS = frozenset("is are was were has have had so which that's makes gives".split())
MIN_LACKING, MIN_SIDE, MIN_LEFT = 2, 3, 5
_SIGNS = frozenset("+-/=")


def _wrong(put: Put, case: Case) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """The words that exclude each other, old and new; None where none do."""
    for old in put.old:
        for new in put.new:
            if old != new and _excludes(old, new, put, case):
                return (old,), (new,)
    return None


def _excludes(old: str, new: str, put: Put, case: Case) -> bool:
    if (
        new in put.old
        or old in put.new
        or any(len(word) == 1 and word not in _LETTERS for word in put.sentence)
    ):
        return False  # `let s be the number of the shorter ones`
    if _figure(old) and _figure(new):
        made = put.sentence in reckoned(case.completion)
        return _value(old) != _value(new) and not made and not _otherwise(old, new, put, case)
    if clash(old, new):
        return True
    persons = people(case.prompt, case.demonstration)
    one, two = bare(old), bare(new)
    if two in persons:
        return (one in persons and one != two) or (old in _ALL_OF_THEM and len(persons) > 1)
    counted = _counted(case.prompt, case.demonstration)
    a, b = singular(old), singular(new)
    return (
        "=" not in put.sentence and a not in b and b not in a and a in counted and b in counted
        and not {a, b} & (GENERIC | GRAMMAR) and not (dimensions(old) and dimensions(new))
        and not _together(case.prompt, case.demonstration, a, b)
    )  # fmt: skip


def _said(put: Put, wrong: tuple[tuple[str, ...], tuple[str, ...]], case: Case) -> bool:
    """Whether the source says the new word of the same things, or the text says both of two things."""
    (old,), (new,) = wrong
    if any(stands_in(case.completion, put.context, words) for words in (put.old, (old,))):
        return True
    if bare(new) in people(case.prompt, case.demonstration):
        about = [word for word in put.context if _figure(word)]
        if not about:
            return old not in put.sentence or new not in put.source
        return any(
            all(word in words for word in about) and any(bare(word) == bare(new) for word in words)
            for source in (case.prompt, case.demonstration)
            for words in told(source)
        )
    at = put.context.index("")
    return all(
        _stands((*before, new, *after), case.prompt) or _stands((*before, new, *after), case.demonstration)
        for before, after in ((put.context[:at], ()), ((), put.context[at + 1 :]))
    )


def _stands(run: tuple[str, ...], source: str) -> bool:
    """Whether the words of `run` stand in a row in a sentence of `source`."""
    size = len(run)
    return any(
        run == words[i : i + size]
        for sentence in told(source)
        if run[0] in sentence or run[0] == BEGIN
        for words in ((BEGIN, *sentence, END),)
        for i in range(len(words) - size + 1)
    )


def _figure(word: str) -> bool:
    return word[-1:].isdigit()


def _value(word: str) -> str:
    return word.lstrip("$€£")


def _otherwise(old: str, new: str, put: Put, case: Case) -> bool:
    """Whether the text may have another number there: one of the question where the source works one out, or one by its
    own sums, which do not come to the source's. Not where all other words are the source's."""
    if _computed(old, case.demonstration):
        priced = old[0] in "$€£" and new[0] not in "$€£"  # one of two numbers of a sum with prices
        own = (
            priced or not _computed(old, case.completion) or any(new in words for words in told(case.prompt))
        )
    else:
        own = _computed(new, case.completion)
    return own and not _word_for_word(old, new, put)


def _word_for_word(old: str, new: str, put: Put) -> bool:
    """Whether the sentence stands in the source with one number in place of the other and no further change."""
    size = len(put.sentence)
    runs = (put.source[i : i + size] for i in range(len(put.source) - size + 1)) if size >= MIN_WORDS else ()
    return any(
        [(a, b) for a, b in zip(run, put.sentence, strict=True) if a != b] == [(old, new)] for run in runs
    )


def _computed(word: str, text: str) -> bool:
    """Whether a sum of the text makes the number."""
    return any(str(result) == _value(word) for result in step_results(text))


@lru_cache(maxsize=1024)
def _counted(prompt: str, demonstration: str) -> frozenset[str]:
    """Heads, in the singular, of what numbers of the row count."""
    return frozenset(singular(q.head) for text in (prompt, demonstration) for q in quantities(text) if q.head)


@lru_cache(maxsize=2048)
def _together(prompt: str, demonstration: str, one: str, two: str) -> bool:
    """Whether two nouns stand side by side in the source: `crayon boxes`."""
    words = [singular(word) for text in (prompt, demonstration) for word in words_of(text)]
    return any({a, b} == {one, two} for a, b in pairwise(words))
