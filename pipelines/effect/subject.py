"""What the proof is about: demonstrations, and questions that measure gain and forgetting.

The pocket world draws new demonstrations for every seed and has an oracle, the same solutions in the backbone's own
style. With data of your own the demonstrations are the same for every seed, and there is no oracle.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from curate.errors import UsageError
from pipelines.demo import files
from pipelines.demo.styles import ALIEN
from pipelines.effect.grid import Grid


@dataclass(frozen=True, slots=True)
class Subject:
    """Files of the proof, by seed."""

    suites: tuple[Path, ...]
    target: str
    """Suite or task that the demonstrations teach."""
    demonstrations: tuple[Path, ...]
    """One a seed."""
    oracle: tuple[Path, ...]
    """One a seed; empty where nobody knows the model's own style."""


def pocket_world(folder: Path, grid: Grid) -> Subject:
    """Draw the pocket world's files into `folder`. Raises UsageError for an unknown style."""
    if grid.style not in ALIEN:
        raise UsageError(f"there is no style {grid.style!r}; the demonstrations come in {', '.join(ALIEN)}.")
    seeds = range(max(grid.seeds, grid.headline_seeds))
    suites = (
        files.write_downstream_suite(folder / "craft.jsonl", grid.target_items, seed=0),
        files.write_general_suite(folder / "general.jsonl", grid.general_items, seed=0),
    )
    drawn = {
        style: tuple(
            files.write_demonstrations(folder / f"{style}-{seed}.jsonl", grid.rows, style, seed)
            for seed in seeds
        )
        for style in (grid.style, "qa")
    }
    return Subject(suites, "craft", drawn[grid.style], drawn["qa"])


def own_data(demonstrations: Path, suites: list[Path], target: str, grid: Grid) -> Subject:
    """A user's own files. Raises UsageError where something to compare with is missing."""
    for path in (demonstrations, *suites):
        if not path.exists():
            raise UsageError(f"there is no file {path}.")
    if len(suites) < 2 and target in {path.stem for path in suites}:
        raise UsageError(
            f"the only suite {suites[0]} is the target: forgetting needs a suite of something else. Add --suite FILE."
        )
    seeds = max(grid.seeds, grid.headline_seeds)
    return Subject(tuple(suites), target, (demonstrations,) * seeds, ())
