"""Do the words name the operations that the sums show, and are the sums said in words true?

Catches: `we multiply to get it: 48/2 = 24`, `the sum of 3 and 4 is 12`, `seven plus seven makes nineteen`. Cannot
catch: an operation that is right for the sum and wrong for the problem (`steps` and `arithmetic` see some of
those), and words for operations that tell what happens rather than what is computed (`shares`, `gives away`).
"""

from __future__ import annotations

from typing import ClassVar, Literal

from recast.curate.arithmetic.operations import false_in_words, misnamed
from recast.curate.gate.checks.case import Case, CheckConfig, shown
from recast.curate.language.tokens import read
from recast.curate.records import Check


class OperationsCheck(CheckConfig):
    """No sum is called by the name of another operation, none said in words is false."""

    type: Literal["operations"] = "operations"

    name: ClassVar[str] = "operations"

    def run(self, case: Case) -> Check:
        for sentence in read(case.completion):
            for said in misnamed(sentence.text):
                return self.failed("misnamed_operation", f"Not what the sum does: {shown(said)}.")
            for said in false_in_words(sentence.text):
                return self.failed("false_in_words", f"Not true: {shown(said)}.")
        return self.passed()
