"""What one member of the equivalence ensemble says: True, False, None for an abstention, or OPEN."""

from __future__ import annotations

from enum import Enum


class Open(Enum):
    """The verdict of a member that is not competent; unlike None, which is an abstention of one that is."""

    OPEN = 0


OPEN = Open.OPEN
Verdict = bool | None | Open


def all_of(verdicts: list[bool | None]) -> bool | None:
    """False where one is False, True where all are True, None else."""
    return False if False in verdicts else None if None in verdicts else True
