"""Words of which a thing has one: what is yellow is not white, and what happens in April happens in no other month.

>>> changed_kind(frozenset({"white", "balls"}), frozenset({"yellow", "balloons"}))
('white', 'yellow')
"""

from __future__ import annotations

from collections.abc import Set

_COLOURS = frozenset(
    "red blue green yellow white black brown pink purple violet grey gray golden silver beige turquoise maroon".split()
)
# told by capital letters, so that `may` and `march` are no months
_TIMES = (
    frozenset("Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()),
    frozenset(
        "January February March April May June July August September October November December".split()
    ),
)
_SEASONS = frozenset("spring summer autumn winter".split())
_MEALS = frozenset("breakfast lunch dinner supper".split())
_ALL = _COLOURS.union(*_TIMES, _SEASONS, _MEALS)


def excluding(words: Set[str]) -> Set[str]:
    """Those of `words` that exclude others."""
    return words & _ALL


def changed_kind(ours: Set[str], theirs: Set[str]) -> tuple[str, str] | None:
    """A word of `ours` that excludes one of `theirs`, and that one; None where there is none.

    A colour excludes where the other side has colours and not this one. Days, months, seasons and meals follow upon
    each other, so one excludes only where it stands in the place of another, which is gone.
    """
    if (new := (ours & _COLOURS) - theirs) and (old := theirs & _COLOURS):
        return min(new), min(old)
    for group in (*_TIMES, _SEASONS, _MEALS):
        if (new := (ours & group) - theirs) and (gone := (theirs & group) - ours):
            return min(new), min(gone)
    return None
