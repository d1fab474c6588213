"""What the proof is about: demonstrations, and questions that measure gain and forgetting.

The pocket world draws new demonstrations for every seed and has an oracle, the same solutions in the backbone's own
style. With data of your own the demonstrations are the same for every seed, and there is no oracle.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recast.curate.errors import UsageError
from recast.curate.ingest import importer
from recast.pipelines.demo import files
from recast.pipelines.demo.styles import ALIEN
from recast.pipelines.effect.grid import Grid
from recast.pipelines.effect.selection import chooses
from recast.train.evaluation import lm_eval
from recast.train.evaluation.suites import Item, load_suites


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
    num_rows: int
    """Demonstrations of a seed."""


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
    return Subject(suites, "craft", drawn[grid.style], drawn["qa"], grid.rows)


def own_data(demonstrations: Path, suites: list[Path], target: str, grid: Grid) -> Subject:
    """A user's own files, looked at before anything is run.

    Raises UsageError where a file is missing or there is nothing to compare with, DataError for a file that cannot be
    read. Suites in lm-eval's YAML are taken as they are.
    """
    for path in (demonstrations, *suites):
        if not path.exists():
            raise UsageError(f"there is no file {path}.")
    if len(suites) < 2 and target in {path.stem for path in suites}:
        raise UsageError(
            f"the only suite {suites[0]} is the target: forgetting needs a suite of something else. Add --suite FILE."
        )
    if not any(map(lm_eval.is_task, suites)):
        _check_halves(load_suites(suites), target)
    num_rows = sum(batch.num_rows for batch in importer.read(demonstrations).batches())
    seeds = max(grid.seeds, grid.headline_seeds)
    return Subject(tuple(suites), target, (demonstrations,) * seeds, (), num_rows)


def _check_halves(items: Sequence[Item], target: str) -> None:
    """Every task needs questions that choose and questions that are reported (`selection`)."""
    groups: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for item in items:
        groups[item.suite, item.task].append(chooses(item))
    known = sorted({name for key in groups for name in key})
    if target not in known:
        raise UsageError(f"no suite or task is called {target}; there are {', '.join(known)}.")
    if all(target in key for key in groups):
        raise UsageError(
            f"all questions are the target's, {target}: forgetting needs others. Add --suite FILE."
        )
    for (suite, task), sides in groups.items():
        if len(set(sides)) < 2:
            raise UsageError(
                f"{suite}/{task} has {len(sides)} questions, all of them in one half: one half chooses learning rates, "
                "the other is reported. Give it more questions, or merge it with another task."
            )
