"""Is every equality that the completion states true?

Catches: a calculator note that says another result than the text (`<<9/3=3>>9`), the right answer after false sums,
in any notation that `curate.arithmetic` reads and in words (`6 and 7 make 14`), which is what an agent learns within
60 steps when only the answer is checked; amounts that words call one and that are not (`2 hours, which is 100 minutes`,
`the same as the first 126`). Cannot catch: true sums about the wrong quantities, sums that a story tells
without naming an operation, and equations with a name whose value the text never gives (counted in the score, and
refused above `max_undecided`).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import ClassVar, Literal

from pydantic import Field

from recast.curate.arithmetic.alike import unfounded, unlike
from recast.curate.arithmetic.equalities import equalities, step_results
from recast.curate.gate.checks.case import Case, CheckConfig, shown
from recast.curate.gate.checks.sums.grounds import CONSTANTS, asked
from recast.curate.maths.numbers import Value, agrees, literal, numbers, spoken
from recast.curate.records import Check

_NOTED = re.compile(r"=\s*\$?(-?[\d.,]*\d)\s*>>\s*[$€£]?(-?\d[\d,]*(?:\.\d+)?)(?![\d%/]| \d{3}\b)")


class ArithmeticCheck(CheckConfig):
    """Every stated equality is true."""

    type: Literal["arithmetic"] = "arithmetic"
    max_undecided: float = Field(default=1.0, ge=0.0, le=1.0)
    """Largest share of stated equalities that may be undecidable."""

    name: ClassVar[str] = "arithmetic"
    revision: ClassVar[int] = 9

    def run(self, case: Case) -> Check:
        stated = equalities(case.completion)
        for equality in stated:
            if equality.truth is False:
                return self.failed("false_equality", f"`{shown(equality.text)}` is false.", 0.0)
        for noted, said in _NOTED.findall(case.completion) if ">>" in case.completion else ():
            (one, digits), (other, shown_digits) = literal(noted), literal(said)
            if one is not None and other is not None and not agrees(one, other, digits, shown_digits):
                return self.failed("false_equality", f"`{noted}` is noted and {said} written.", 0.0)
        known = _known(case.prompt, case.demonstration).union(step_results(case.completion))
        if said := unlike(case.completion, known, CONSTANTS):
            return self.failed("false_equality", f"`{shown(said)}` is false.", 0.0)
        if said := unfounded(case.completion, case.prompt, case.demonstration):
            return self.failed("false_equality", f"Nothing says that two are the same: `{shown(said)}`.", 0.0)
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


@lru_cache(maxsize=1024)
def _known(prompt: str, demonstration: str) -> frozenset[Value]:
    """The numbers of a row, and those that its steps come to."""
    told = numbers(demonstration) | spoken(demonstration)
    return asked(prompt) | told | frozenset(step_results(demonstration))
