"""Do the words name the operations that the sums show?

Catches: `we multiply to get it: 48/2 = 24`, an operation that no sum of the text has, and one between twice the same
(`divide the total by the total`). Cannot catch: an operation that is right for the sum and wrong for the problem
(`steps` sees some of those), and words for operations that tell what happens rather than what is computed (`shares`,
`gives away`). Whether the sums are true, in signs or in words, is asked by `arithmetic`.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from recast.curate.arithmetic.operations import may_misname, misnamed, unshown, with_itself
from recast.curate.gate.checks.case import Case, CheckConfig, shown
from recast.curate.language.tokens import read
from recast.curate.records import Check


class OperationsCheck(CheckConfig):
    """No sum is called by the name of another operation."""

    type: Literal["operations"] = "operations"

    name: ClassVar[str] = "operations"
    revision: ClassVar[int] = 5

    def run(self, case: Case) -> Check:
        for sentence in read(case.completion) if may_misname(case.completion) else ():
            for said in misnamed(sentence.text):
                return self.failed("misnamed_operation", f"Not what the sum does: {shown(said)}.")
        if said := unshown(case.completion, case.demonstration):
            return self.failed("misnamed_operation", f"No sum does what is said: {shown(said)!r}.")
        if said := with_itself(case.completion):
            return self.failed(
                "operation_with_itself", f"It works out a quantity with itself: {shown(said)!r}."
            )
        return self.passed()
