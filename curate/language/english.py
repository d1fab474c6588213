"""What holds English sentences together, and what no English sentence holds.

Function words carry no content of their own; a text that lacks or shuffles them is no prose, whatever its other words.
"""

from __future__ import annotations

from collections.abc import Iterable

FUNCTION_WORDS: frozenset[str] = frozenset(
    (
        "a an the and or but nor so if then than that this these those there here when while where which "
        "who whom whose what how why of in on at by to for from with without into onto over under after "
        "before between during through per about as is are was were be been being am do does did has have "
        "had having will would can could shall should may might must not no he she it they we you i him "
        "her them us me his hers its their theirs our ours your yours my mine all both each every any "
        "some many much more most less few fewer other another such same only also too very just because "
        "since until although though out up down off again however therefore thus hence let"
    ).split()
)
_DOUBLED = frozenset(
    "the a an of to in and for with are he she it was by from at or as how what which this these my "
    "your his her their they we you has".split()
)
_DETERMINERS = frozenset("the an my your their our its every".split())
_NEVER_AFTER = frozenset(
    "the an my your their our its and or of is are was were in on at to for from with by he she it they "
    "we has have had so because if than per into".split()
)
IMPOSSIBLE = frozenset((word, word) for word in _DOUBLED) | {
    (a, b) for a in _DETERMINERS for b in _NEVER_AFTER
}
"""Words that never follow each other."""
TWICE = frozenset("very that had is really much far so no bye ha knock".split())
"""Words that may stand twice in a row."""
NEVER_LAST = frozenset(f"{word}{sign}" for word in _DETERMINERS | {"than"} for sign in ".,;!")
"""Words that no clause ends in, with the sign after them."""
NEVER_THE_END = _DETERMINERS | frozenset(
    "a and or but of than because if with into from at by per is are was were".split()
)
"""Words after which a text without a last sign was cut off."""


def content_pairs(pieces: Iterable[str]) -> list[tuple[tuple[str, str], bool]]:
    """Content words that follow each other with no sign between them, and whether function words stand between.

    `pieces` are what white space parts. Numbers and signs end a run.

    >>> content_pairs("She sold clips in May.".split())
    [(('sold', 'clips'), False), (('clips', 'may'), True)]
    """
    found: list[tuple[tuple[str, str], bool]] = []
    last, between = "", False
    for piece in pieces:
        word = piece if piece.isalpha() else piece.replace("'", "").rstrip(".,;:!?")
        if not word.isalpha():
            last, between = "", False
            continue
        low = word.lower()
        if low in FUNCTION_WORDS and word not in ("May", "Will"):  # a month, a man
            between = True
        else:
            if last:
                found.append(((last, low), between))
            last, between = low, False
        if piece[-1] in ".,;:!?":
            last, between = "", False
    return found
