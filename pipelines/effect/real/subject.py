"""The files that the proof on a real model trains and measures on, all written by this project.

python -m recast.pipelines.effect.real.subject FOLDER      # with what the families were chosen by, `tried.jsonl`
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from recast.curate.files import write_json
from recast.pipelines.demo.files import row, write_rows
from recast.pipelines.demo.styles import annotated
from recast.pipelines.effect.real import checks, instructions, problems
from recast.pipelines.effect.real.grid import RealGrid

GENERAL, DRIFT = "instructions", "drift"


@dataclass(frozen=True, slots=True)
class Subject:
    """Files of the proof."""

    demonstrations: tuple[Path, ...]  # by seed
    target: Path
    general: Path
    drift: Path
    grader: Path  # of instructions


def grader() -> dict[str, Any]:
    """A `python` grader that says of a reply whether it does what the instruction asks."""
    return {
        "type": "python",
        "name": "instruction followed",
        "source": Path(checks.__file__).read_text(encoding="utf-8"),
    }


def tried() -> list[tuple[str, instructions.Instruction]]:
    """What the families were chosen by; none of it is asked again."""
    return list(instructions.draw(instructions.TRIED, instructions.TRIED_ITEMS, tuple(instructions.POOL)))


def write(folder: Path, grid: RealGrid) -> Subject:
    """Write the files into `folder`; the same bytes each time."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "grader.json", grader())
    known = frozenset(one.prompt for _, one in tried())
    asked = list(instructions.draw(instructions.ASKED, grid.general_items, without=known))
    known |= {one.prompt for _, one in asked}
    drift = instructions.draw(instructions.DRIFT, grid.drift_items, without=known)
    taught = [
        write_rows(folder / f"demonstrations-{seed}.jsonl", _demonstrations(grid.rows, seed))
        for seed in range(grid.seeds)
    ]
    return Subject(
        tuple(taught),
        write_rows(folder / f"{problems.TASK}.jsonl", _asked(grid.target_items)),
        write_rows(folder / f"{GENERAL}.jsonl", _numbered(asked)),
        write_rows(folder / f"{DRIFT}.jsonl", _numbered(drift)),
        folder / "grader.json",
    )


def _demonstrations(num: int, seed: int) -> Iterator[Mapping[str, Any]]:
    """Solved in the notation of an expert who writes for a calculator."""
    for number, problem in enumerate(problems.draw("train", num, seed)):
        yield row(replace(problem, family=problems.TASK), number, annotated(problem))


def _asked(num: int) -> Iterator[Mapping[str, Any]]:
    """Without a solution, whose likelihood nobody asks for."""
    for number, problem in enumerate(problems.draw("test", num, seed=0)):
        asked = row(replace(problem, family=problems.TASK), number, "")
        yield {key: value for key, value in asked.items() if key != "solution"}


def _numbered(drawn: Iterable[tuple[str, instructions.Instruction]]) -> Iterator[Mapping[str, Any]]:
    return (instructions.row(number, *one) for number, one in enumerate(drawn))


if __name__ == "__main__":
    out = Path(sys.argv[1])
    write(out, RealGrid())
    print(write_rows(out / "tried.jsonl", _numbered(tried())))
