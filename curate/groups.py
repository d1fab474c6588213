"""Answers to one prompt side by side: a policy that learns by comparing them learns where they earn differently.

Rewards are numbers, None where nothing could be said of an answer.

>>> spread([[0.0, 1.0], [0.0, 0.0], [1.0, None]])
0.3333333333333333
"""

from __future__ import annotations

from collections.abc import Sequence

Rewards = Sequence[float | None]

FEW = 0.1
"""Share of groups with differing rewards below which a run will be slow."""


def differ(rewards: Rewards) -> bool:
    """Whether a group teaches anything: it has two different rewards."""
    return len({r for r in rewards if r is not None}) > 1


def spread(groups: Sequence[Rewards]) -> float:
    """Share of the groups whose rewards differ: the others teach nothing."""
    return sum(map(differ, groups)) / len(groups) if groups else 0.0
