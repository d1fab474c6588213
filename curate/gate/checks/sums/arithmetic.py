"""Is every equality that the completion states true?

Catches: a calculator note that says another result than the text (`<<9/3=3>>9`), the right answer after false sums,
in any notation that `curate.arithmetic` reads and in words (`6 and 7 make 14`), which is what an agent learns within
60 steps when only the answer is checked. Cannot catch: true sums about the wrong quantities, sums that a story tells
without naming an operation, and equations with a name whose value the text never gives (counted in the score, and
refused above `max_undecided`).
"""

from __future__ import annotations

import re
from typing import ClassVar, Literal

from pydantic import Field

from recast.curate.arithmetic.equalities import equalities
from recast.curate.gate.checks.case import Case, CheckConfig, shown
from recast.curate.maths.numbers import agrees, literal
from recast.curate.records import Check

_NOTED = re.compile(r"=\s*\$?(-?[\d.,]*\d)\s*>>\s*[$€£]?(-?\d[\d,]*(?:\.\d+)?)(?![\d%/]| \d{3}\b)")


class ArithmeticCheck(CheckConfig):
    """Every stated equality is true."""

    type: Literal["arithmetic"] = "arithmetic"
    max_undecided: float = Field(default=1.0, ge=0.0, le=1.0)
    """Largest share of stated equalities that may be undecidable."""

    name: ClassVar[str] = "arithmetic"
    revision: ClassVar[int] = 7

    def run(self, case: Case) -> Check:
        stated = equalities(case.completion)
        for equality in stated:
            if equality.truth is False:
                return self.failed("false_equality", f"`{shown(equality.text)}` is false.", 0.0)
        for noted, said in _NOTED.findall(case.completion) if ">>" in case.completion else ():
            (one, digits), (other, shown_digits) = literal(noted), literal(said)
            if one is not None and other is not None and not agrees(one, other, digits, shown_digits):
                return self.failed("false_equality", f"`{noted}` is noted and {said} written.", 0.0)
        undecided = [e for e in stated if e.truth is None]
        share = 1.0 - len(undecided) / len(stated) if stated else 1.0
        if 1.0 - share > self.max_undecided:
            return self.undecided(
                "undecided_equality",
                f"{len(undecided)} of {len(stated)} equalities cannot be decided, "
                f"such as `{shown(undecided[0].text)}`.",
                share,
            )
        return self.passed(share)
