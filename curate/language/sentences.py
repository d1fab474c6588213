"""A text cut into sentences: at line breaks and after sentence marks, never within a number, a formula or `e.g.`.

>>> sentences("Mr. Ray has 3.5 kg. He buys 2! So 3.5 + 2 = 5.5\\nThe answer is 5.5.")
('Mr. Ray has 3.5 kg.', 'He buys 2!', 'So 3.5 + 2 = 5.5', 'The answer is 5.5.')
"""

from __future__ import annotations

import re
from functools import lru_cache

_ABBREVIATED = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|vs|etc|approx|no|fig|eq)|\b(?:e\.g|i\.e|a\.m|p\.m)|\b[A-Z])\.\Z",
    re.IGNORECASE,
)
# A mark followed by space and by what can begin a sentence; Chinese and Japanese marks need no space. What it begins
# with is one class, so that the search need not try at every letter.
_END = re.compile(
    r"[.!?…。！？\n](?:(?<=[.!?…])[.!?…]*[\"')\]”’]*(?P<mark>)\s+(?=[\"'(\[“‘$\\]*[^\W_])"
    r"|(?<=[。！？])[。！？]*[”’」』）]*(?P<wide>)|(?<=\n)\s*)"
)


@lru_cache(maxsize=4096)
def sentences(text: str) -> tuple[str, ...]:
    """The sentences of `text` in order, without the space around them; empty ones are left out."""
    found: list[str] = []
    begun = 0
    for match in _END.finditer(text):
        end = max(match.end("mark"), match.end("wide"))
        told = text[begun : match.start() if end < 0 else end]
        if "\n" not in match.group() and _ABBREVIATED.search(told[-8:]):
            continue
        found.append(told.strip())
        begun = match.end()
    found.append(text[begun:].strip())
    return tuple(sentence for sentence in found if sentence)
