"""Graders that compare texts, numbers and lists: `string_check`, `exact`, `numeric`, `ranked_list`."""

from __future__ import annotations

from collections.abc import Sequence

from recast.curate.answers.extract import equivalent, find_answer
from recast.curate.answers.quantities import Quantity, quantity
from recast.train.graders.format import portable
from recast.train.graders.format.ours import Exact, Numeric, RankedList
from recast.train.graders.format.published import StringCheck
from recast.train.graders.format.template import template
from recast.train.graders.kinds.rendering import each, text, texts
from recast.train.graders.records import Case, Errors, Models, Outcome, failed


def string_check(config: StringCheck, cases: Sequence[Case], models: Models) -> list[Outcome]:
    """`like` and `ilike` ask whether `input` contains `reference`; only `ilike` knows no case."""

    def judge(case: Case) -> Outcome:
        said, wanted = text(case, config.input), text(case, config.reference)
        if config.operation == "ilike":
            said, wanted = said.lower(), wanted.lower()
        holds = {
            "eq": said == wanted, "ne": said != wanted, "like": wanted in said, "ilike": wanted in said,
        }  # fmt: skip
        return Outcome(float(holds[config.operation]))

    return each(cases, judge)


def exact(config: Exact, cases: Sequence[Case], models: Models) -> list[Outcome]:
    def plain(said: str) -> str:
        return portable.plain_text(said, config.ignore_case, config.ignore_space)

    def judge(case: Case) -> Outcome:
        said = plain(text(case, config.input))
        return Outcome(float(any(said == plain(one) for one in texts(case, config.reference))))

    return each(cases, judge)


def numeric(config: Numeric, cases: Sequence[Case], models: Models) -> list[Outcome]:
    """1, `wrong` or 0: right, another answer that can be read, none. No score where it cannot be told."""

    def judge(case: Case) -> Outcome:
        found = find_answer(text(case, config.input))
        references = texts(case, config.reference)
        if found is None:
            return Outcome(0.0, scores={"answer": None})
        seen = {"answer": found.text}
        verdicts = [_same_number(found.text, one, config) for one in references]
        if True in verdicts:
            return Outcome(1.0, scores=seen)
        if None not in verdicts:
            return Outcome(config.wrong, scores=seen)
        if quantity(found.text) is None and any(quantity(one) is not None for one in references):
            return Outcome(0.0, scores=seen)  # words where a number was asked for: nothing that could be read
        return failed(Errors(), scores={**seen, "undecided": "whether it is the reference cannot be told"})

    return each(cases, judge)


def _same_number(said: str, reference: str, config: Numeric) -> bool | None:
    same = equivalent(said, reference)
    if same is True or not (config.absolute or config.relative):
        return same
    one, two = quantity(said), quantity(reference)
    if one is None or two is None or one.percent != two.percent or not _one_unit(one, two):
        return same
    try:
        a, b = float(one.value), float(two.value)
    except (OverflowError, TypeError, ValueError):
        return same
    return abs(a - b) <= max(config.absolute, config.relative * abs(b))


def _one_unit(one: Quantity, two: Quantity) -> bool:
    """Whether two numbers count the same; a unit may be left off."""
    return not one.unit or not two.unit or one.unit.casefold().rstrip("s") == two.unit.casefold().rstrip("s")


def ranked_list(config: RankedList, cases: Sequence[Case], models: Models) -> list[Outcome]:
    """The credit of the best position that names a reference; 0 where none does or there is no list."""

    def judge(case: Case) -> Outcome:
        entries = portable.listed(template(config.input).value(case.spaces))
        references = texts(case, config.reference)
        if entries is None:
            return Outcome(0.0, scores={"position": None, "listed": None})
        position = _position(entries, references, config)
        worth = portable.worth(position, config.credit, config.longest) if position else 0.0
        return Outcome(worth, scores={"position": position, "listed": len(entries)})

    return each(cases, judge)


def _position(entries: Sequence[str], references: Sequence[str], config: RankedList) -> int | None:
    if config.match == "text":
        return portable.position_of(entries, references, config.longest)
    said = enumerate(entries[: config.longest], 1)
    return next((n for n, entry in said if any(equivalent(entry, one) is True for one in references)), None)
