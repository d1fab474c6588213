"""An import's memory does not grow with the file."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

LIMIT_GIB = 1.5
# A process's rusage counts what its parent held when it forked; VmHWM begins anew with the program.
MEASURED = """
import atexit, re, runpy
from pathlib import Path
status = Path("/proc/self/status")
atexit.register(lambda: Path("peak").write_text(re.search(r"VmHWM:\\s*(\\d+)", status.read_text())[1]))
runpy.run_module("recast.pipelines.cli", run_name="__main__")
"""
WORDS = [
    "".join(random.Random(n).choices("etaoinshrdlu", k=random.Random(-n).randint(2, 9))) for n in range(4000)
]


def write(path: Path, size: int) -> int:
    """Write rows of about 1 kB, every one different, until the file has `size` bytes; return their number."""
    drawn = random.Random(0)
    texts = [" ".join(drawn.choices(WORDS, k=130)) for _ in range(997)]
    rows = 0
    with path.open("w", encoding="utf-8") as file:
        while file.tell() < size:
            lines = []
            for _ in range(997):
                lines.append(
                    json.dumps(
                        {
                            "id": rows,
                            "question": f"{rows} {texts[rows % 991][:300]}?",
                            "answer": f"{texts[rows % 997]} #### {rows}",
                        }
                    )
                )
                rows += 1
            file.write("\n".join(lines) + "\n")
    return rows


@pytest.mark.slow
@pytest.mark.parametrize(
    "size",
    [pytest.param(64 << 20, id="64 MB"), pytest.param(5 * 10**9, id="5 GB", marks=pytest.mark.torture)],
)
def test_an_import_stays_under_a_gibibyte_and_a_half(tmp_path: Path, size: int) -> None:
    file = tmp_path / "rows.jsonl"
    rows = write(file, size)
    process = subprocess.Popen(
        [sys.executable, "-c", MEASURED, "import", str(file), "--as", "big", "-q", "--json"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=(tmp_path / "out.json").open("w"),
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    file.unlink()
    assert process.returncode == 0
    assert json.loads((tmp_path / "out.json").read_text())["rows"] == rows
    resident = int((tmp_path / "peak").read_text()) / (1 << 20)
    print(
        f"{rows:,} rows, {size / 1e9:.2f} GB: {resident:.2f} GiB resident, {used.ru_utime + used.ru_stime:.0f} s CPU"
    )
    assert resident < LIMIT_GIB
