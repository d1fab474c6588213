"""Do the names of the completion occur in the question or the demonstration?

Catches: Natalia who became Natalie, a person who was not there before. A name is a capitalised word that does not
begin a sentence; in German, where nouns are capitalised, one that the language's list does not hold. Whoever a
theorem is called after is nobody new. Cannot catch: a name that was left out, names swapped with each other, a
German name that is in the list, anything in languages that capitalise nothing.
"""

from __future__ import annotations

import re
from typing import ClassVar, Literal

from pydantic import Field

from recast.curate.gate.checks.case import Case, CheckConfig
from recast.curate.gate.checks.words.source import source
from recast.curate.language.vocabulary import vocabulary
from recast.curate.records import Check

_NAME = re.compile(r"(?<=[a-z,;0-9)] )[A-Z][a-z]{2,}(?:-[A-Z][a-z]+)*(?!\w)")
_COMMON = frozenset(
    (
        "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday", "January", "February", "March",
        "April", "May", "June", "July", "August", "September", "October", "November", "December", "The", "Let",
        "Step", "So", "Then", "Answer", "Total", "Therefore", "Now", "Finally", "First", "Next", "Since", "Thus",
    )
)  # fmt: skip

# whom a step may be called after without a word on whose it is: "By Pythagoras"
_EPONYMS = (
    "Pythagoras|Euler|Gauss|Vieta|Heron|Fermat|Bayes|Euclid|Newton|Leibniz|Taylor|Maclaurin|Cauchy|Schwarz|Jensen|Markov"
    "|Chebyshev|Ptolemy|Ceva|Menelaus|Brahmagupta|Lagrange|Fibonacci|Pascal|Archimedes|Cramer|Stirling|Thales|Ohm|Hooke"
)
_CREDITED = re.compile(
    rf"\b(?:by|from|using|with|of|to|per) (?:{_EPONYMS})\b"
    r"|\b[A-Z][a-z]+(?:['’]s?)?(?:[- ][A-Z][a-z]+(?:['’]s?)?)? (?:theorem|formula|law|rule|inequality|identity|lemma"
    r"|method|equation|principle|algorithm|triangle|sequence|numbers?|diagram"
    r"|notation|coordinates?|series)\b",
    re.IGNORECASE,
)


class NamesCheck(CheckConfig):
    """No name of the completion is made up."""

    type: Literal["names"] = "names"
    max_invented: int = Field(default=0, ge=0)
    """How many different names may be new."""

    name: ClassVar[str] = "names"
    revision: ClassVar[int] = 2

    def run(self, case: Case) -> Check:
        told = f"{case.prompt}\n{case.demonstration}".lower()
        invented = sorted(
            {
                name
                for name in _NAME.findall(case.completion)
                if name not in _COMMON and not _known(name, told)
            }
        )
        if invented:
            language = source(case.prompt, case.demonstration).language
            credited = " ".join(match.group() for match in _CREDITED.finditer(case.completion))
            nouns = vocabulary("German") if language == "German" else None
            invented = [
                name for name in invented
                if name not in credited
                and (language in ("English", None) or name.lower()[: max(3, len(name) - 2)] not in told)
                and not (nouns and all(part in nouns for part in name.lower().split("-")))
            ]  # fmt: skip
        if len(invented) > self.max_invented:
            return self.failed(
                "invented_name", f"New names: {', '.join(invented[:3])}.", float(len(invented))
            )
        return self.passed(float(len(invented)))


def _known(name: str, source: str) -> bool:
    """Whether the name, with or without a plural s, stands in the source as a word of its own."""
    word = re.escape(name.lower().removesuffix("s"))
    return re.search(rf"\b{word}s?\b", source) is not None
