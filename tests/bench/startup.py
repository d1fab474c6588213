"""What it costs to begin: `python -m tests.bench.startup`.

Prints the processor time (user and system, children included) of starting the command and of `import recast`: medians
of 5 fresh processes after one that fills the caches, with their bounds, and asserts nothing. `recast log` is asked of a
store with two versions; it has no bound of its own.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.conftest import ROOT, demonstrations

TIMES = 5
COMMAND = ("-c", "from recast.pipelines.cli import main; main()")
MEASURED: dict[str, tuple[tuple[str, ...], float | None]] = {
    "python alone": (("-c", "pass"), None),
    "import recast": (("-c", "import recast"), 0.15),
    "recast --help": ((*COMMAND, "--help"), 0.3),
    "recast log": ((*COMMAND, "log", "sums"), None),
}
"""What is run -> arguments of the interpreter, bound in seconds."""


def seconds(arguments: tuple[str, ...], folder: Path) -> float:
    """Processor seconds of one interpreter."""
    before = os.times()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL
    )
    after = os.times()
    return after.children_user - before.children_user + after.children_system - before.children_system


def main() -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for num in (4, 5):
            file = demonstrations(folder / "sums.jsonl", num)
            seconds((*COMMAND, "import", str(file), "--as", "sums", "--quiet"), folder)
        for name, (arguments, bound) in MEASURED.items():
            taken = [seconds(arguments, folder) for _ in range(TIMES + 1)][1:]
            said = f"bound {bound:.2f} s" if bound else ""
            print(
                f"{name:14} {statistics.median(taken):.3f} s  (of {min(taken):.3f} to {max(taken):.3f})  {said}"
            )


if __name__ == "__main__":
    main()
