"""Do the words name the operations that the sums show?

Catches: `we multiply to get it: 48/2 = 24`, an operation that no sum of the text has, one between twice the same
(`divide the total by the total`), and a plan that does otherwise than the steps: with a number or a count of things
that goes into none (`add 55 to the total`), with more terms than any has, the wrong way around, or with the very thing
that it sets out to find (`to find the total, add the tax to the total`). Cannot catch: an operation that is right for
the sum and wrong for the problem (`steps` sees some of those), and words for operations that tell what happens rather
than what is computed (`shares`, `gives away`). Whether the sums are true, in signs or in words, is asked by
`arithmetic`.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from recast.curate.arithmetic.operations import (
    left_open,
    may_misname,
    miscalled,
    misnamed,
    unshown,
    with_itself,
)
from recast.curate.gate.checks.case import Case, CheckConfig, shown
from recast.curate.gate.checks.sums.grounds import OPERAND, places, sums
from recast.curate.language.story.plans import Step, may_plan, unfit
from recast.curate.language.tokens import read
from recast.curate.records import Check


class OperationsCheck(CheckConfig):
    """No sum is called by the name of another operation, and no plan does otherwise than the sums."""

    type: Literal["operations"] = "operations"

    name: ClassVar[str] = "operations"
    revision: ClassVar[int] = 8

    def run(self, case: Case) -> Check:
        for sentence in read(case.completion) if may_misname(case.completion) else ():
            for said in misnamed(sentence.text):
                return self.failed("misnamed_operation", f"Not what the sum does: {shown(said)}.")
        if said := unshown(case.completion, case.demonstration):
            return self.failed("misnamed_operation", f"No sum does what is said: {shown(said)!r}.")
        if said := miscalled(case.completion, case.demonstration):
            return self.failed("misnamed_operation", f"No sum of it is one: {shown(said)!r}.")
        texts = (case.prompt, case.demonstration, case.completion)
        operands = [step.operands for text in texts for step in sums(text)]
        if said := left_open(case.completion, texts[:2], operands):
            return self.failed("open_sum", f"No sum has it so: {shown(said)!r}.")
        if said := with_itself(case.completion):
            return self.failed(
                "operation_with_itself", f"It works out a quantity with itself: {shown(said)!r}."
            )
        if said := _unfit_plan(case):
            return self.failed("unfit_plan", f"The steps do otherwise than it plans: {shown(said)!r}.")
        return self.passed()


def _unfit_plan(case: Case) -> str:
    """A plan of the completion that does otherwise than its steps and the demonstration's; empty where none does."""
    if not may_plan(case.completion) or not sums(case.demonstration):
        return ""
    texts = (case.demonstration, case.completion)
    steps = tuple(Step(step.operands, step.result) for text in texts for step in sums(text))
    beside = frozenset(value for text in texts for value, kinds in places(text).items() if OPERAND in kinds)
    return unfit(case.completion, case.prompt, case.demonstration, steps, beside)
