"""What the chains are trained and measured on: the pocket world's files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recast.curate.errors import UsageError
from recast.curate.files import read_lines, write_json
from recast.pipelines.demo import files
from recast.pipelines.demo.styles import ALIEN
from recast.pipelines.effect.chains.grid import NOISE, ChainGrid

GRADER = {"type": "numeric", "name": "right", "reference": "{{ item.answer }}"}
"""The reward: 1 for the answer of the row, right or wrong."""
TARGET, GENERAL, DISTURBED = "craft", "general", "disturbed"
VALIDATION_PROMPTS = 48


@dataclass(frozen=True, slots=True)
class Subject:
    """Files of the proof."""

    demonstrations: dict[tuple[float, int], Path]  # by noise and seed
    validation: dict[int, Path]  # prompts for RL with the right answers, by seed
    grader: Path
    target: Path
    general: Path
    disturbed: Path


def pocket_world(folder: Path, grid: ChainGrid) -> Subject:
    """Draw the files into `folder`. Raises UsageError for an unknown style."""
    if grid.style not in ALIEN:
        raise UsageError(f"there is no style {grid.style!r}; the demonstrations come in {', '.join(ALIEN)}.")
    demonstrations = {
        (noise, seed): files.write_noisy_demonstrations(
            folder / f"demonstrations-n{100 * noise:.0f}-{seed}.jsonl", grid.rows, grid.style, seed, noise
        )
        for noise in (0.0, NOISE)
        for seed in range(grid.seeds)
    }
    validation = {}
    for seed in range(grid.seeds):
        asked = {row["question"] for row in read_lines(demonstrations[0.0, seed])}
        path = folder / f"validation-{seed}.jsonl"
        validation[seed] = files.write_prompts(path, VALIDATION_PROMPTS, 1000 + seed, without=asked)
    grader = folder / "right.json"
    write_json(grader, GRADER)
    return Subject(
        demonstrations,
        validation,
        grader,
        files.write_downstream_suite(folder / f"{TARGET}.jsonl", grid.target_items, seed=0),
        files.write_general_suite(folder / f"{GENERAL}.jsonl", grid.general_items, seed=0),
        files.write_disturbed_suite(folder / f"{DISTURBED}.jsonl", grid.disturbed_items, seed=2),
    )
