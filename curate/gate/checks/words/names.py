"""Do the names of the completion occur in the question or the demonstration?

Catches: Natalia who became Natalie, a person who was not there before. A name is a capitalised word that does not
begin a sentence, that follows a title, or that begins a sentence and does what persons do (`Ann buys`); in German,
where nouns are capitalised, one that the language's list does not hold. Whoever a theorem is called after is nobody
new. Cannot catch: a name that was left out, names swapped with each other, a German name that is in the list, anything
in languages that capitalise nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from recast.curate.gate.checks.case import Case, CheckConfig
from recast.curate.gate.checks.words.source import source
from recast.curate.language.prose import stands
from recast.curate.language.vocabulary import vocabulary
from recast.curate.records import Check

_NAME = re.compile(r"[A-Z](?<=[a-z,;0-9)] .)[a-z]{2,}(?:-[A-Z][a-z]+)*(?!\w)")
_COMMON = frozenset(
    (
        "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday", "January", "February", "March",
        "April", "May", "June", "July", "August", "September", "October", "November", "December", "The", "Let",
        "Step", "So", "Then", "Answer", "Total", "Therefore", "Now", "Finally", "First", "Next", "Since", "Thus",
    )
)  # fmt: skip
_TITLES = ("Mr", "Ms", "Miss", "Dr", "Prof")
_TITLED = re.compile(r"\b(?:Mr|Mrs|Ms|Miss|Dr|Prof)\.? ([A-Z][a-z]{2,})(?!\w)")
# what persons do, in the present and in the past: a plural that ends in s does the latter only
_DOES = (
    "has|gets|buys|sells|gives|makes|earns|needs|spends|wants|walks|drives|eats|reads|runs|works|plays|saves|pays|uses|"
    "takes|keeps|receives|finds|sees|goes|lives|loses|wins|collects|plants|picks|puts|bakes|writes|owns|owes|starts|"
    "visits|weighs|drinks|cuts|sleeps|draws|rides|counts|brings|borrows|invites|thinks|says|knows"
)
_DID = (
    "had|got|bought|sold|gave|made|earned|needed|spent|wanted|walked|drove|ate|ran|worked|played|saved|paid|"
    "used|took|kept|received|found|saw|went|lived|lost|won|collected|planted|picked|baked|wrote|owned|owed|"
    "started|visited|weighed|will|would|can|could|must|should|is [a-z]+ing|was [a-z]+ing|[a-z]{2,}ed|drank|"
    "slept|drew|rode|counted|brought|borrowed|invited|thought|said|knew"
)
_BEGINS = re.compile(
    rf"(?P<name>[A-Z](?:(?<=^.)|(?<=[.!?:] .))[a-z]{{2,}})(?:(?:['’]s)? (?P<does>{_DOES})| (?P<did>{_DID}))\b",
    re.MULTILINE,
)
_NO_PERSON = frozenset(
    (
        "he she it they we you her his its our their my your once this that these those there who which what whoever "
        "everyone everybody someone somebody anyone anybody nobody each both all one another neither either nothing "
        "everything something half most some many several few people mom mum dad mother father parents grandma "
        "grandpa grandmother grandfather brother sister son daughter child children kid teacher student school class "
        "company family friend neighbor neighbour man woman boy girl store shop team group two three four five six "
        "seven eight nine ten eleven twelve twenty thirty forty fifty"
    ).split()
)
_NOT_AT_END = ("ing", "tion", "sion", "ment", "ity", "ness", "ly")

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
        said = {
            *_NAME.findall(case.completion),
            *(_TITLED.findall(case.completion) if any(map(case.completion.__contains__, _TITLES)) else ()),
            *_beginning(case.completion),
        }
        told = f"{case.prompt}\n{case.demonstration}".lower() if said else ""
        invented = sorted(name for name in said if name not in _COMMON and not _known(name, told))
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


def _beginning(text: str) -> Iterator[str]:
    """Names that begin a sentence and do what persons do."""
    for match in _BEGINS.finditer(text):
        name = match.group("name")
        if (
            name.lower() in _NO_PERSON
            or name.endswith(_NOT_AT_END)
            or (match.group("did") and name.endswith("s"))
        ):
            continue
        if not stands(name.lower(), text):
            yield name


def _known(name: str, source: str) -> bool:
    """Whether the name, with or without a plural s, stands in the source as a word of its own."""
    word = name.lower().removesuffix("s")
    return stands(word, source) or stands(f"{word}s", source)
