"""The pocket world as files: demonstrations to import, suites to measure on.

A demonstration row is `{"id", "question", "solution", "answer", "task"}`, a suite row adds nothing but has
the gold answer text in the backbone's own style as `solution`, for its log-likelihood.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from recast.curate.files import write_lines
from recast.pipelines.demo.styles import STYLES, qa
from recast.pipelines.demo.world import DOWNSTREAM, FAMILIES, Problem, problems


def row(problem: Problem, number: int, solution: str) -> dict[str, str]:
    return {
        "id": f"{problem.family}-{number:05d}",
        "question": problem.question,
        "solution": solution,
        "answer": problem.answer,
        "task": problem.family,
    }


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    write_lines(path, rows)
    return path


def write_demonstrations(path: Path, num: int, style: str, seed: int) -> Path:
    """Expert demonstrations of the downstream family in an alien style (train split)."""
    drawn = problems(DOWNSTREAM, "train", num, seed)
    return write_rows(path, (row(p, i, STYLES[style](p)) for i, p in enumerate(drawn)))


def write_downstream_suite(path: Path, num: int, seed: int) -> Path:
    """Held-out questions of the downstream family."""
    return write_rows(path, (row(p, i, qa(p)) for i, p in enumerate(problems(DOWNSTREAM, "test", num, seed))))


def write_general_suite(path: Path, num_per_family: int, seed: int) -> Path:
    """Held-out questions of every general family, or all it has if it has fewer: what must not be forgotten."""
    drawn = (problems(family, "test", num_per_family, seed, fewer=True) for family in FAMILIES)
    return write_rows(path, (row(p, i, qa(p)) for family in drawn for i, p in enumerate(family)))
