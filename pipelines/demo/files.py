"""The pocket world as files: demonstrations to import, suites to measure on.

A demonstration row is `{"id", "question", "solution", "answer", "task"}`, a suite row adds nothing but has
the gold answer text in the backbone's own style as `solution`, for its log-likelihood.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from recast.curate.files import write_lines
from recast.pipelines.demo.noise import DISTURBANCES, disturbed, mislabelled
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


def write_noisy_demonstrations(path: Path, num: int, style: str, seed: int, share: float) -> Path:
    """`write_demonstrations` with a wrong solution and answer in `share` of the rows, drawn at random."""
    rng = random.Random(f"noise/{seed}")
    drawn = list(problems(DOWNSTREAM, "train", num, seed))
    wrong = {i: found for i, p in enumerate(drawn) if (found := mislabelled(p, rng))}
    for i in rng.sample(sorted(wrong), min(len(wrong), round(share * num))):
        drawn[i] = wrong[i]
    return write_rows(path, (row(p, i, STYLES[style](p)) for i, p in enumerate(drawn)))


def write_prompts(path: Path, num: int, seed: int, *, without: set[str]) -> Path:
    """Questions of the downstream family (train split) as rows of reinforcement fine-tuning, none of `without`."""
    drawn = (p for p in problems(DOWNSTREAM, "train", num + len(without), seed) if p.question not in without)
    asked = ({"messages": [{"role": "user", "content": p.question}], "answer": p.answer} for p in drawn)
    return write_rows(path, [next(asked) for _ in range(num)])


def write_disturbed_suite(path: Path, num: int, seed: int) -> Path:
    """Held-out questions of the downstream family, each put badly in every way of `noise.DISTURBANCES`."""
    rng = random.Random(f"disturbed/{seed}")
    drawn = [
        replace(disturbed(p, kind, rng), family=kind)
        for p in problems(DOWNSTREAM, "test", num, seed)
        for kind in DISTURBANCES
    ]
    return write_rows(path, (row(p, i, qa(p)) for i, p in enumerate(drawn)))


def write_downstream_suite(path: Path, num: int, seed: int) -> Path:
    """Held-out questions of the downstream family."""
    return write_rows(path, (row(p, i, qa(p)) for i, p in enumerate(problems(DOWNSTREAM, "test", num, seed))))


def write_general_suite(
    path: Path, num_per_family: int, seed: int, families: Iterable[str] = tuple(FAMILIES)
) -> Path:
    """Held-out questions of every general family, or all it has if it has fewer: what must not be forgotten."""
    drawn = (problems(family, "test", num_per_family, seed, fewer=True) for family in families)
    return write_rows(path, (row(p, i, qa(p)) for family in drawn for i, p in enumerate(family)))
