"""Graders in Python, run in the sandbox: `python`, `group_python`."""

from __future__ import annotations

from collections.abc import Sequence

from recast.train.graders.ours import GroupPython
from recast.train.graders.published import Python
from recast.train.graders.records import Case, Models, Outcome


def python(config: Python, cases: Sequence[Case], models: Models) -> list[Outcome]:
    raise NotImplementedError


def group_python(config: GroupPython, cases: Sequence[Case], models: Models) -> list[Outcome]:
    raise NotImplementedError
