"""Letters that equations define by each other and never by a number: `r = 2s + 5 and s = 3t, hence r = t`.

>>> unbound("Put r = 2s + 5 and s = 3t."), unbound("Let x be the price. 2x = 10, so x = 5.")
(('r', 's'), ())
"""

from __future__ import annotations

import re

_DEFINED = re.compile(r"[^\w\\*/^+.-](?<![*/^+-] )([a-z])(?= ?=(?!=))")
# what a letter is said to be, to the end of the clause, and a number that is said to be a letter
_SAID = re.compile(
    r"(?<![A-Za-z])[a-z] ?(?:=|≈|is\b|equals\b)(.{1,200}?)(?:[,;\n]|\.\s|\.\Z|\b(?:and|so|hence|where)\b|\Z)"
)
_TURNED = re.compile(r"\d ?= ?[a-z](?![A-Za-z])")
_LETTER = re.compile(r"(?<![A-Za-z])[a-z](?![A-Za-z])")


def unbound(text: str) -> tuple[str, ...]:
    """The letters that `text` defines, where it gives a number to no letter at all; empty otherwise."""
    if "=" not in text:
        return ()
    defined = tuple(dict.fromkeys(_DEFINED.findall(f"\n{text}")))
    if not defined or _TURNED.search(text):
        return ()
    sides = (side for said in _SAID.findall(text) for side in said.split("="))
    given = any(any(map(str.isdigit, side)) and not _LETTER.search(side) for side in sides)
    return () if given else defined
