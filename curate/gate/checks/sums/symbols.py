"""Does every letter that the completion brings in stand for a number in the end?

Catches: equations between letters that neither question nor demonstration knows and that are never given a value.
Cannot catch: letters that the source uses, too, and those beside one that has a value.
"""

from __future__ import annotations

import re
from typing import ClassVar, Literal

from recast.curate.arithmetic.lexer import TIMES_X
from recast.curate.arithmetic.unbound import unbound
from recast.curate.gate.checks.case import Case, CheckConfig
from recast.curate.records import Check


class SymbolsCheck(CheckConfig):
    """No letters of its own without a value."""

    type: Literal["symbols"] = "symbols"

    name: ClassVar[str] = "symbols"

    def run(self, case: Case) -> Check:
        letters = unbound(case.completion)
        if letters and not _known(letters[0], f"{case.prompt}\n{case.demonstration}"):
            return self.failed("unbound_symbol", f"What {', '.join(letters)} stands for is never said.")
        return self.passed()


def _known(letter: str, source: str) -> bool:
    """Whether the source writes the letter by itself or beside a number; `3 x 4` writes no x."""
    source = TIMES_X.sub("*", source)
    return re.search(rf"(?<![A-Za-z]){letter}(?![A-Za-z])", source, re.IGNORECASE) is not None
