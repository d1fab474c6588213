"""Do the names of the completion occur in the question or the demonstration?

Catches: Natalia who became Natalie, a person who was not there before. A name is a capitalised word that does not
begin a sentence. Cannot catch: a name that was left out, names swapped with each other, and anything in languages
that capitalise nouns or nothing at all.
"""

from __future__ import annotations

import re
from typing import ClassVar, Literal

from pydantic import Field

from recast.curate.gate.checks.case import Case, CheckConfig
from recast.curate.records import Check

_NAME = re.compile(r"(?<=[a-z,;0-9)] )[A-Z][a-z]{2,}(?:-[A-Z][a-z]+)*(?!\w)")
_COMMON = frozenset(
    (
        "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday", "January", "February", "March",
        "April", "May", "June", "July", "August", "September", "October", "November", "December", "The", "Let",
        "Step", "So", "Then", "Answer", "Total", "Therefore", "Now", "Finally", "First", "Next", "Since", "Thus",
    )
)  # fmt: skip


class NamesCheck(CheckConfig):
    """No name of the completion is made up."""

    type: Literal["names"] = "names"
    max_invented: int = Field(default=0, ge=0)
    """How many different names may be new."""

    name: ClassVar[str] = "names"

    def run(self, case: Case) -> Check:
        source = f"{case.prompt}\n{case.demonstration}".lower()
        invented = sorted(
            {
                name
                for name in _NAME.findall(case.completion)
                if name not in _COMMON and not _known(name, source)
            }
        )
        if len(invented) > self.max_invented:
            return self.failed(
                "invented_name", f"New names: {', '.join(invented[:3])}.", float(len(invented))
            )
        return self.passed(float(len(invented)))


def _known(name: str, source: str) -> bool:
    """Whether the name, with or without a plural s, stands in the source as a word of its own."""
    word = re.escape(name.lower().removesuffix("s"))
    return re.search(rf"\b{word}s?\b", source) is not None
