"""What stands on either side of a relation that has a direction.

`a per b`, `subtract a from b`, `divide a by b`, `more a than b`: turned around, each says something else.

>>> turned("We subtract the shirts sold from the shirts left.", "We subtract the shirts left from the shirts sold.")
'subtract … from'
>>> turned("Tom has 5 fewer pens than Ann.", "Ann has 5 more pens than Tom.")
''
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from recast.curate.language.english import FUNCTION_WORDS
from recast.curate.language.polarity import opposites
from recast.curate.language.prose import vocabulary
from recast.curate.language.stems import stem
from recast.curate.language.tokens import number, read

_SUBTRACT = frozenset("subtract subtracting subtracted deduct deducting".split())
_DIVIDE = frozenset("divide dividing divided".split())
_MORE = frozenset("more larger greater bigger older taller longer higher heavier faster".split())
_LESS = frozenset(word for more in _MORE for word in opposites(more)) - _MORE
_FROM = "subtract … from"
_OUTSET = frozenset(map(stem, "initial initially original originally beginning starting".split()))
"""What there was at first: others are subtracted from it, it is subtracted from nothing."""
_CUES = _SUBTRACT | _DIVIDE | {"per", "than"}
_PASSED = (FUNCTION_WORDS - frozenset("more less fewer most least all".split())) | frozenset(
    "number amount total times find get many much sum".split()
)
_ENDS = frozenset(".,;:!?()=")
_CLAUSES = frozenset("so then and but while because since if which we".split())
REACH = 14
"""Words to either side of a relation that may belong to it."""


class Relation(NamedTuple):
    """One relation of a text: which, and the stems of the content words and the numbers on its two sides."""

    kind: str
    left: frozenset[str]
    right: frozenset[str]


@lru_cache(maxsize=2048)
def relations(text: str) -> tuple[Relation, ...]:
    """The relations of `text`, in order; those of which a side says nothing are left out."""
    if vocabulary(text).isdisjoint(_CUES):
        return ()
    return tuple(
        relation for sentence in read(text) if not _CUES.isdisjoint(sentence.tokens)
        for relation in _related(sentence.tokens) if relation.left and relation.right
    )  # fmt: skip


def _related(tokens: tuple[str, ...]) -> Iterator[Relation]:
    low = [token.lower() for token in tokens]
    for at, word in enumerate(low):
        if word == "per" and 0 < at < len(low) - 1:
            yield Relation("per", _content(low[at - 1 : at]), _content(low[at + 1 : at + 2]))
        elif word in _SUBTRACT and "from" in low[at : at + REACH]:
            mid = low.index("from", at)
            yield Relation(_FROM, _content(low[at + 1 : mid]), _content(_clause(low, mid + 1)))
        elif word in _DIVIDE and "by" in low[at : at + REACH]:
            mid = low.index("by", at)
            yield Relation("divide … by", _content(low[at + 1 : mid]), _content(_clause(low, mid + 1)))
        elif word == "than":
            before = low[max(0, at - REACH) : at]
            begun = max((i + 1 for i, w in enumerate(before) if w in _ENDS or w in _CLAUSES), default=0)
            left, right = _content(before[begun:]), _content(_clause(low, at + 1)[:4])
            if _MORE & set(before):
                yield Relation("more than", _whom(left), _whom(right))
            elif _LESS & set(before):
                yield Relation("more than", _whom(right), _whom(left))


_SIGNS = frozenset(map(stem, _MORE | _LESS))
_MEASURED = frozenset(map(stem, "years year old inches feet pounds dollars hours minutes miles".split()))


def _whom(words: frozenset[str]) -> frozenset[str]:
    """What is compared, without by how much."""
    return frozenset(word for word in words - _SIGNS - _MEASURED if word[0].isalpha())


def _clause(low: list[str], begin: int) -> list[str]:
    end = next((i for i in range(begin, len(low)) if low[i] in _ENDS or low[i] in _CLAUSES), len(low))
    return low[begin : min(end, begin + REACH)]


def _content(words: list[str]) -> frozenset[str]:
    return frozenset(
        [
            stem(word) if word[0].isalpha() else word
            for word in words
            if (word[0].isalpha() and len(word) > 1 and word not in _PASSED) or number(word) is not None
        ]
    )


def turned(text: str, *sources: str) -> str:
    """The relation of `text` that a source states the other way round and none as it stands; else empty."""
    said = relations(text)
    theirs = [relation for source in sources for relation in relations(source)] if said else []
    for ours in said:
        direct = crossed = outset = 0
        for other in theirs:
            if other.kind == ours.kind:
                same = _shared(ours.left, ours.right, other.left, other.right)
                across = _shared(ours.left, ours.right, other.right, other.left)
                direct, crossed = max(direct, same), max(crossed, across)
                outset += _OUTSET.isdisjoint(other.left) and not _OUTSET.isdisjoint(other.right)
        if (crossed > direct and crossed > 1) or (outset and ours.kind == _FROM and _OUTSET & ours.left):
            return ours.kind
    return ""


def _shared(
    left: frozenset[str], right: frozenset[str], left_too: frozenset[str], right_too: frozenset[str]
) -> int:
    """How many words two relations have on the same sides, and on neither on both; 0 where a side has none."""
    both, both_too = left & right, left_too & right_too
    here, there = (left & left_too) - both - both_too, (right & right_too) - both - both_too
    return len(here) + len(there) if here and there else 0
